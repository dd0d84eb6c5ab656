"""Both protocols of splitting."""

from pathlib import Path

import numpy as np
import pytest

from training import datasets, splits
from training.datasets import Dataset
from training.splits import Protocol, group_key, split


def make_dataset(texts: list[str], labels: list[int]) -> Dataset:
    return Dataset("made up", tuple(texts), np.array(labels), ("no", "yes"), f"{hash(str(texts))}")


@pytest.fixture
def copies() -> Dataset:
    """200 texts in 50 groups of four near copies."""
    texts = [
        f"Call {number} now{'!' * copy} group{'x' * (number % 50)}"
        for copy in range(4)
        for number in range(50)
    ]
    return make_dataset(texts, [int(number % 5 == 0) for number in range(200)])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Call 0800-555 NOW!!", "call 0 0 now"),
        ("  Straße\t12,5 ", "strasse 0 0"),
        ("!!!", ""),
        ("a_b", "a_b"),
    ],
)
def test_group_key(text: str, key: str) -> None:
    assert group_key(text) == key


@pytest.mark.parametrize("protocol", list(Protocol))
def test_every_row_is_in_one_fold(copies: Dataset, protocol: Protocol) -> None:
    folds = split(copies, protocol, seed=0)
    rows = np.concatenate(list(folds.rows().values()))
    assert sorted(rows.tolist()) == list(range(200))
    assert folds.sizes() == {"train": 160, "validation": 20, "test": 20}
    for fold in folds.rows().values():
        assert 0 < copies.labels[fold].mean() < 1


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_seed_decides(
    copies: Dataset, protocol: Protocol, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again, other = (split(copies, protocol, seed) for seed in (1, 1, 2))
    assert first.sha256() == again.sha256() != other.sha256()
    monkeypatch.setenv("TRAINING_CACHE", str(cache / "empty"))
    assert split(copies, protocol, 1).sha256() == first.sha256()


def test_the_second_time_comes_from_the_cache(
    copies: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = split(copies, Protocol.GROUPED, 7)
    monkeypatch.delattr(splits, "_grouped")
    monkeypatch.setattr(splits, "_grouped", None, raising=False)
    assert split(copies, Protocol.GROUPED, 7).sha256() == first.sha256()


def test_the_paper_protocol_parts_copies(copies: Dataset) -> None:
    assert crossing_groups(copies, Protocol.PAPER, 0)


@pytest.mark.parametrize("model", ["spam", "cyberbullying"])
def test_no_group_of_the_real_sets_crosses_a_border(data_dir: Path, model: str) -> None:
    dataset = datasets.load(model, data_dir)
    assert not crossing_groups(dataset, Protocol.GROUPED, 0)
    folds = split(dataset, Protocol.GROUPED, 0)
    share = dataset.labels.mean()
    for name, expected in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        rows = folds.rows()[name]
        assert len(rows) / len(dataset.texts) == pytest.approx(expected, abs=0.005)
        assert dataset.labels[rows].mean() == pytest.approx(share, abs=0.01)


def test_sms_has_the_known_number_of_groups(data_dir: Path) -> None:
    dataset = datasets.load("spam", data_dir)
    assert len({group_key(text) for text in dataset.texts}) == 5_100


def crossing_groups(dataset: Dataset, protocol: Protocol, seed: int) -> set[str]:
    """Groups with members in more than one fold."""
    folds: dict[str, set[str]] = {}
    for name, rows in split(dataset, protocol, seed).rows().items():
        for row in rows.tolist():
            folds.setdefault(group_key(dataset.texts[row]), set()).add(name)
    return {key for key, names in folds.items() if len(names) > 1}

"""Both protocols of splitting."""

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from training.data import datasets, splits
from training.data.datasets import Dataset
from training.data.splits import Protocol, group_key, sample, split, strata, subsample
from training.errors import DatasetError

from ..conftest import QuickGroupKFold


def make_dataset(texts: list[str], labels: list[int]) -> Dataset:
    return Dataset("made up", tuple(texts), np.array(labels), ("no", "yes"), f"{hash(str(texts))}")


def make_small(groups: dict[str, int], rows: int = 30) -> Dataset:
    """Each class's rows in so many groups of copies."""
    texts = [
        f"{name} {'x' * (row % count)}" for name, count in groups.items() for row in range(rows)
    ]
    labels = np.repeat(np.arange(len(groups)), rows)
    return Dataset("small", tuple(texts), labels, tuple(groups), f"{groups} {rows}")


@pytest.fixture
def copies() -> Dataset:
    """200 texts in 50 groups of four near copies."""
    texts = [
        f"Call {number} now{'!' * copy} group{'x' * (number % 50)} over"
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
    monkeypatch.setattr(splits, "StratifiedGroupKFold", None)
    assert split(copies, Protocol.GROUPED, 7).sha256() == first.sha256()


def test_folds_belong_to_the_texts_not_to_their_file(copies: Dataset) -> None:
    """Two text columns of one file have different near copies."""
    other = replace(copies, texts=tuple(f"{'y' * row}" for row in range(200)))
    assert other.sha256 == copies.sha256
    first, second = (split(one, Protocol.GROUPED, 0).sha256() for one in (copies, other))
    assert first != second


def test_weights_do_not_change_folds(
    copies: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_CACHE", str(cache / "weights"))
    first = split(copies, Protocol.GROUPED, 0)
    monkeypatch.setattr(splits, "StratifiedGroupKFold", None)  # it comes from the cache
    weighted = replace(copies, weights=np.arange(200.0))
    assert split(weighted, Protocol.GROUPED, 0).sha256() == first.sha256()


def test_the_paper_protocol_parts_copies(copies: Dataset) -> None:
    assert crossing_groups(copies, Protocol.PAPER, 0)


@cache
def load_some(model: str, directory: Path) -> Dataset:
    """Read 500 rows that have copies and some without: to group every tweet takes half a minute."""
    dataset = datasets.load(model, directory)
    keys = [group_key(text) for text in dataset.texts]
    members = Counter(keys)
    by_group = sorted(range(len(keys)), key=keys.__getitem__)
    copies = [row for row in by_group if members[keys[row]] > 1]
    alone = [row for row in by_group if members[keys[row]] == 1]
    rows = copies[:500] + alone[::80]
    texts = tuple(dataset.texts[row] for row in rows)
    return replace(dataset, texts=texts, labels=dataset.labels[rows])


@pytest.mark.parametrize("model", ["spam", "cyberbullying", "cyberbullying_type"])
def test_no_group_of_the_real_sets_crosses_a_border(data_dir: Path, model: str) -> None:
    dataset = load_some(model, data_dir)
    assert not crossing_groups(dataset, Protocol.GROUPED, 0)
    folds = split(dataset, Protocol.GROUPED, 0)
    shares = np.bincount(dataset.labels) / len(dataset.labels)
    for name, expected in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        rows = folds.rows()[name]
        assert len(rows) / len(dataset.texts) == pytest.approx(expected, abs=0.005)
        assert np.bincount(dataset.labels[rows]) / len(rows) == pytest.approx(shares, abs=0.01)


@pytest.mark.parametrize("model", ["spam", "cyberbullying", "cyberbullying_type"])
def test_quick_folds_are_the_same(data_dir: Path, model: str) -> None:
    """Those that other tests take instead, so that they need not wait."""
    dataset = load_some(model, data_dir)
    groups = [group_key(text) for text in dataset.texts]
    found, expected = (
        [
            rows.tolist()
            for _, rows in kind(10, shuffle=True, random_state=0).split(
                groups, dataset.labels, groups
            )
        ]
        for kind in (QuickGroupKFold, StratifiedGroupKFold)
    )
    assert found == expected


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


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize("seed", range(3))
def test_ten_rows_of_each_class_are_enough(protocol: Protocol, seed: int) -> None:
    dataset = make_small({"a": 10, "b": 10, "c": 10}, rows=10)
    for rows in split(dataset, protocol, seed).rows().values():
        assert set(dataset.labels[rows].tolist()) == {0, 1, 2}


def test_a_class_in_too_few_groups_is_named() -> None:
    dataset = make_small({"often": 30, "copied": 2, "seldom": 30})
    with pytest.raises(
        DatasetError,
        match=r"small: with seed 4 the \w+ fold has no text of the class copied; .*another seed",
    ):
        split(dataset, Protocol.GROUPED, 4)
    assert split(dataset, Protocol.PAPER, 4).sizes() == {"train": 72, "validation": 9, "test": 9}


def test_fewer_groups_than_folds() -> None:
    with pytest.raises(DatasetError, match=r"small: too small to split .*not near copies"):
        split(make_small({"a": 4, "b": 5}), Protocol.GROUPED, 0)


# Several sources


def of_sources(*counts: tuple[int, int]) -> Dataset:
    """For each source, how many texts of each of two labels it has."""
    pairs = [(origin, label) for origin, row in enumerate(counts) for label in range(2)]
    repeats = [number for row in counts for number in row]
    origins, labels = np.repeat(np.array(pairs), repeats, axis=0).T
    texts = tuple(f"{'x' * number} end" for number in range(len(labels)))
    names = tuple(f"source {number}" for number in range(len(counts)))
    return Dataset("m", texts, labels, ("no", "yes"), "", origins=origins, source_names=names)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_each_fold_has_its_share_of_each_source(protocol: Protocol) -> None:
    dataset = of_sources((100, 20), (10, 60))
    assert dataset.origins is not None
    for rows, share in zip(split(dataset, protocol, 0).rows().values(), (8, 1, 1), strict=True):
        pairs = dataset.origins[rows] * 2 + dataset.labels[rows]
        assert np.bincount(pairs).tolist() == [10 * share, 2 * share, share, 6 * share]


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_few_texts_of_a_source_go_with_those_of_another(protocol: Protocol) -> None:
    dataset = of_sources((100, 20), (1, 0), (0, 9))
    assert np.bincount(strata(dataset)).tolist() == [101, 29]
    assert sum(split(dataset, protocol, 0).sizes().values()) == 130


# Less of a data set


@pytest.mark.parametrize("rows", [1, 4, 5, 60, 199])
def test_a_sample_keeps_groups_whole(copies: Dataset, rows: int) -> None:
    chosen = sample(copies, rows)
    assert chosen.dtype == np.int64
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert rows <= len(chosen) < rows + 4  # the last group has four
    keys = [group_key(text) for text in copies.texts]
    inside = {keys[row] for row in chosen}
    outside = {keys[row] for row in set(range(200)) - set(chosen.tolist())}
    assert not inside & outside


def test_a_sample_is_the_seeds(copies: Dataset) -> None:
    first, again, other = (sample(copies, 60, seed).tolist() for seed in (0, 0, 1))
    assert first == again == sample(copies, 60).tolist()
    assert first != other
    assert not {row % 50 for row in first} <= set(range(20))  # from all over


@pytest.mark.parametrize("rows", [200, 201, 10_000])
def test_a_sample_of_all_is_all(copies: Dataset, rows: int) -> None:
    assert sample(copies, rows).tolist() == list(range(200))


def test_a_bigger_sample_holds_the_smaller_one(copies: Dataset) -> None:
    assert set(sample(copies, 40).tolist()) < set(sample(copies, 80).tolist())


@st.composite
def folds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels, and the rows of a fold."""
    labels = np.array(draw(st.lists(st.integers(0, 2), min_size=1, max_size=200)))
    inside = draw(st.lists(st.booleans(), min_size=len(labels), max_size=len(labels)))
    return labels, np.flatnonzero(inside)


@given(folds(), st.integers(0, 2), st.floats(0.01, 0.9), st.integers(0, 9), st.integers(0, 30))
def test_subsampling_leaves_the_share(
    data: tuple[np.ndarray, np.ndarray], minority: int, share: float, seed: int, at_least: int
) -> None:
    labels, rows = data
    kept = subsample(labels, rows, minority=minority, share=share, seed=seed, at_least=at_least)
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert set(kept.tolist()) <= set(rows.tolist())
    others = rows[labels[rows] != minority]
    assert kept[labels[kept] != minority].tolist() == others.tolist()
    before, after = ((labels[one] == minority).sum() for one in (rows, kept))
    wanted = share / (1 - share) * len(others)
    assert after == min(before, max(at_least, round(wanted)))
    if at_least < wanted < before:
        assert after / len(kept) == pytest.approx(share, abs=1 / len(kept))


def test_at_least_twenty_are_left() -> None:
    labels = np.array([0] * 1000 + [1] * 100)
    kept = subsample(labels, np.arange(1100), minority=1, share=0.001, seed=0)
    assert labels[kept].sum() == 20


def test_subsampling_is_random() -> None:
    labels = np.array([0] * 100 + [1] * 100)
    first, again, other = (
        subsample(labels, np.arange(200), minority=1, share=0.3, seed=seed).tolist()
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert np.mean([row for row in first if row >= 100]) == pytest.approx(150, abs=15)

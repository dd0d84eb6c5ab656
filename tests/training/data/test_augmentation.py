"""Changed copies of training texts."""

from dataclasses import replace

import numpy as np
import pytest

from training.data.augmentation import KINDS, Kind, extended
from training.data.datasets import Dataset

TEXTS = tuple(f"text number {n} about gardens and trains" for n in range(40))
LABELS = np.arange(40, dtype=np.int64) % 2


def _dataset() -> Dataset:
    return Dataset(
        "abuse",
        TEXTS,
        LABELS,
        ("harmless", "abuse"),
        "0" * 64,
        origins=np.arange(40) // 20,
        source_names=("a", "b"),
        weights=np.linspace(1, 2, 40),
        families=np.arange(40) // 2,
    )


def test_copies_stand_behind_and_take_label_and_origin_of_their_original() -> None:
    dataset = _dataset()
    train = np.arange(0, 40, 3)

    grown, rows = extended(dataset, train, ["case"], 1.0, seed=0)

    assert grown.texts[:40] == TEXTS
    assert rows.tolist() == [*train.tolist(), *range(40, 40 + len(train))]
    assert grown.origins is not None
    assert grown.weights is not None
    numbers = np.array([int(text.split()[2]) for text in grown.texts[40:]])
    assert set(numbers.tolist()) <= set(train.tolist())
    np.testing.assert_array_equal(grown.labels[40:], LABELS[numbers])
    np.testing.assert_array_equal(grown.origins[40:], numbers // 20)
    assert grown.families is not None
    np.testing.assert_array_equal(grown.families[40:], numbers // 2)
    np.testing.assert_allclose(grown.weights[40:], np.linspace(1, 2, 40)[train].mean())


def test_only_rows_to_learn_from_give_copies_and_words() -> None:
    train = np.arange(10)

    grown, _ = extended(_dataset(), train, ["ordinary_words", "case"], 1.0, seed=3)

    numbers = {word for text in grown.texts[40:] for word in text.split() if word.isdecimal()}
    assert numbers <= {str(n) for n in range(10)}


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_share_of_rows_is_copied(share: float) -> None:
    grown, rows = extended(_dataset(), np.arange(20), KINDS, share, seed=0)

    assert len(grown.texts) - 40 == len(rows) - 20 == 20 * share


def test_equal_seeds_give_equal_texts_and_another_gives_others() -> None:
    first, again, other = (
        extended(_dataset(), np.arange(40), KINDS, 0.5, seed=seed)[0].texts for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_a_data_set_without_weights_keeps_none() -> None:
    plain = Dataset("spam", TEXTS, LABELS, ("ham", "spam"), "0" * 64)

    grown, _ = extended(plain, np.arange(40), KINDS, 0.5, seed=0)

    assert grown.origins is None
    assert grown.weights is None


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_texts(kind: Kind) -> None:
    grown, _ = extended(_dataset(), np.arange(40), [kind], 1.0, seed=0)

    changed = set(grown.texts[40:]) - set(TEXTS)
    assert len(changed) >= 20
    if kind == "ordinary_words":
        assert {len(text.split()) for text in changed} == {27}


def test_rows_are_copied_as_their_weight_says() -> None:
    weights = np.where(np.arange(40) < 10, 3.0, 1.0)
    grown, _ = extended(replace(_dataset(), weights=weights), np.arange(40), ["case"], 1.0, seed=0)

    numbers = [int(text.split()[2]) for text in grown.texts[40:]]
    assert sum(number < 10 for number in numbers) == 20  # 30 of 60, of 40 copies
    assert grown.weights is not None
    assert grown.weights[40:].tolist() == [1.5] * 40

"""Changed copies of training texts."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.augmentation import KINDS, Kind, changed, extended
from training.data.datasets import Dataset

TEXTS = tuple(f"text number {n} about gardens and trains" for n in range(40))
LABELS = np.arange(40, dtype=np.int64) % 2
ORDINARY = [["see", "you"], ["the", "train", "leaves", "at", "noon"]]


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
    )


def test_copies_stand_behind_and_take_label_origin_and_weight_of_their_original() -> None:
    dataset = _dataset()
    train = np.arange(0, 40, 3)

    grown, rows = extended(dataset, train, ["repeated_letters"], 1.0, seed=0)

    assert grown.texts[:40] == TEXTS
    assert rows.tolist() == [*train.tolist(), *range(40, 40 + len(train))]
    assert grown.origins is not None
    assert grown.weights is not None
    np.testing.assert_array_equal(grown.labels[40:], LABELS[train])
    np.testing.assert_array_equal(grown.origins[40:], train // 20)
    np.testing.assert_array_equal(grown.weights[40:], np.linspace(1, 2, 40)[train])


def test_only_rows_to_learn_from_give_copies_and_words() -> None:
    train = np.arange(10)

    grown, _ = extended(_dataset(), train, KINDS, 1.0, seed=3)

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


@given(st.text(), st.integers())
def test_ordinary_words_are_put_next_to_the_words_of_the_text(text: str, seed: int) -> None:
    words = text.split()[:40]

    found = changed(text, "ordinary_words", ORDINARY, random.Random(seed)).split()

    assert len(found) - len(words) in {10, 20, 30}
    assert found[: len(words)] == words or found[len(found) - len(words) :] == words


@given(st.text(), st.integers(), st.sampled_from(["leet", "repeated_letters"]))
def test_words_are_changed_one_by_one(text: str, seed: int, kind: Kind) -> None:
    found = changed(text, kind, ORDINARY, random.Random(seed)).split()

    assert len(found) == len(text.split())
    added = 0 if kind == "leet" else 2
    assert {len(new) - len(old) for new, old in zip(found, text.split(), strict=True)} <= {0, added}


def test_each_kind_changes_a_text() -> None:
    for kind in KINDS:
        assert changed("nobody likes this garden", kind, ORDINARY, random.Random(2)) != (
            "nobody likes this garden"
        )

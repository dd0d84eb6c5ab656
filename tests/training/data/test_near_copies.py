"""Groups of near copies: which texts they are, and how many each class has."""

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data import datasets, near_copies
from training.data.datasets import Dataset
from training.data.near_copies import group_key, groups, require_groups
from training.errors import DatasetError


def dataset(**groups: int) -> Dataset:
    """Return a data set of three near copies for each group of each class."""
    texts, labels = [], []
    for label, number in enumerate(groups.values()):
        for group in range(number):
            texts += [f"{'x' * (group + 1)}, {copy}!" for copy in range(3)]
            labels += [label] * 3
    return Dataset("mine", tuple(texts), np.array(labels, dtype=np.int64), tuple(groups), "")


def test_ten_groups_of_each_class_are_enough() -> None:
    require_groups(dataset(ham=10, spam=40))


def test_every_class_of_fewer_groups_is_named() -> None:
    with pytest.raises(DatasetError) as caught:
        require_groups(dataset(ham=10, scam=1, spam=9))
    assert str(caught.value).startswith(
        "'scam': 3 texts in 1 group of near copies, 'spam': 27 texts in 9 groups of near copies; "
    )


def test_many_classes_of_fewer_groups_are_counted() -> None:
    with pytest.raises(DatasetError, match=r"'c4': .* copies and 3 more classes; at least 10"):
        require_groups(dataset(**{f"c{number}": 2 for number in range(8)}))


# Groups


LONG = "your parcel is waiting at the depot please confirm the address today"


def grouped(*texts: str, families: list[int] | None = None) -> list[int]:
    labels = np.zeros(len(texts), np.int64)
    return groups(
        Dataset(
            "made up",
            texts,
            labels,
            ("no", "yes"),
            "",
            families=None if families is None else np.array(families),
        )
    ).tolist()


def test_a_truncated_copy_is_of_the_group() -> None:
    cut = grouped(LONG, "something else", f"{LONG[:50]}...", LONG.upper()[:45])
    assert cut[0] == cut[2] == cut[3] != cut[1]


def test_two_continuations_of_one_text_are_of_its_group() -> None:
    first, start, second = grouped(f"{LONG} now", LONG, f"{LONG} or call us")
    assert first == start == second


def test_short_texts_are_no_truncated_copies() -> None:
    assert len(set(grouped("call me", "call me later", "call me later today"))) == 3


def test_families_stay_together() -> None:
    first, second, third, copy = grouped("a", "b", "c", "C!", families=[0, 0, -1, -1])
    assert first == second != third == copy
    assert len(set(grouped("a", "b", "c", families=[-1, -1, -1]))) == 3


@given(st.lists(st.text("ab ", max_size=6), min_size=1, max_size=40), st.integers(1, 4))
def test_groups_are_what_comparing_all_pairs_finds(texts: list[str], least: int) -> None:
    keys = [group_key(text) for text in texts]
    expected = list(range(len(keys)))
    for _ in keys:  # as often as the longest chain
        for one, first in enumerate(keys):
            for other, second in enumerate(keys):
                starts = len(first) >= least and second.startswith(first)
                if first == second or starts:
                    expected[one] = expected[other] = min(expected[one], expected[other])
    with mock.patch.object(near_copies, "LEAST_PREFIX", least):
        found = grouped(*texts)
    assert len(set(zip(found, expected, strict=True))) == len(set(found)) == len(set(expected))


def test_numbers_are_in_the_order_of_the_keys() -> None:
    """So that the folds of data without truncated copies stay what they were."""
    texts = ["d 4", "a", "c", "B", "d 7", "a!"]
    keys = [group_key(text) for text in texts]
    assert grouped(*texts) == np.unique(keys, return_inverse=True)[1].tolist()


@pytest.mark.parametrize(("model", "number"), [("spam", 5_069), ("cyberbullying", 45_626)])
def test_groups_of_the_real_sets(data_dir: Path, model: str, number: int) -> None:
    assert groups(datasets.load(model, data_dir)).max() + 1 == number

"""Groups of near copies: how many each class has."""

import numpy as np
import pytest

from training.data.datasets import Dataset
from training.data.near_copies import require_groups
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

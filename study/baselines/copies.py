"""Changed copies of training texts for baselines: the same ones that a variant learns from."""

import numpy as np
from numpy.typing import NDArray

from training.configuration import Augmentation
from training.data import augmentation
from training.data.datasets import Dataset

Rows = NDArray[np.int64]


def with_copies(dataset: Dataset, train: Rows, choice: Augmentation | None) -> tuple[Dataset, Rows]:
    """Add the copies that `training.learning.encode` adds, with their labels and weights.

    Args:
        dataset: texts, labels and, if there are any, weights.
        train: int64, the rows to learn from.
        choice: how copies are made; None for no copies.

    Returns:
        The data set with copies behind its own texts, which keep their rows; and the rows to learn
        from, int64.
    """
    if choice is None:
        return dataset, train
    return augmentation.extended(dataset, train, choice.kinds, choice.share, seed=0)

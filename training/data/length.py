"""Weights under which the length of a text says nothing about its class.

Where one class is longer than another, a network learns the length instead of the content: of the
tweets of `cyberbullying`, nearly all beyond 200 characters are of one class.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .datasets import Dataset

RATIO: Final = 1.1
"""A bin ends where a text is so many times as long as the shortest of the bin."""

LARGEST_FACTOR: Final = 5.0
"""By which the weight of a text is multiplied; a bin with few texts of a class counts less."""


def matched_weights(dataset: Dataset) -> NDArray[np.float64]:
    """Return weights, float64[n], under which each class counts equally at every length.

    Texts are put into bins by their number of characters, on a logarithmic scale. In each bin every
    class gets the same total, and the bin counts as much as before, unless a text of its rarest
    class then counted more than `LARGEST_FACTOR` times as much: then the whole bin counts less. A
    bin without any text of a class counts nothing.

    Args:
        dataset: any number of classes; its own weights, if it has any, are what is counted.
    """
    classes = len(dataset.label_names)
    before = np.ones(len(dataset.texts)) if dataset.weights is None else dataset.weights
    characters = np.array([max(1, len(text)) for text in dataset.texts])
    bins = np.floor(np.log(characters) / np.log(RATIO) + 1e-9).astype(np.int64)
    cells = bins * classes + dataset.labels
    size = (int(bins.max()) + 1) * classes
    totals = np.bincount(cells, before, size).reshape(-1, classes)
    wanted = np.minimum(totals.sum(axis=1) / classes, LARGEST_FACTOR * totals.min(axis=1))
    factors = np.divide(wanted[:, np.newaxis], totals, out=np.zeros_like(totals), where=totals > 0)
    weights: NDArray[np.float64] = before * factors.ravel()[cells]
    return weights

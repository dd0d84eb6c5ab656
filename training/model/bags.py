"""What the wide path reads in training: the weighted grams of each text."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dandelion.text import grams, surface
from dandelion.text.characters import TextBatch
from dandelion.text.grams import Features

_TEXTS = 1024  # encoded at a time


class Bags(NamedTuple):
    """The grams of n texts, and their surface.

    Attributes:
        grams: float32[n, buckets], sparse: how often a gram occurs ÷ √(grams of the text), times
            the gram's weight.
        surface: int32[n, counts], rows of the surface table; None if it is not read.
    """

    grams: sparse.csr_array
    surface: NDArray[np.int32] | None

    def take(self, rows: NDArray[np.int64]) -> "Bags":
        """Copy the bags of texts."""
        return Bags(self.grams[rows], None if self.surface is None else self.surface[rows])


def count(texts: Sequence[str], features: Features) -> Bags:
    """Count the grams of texts; each has weight 1."""
    parts = []
    surfaces = []
    for start in range(0, len(texts), _TEXTS):
        batch = TextBatch(texts[start : start + _TEXTS])
        found = grams.encode(batch, features)
        ids, rows = found.pairs()
        values = (1 / np.sqrt(found.counts[rows])).astype(np.float32)
        shape = (len(batch.texts), 2**features.bits)
        parts.append(sparse.coo_array((values, (rows, ids)), shape).tocsr())
        if features.surface:
            surfaces.append(surface.encode(batch))
    return Bags(sparse.vstack(parts, format="csr"), np.concatenate(surfaces) if surfaces else None)


def inverse_document_frequency(bags: Bags) -> NDArray[np.float32]:
    """Return the weight of each bucket, float32[buckets]: log((1 + n) / (1 + df)) + 1.

    There are n texts, df of them with the gram (Spärck Jones 1972, smoothed as in scikit-learn).
    The weights are divided by their mean over the bags' entries, so that their size does not depend
    on the data set's.
    """
    texts, buckets = bags.grams.shape
    frequencies = np.bincount(bags.grams.indices, minlength=buckets)
    weights = np.log((1 + texts) / (1 + frequencies)) + 1
    mean = (weights * frequencies).sum() / max(bags.grams.nnz, 1)
    scaled: NDArray[np.float32] = (weights / (mean or 1)).astype(np.float32)
    return scaled


def weigh(bags: Bags, weights: NDArray[np.float32]) -> Bags:
    """Multiply every entry by its bucket's weight."""
    weighed = bags.grams.copy()
    weighed.data *= weights[weighed.indices]
    return bags._replace(grams=weighed)

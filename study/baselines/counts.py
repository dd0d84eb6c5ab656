"""TF-IDF of texts that are fitted on in many subsets: n-grams are counted once.

`weigh` gives what scikit-learn's ``TfidfVectorizer`` of the same options gives when it is fitted on
the training rows alone: a term that none of them contains has no column and no part in a norm.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from training.cache import code, directory, key

from .models import mean_one

Rows = NDArray[np.int64]

# Those of `models.BASELINES`: words and pairs of them, and the characters inside words.
_COUNTED: Final = (
    {"ngram_range": (1, 2)},
    {"analyzer": "char_wb", "ngram_range": (2, 5)},
)
# A term of a single training text is left out: more than half of all, and no figure on another
# source is lower for it.
LEAST_TEXTS: Final = 2


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each text contains each n-gram.

    Attributes:
        blocks: int32 CSR [texts, terms] of words, and of characters.
    """

    blocks: tuple[sparse.csr_matrix, ...]

    def weigh(self, train: Rows) -> "Weighted":
        """Return the weights of terms as the training rows, int64, determine them."""
        return Weighted(self, tuple(_fit(block[train]) for block in self.blocks))


@dataclass(frozen=True, slots=True)
class Weighted:
    """Counts, and for each block the columns that are kept with the fitted weights."""

    counts: Counts
    fitted: tuple[tuple[Rows, TfidfTransformer], ...]

    def take(self, rows: Rows) -> sparse.csr_matrix:
        """Return the TF-IDF features of rows, float64 CSR [rows, kept terms]."""
        parts = [
            fitted.transform(block[rows][:, columns])
            for block, (columns, fitted) in zip(self.counts.blocks, self.fitted, strict=True)
        ]
        return sparse.hstack(parts, format="csr")


def _fit(counted: sparse.csr_matrix) -> tuple[Rows, TfidfTransformer]:
    texts_with_term = np.bincount(counted.indices, minlength=counted.shape[1])
    columns = np.flatnonzero(texts_with_term >= LEAST_TEXTS)
    return columns, TfidfTransformer(sublinear_tf=True).fit(counted[:, columns])


def count(texts: Sequence[str]) -> Counts:
    """Count the n-grams of texts, those that one text alone contains left out."""
    return Counts(
        tuple(
            CountVectorizer(min_df=LEAST_TEXTS, dtype=np.int32, **options).fit_transform(texts)
            for options in _COUNTED
        )
    )


def count_once(texts: Sequence[str]) -> Counts:
    """Return `count` of texts, from the cache if they were counted before."""
    place = directory("counts", key(list(texts), code(__name__)))
    files = [place / f"{number}.npz" for number in range(len(_COUNTED))]
    if not all(file.exists() for file in files):
        place.mkdir(parents=True, exist_ok=True)
        for file, block in zip(files, count(texts).blocks, strict=True):
            _save(block, file)
    return Counts(tuple(sparse.load_npz(file) for file in files))


def _save(block: sparse.csr_matrix, file: Path) -> None:
    # Renamed when it is complete. The name has to end like this.
    temporary = file.with_name(f".{file.stem}-{os.getpid()}.npz")
    sparse.save_npz(temporary, block, compressed=False)
    temporary.replace(file)


def fit_linear(
    estimator: Any, features: sparse.csr_matrix, labels: Rows, weights: NDArray[np.float64] | None
) -> Any:
    """Fit a linear model of scikit-learn's on weighted rows.

    Args:
        estimator: not fitted.
        features: float64 CSR [n, terms].
        labels: int64[n] of 0 and 1.
        weights: float64[n], how often each row counts, relative to the others; None for equally.
    """
    return estimator.fit(features, labels, sample_weight=mean_one(weights))

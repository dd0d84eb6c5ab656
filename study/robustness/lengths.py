"""What length alone does: to harmless texts, and to a ranking."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from training.data.datasets import Dataset

from ..schema.robustness import Count, LengthRow
from .scorers import Scorer

LENGTHS: Final = (5, 10, 20, 40, 80, 160, 300)  # words
LEAST_PIECES: Final = 100
"""A length of which a corpus has fewer pieces is left out."""

# The first number of words of each bin: finer where most texts are.
_BINS: Final = (0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 35, 40, 50, 60, 80, 120, 200)

Pieces = Mapping[tuple[str, int], Sequence[str]]
"""Harmless texts by corpus and number of words."""


def measure(scorer: Scorer, pieces: Pieces) -> list[LengthRow]:
    """Count the flagged pieces of each corpus and length."""
    return [
        LengthRow(corpus, words, Count(int(scorer.flags(texts).sum()), len(texts)))
        for (corpus, words), texts in pieces.items()
    ]


def length_auroc(dataset: Dataset) -> dict[str, float]:
    """Return the AUROC of the number of words alone: of the data set, and of each source.

    Sources without both classes are left out.
    """
    words = count_words(dataset.texts)
    parts = {dataset.name: np.ones(len(words), np.bool_)}
    if dataset.origins is not None:
        parts |= {name: dataset.origins == place for place, name in enumerate(dataset.source_names)}
    return {
        name: round(float(roc_auc_score(dataset.labels[part], words[part])), 6)
        for name, part in parts.items()
        if len(set(dataset.labels[part].tolist())) == 2
    }


def equal_length_auroc(
    labels: NDArray[np.int64], scores: NDArray[np.floating], words: NDArray[np.int64]
) -> float:
    """Return the share of pairs that are ranked right, of pairs of texts of about equal length.

    Args:
        labels: int64[n] of 0 and 1.
        scores: float[n]; equal ones count one half.
        words: int64[n], the length of each text.

    Raises:
        ValueError: no two texts of about equal length have different labels.

    Example:
        >>> labels, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.8, 0.9])
        >>> equal_length_auroc(labels, scores, np.array([4, 4, 100, 100]))
        1.0
    """
    right = pairs = 0.0
    bins = np.digitize(words, _BINS)
    for number in np.unique(bins):
        inside = bins == number
        positive = labels[inside] == 1
        positives, negatives = int(positive.sum()), int((~positive).sum())
        # The Mann-Whitney statistic.
        ranks = rankdata(scores[inside])[positive].sum()
        right += float(ranks) - positives * (positives + 1) / 2
        pairs += positives * negatives
    if not pairs:
        raise ValueError("no two texts of about equal length have different labels")
    return round(right / pairs, 6)


def count_words(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of words of each text, as white space separates them, int64[n]."""
    return np.array([len(text.split()) for text in texts], np.int64)

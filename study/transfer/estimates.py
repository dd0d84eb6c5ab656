"""Figures of one source, and how far they may be trusted: a bootstrap over groups of near copies.

Texts of a group are drawn together. Equal draws for all recipes make their differences paired.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from ..schema.transfer import Interval

Labels = NDArray[np.int64]
Values = NDArray[np.float64]

# The share of harmless texts flagged at the point of its own ROC curve that recall is read at.
FALSE_POSITIVES: Final = 0.05
SAMPLES: Final = 1000
_AT_ONCE: Final = 4_000_000  # numbers in an array


@dataclass(frozen=True, eq=False)
class Draws:
    """How often each text of a source counts in each bootstrap sample.

    Attributes:
        labels: int64[n] of 0 and 1, both present.
        counts: int32[samples + 1, n]; the first sample is the source itself.
    """

    labels: Labels
    counts: NDArray[np.int32]

    def auroc(self, scores: Values) -> Values:
        """Return the AUROC of scores, float64[n], in each sample, float64[samples + 1]."""
        return self._over_samples(scores, _auroc)

    def recall(self, scores: Values) -> Values:
        """Return the largest recall with at most `FALSE_POSITIVES`, float64[samples + 1]."""
        return self._over_samples(scores, _recall)

    def _over_samples(
        self, scores: Values, figure: Callable[[NDArray[np.int64], NDArray[np.int64]], Values]
    ) -> Values:
        if np.isnan(scores).any():
            raise ValueError("a score is NaN, so the texts cannot be ranked")
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        is_positive = self.labels[order] == 1
        found = []
        step = max(1, _AT_ONCE // len(scores))
        for start in range(0, len(self.counts), step):
            counts = self.counts[start : start + step, order]
            # Texts of equal scores stand or fall together: sums for each distinct score.
            positives = np.add.reduceat(
                np.where(is_positive, counts, 0), starts, axis=1, dtype=np.int64
            )
            negatives = np.add.reduceat(
                np.where(is_positive, 0, counts), starts, axis=1, dtype=np.int64
            )
            found.append(figure(positives, negatives))
        return np.concatenate(found)


def draws(labels: Labels, groups: Labels, name: str, samples: int = SAMPLES) -> Draws:
    """Draw groups with replacement, positives and harmless texts both present in every sample.

    Args:
        labels: int64[n] of 0 and 1, both present.
        groups: int64[n], equal for near copies.
        name: of the source; sources are drawn apart.
        samples: how many.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    members = np.unique(groups, return_inverse=True)[1]
    size = int(members.max()) + 1
    counts = np.ones((samples + 1, len(labels)), np.int32)
    for sample in range(1, samples + 1):
        while True:
            drawn = np.bincount(rng.integers(size, size=size), minlength=size)[members]
            if drawn[labels == 1].any() and drawn[labels == 0].any():
                break
        counts[sample] = drawn
    return Draws(labels, counts)


def _auroc(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> Values:
    below = negatives.sum(axis=1, keepdims=True) - np.cumsum(negatives, axis=1)
    won = (positives * (below + negatives / 2)).sum(axis=1)
    return cast("Values", won / positives.sum(axis=1) / negatives.sum(axis=1))


def _recall(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> Values:
    harmless = negatives.sum(axis=1, keepdims=True)
    allowed = np.cumsum(negatives, axis=1) <= FALSE_POSITIVES * harmless
    found = np.where(allowed, np.cumsum(positives, axis=1), 0).max(axis=1)
    return cast("Values", found / positives.sum(axis=1))


def interval(per_sample: Values) -> Interval:
    """Return the figure itself and the 2.5 % and 97.5 % quantiles of its samples.

    Args:
        per_sample: float64[samples + 1], the first of the source itself.
    """
    low, high = np.quantile(per_sample[1:], [0.025, 0.975]).tolist()
    return Interval(float(per_sample[0]), low, high)


def mean_of(per_source: Sequence[Values]) -> Values:
    """Return the mean over sources, sample by sample: they are drawn apart."""
    return cast("Values", np.mean(per_source, axis=0))


def average_precision(labels: Labels, scores: Values) -> float:
    """Return the average precision of scores, float64[n]."""
    return float(average_precision_score(labels, scores))

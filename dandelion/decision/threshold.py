"""Fit a decision threshold on held-out data: to a criterion, or within limits on false alarms."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray


class FalseAlarmLimit(NamedTuple):
    """The largest accepted share of harmless texts that are flagged.

    Attributes:
        rows: bool[n], the texts it is about; the harmless ones among them count together.
        max_rate: in [0, 1).
    """

    rows: NDArray[np.bool_]
    max_rate: float


class LimitError(ValueError):
    """A limit is about no harmless text, or no threshold finds anything within the limits."""


def fit_threshold(
    labels: NDArray[np.int64],
    scores: NDArray[np.floating[Any]],
    criterion: Literal["macro_f1", "accuracy"] = "macro_f1",
) -> tuple[float, float]:
    """Choose the threshold that maximizes a criterion.

    All thresholds between two neighbouring scores yield the same labels, so an interval of them is
    best; its midpoint is returned. Among equally good intervals the widest is chosen, then the
    lowest.

    Args:
        labels: int64[n] of 0 and 1, both present.
        scores: float32[n] in [0, 1]; a text is positive at ``score >= threshold``.
        criterion: ``macro_f1``, the mean of both classes' F1; or ``accuracy``.

    Returns:
        The threshold, in [0, 1], and the value of the criterion at it.

    Raises:
        ValueError: a score is NaN.

    Example:
        >>> import numpy as np
        >>> fit_threshold(np.array([1, 1, 0, 0]), np.array([0.9, 0.75, 0.25, 0.1]))
        (0.5, 1.0)
    """
    order, upper, lower = _cuts(scores)
    # A cut after the i-th highest score labels i texts positive, i = 0 … n.
    predicted = np.arange(len(labels) + 1)
    true_positives = np.concatenate([[0], np.cumsum(labels[order])])
    positives = true_positives[-1]
    negatives = len(labels) - positives
    true_negatives = negatives - (predicted - true_positives)
    if criterion == "accuracy":
        values = (true_positives + true_negatives) / len(labels)
    else:
        f1_positive = 2 * true_positives / (predicted + positives)
        f1_negative = 2 * true_negatives / (len(labels) - predicted + negatives)
        values = (f1_positive + f1_negative) / 2
    # No threshold separates equal scores; the last cut, at 0, is always possible.
    values = np.where((upper > lower) | (predicted == len(labels)), values, -1)
    best = np.flatnonzero(values == values.max())
    widths = (upper - lower)[best]
    cut = best[np.flatnonzero(widths == widths.max())[-1]]
    return float((upper[cut] + lower[cut]) / 2), float(values[cut])


def fit_limited_threshold(
    labels: NDArray[np.int64],
    scores: NDArray[np.floating[Any]],
    limits: Sequence[FalseAlarmLimit],
) -> float:
    """Choose the lowest threshold within all limits: the one with the highest recall.

    As in `fit_threshold`, it is the midpoint between two neighbouring scores.

    Args:
        labels: int64[n] of 0 and 1, both present.
        scores: float32[n] in [0, 1]; a text is positive at ``score >= threshold``.
        limits: at least one.

    Raises:
        LimitError: there is no limit, one is about no harmless text, or every threshold within the
            limits is above the scores of all positive texts.
        ValueError: a score is NaN.

    Example:
        >>> import numpy as np
        >>> labels, scores = np.array([1, 0, 1, 0, 0]), np.array([0.9, 0.7, 0.5, 0.25, 0.1])
        >>> everywhere = np.ones(5, dtype=np.bool_)
        >>> [fit_limited_threshold(labels, scores, [FalseAlarmLimit(everywhere, share)])
        ...     for share in (0.4, 0.3)]
        [0.375, 0.8]
    """
    if not limits:
        raise LimitError("there is no limit; expected at least one")
    order, upper, lower = _cuts(scores)
    possible = (upper > lower) | (np.arange(len(order) + 1) == len(order))
    for number, limit in enumerate(limits, start=1):
        harmless = limit.rows & (labels == 0)
        total = int(harmless.sum())
        if not total:
            raise LimitError(f"limit {number} is about no harmless text; expected at least one")
        flagged = np.concatenate([[0], np.cumsum(harmless[order])])
        # A rate such as .07 is a little off in binary; 7 of 100 are within it all the same.
        possible &= flagged <= limit.max_rate * total * (1 + 1e-12)
    found = np.concatenate([[0], np.cumsum(labels[order])])
    cut = int(np.flatnonzero(possible).max(initial=-1))
    if cut < 0 or not found[cut]:
        raise LimitError(
            "every threshold within the limits is above the score of any positive text"
        )
    return float((upper[cut] + lower[cut]) / 2)


def _cuts(
    scores: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Rank texts by their scores, and return between which scores each cut lies.

    Returns:
        int64[n], the texts from the highest score to the lowest; and float64[n + 1] twice, the
        bounds of the thresholds that flag the first i texts: at most the first number, above the
        second. They are equal where a cut would separate equal scores; the last cut is at 0.

    Raises:
        ValueError: a score is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError("a score is NaN, so the texts cannot be ranked")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    return order, np.concatenate([[1.0], ranked]), np.concatenate([ranked, [0.0]])

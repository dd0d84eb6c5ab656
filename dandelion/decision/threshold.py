"""Fit a decision threshold on held-out data."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


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
    if np.isnan(scores).any():
        raise ValueError("a score is NaN, so the texts cannot be ranked")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
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
    upper = np.concatenate([[1.0], ranked])
    lower = np.concatenate([ranked, [0.0]])
    # No threshold separates equal scores; the last cut, at 0, is always possible.
    values = np.where((upper > lower) | (predicted == len(labels)), values, -1)
    best = np.flatnonzero(values == values.max())
    widths = (upper - lower)[best]
    cut = best[np.flatnonzero(widths == widths.max())[-1]]
    return float((upper[cut] + lower[cut]) / 2), float(values[cut])

"""Quality: every metric, and the rule by which a threshold is fitted."""

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from dandelion.decision import decide

# Metrics that need a threshold, in the order of every table; then those that need none.
AT_THRESHOLD = ("accuracy", "f1", "f1_minority", "macro_f1", "mcc", "g_mean")
OF_SCORES = ("auroc", "average_precision", "brier", "ece")
METRICS = AT_THRESHOLD + OF_SCORES

# The thresholds that tables name: the second fitted to macro-F1 on validation. The third, fitted
# to accuracy there, is for the comparison with the paper, which states none.
HALF: Final = "0.5"
FITTED: Final = "fitted"
FITTED_TO_ACCURACY: Final = "fitted to accuracy"

_ECE_BINS = 15

Labels = NDArray[np.int64]
Scores = NDArray[np.float32]


def evaluate(labels: Labels, scores: Scores, threshold: float) -> dict[str, float]:
    """Compute every metric of a binary classifier, positive at ``score >= threshold``.

    Args:
        labels: int64[n] of 0 and 1, both present.
        scores: float32[n], probabilities of class 1.
        threshold: in [0, 1].
    """
    predicted = decide(scores, threshold)
    return _at_threshold(labels, predicted) | {
        "auroc": float(metrics.roc_auc_score(labels, scores)),
        "average_precision": float(metrics.average_precision_score(labels, scores)),
        "brier": float(np.mean((scores.astype(np.float64) - labels) ** 2)),
        "ece": expected_calibration_error(labels, scores),
    }


def evaluate_at(
    labels: Labels, scores: Scores, thresholds: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Compute every metric at each of some named thresholds."""
    return {name: evaluate(labels, scores, value) for name, value in thresholds.items()}


def majority(train_labels: Labels, labels: Labels) -> dict[str, float]:
    """Compute the metrics at a threshold of always answering the training fold's larger class."""
    predicted = np.full(len(labels), train_labels.mean() >= 0.5)
    return _at_threshold(labels, predicted)


def is_collapsed(labels: Labels, at_half: Mapping[str, float]) -> bool:
    """Tell whether a classifier answers like a constant at threshold 0.5.

    Its G-mean is under .1 and its accuracy within .002 of one of the two constant answers'.
    """
    positive = float(labels.mean())
    distance = min(abs(at_half["accuracy"] - constant) for constant in (positive, 1 - positive))
    return at_half["g_mean"] < 0.1 and distance <= 0.002


def fit_threshold(
    labels: Labels, scores: Scores, criterion: Literal["macro_f1", "accuracy"] = "macro_f1"
) -> tuple[float, float]:
    """Choose the threshold with the largest criterion: the midpoint of the best interval.

    Of equally good intervals the widest is taken, then the lowest.

    Args:
        labels: int64[n] of 0 and 1, both present.
        scores: float32[n].
        criterion: macro-F1 is the rule; accuracy serves comparison with the paper alone.

    Returns:
        The threshold and its criterion.
    """
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
    # Equal scores cannot be parted; the last cut, at 0, can always be made.
    values = np.where((upper > lower) | (predicted == len(labels)), values, -1)
    best = np.flatnonzero(values == values.max())
    widths = (upper - lower)[best]
    cut = best[np.flatnonzero(widths == widths.max())[-1]]
    return float((upper[cut] + lower[cut]) / 2), float(values[cut])


def expected_calibration_error(labels: Labels, scores: Scores) -> float:
    """Average |share of positives − mean score| over 15 bins of equal width (Guo et al. 2017)."""
    bins = np.minimum((scores * _ECE_BINS).astype(np.int64), _ECE_BINS - 1)
    gaps = np.bincount(bins, weights=labels - scores.astype(np.float64), minlength=_ECE_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def _at_threshold(labels: Labels, predicted: NDArray[np.bool_]) -> dict[str, float]:
    (true_negatives, false_positives), (false_negatives, true_positives) = metrics.confusion_matrix(
        labels, predicted, labels=[0, 1]
    ).tolist()
    sensitivity = true_positives / max(true_positives + false_negatives, 1)
    specificity = true_negatives / max(true_negatives + false_positives, 1)
    negative_f1, positive_f1 = metrics.f1_score(
        labels, predicted, labels=[0, 1], average=None, zero_division=0
    ).tolist()
    return {
        "accuracy": float(metrics.accuracy_score(labels, predicted)),
        "f1": positive_f1,
        "f1_minority": positive_f1 if labels.mean() <= 0.5 else negative_f1,
        "macro_f1": (positive_f1 + negative_f1) / 2,
        "mcc": float(metrics.matthews_corrcoef(labels, predicted)),
        "g_mean": (sensitivity * specificity) ** 0.5,
    }

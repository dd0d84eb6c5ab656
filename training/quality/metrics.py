"""Quality: every metric."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from dandelion.decision.rule import Decision

# Metrics that need a threshold, in the order of every table; then those that need none.
AT_THRESHOLD = ("accuracy", "f1", "f1_minority", "macro_f1", "mcc", "g_mean")
OF_SCORES = ("auroc", "average_precision", "brier", "ece")
METRICS = AT_THRESHOLD + OF_SCORES

# The thresholds that tables name: the second fitted to macro-F1 on validation. The third, fitted
# to accuracy there, is for the comparison with the paper, which states none.
HALF: Final = "0.5"
FITTED: Final = "fitted"
FITTED_TO_ACCURACY: Final = "fitted to accuracy"
# Beyond two labels: the highest score's.
ARGMAX: Final = "argmax"

_ECE_BINS = 15

# Beyond two labels these take the place of what needs a threshold.
OF_CLASSES = ("per_class_f1", "confusion_matrix")

Labels = NDArray[np.int64]
Scores = NDArray[np.floating[Any]]
Weights = NDArray[np.float64]
Metrics = dict[str, Any]


def evaluate(
    labels: Labels,
    scores: Scores,
    threshold: float,
    *,
    score_kind: str = "sigmoid",
    weights: Weights | None = None,
) -> Metrics:
    """Compute every metric of a binary classifier, positive at ``score >= threshold``.

    Args:
        labels: int64[n] of 0 and 1, both present.
        scores: float32[n] in [0, 1].
        threshold: in [0, 1].
        score_kind: what the scores are; those of a ``margin`` are no probabilities, so Brier and
            ECE are None.
        weights: float64[n], how much each text counts; by default all alike.
    """
    predicted = np.array(Decision.binary(threshold).decide(scores).positions, dtype=np.bool_)
    is_probability = score_kind != "margin"
    errors = (scores.astype(np.float64) - labels) ** 2
    return _at_threshold(labels, predicted, weights) | {
        "auroc": float(metrics.roc_auc_score(labels, scores, sample_weight=weights)),
        "average_precision": float(
            metrics.average_precision_score(labels, scores, sample_weight=weights)
        ),
        "brier": float(np.average(errors, weights=weights)) if is_probability else None,
        "ece": expected_calibration_error(labels, scores, weights) if is_probability else None,
    }


def evaluate_classes(labels: Labels, scores: Scores) -> Metrics:
    """Compute every metric of a classifier of k > 2 classes, which answers the highest score's.

    What needs a threshold, or one positive class, is None.

    Args:
        labels: int64[n] in 0 … k − 1.
        scores: float32[n, k].
    """
    classes = scores.shape[1]
    predicted = scores.argmax(axis=1)
    per_class = _f1_by_class(labels, predicted, classes)
    return dict.fromkeys(METRICS) | {
        "accuracy": float(metrics.accuracy_score(labels, predicted)),
        "macro_f1": float(per_class.mean()),
        "mcc": float(metrics.matthews_corrcoef(labels, predicted)),
        "per_class_f1": per_class.tolist(),
        "confusion_matrix": metrics.confusion_matrix(
            labels, predicted, labels=range(classes)
        ).tolist(),
    }


def macro_f1(labels: Labels, predicted: Labels, classes: int) -> float:
    """Average the classes' F1."""
    return float(_f1_by_class(labels, predicted, classes).mean())


def _f1_by_class(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = metrics.f1_score(
        labels, predicted, labels=range(classes), average=None, zero_division=0
    )
    return found


def prevalence_weights(labels: Labels, positive_share: float) -> Weights:
    """Weigh texts, float64[n], so that positives make up ``positive_share`` of the fold."""
    share = labels.mean()
    weights: Weights = np.where(
        labels == 1, positive_share / share, (1 - positive_share) / (1 - share)
    )
    return weights


def majority(train_labels: Labels, labels: Labels) -> dict[str, float]:
    """Compute the metrics at a threshold of always answering the training fold's larger class."""
    predicted = np.full(len(labels), train_labels.mean() >= 0.5)
    return _at_threshold(labels, predicted, None)


def majority_of_classes(train_labels: Labels, labels: Labels, classes: int) -> Metrics:
    """Compute the metrics of always answering the training fold's largest class, of k > 2."""
    largest = int(np.bincount(train_labels, minlength=classes).argmax())
    return evaluate_classes(labels, np.eye(classes, dtype=np.float32)[[largest] * len(labels)])


def is_collapsed(labels: Labels, at_half: Mapping[str, Any]) -> bool:
    """Tell whether a classifier answers like a constant at threshold 0.5.

    Its G-mean is under .1 and its accuracy within .002 of one of the two constant answers'.
    """
    positive = float(labels.mean())
    distance = min(abs(at_half["accuracy"] - constant) for constant in (positive, 1 - positive))
    return bool(at_half["g_mean"] < 0.1 and distance <= 0.002)


def expected_calibration_error(
    labels: Labels, scores: Scores, weights: Weights | None = None
) -> float:
    """Average |share of positives − mean score| over 15 bins of equal width (Guo et al. 2017)."""
    bins = np.minimum((scores * _ECE_BINS).astype(np.int64), _ECE_BINS - 1)
    counted = np.ones(len(labels)) if weights is None else weights
    differences = counted * (labels - scores.astype(np.float64))
    gaps = np.bincount(bins, weights=differences, minlength=_ECE_BINS)
    return float(np.abs(gaps).sum() / counted.sum())


def _at_threshold(labels: Labels, predicted: NDArray[np.bool_], weights: Weights | None) -> Metrics:
    (true_negatives, false_positives), (false_negatives, true_positives) = metrics.confusion_matrix(
        labels, predicted, labels=[0, 1], sample_weight=weights
    ).tolist()
    positives, negatives = true_positives + false_negatives, true_negatives + false_positives
    errors = false_positives + false_negatives
    positive_f1 = 2 * true_positives / ((2 * true_positives + errors) or 1)
    negative_f1 = 2 * true_negatives / ((2 * true_negatives + errors) or 1)
    return {
        "accuracy": float(metrics.accuracy_score(labels, predicted, sample_weight=weights)),
        "f1": positive_f1,
        "f1_minority": positive_f1 if positives <= negatives else negative_f1,
        "macro_f1": (positive_f1 + negative_f1) / 2,
        "mcc": float(metrics.matthews_corrcoef(labels, predicted, sample_weight=weights)),
        "g_mean": (true_positives / (positives or 1) * true_negatives / (negatives or 1)) ** 0.5,
    }

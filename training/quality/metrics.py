"""The metrics of a classifier on a fold."""

from typing import Any, Final, Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from dandelion.decision.calibration import REFERENCE_PRIOR
from dandelion.decision.rule import Decision

Metric = Literal[
    "accuracy",
    "f1",
    "f1_minority",
    "macro_f1",
    "mcc",
    "g_mean",
    "auroc",
    "average_precision",
    "brier",
    "ece",
]

# Metrics that need a threshold, in the order of every table; then those that need none.
AT_THRESHOLD: Final[tuple[Metric, ...]] = (
    "accuracy",
    "f1",
    "f1_minority",
    "macro_f1",
    "mcc",
    "g_mean",
)
OF_SCORES: Final[tuple[Metric, ...]] = ("auroc", "average_precision", "brier", "ece")
METRICS: Final[tuple[Metric, ...]] = AT_THRESHOLD + OF_SCORES

Cut = Literal["0.5", "fitted", "fitted to accuracy", "operating point", "argmax"]
"""How scores became labels, as tables and artifacts name it."""

HALF: Final = "0.5"
"""At threshold 0.5 of the uncalibrated scores, that is at a logit of 0."""
FITTED: Final = "fitted"
"""At the threshold that maximises macro-F1 on validation, or on out-of-fold scores."""
FITTED_TO_ACCURACY: Final = "fitted to accuracy"
"""At the threshold that maximises accuracy there, to compare with the paper, which names none."""
OPERATING_POINT: Final = "operating point"
"""At the default threshold of a variant whose operating point is another one."""
ARGMAX: Final = "argmax"
"""With more than two labels: the label with the highest score."""

_ECE_BINS = 15

Labels = NDArray[np.int64]
Scores = NDArray[np.floating[Any]]
Weights = NDArray[np.float64]


class Metrics(TypedDict):
    """The metrics of a classifier on a fold, as they are written to JSON.

    None stands for a metric that is not defined: with more than two labels those that need one
    positive class, with margins those that need probabilities. Those that need scores are absent if
    there are only decisions.
    """

    accuracy: float
    f1: float | None
    f1_minority: float | None
    macro_f1: float
    mcc: float
    g_mean: float | None
    auroc: NotRequired[float | None]
    average_precision: NotRequired[float | None]
    brier: NotRequired[float | None]
    ece: NotRequired[float | None]
    per_class_f1: NotRequired[list[float]]
    confusion_matrix: NotRequired[list[list[int]]]


ByCut = dict[Cut, Metrics]
"""The metrics of a fold, by the rule that turned scores into labels."""


def value_of(metrics: Metrics, name: Metric) -> float:
    """Return a metric that is defined.

    Raises:
        ValueError: it is not.
    """
    found = metrics.get(name)
    if found is None:
        raise ValueError(f"{name} is not defined here")
    return found


def evaluate(  # noqa: PLR0913
    labels: Labels,
    scores: Scores,
    threshold: float,
    *,
    score_kind: str = "sigmoid",
    calibrated: bool = False,
    weights: Weights | None = None,
) -> Metrics:
    """Compute every metric of a binary classifier, positive at ``score >= threshold``.

    Args:
        labels: int64[n] of 0 and 1, both present.
        scores: float32[n] in [0, 1].
        threshold: in [0, 1].
        score_kind: what the scores are; those of a ``margin`` are no probabilities, so Brier and
            ECE are None.
        calibrated: whether scores are probabilities at the reference prior, whatever their kind.
            Brier and ECE are then those of the probabilities at the texts' own share of positives.
        weights: float64[n], how much each text counts; by default all count alike.
    """
    predicted = np.array(Decision.binary(threshold).decide(scores).positions, dtype=np.bool_)
    is_probability = calibrated or score_kind != "margin"
    probabilities = scores.astype(np.float64)
    if calibrated:
        probabilities = _at_prior(probabilities, float(np.average(labels, weights=weights)))
    found = _at_threshold(labels, predicted, weights)
    precision = sk.average_precision_score(labels, scores, sample_weight=weights)
    found["auroc"] = float(sk.roc_auc_score(labels, scores, sample_weight=weights))
    found["average_precision"] = float(precision)
    if is_probability:
        found["brier"] = brier_score(labels, probabilities, weights)
        found["ece"] = expected_calibration_error(labels, probabilities, weights)
    else:
        found["brier"] = found["ece"] = None
    return found


def _at_prior(probabilities: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    """Move probabilities from the reference prior to another (Saerens et al. 2002, eq. 4)."""
    odds = prior / (1 - prior) * (1 - REFERENCE_PRIOR) / REFERENCE_PRIOR
    moved: NDArray[np.float64] = probabilities * odds / (1 + probabilities * (odds - 1))
    return moved


def evaluate_classes(labels: Labels, scores: Scores) -> Metrics:
    """Compute every metric of a classifier of k > 2 labels, which chooses the highest score.

    Metrics that need a threshold or one positive class are None.

    Args:
        labels: int64[n] in 0 … k − 1.
        scores: float32[n, k].
    """
    classes = scores.shape[1]
    predicted = np.array(Decision.of_classes(classes).decide(scores).positions)
    per_class = _f1_by_class(labels, predicted, classes)
    matrix = sk.confusion_matrix(labels, predicted, labels=range(classes))
    return Metrics(
        accuracy=float(sk.accuracy_score(labels, predicted)),
        f1=None,
        f1_minority=None,
        macro_f1=float(per_class.mean()),
        mcc=float(sk.matthews_corrcoef(labels, predicted)),
        g_mean=None,
        auroc=None,
        average_precision=None,
        brier=None,
        ece=None,
        per_class_f1=per_class.tolist(),
        confusion_matrix=matrix.tolist(),
    )


def macro_f1(labels: Labels, predicted: Labels, classes: int) -> float:
    """Return the mean of the labels' F1."""
    return float(_f1_by_class(labels, predicted, classes).mean())


def _f1_by_class(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = sk.f1_score(
        labels, predicted, labels=range(classes), average=None, zero_division=0
    )
    return found


def prevalence_weights(labels: Labels, positive_share: float) -> Weights:
    """Return weights of texts, float64[n], that give positives the share ``positive_share``."""
    share = labels.mean()
    weights: Weights = np.where(
        labels == 1, positive_share / share, (1 - positive_share) / (1 - share)
    )
    return weights


def majority(train_labels: Labels, labels: Labels, classes: int = 2) -> Metrics:
    """Compute the metrics of always choosing the training fold's largest class, without scores.

    Args:
        train_labels: int64[m] of the training fold; of two equal classes, the positive is chosen.
        labels: int64[n] of the fold that is measured.
        classes: how many labels there are.
    """
    if classes == 2:
        predicted = np.full(len(labels), train_labels.mean() >= 0.5)
        return _at_threshold(labels, predicted, None)
    largest = int(np.bincount(train_labels, minlength=classes).argmax())
    return evaluate_classes(labels, np.eye(classes, dtype=np.float32)[[largest] * len(labels)])


def is_collapsed(labels: Labels, metrics: ByCut) -> bool:
    """Return whether a classifier decides like a constant, whatever the text.

    At threshold 0.5 its G-mean is below .1 and its accuracy within .002 of that of one of the two
    constants; with more than two labels, only one label is ever chosen.

    Args:
        labels: int64[n] of the fold, or of one with the same shares.
        metrics: of the fold.
    """
    if ARGMAX in metrics:
        chosen = zip(*metrics[ARGMAX]["confusion_matrix"], strict=True)
        return sum(map(any, chosen)) == 1
    at_half = metrics[HALF]
    positive = float(labels.mean())
    distance = min(abs(at_half["accuracy"] - constant) for constant in (positive, 1 - positive))
    return value_of(at_half, "g_mean") < 0.1 and distance <= 0.002


def brier_score(labels: Labels, scores: Scores, weights: Weights | None = None) -> float:
    """Average the squared difference of score and label (Brier 1950)."""
    return float(np.average((scores.astype(np.float64) - labels) ** 2, weights=weights))


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
    (true_negatives, false_positives), (false_negatives, true_positives) = sk.confusion_matrix(
        labels, predicted, labels=[0, 1], sample_weight=weights
    ).tolist()
    positives, negatives = true_positives + false_negatives, true_negatives + false_positives
    errors = false_positives + false_negatives
    positive_f1 = 2 * true_positives / ((2 * true_positives + errors) or 1)
    negative_f1 = 2 * true_negatives / ((2 * true_negatives + errors) or 1)
    return Metrics(
        accuracy=float(sk.accuracy_score(labels, predicted, sample_weight=weights)),
        f1=positive_f1,
        f1_minority=positive_f1 if positives <= negatives else negative_f1,
        macro_f1=(positive_f1 + negative_f1) / 2,
        mcc=float(sk.matthews_corrcoef(labels, predicted, sample_weight=weights)),
        g_mean=(true_positives / (positives or 1) * true_negatives / (negatives or 1)) ** 0.5,
    )

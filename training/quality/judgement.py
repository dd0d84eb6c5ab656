"""The evaluation of a classifier: the thresholds that are fitted, and the metrics at them.

Thresholds are fitted on validation alone, or on out-of-fold scores of training and validation. The
test fold is only measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dandelion.decision.threshold import fit_threshold

from .metrics import (
    ARGMAX,
    FITTED,
    FITTED_TO_ACCURACY,
    HALF,
    ByCut,
    Cut,
    Labels,
    Scores,
    evaluate,
    evaluate_classes,
    is_collapsed,
    prevalence_weights,
)

FoldName = Literal["train", "validation", "out_of_fold", "test"]
HeldOut = Literal["validation", "out_of_fold"]


@dataclass(frozen=True, slots=True)
class Scored:
    """A fold and its scores.

    Attributes:
        labels: int64[n].
        scores: float32[n]; with k > 2 labels float32[n, k].
    """

    labels: Labels
    scores: Scores


@dataclass(frozen=True, slots=True)
class Judgement:
    """How good a classifier is.

    Attributes:
        threshold: the chosen one, if there is one; or it maximises macro-F1 on the held-out texts;
            None with more than two labels.
        metrics: fold → cut → metrics.
        collapsed: see `is_collapsed`, on the last fold that was measured.
    """

    threshold: float | None
    metrics: dict[FoldName, ByCut]
    collapsed: bool


def judge(  # noqa: PLR0913
    score_kind: str,
    validation: Scored,
    test: Scored | None = None,
    *,
    held_out: HeldOut = "validation",
    calibrated: bool = False,
    half: float = 0.5,
    chosen: tuple[Cut, float] | None = None,
    reweight_test: bool = False,
) -> Judgement:
    """Fit the thresholds on validation, and measure every fold.

    Args:
        score_kind: ``sigmoid`` or ``margin`` of two labels, ``softmax`` of more.
        validation: on which thresholds are fitted.
        test: never used to fit anything; None if it must not be read.
        held_out: what ``validation`` is.
        calibrated: see `evaluate`.
        half: the calibrated score of a logit of 0.
        chosen: the default threshold, if one was chosen on ``validation``, and what it is: fitted
            to macro-F1, or an operating point.
        reweight_test: whether the test fold's texts are weighted so that the positives have the
            share that they have on validation. Only with two labels.
    """
    folds: dict[FoldName, Scored] = {held_out: validation}
    if test is not None:
        folds["test"] = test
    last = validation if test is None or reweight_test else test
    if score_kind == "softmax":
        metrics: dict[FoldName, ByCut] = {
            name: {ARGMAX: evaluate_classes(fold.labels, fold.scores)}
            for name, fold in folds.items()
        }
        threshold: float | None = None
    else:
        fitted, _ = fit_threshold(validation.labels, validation.scores)
        accurate, _ = fit_threshold(validation.labels, validation.scores, "accuracy")
        cuts: dict[Cut, float] = {HALF: half, FITTED: fitted, FITTED_TO_ACCURACY: accurate}
        threshold = fitted
        if chosen is not None:
            cut, threshold = chosen
            cuts[cut] = threshold
        positive_share = float(validation.labels.mean()) if reweight_test else None
        metrics = {
            name: _at_cuts(
                fold, cuts, positive_share if name == "test" else None, score_kind, calibrated
            )
            for name, fold in folds.items()
        }
    measured = metrics[held_out if test is None else "test"]
    # A test fold weighted to validation's shares has the constants of validation.
    return Judgement(threshold, metrics, is_collapsed(last.labels, measured))


def _at_cuts(
    fold: Scored,
    cuts: Mapping[Cut, float],
    positive_share: float | None,
    score_kind: str,
    calibrated: bool,
) -> ByCut:
    weights = None if positive_share is None else prevalence_weights(fold.labels, positive_share)
    return {
        cut: evaluate(
            fold.labels,
            fold.scores,
            threshold,
            score_kind=score_kind,
            calibrated=calibrated,
            weights=weights,
        )
        for cut, threshold in cuts.items()
    }

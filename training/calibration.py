"""The calibration of a network's logits on texts that it, or its like, did not learn from."""

from typing import Literal, TypedDict

import numpy as np

from dandelion.decision.calibration import REFERENCE_PRIOR, Calibration
from dandelion.decision.calibration_fit import CalibrationFit, fit_calibration, fit_temperature
from dandelion.decision.reliability import brier_score, calibration_error, log_loss, prior_weights
from dandelion.engines.network import sigmoid, softmax

from .quality.metrics import Labels, Scores


class Reliability(TypedDict):
    """How far scores are from probabilities, each class weighted to an equal total.

    Attributes:
        log_loss: in nats.
        brier: the mean squared error; None with more than two labels.
        ece: see `calibration_error`; None with more than two labels.
    """

    log_loss: float
    brier: float | None
    ece: float | None


class CalibrationRecord(TypedDict):
    """What an artifact's manifest has as its ``calibration_fit``.

    Attributes:
        fitted_on: ``out_of_fold``, the texts of the evidence; or ``validation``.
        texts: of each label.
        folds: of the cross-validation that chose the method; 0 for none.
        log_losses: method → its cross-validated log loss.
        before: of the uncalibrated scores of these texts.
        after: of the calibrated ones.
    """

    fitted_on: Literal["out_of_fold", "validation"]
    texts: list[int]
    folds: int
    log_losses: dict[str, float]
    before: Reliability
    after: Reliability


def fit_binary(
    logits: Scores,
    labels: Labels,
    *,
    groups: Labels | None = None,
    fitted_on: Literal["out_of_fold", "validation"],
) -> tuple[Calibration, CalibrationRecord]:
    """Fit the calibration of two labels, and record what it changes.

    Args:
        logits: float[n], uncalibrated.
        labels: int64[n] of 0 and 1, both present.
        groups: int64[n], texts of one group are held out together; None if each is alone.
        fitted_on: what the texts are.
    """
    fitted = fit_calibration(logits, labels, groups=groups)
    own = _reliability(labels, sigmoid(logits.astype(np.float32)))
    after = _reliability(labels, calibrated(logits, fitted.calibration))
    return fitted.calibration, _record(fitted, own, after, fitted_on)


def fit_multiclass(
    logits: Scores,
    labels: Labels,
    *,
    groups: Labels | None = None,
    fitted_on: Literal["out_of_fold", "validation"],
) -> tuple[Calibration, CalibrationRecord]:
    """Fit the temperature of more than two labels, see `fit_binary`.

    Args:
        logits: float[n, k], uncalibrated.
        labels: int64[n], at least two of them present.
        groups: int64[n]; None if each text is alone.
        fitted_on: what the texts are.
    """
    fitted = fit_temperature(logits, labels, groups=groups)
    own = _classes_reliability(labels, logits)
    after = _classes_reliability(labels, fitted.calibration.logits(logits))
    return fitted.calibration, _record(fitted, own, after, fitted_on)


def calibrated(logits: Scores, calibration: Calibration) -> Scores:
    """Return calibrated scores, float32[n] or float32[n, k], as the NumPy engine gives them."""
    values = calibration.logits(logits).astype(np.float32)
    return sigmoid(values) if values.ndim == 1 else softmax(values)


def _record(
    fitted: CalibrationFit,
    before: Reliability,
    after: Reliability,
    fitted_on: Literal["out_of_fold", "validation"],
) -> CalibrationRecord:
    return CalibrationRecord(
        fitted_on=fitted_on,
        texts=list(fitted.texts),
        folds=fitted.folds,
        log_losses={str(method): loss for method, loss in fitted.log_losses.items()},
        before=before,
        after=after,
    )


def _reliability(labels: Labels, scores: Scores) -> Reliability:
    weights = prior_weights(labels, REFERENCE_PRIOR)
    return Reliability(
        log_loss=log_loss(scores, labels, weights=weights),
        brier=brier_score(scores, labels, weights=weights),
        ece=calibration_error(scores, labels, weights=weights),
    )


def _classes_reliability(labels: Labels, logits: Scores) -> Reliability:
    values = logits.astype(np.float64)
    losses = np.logaddexp.reduce(values, axis=1) - values[np.arange(len(labels)), labels]
    weights = 1 / np.bincount(labels)[labels]
    return Reliability(log_loss=float(np.average(losses, weights=weights)), brier=None, ece=None)

"""How good the probabilities of a variant are, before and after calibration."""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from dandelion import Classifier
from dandelion.decision.calibration import IDENTITY, Calibration
from dandelion.decision.reliability import Bin as ReliabilityBin
from dandelion.decision.reliability import reliability
from training.errors import ConfigurationError
from training.experiment import Run
from training.runs import CachedRun

from ..schema.decisions import Bin, CalibratedVariant, Quality
from ..schema.transfer import Interval
from . import folds


class Judged(NamedTuple):
    """Probabilities compared with labels, and the bins of the comparison."""

    quality: Quality
    bins: list[Bin]


def measure(
    runs: Sequence[Run], finished: Sequence[CachedRun], *, served: bool
) -> CalibratedVariant:
    """Measure a variant on the test folds of its runs.

    Args:
        runs: one or more of one variant.
        finished: the same, carried out.
        served: whether the variant serves its model.

    Raises:
        TrainingError: a data set is missing, or scores are not calibrated.
        ArtifactError: an artifact is damaged.
    """
    methods, before, after, before_as_is, after_as_is = [], [], [], [], []
    fitted_on: Literal["out_of_fold", "validation"] = "validation"
    for run, one in zip(runs, finished, strict=True):
        classifier = Classifier.load(one.artifact, engine="numpy")
        manifest = classifier.manifest
        calibration = manifest.score_map
        if calibration is None or manifest.calibration_fit is None:
            raise ConfigurationError(f"{manifest.model}/{manifest.variant}: is not calibrated")
        fitted_on = manifest.calibration_fit["fitted_on"]
        fold = folds.read(run, classifier)
        methods.append(calibration.method)
        before.append(judged(fold.labels, fold.logits, IDENTITY, balanced=True))
        after.append(judged(fold.labels, fold.logits, calibration, balanced=True))
        before_as_is.append(judged(fold.labels, fold.logits, IDENTITY, balanced=False))
        shares = np.bincount(fold.labels) / len(fold.labels)
        after_as_is.append(judged(fold.labels, fold.logits, calibration, shares, balanced=False))
    config = runs[0].config
    return CalibratedVariant(
        model=config.model,
        variant=config.variant,
        loss=config.loss,
        served=served,
        seeds=[run.seed for run in runs],
        method=[str(one) for one in methods],
        fitted_on=fitted_on,
        before=_mean(before),
        after=_mean(after),
        before_as_is=_mean(before_as_is),
        after_as_is=_mean(after_as_is),
        diagram_before=before[0].bins,
        diagram_after=after[0].bins,
    )


def judged(
    labels: NDArray[np.int64],
    logits: NDArray[np.floating[Any]],
    calibration: Calibration,
    shares: NDArray[np.float64] | None = None,
    *,
    balanced: bool,
) -> Judged:
    """Turn logits into probabilities, and compare them with labels.

    Args:
        labels: int64[n], every one present.
        logits: float[n], or float[n, k] for k > 2 labels; uncalibrated.
        calibration: of the logits.
        shares: float64[k] of the labels, which calibrated probabilities are corrected to; None
            for no correction.
        balanced: whether each label has the same weight, rather than each text.
    """
    weights = 1 / np.bincount(labels)[labels] if balanced else np.ones(len(labels))
    values = calibration.logits(logits)
    if values.ndim == 1:
        if shares is not None:
            values = values + np.log(shares[1] / shares[0])
        found = reliability(expit(values), labels, weights=weights)
        return Judged(Quality(found.brier, found.ece, found.log_loss), _bins(found.bins))
    if shares is not None:
        values = values + np.log(shares)
    probabilities = softmax(values, axis=1)
    errors = ((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1)
    own = np.take_along_axis(log_softmax(values, axis=1), labels[:, None], axis=1)[:, 0]
    is_right = (probabilities.argmax(axis=1) == labels).astype(np.int64)
    found = reliability(probabilities.max(axis=1), is_right, weights=weights)
    brier, log_loss = (float(np.average(one, weights=weights)) for one in (errors, -own))
    return Judged(Quality(brier, found.ece, log_loss), _bins(found.bins))


def _bins(found: Sequence[ReliabilityBin]) -> list[Bin]:
    return [Bin(one.mean_score, Interval(one.share, one.lower, one.upper)) for one in found]


def _mean(of_seeds: Sequence[Judged]) -> Quality:
    return Quality(*np.mean([astuple(one.quality) for one in of_seeds], axis=0).tolist())

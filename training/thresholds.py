"""The default threshold of a variant: its operating point, fitted on out-of-fold evidence.

First the penalty of the windows is chosen, see `training.penalties`. Of the logits under it,
evidence is made, see `training.evidence`; on that the operating point is fitted with confidence,
see `dandelion.decision.operating_points`, and the calibration, see `training.calibration`. The
threshold is stored as a calibrated score.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np

from dandelion.decision import operating_points
from dandelion.decision.calibration import Calibration
from dandelion.decision.evidence import GRID, STEP, Evidence, flagged
from dandelion.decision.operating_points import CONFIDENCE, FittedPoint, InfeasibleError
from dandelion.decision.policy import score_at
from dandelion.decision.threshold import LimitError

from .calibration import CalibrationRecord, calibrated, fit_binary
from .configuration import MACRO_F1, Configuration
from .data.datasets import Dataset
from .errors import ConfigurationError
from .evidence import ScaleRecord, collect
from .out_of_fold import OutOfFold
from .penalties import (
    LongTextRecord,
    Penalty,
    choose_penalty,
    limits_of,
    long_text_records,
    penalised,
)
from .quality.metrics import Labels, Scores


class ConstraintRecord(TypedDict):
    """What holds on the evidence at the threshold, for a source that a constraint names.

    Attributes:
        constraint: in the grammar of operating points.
        source: its name; None for all sources together.
        texts: of the evidence: harmless ones for ``fpr``, positive ones for ``recall``, both for
            the others.
        value: of the constraint's quantity on them; None if it is not defined.
    """

    constraint: str
    source: str | None
    texts: int
    value: float | None


class ThresholdRule(TypedDict):
    """What an artifact's manifest has as its ``threshold_rule``; what follows is of folds alone.

    Attributes:
        criterion: ``macro_f1``; or ``operating_point``, that of the manifest.
        fitted_on: ``validation``, or ``out_of_fold``: training and validation, out of fold.
        promised: whether the constraints hold with ``confidence``; for five networks on 80 % of the
            texts each, of which the served one is a sixth.
        confidence: of each promise.
        logit: the threshold, uncalibrated.
        texts: of the evidence, harmless and positive, one of each group of near copies.
        estimates: recall, fpr, precision and rate at the threshold, over all sources, each with
            its 95 % interval; the latter two at ``prior``.
        plateau: see `FittedPoint`.
        constraints: of the operating point, by source.
        scale: whether the folds agree in it; where they do not, nothing is promised.
        folds: how many.
        epochs: of each fold; the network was fitted for their median.
        long_texts: joined harmless texts, at the threshold; by them the penalty of the windows was
            chosen.
    """

    criterion: Literal["macro_f1", "operating_point"]
    fitted_on: Literal["validation", "out_of_fold"]
    promised: NotRequired[bool]
    confidence: NotRequired[float]
    logit: NotRequired[float]
    texts: NotRequired[list[int]]
    estimates: NotRequired[dict[str, Any]]
    plateau: NotRequired[list[float] | None]
    constraints: NotRequired[list[ConstraintRecord]]
    scale: NotRequired[ScaleRecord]
    folds: NotRequired[int]
    epochs: NotRequired[list[int]]
    long_texts: NotRequired[list[LongTextRecord]]


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen on out-of-fold logits.

    Attributes:
        penalty: of the windows; 0 if texts are not cut.
        calibration: of the logits.
        calibration_fit: how it was fitted.
        threshold: the default one, of calibrated scores.
        scores: float32[m] of the out-of-fold rows, calibrated, under the penalty.
        evidence: on which the threshold was fitted.
        rule: how the threshold was chosen.
    """

    penalty: float
    calibration: Calibration
    calibration_fit: CalibrationRecord
    threshold: float
    scores: Scores
    evidence: Evidence
    rule: ThresholdRule


def choose(
    config: Configuration, found: OutOfFold, dataset: Dataset, near_copies: Labels
) -> Choice:
    """Choose penalty, calibration and threshold, see the module.

    Args:
        config: the variant, of two labels.
        found: its out-of-fold logits.
        dataset: whose texts they are of.
        near_copies: int64[n], the group of each of its texts.

    Raises:
        ConfigurationError: the operating point is infeasible, or a class has no collected text.
    """
    point = operating_points.parse(config.operating_point)
    harmless = [found.source_names[one] for one in np.unique(found.origins[found.labels == 0])]
    usable = [name for name in harmless if name not in dataset.generated]
    limits = limits_of(point, config.groups, usable)
    try:
        penalty = choose_penalty(limits, found, are_cut=config.windows is not None)
    except LimitError as error:
        raise _infeasible(config, error) from error
    collected = collect(found, dataset, near_copies, config.groups, penalty=penalty.value)
    try:
        fitted = operating_points.fit(point, collected.evidence)
    except (InfeasibleError, operating_points.OperatingPointError) as error:
        raise _infeasible(config, error) from error
    calibration, record = fit_binary(collected.logits, collected.labels, fitted_on="out_of_fold")
    return Choice(
        penalty=penalty.value,
        calibration=calibration,
        calibration_fit=record,
        threshold=_threshold(config, fitted, calibration),
        scores=calibrated(penalised(found.logits, found.windows, penalty.value), calibration),
        evidence=collected.evidence,
        rule=_rule(config, found, penalty, collected.evidence, collected.scale, fitted),
    )


def _threshold(config: Configuration, fitted: FittedPoint, calibration: Calibration) -> float:
    """Return the score that flags what the fitted logit does.

    Raises:
        ConfigurationError: texts below it have the same score in float32.
    """
    threshold = score_at(fitted.logit, calibration)
    if threshold == score_at(fitted.logit - STEP, calibration):
        raise ConfigurationError(
            f"{config.model}/{config.variant}: the threshold of {fitted.point} lies among scores "
            f"so close to {threshold:g} that texts below it have the same score; choose another "
            "operating_point"
        )
    return threshold


def _infeasible(config: Configuration, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{config.model}/{config.variant}: {config.operating_point}: {error}; choose another "
        "operating_point, or add texts"
    )


def _rule(  # noqa: PLR0913, PLR0917
    config: Configuration,
    found: OutOfFold,
    penalty: Penalty,
    evidence: Evidence,
    scale: ScaleRecord,
    fitted: FittedPoint,
) -> ThresholdRule:
    rule = ThresholdRule(
        criterion="macro_f1" if config.operating_point == MACRO_F1 else "operating_point",
        fitted_on="out_of_fold",
        promised=fitted.promised,
        confidence=CONFIDENCE,
        logit=fitted.logit,
        texts=[fitted.negatives, fitted.positives],
        estimates={
            name: asdict(getattr(fitted, name)) for name in ("recall", "fpr", "precision", "rate")
        }
        | {"prior": fitted.prior},
        plateau=None if fitted.plateau is None else list(fitted.plateau),
        scale=scale,
        folds=len(found.epochs),
        epochs=list(found.epochs),
    )
    point = operating_points.parse(config.operating_point)
    if point.constraints:
        rule["constraints"] = [
            record
            for one in point.constraints
            for record in _constraint_records(one, evidence, fitted.logit)
        ]
    long = found.long_texts
    flagged_long = penalised(long.logits, long.windows, penalty.value) >= fitted.logit
    if records := long_text_records(penalty.aims, found, flagged_long):
        rule["long_texts"] = records
    return rule


def _constraint_records(
    constraint: operating_points.Constraint,
    evidence: Evidence,
    logit: float,
) -> list[ConstraintRecord]:
    where: list[str | None] = [None]
    if constraint.where is not None:
        where = [*evidence.sources_of(constraint.where)]
    at = int(np.searchsorted(GRID, logit))
    records = []
    for source in where:
        counts = evidence.total(source)
        (negatives, positives), (false, true) = counts.sum(axis=1), flagged(counts)[:, at]
        part, whole = {
            "fpr": (false, negatives),
            "recall": (true, positives),
            "precision": (true, true + false),
            "rate": (true + false, negatives + positives),
        }[constraint.quantity]
        texts = {"fpr": negatives, "recall": positives}.get(
            constraint.quantity, negatives + positives
        )
        records.append(
            ConstraintRecord(
                constraint=str(constraint),
                source=source,
                texts=int(texts),
                value=float(part / whole) if whole else None,
            )
        )
    return records

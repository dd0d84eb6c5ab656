"""Operating points fitted as they are for the service, and what test folds keep of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dandelion import artifact
from dandelion.classifier import Classifier
from dandelion.decision import operating_points
from dandelion.decision.calibration import IDENTITY, Calibration
from dandelion.decision.evidence import GRID, Evidence
from dandelion.decision.operating_points import InfeasibleError, OperatingPoint
from dandelion.decision.policy import scores
from training.errors import ConfigurationError
from training.experiment import Run
from training.runs import CachedRun

from ..schema.decisions import CurvePoint, Kept, PointStudy, SeedPoint, SourceCounts
from ..schema.transfer import Interval
from . import folds, kept
from .folds import ScoredFold

POINTS: Final = (
    "macro_f1",
    "fpr<=0.005",
    "fpr<=0.01",
    "fpr<=0.05",
    "recall>=0.8",
    "recall>=0.9",
    "precision>=0.9",
    "precision>=0.95",
    "precision>=0.5@prior=0.01",
    "precision>=0.9@prior=0.01",
    "rate<=0.005@prior=0.01",
    "rate<=0.02@prior=0.01",
)
"""Fitted for every model, after the point that it is served with."""

OF_GROUP: Final = ("fpr<=0.005[{}]", "fpr<=0.01[{}]", "fpr<=0.05[{}]")
"""Fitted for every group of sources as well."""

AIM: Final = "fpr<=0.01[ordinary],fpr<=0.1[moderated]"
"""What default points aim at. Fitted for every model with both groups of sources: where the default
is stricter, this shows why."""

_CURVE_POINTS: Final = 80


@dataclass(frozen=True, slots=True)
class Fitted:
    """A finished run: its evidence, and its test fold.

    Attributes:
        seed: of the run.
        default: the operating point of its artifact.
        calibration: of its logits.
        evidence: out of fold.
        fold: the test fold.
    """

    seed: int
    default: str
    calibration: Calibration
    evidence: Evidence
    fold: ScoredFold


def load(run: Run, finished: CachedRun) -> Fitted:
    """Read the artifact of a run, and score the test fold with it.

    Raises:
        TrainingError: the artifact has no evidence, or a data set is missing.
        ArtifactError: the artifact is damaged.
    """
    stored = artifact.load(finished.artifact)
    manifest = stored.manifest
    if stored.evidence is None or manifest.operating_point is None:
        raise ConfigurationError(
            f"{manifest.model}/{manifest.variant}: its artifact has no evidence for decisions, "
            "as its threshold is not fitted out of fold; set out_of_fold = true"
        )
    return Fitted(
        run.seed,
        manifest.operating_point,
        manifest.score_map or IDENTITY,
        stored.evidence,
        folds.read(run, Classifier(stored, engine="numpy")),
    )


def points_of(found: Fitted) -> list[str]:
    """Return the operating points that are fitted for a run's model, the default first."""
    groups = found.evidence.groups
    of_groups = [point.format(name) for name in groups for point in OF_GROUP]
    aims = [AIM] if {"ordinary", "moderated"} <= set(groups) else []
    return list(dict.fromkeys([found.default, *aims, *POINTS, *of_groups]))


def halved(text: str) -> str | None:
    """Return a point with each constraint at half the distance from 0, or of a floor from 1.

    Returns:
        The point, in the grammar; None for criteria.
    """
    point = operating_points.parse(text)
    if not point.constraints:
        return None
    constraints = tuple(
        replace(one, bound=(1 + one.bound) / 2 if one.is_minimum else one.bound / 2)
        for one in point.constraints
    )
    return str(replace(point, constraints=constraints))


def study(text: str, runs: Sequence[Fitted], promise: str | None = None) -> PointStudy:
    """Fit a point with every seed, and compare it with the test folds.

    Args:
        text: the point, in the grammar.
        runs: one or more of one variant, in the order of their seeds.
        promise: whose constraints it is compared with; by default its own.

    Raises:
        OperatingPointError: the point is not in the grammar, or names an unknown source.
    """
    promised = operating_points.parse(promise or text)
    fitted = [(one, _fit(text, promised, one)) for one in runs]
    feasible = [(one, logit) for one, (_, logit) in fitted if logit is not None]
    counts = folds.pooled([(one.fold, logit) for one, logit in feasible]) if feasible else []
    return PointStudy(
        point=text,
        promise=promise,
        seeds=[of_seed for _, (of_seed, _) in fitted],
        kept=_judge(promised, runs[0].evidence, counts) if feasible else [],
        counts=counts,
    )


def curve(found: Fitted) -> list[CurvePoint]:
    """Return what thresholds over the whole range do to the evidence of a run, ascending."""
    points = operating_points.curve(found.evidence, points=_CURVE_POINTS)
    at = _scores([one.logit for one in points], found.calibration)
    return [
        CurvePoint(
            threshold,
            _interval(one.recall),
            _interval(one.fpr),
            (one.band.recall.lower, one.band.recall.upper),
            (one.band.fpr.lower, one.band.fpr.upper),
        )
        for threshold, one in zip(at, points, strict=True)
        if one.band is not None
    ]


def counts_of(evidence: Evidence, logit: float = np.inf) -> list[SourceCounts]:
    """Count the texts of each source of evidence, and those flagged at ``logit`` or above."""
    at = int(np.searchsorted(GRID, logit))
    found = []
    for source, table in evidence.counts.items():
        harmless, positive = table.sum(axis=1).tolist()
        above = table[:, at + 1 :].sum(axis=1).tolist()
        found.append(SourceCounts(source, positive, above[1], harmless, above[0]))
    return found


def _fit(text: str, promised: OperatingPoint, found: Fitted) -> tuple[SeedPoint, float | None]:
    """Fit a point with one seed; return its logit as well, None if it is infeasible."""
    try:
        point = operating_points.fit(text, found.evidence)
    except InfeasibleError as error:
        best, needed = error.best, error.texts_needed
        return SeedPoint(found.seed, None, False, best, needed, None, None, None, [], []), None
    counts = found.fold.counts(point.logit)
    (threshold,) = _scores([point.logit], found.calibration)
    constraints = [(one, found.evidence.sources_of(one.where)) for one in promised.constraints]
    out_of_fold = counts_of(found.evidence, point.logit)
    return SeedPoint(
        seed=found.seed,
        threshold=threshold,
        promised=point.promised,
        best=None,
        texts_needed=None,
        recall=point.recall.estimate,
        false_positive_rate=point.fpr.estimate,
        chance=kept.chance(constraints, out_of_fold, counts, promised.prior),
        kept=_judge(promised, found.evidence, counts),
        counts=counts,
    ), point.logit


def _judge(point: OperatingPoint, evidence: Evidence, counts: Sequence[SourceCounts]) -> list[Kept]:
    judged = [
        kept.judge(one, counts, evidence.sources_of(one.where), point.prior)
        for one in point.constraints
    ]
    return [one for one in judged if one is not None]


def _scores(logits: Sequence[float], calibration: Calibration) -> list[float]:
    found: list[float] = scores(np.array(logits, dtype=np.float32), calibration).tolist()
    return found


def _interval(one: operating_points.Interval) -> Interval:
    return Interval(one.estimate, one.lower, one.upper)

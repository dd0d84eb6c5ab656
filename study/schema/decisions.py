"""``decisions.json`` and ``calibration.json``: what scores promise, and what test folds kept."""

from dataclasses import dataclass
from typing import Literal

from .transfer import Interval


@dataclass(frozen=True, slots=True)
class Kept:
    """A constraint on test texts, at the source where it is kept worst.

    Attributes:
        quantity: ``fpr``, ``recall``, ``precision`` or ``rate``.
        bound: what was promised: at least, of precision and recall; at most, of the others.
        source: the worst of the constraint's sources.
        found: the rate there, with its exact two-sided 95 % interval.
        broken: whether the rate is beyond the bound.
        clearly_broken: whether it still is by its one-sided 95 % bound, shared among the sources.
    """

    quantity: Literal["precision", "recall", "fpr", "rate"]
    bound: float
    source: str
    found: Interval
    broken: bool
    clearly_broken: bool


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """Test texts of one source, one of each group of near copies, and how many are flagged."""

    source: str
    positives: int
    flagged_positives: int
    negatives: int
    flagged_negatives: int


@dataclass(frozen=True, slots=True)
class SeedPoint:
    """An operating point fitted with one seed, and what the test fold says of it.

    Attributes:
        threshold: in scores; None if the point is infeasible.
        promised: whether its constraints are promised; False for criteria.
        best: if infeasible, the strictest bound that can be promised; None if none can.
        texts_needed: if infeasible, how many labelled texts it would take; None if none suffice.
        recall: out of fold.
        false_positive_rate: out of fold.
        chance: the probability that some constraint's estimate is beyond its bound on a test fold
            of this size if the true rates are those found out of fold; None without constraints.
        kept: for each constraint; empty for criteria.
        counts: on the test fold, by source; empty if infeasible.
    """

    seed: int
    threshold: float | None
    promised: bool
    best: float | None
    texts_needed: int | None
    recall: float | None
    false_positive_rate: float | None
    chance: float | None
    kept: list[Kept]
    counts: list[SourceCounts]


@dataclass(frozen=True, slots=True)
class PointStudy:
    """An operating point over all seeds.

    Attributes:
        point: in the grammar.
        promise: the point whose constraints it is compared with, if these are not its own.
        seeds: an entry for each.
        kept: over the test folds of all seeds in which the point is feasible. A group of near
            copies that lies in several of them is counted in the first.
        counts: the same, by source.
    """

    point: str
    promise: str | None
    seeds: list[SeedPoint]
    kept: list[Kept]
    counts: list[SourceCounts]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a threshold does to held-out texts.

    Attributes:
        threshold: in scores.
        recall: with its pointwise 95 % interval.
        false_positive_rate: likewise.
        recall_band: lower and upper bound; those of all thresholds hold together at 95 %.
        false_positive_rate_band: likewise.
    """

    threshold: float
    recall: Interval
    false_positive_rate: Interval
    recall_band: tuple[float, float]
    false_positive_rate_band: tuple[float, float]


@dataclass(frozen=True, slots=True)
class RecallAtPrecision:
    """Recall at the lowest threshold of a test fold whose precision is ``precision`` or more.

    Attributes:
        kind: ours, or a baseline.
        labels: how many labels the classifier learnt from.
        per_seed: the recall of each.
    """

    name: str
    kind: Literal["ours", "baseline"]
    labels: int
    precision: float
    per_seed: list[float]


@dataclass(frozen=True, slots=True)
class ModelDecisions:
    """The whole procedure for one model, on several seeds.

    Attributes:
        default: the operating point that it is served with.
        groups: name → sources that a constraint may name together.
        evidence: out-of-fold texts of seed 0, by source; nothing counts as flagged.
        curve: of the evidence of seed 0.
        points: the default first, then, if it has constraints, the same at half the limits.
        at_precision: empty where no baseline learnt from the same texts.
    """

    model: str
    variant: str
    default: str
    seeds: list[int]
    groups: dict[str, list[str]]
    evidence: list[SourceCounts]
    curve: list[CurvePoint]
    points: list[PointStudy]
    at_precision: list[RecallAtPrecision]


@dataclass(frozen=True, slots=True)
class Decisions:
    """``decisions.json``."""

    models: list[ModelDecisions]


@dataclass(frozen=True, slots=True)
class Bin:
    """Texts of about one score: their mean score, and the share of positives."""

    score: float
    positives: Interval


@dataclass(frozen=True, slots=True)
class Quality:
    """How good probabilities are, a mean over seeds."""

    brier: float
    ece: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class CalibratedVariant:
    """A variant before and after calibration, on the test folds.

    Attributes:
        method: of each seed.
        fitted_on: ``out_of_fold``, or ``validation`` where no folds were fitted.
        before: of uncalibrated scores, both classes weighted alike.
        after: of calibrated ones.
        before_as_is: of uncalibrated scores, texts weighted alike.
        after_as_is: of scores that were corrected to the fold's share of positives.
        diagram_before: of seed 0, both classes weighted alike.
        diagram_after: the same.
    """

    model: str
    variant: str
    loss: str
    served: bool
    seeds: list[int]
    method: list[str]
    fitted_on: Literal["out_of_fold", "validation"]
    before: Quality
    after: Quality
    before_as_is: Quality
    after_as_is: Quality
    diagram_before: list[Bin]
    diagram_after: list[Bin]


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """``calibration.json``."""

    variants: list[CalibratedVariant]

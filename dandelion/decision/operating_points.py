"""Operating points: named ways to choose a threshold, fitted on evidence with confidence.

The grammar, the same in configuration, on the command line, in Python and in requests::

    point      := (criterion | constraint {"," constraint}) ["@prior=" number]
    criterion  := "macro_f1" | "f1" | "cost(fp=" number ",fn=" number ")"
    constraint := ("precision>=" | "recall>=" | "fpr<=" | "rate<=") number ["[" source or group "]"]

A constraint is a promise at 95 %: if the evidence is a random sample of the traffic (given a prior,
of each class of it), the threshold that `fit` returns breaks the constraint in at most 5 % of such
samples. See `promises` for the tests. With several constraints

- each of them holds by itself at 95 %;
- those on ``fpr``, ``rate`` and ``precision`` also hold jointly at 95 %, for all of them are tested
  from strict to loose, so that the first threshold that breaks any of them must have passed its
  test;
- ``recall`` is tested from the other end: with it, all hold jointly at 90 %.

A constraint on several sources is about the worst of them, and holds for all of them jointly. Where
the evidence has weights, it is about the weighted mixture.

Criteria promise nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import criteria, mixtures, shortfall
from .calibration import PRIORS, is_prior
from .evidence import GRID, Evidence
from .grammar import (
    Constraint,
    Criterion,
    OperatingPoint,
    OperatingPointError,
    Quantity,
    parse,
)
from .intervals import Interval
from .promises import Mask, Strata, accepted, relevant
from .shortfall import InfeasibleError, Need, harmless_texts

__all__ = [
    "CONFIDENCE",
    "Band",
    "Constraint",
    "Criterion",
    "FittedPoint",
    "InfeasibleError",
    "Interval",
    "Kept",
    "Need",
    "OperatingPoint",
    "OperatingPointError",
    "Quantity",
    "Requirement",
    "at",
    "curve",
    "fit",
    "harmless_texts",
    "parse",
    "positions",
    "requirements",
]

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Kept:
    """A constraint at the threshold of a fitted point.

    Attributes:
        constraint: in the grammar.
        source: the one where the bound is worst; None for the weighted mixture of several.
        estimate: of the rate, there.
        bound: one-sided Clopper-Pearson bound of the rate, there, at the point's confidence.
        texts: that the rate is of: harmless ones for ``fpr``, positive ones for ``recall``, flagged
            ones for ``precision`` without a prior, else all.
    """

    constraint: str
    source: str | None
    estimate: float
    bound: float
    texts: int


@dataclass(frozen=True, slots=True)
class Band:
    """A point of a curve with simultaneous 95 % intervals.

    All intervals of a curve, of recall and of FPR each, hold together at 95 %: every point of the
    grid has 1/601 of the error (Bonferroni), whichever of them the curve shows.
    """

    recall: Interval
    fpr: Interval


@dataclass(frozen=True, slots=True)
class FittedPoint:
    """An operating point fitted on evidence.

    Attributes:
        point: in the grammar.
        logit: the threshold, uncalibrated: positive at ``logit >= this``; a point of the grid.
        promised: whether the constraints hold with a confidence of 95 %; False for criteria, and
            where the evidence allows no promise.
        recall: share of the positive texts that are flagged.
        fpr: share of the harmless texts that are flagged.
        precision: share of the flagged texts that are positive, at ``prior``; the estimate is 0 in
            [0, 1] where none is flagged.
        rate: share of all texts that are flagged, at ``prior``.
        prior: which precision and rate are for.
        negatives: harmless texts of the evidence, one per group.
        positives: positive texts of it.
        plateau: for criteria, the lowest and highest logit that are as good within the bootstrap's
            error; None for constraints.
        value: of the criterion; None for constraints.
        kept: the constraints at this threshold; empty for criteria.
        band: simultaneous intervals, of the points of a curve alone.
    """

    point: str
    logit: float
    promised: bool
    recall: Interval
    fpr: Interval
    precision: Interval
    rate: Interval
    prior: float
    negatives: int
    positives: int
    plateau: tuple[float, float] | None = None
    value: Interval | None = None
    kept: tuple[Kept, ...] = ()
    band: Band | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a precision at a prior takes.

    Attributes:
        target: precision.
        prior: share of positive texts.
        fitted: the point, if it can be promised.
        best: otherwise, the highest precision that can be.
        need: otherwise, the texts that it would take; None if no number of them would do.
    """

    target: float
    prior: float
    fitted: FittedPoint | None
    best: float | None
    need: Need | None


def fit(
    point: OperatingPoint | str,
    evidence: Evidence,
    *,
    prior: float | None = None,
    confidence: float = CONFIDENCE,
    among: NDArray[np.bool_] | None = None,
) -> FittedPoint:
    """Choose the threshold of an operating point on evidence.

    Among the thresholds that pass all constraints it is the lowest, the one that finds most; for
    constraints on recall alone it is the highest, the one with the fewest false alarms.

    Args:
        point: parsed or not.
        evidence: held-out texts.
        prior: the share of positive texts, for a point that names none; None for the evidence's.
        confidence: of promises, in [.5, 1).
        among: bool[601], the grid points that can be thresholds, such as those that
            `score_thresholds.separable` returns; None for all.

    Raises:
        InfeasibleError: no threshold can be promised.
        OperatingPointError: it is not in the grammar, names an unknown source or group, or the
            evidence has no text that it is about.
        ValueError: prior or confidence is out of range.
    """
    parsed = parse(str(point))
    if prior is not None and not is_prior(prior):
        raise ValueError(f"the prior is {prior}; expected {PRIORS}")
    if not 0.5 <= confidence < 1:
        raise ValueError(f"the confidence is {confidence}; expected a number in [0.5, 1)")
    at_prior = parsed.prior if parsed.prior is not None else prior
    if parsed.criterion is not None:
        _check_classes(evidence)
        best = criteria.best(parsed, evidence, at_prior, among)
        plateau = float(GRID[best.plateau[0]]), float(GRID[best.plateau[1]])
        facts = _described(evidence, np.array([best.position]), at_prior)[0]
        return FittedPoint(
            point=str(parsed), promised=False, plateau=plateau, value=best.value, **facts
        )
    parts = _parts(parsed, evidence, at_prior, confidence)
    accepts = [accepts for _, _, accepts in parts]
    position = int(_chosen(parsed, accepts))
    if position < 0:
        raise shortfall.explain(parsed, parts, at_prior, confidence)
    if among is not None:
        position = int(_chosen(parsed, [*accepts, among]))
    if position < 0:
        raise InfeasibleError(
            f"{parsed} cannot be promised: the scores of the thresholds that keep it are too close "
            "to 0 or 1 to be distinct in float32. Another prior moves them.",
            str(parsed),
            None,
            None,
        )
    kept = tuple(
        _kept(constraint, strata.at(np.array([position])), at_prior, 1 - confidence)
        for constraint, strata, _ in parts
    )
    facts = _described(evidence, np.array([position]), at_prior)[0]
    return FittedPoint(point=str(parsed), promised=evidence.promises, kept=kept, **facts)


def requirements(
    evidence: Evidence, targets: Sequence[float], priors: Sequence[float]
) -> list[Requirement]:
    """Return what each precision takes at each prior, of the sources together.

    Args:
        evidence: held-out texts.
        targets: precisions, in (0, 1).
        priors: shares of positive texts, in (0, 1).

    Raises:
        OperatingPointError: the evidence has no source with both classes.
    """
    pooled = Evidence({"all": evidence.total()}) if evidence.weights is None else evidence
    found = []
    for prior in priors:
        for target in targets:
            point = OperatingPoint((Constraint("precision", target),), prior=prior)
            try:
                fitted = fit(point, pooled)
            except InfeasibleError as error:
                found.append(Requirement(target, prior, None, error.best, error.need))
            else:
                found.append(Requirement(target, prior, fitted, None, None))
    return found


def positions(
    point: OperatingPoint, evidence: Evidence, prior: float | None, confidence: float = CONFIDENCE
) -> NDArray[np.int64]:
    """Return the positions on the grid that `fit` chooses for many draws of evidence at once.

    Args:
        point: with constraints.
        evidence: with counts int64[draws, 2, 602] for each source.
        prior: the share of positive texts, for a point that names none; None for the evidence's.
        confidence: of promises.

    Returns:
        int64[draws]; −1 where the point is infeasible.

    Raises:
        OperatingPointError: as `fit`.
    """
    at_prior = point.prior if point.prior is not None else prior
    parts = _parts(point, evidence, at_prior, confidence)
    return _chosen(point, [accepts for _, _, accepts in parts])


def _parts(
    point: OperatingPoint, evidence: Evidence, prior: float | None, confidence: float
) -> list[tuple[Constraint, Strata, Mask]]:
    """Return each constraint with the sources it is about and the grid points it accepts."""
    parts = []
    for number, constraint in enumerate(point.constraints, start=1):
        strata = relevant(constraint, Strata.of(evidence, constraint.where), prior)
        if not strata.names:
            raise OperatingPointError(
                f"the evidence has no texts that constraint {number} is about: expected at least "
                "one source with harmless texts for fpr, positive ones for recall, else with both"
            )
        parts.append((constraint, strata, _accepted(constraint, strata, prior, 1 - confidence)))
    return parts


def _accepted(constraint: Constraint, strata: Strata, prior: float | None, error: float) -> Mask:
    """Return what `promises.accepted` does; thresholds that flag the same are tested once."""
    is_new = strata.changes()
    tested = accepted(constraint, strata.at(np.flatnonzero(is_new)), prior, error)
    return tested[..., np.cumsum(is_new) - 1]


def _chosen(point: OperatingPoint, accepts: Sequence[Mask]) -> NDArray[np.int64]:
    everywhere = np.logical_and.reduce(accepts)
    if all(constraint.quantity == "recall" for constraint in point.constraints):
        chosen = everywhere.shape[-1] - 1 - np.argmax(everywhere[..., ::-1], axis=-1)
    else:
        chosen = np.argmax(everywhere, axis=-1)
    found: NDArray[np.int64] = np.where(everywhere.any(axis=-1), chosen, -1)
    return found


def _kept(constraint: Constraint, strata: Strata, prior: float | None, error: float) -> Kept:
    bounds = strata.bound(constraint, prior, error)[..., 0]  # [s], or [1] for a mixture
    worst = int(np.argmin(bounds) if constraint.is_minimum else np.argmax(bounds))
    is_mixture = strata.weights is not None and len(strata.names) > 1
    one = strata if is_mixture else strata.of_sources(np.arange(len(strata.names)) == worst)
    harmless, positive = int(one.harmless_in_all.sum()), int(one.positive_in_all.sum())
    texts = {"fpr": harmless, "recall": positive}.get(constraint.quantity, harmless + positive)
    if constraint.quantity == "precision" and prior is None:
        texts = int(one.harmless.sum() + one.positive.sum())
    return Kept(
        constraint=str(constraint),
        source=None if is_mixture else one.names[0],
        estimate=float(one.estimate(constraint.quantity, prior)[0]),
        bound=float(bounds[worst]),
        texts=texts,
    )


def curve(
    evidence: Evidence,
    *,
    prior: float | None = None,
    points: int = 200,
    among: NDArray[np.bool_] | None = None,
) -> Sequence[FittedPoint]:
    """Return what thresholds over the whole grid do, from the lowest to the highest.

    Thresholds that flag the same texts count once, with the lowest of them, and those that flag
    nothing are left out. If more than ``points`` are left, they are drawn at equal distances. The
    points promise nothing: whoever chooses one of them by its estimate has looked at the labels.

    Args:
        evidence: held-out texts.
        prior: the share of positive texts, for precision and rate; None for the evidence's.
        points: at most so many, at least 2.
        among: as in `fit`.

    Returns:
        Points whose ``point`` is empty, with a `Band`.

    Raises:
        ValueError: prior or points is out of range.
    """
    if prior is not None and not is_prior(prior):
        raise ValueError(f"the prior is {prior}; expected {PRIORS}")
    if points < 2:
        raise ValueError(f"{points} points; expected at least 2")
    strata = Strata.pooled(evidence)
    above = strata.harmless.sum(axis=0) + strata.positive.sum(axis=0)
    is_possible = np.ones(len(GRID), dtype=np.bool_) if among is None else among
    chosen = np.flatnonzero(strata.changes() & is_possible & (above > 0))
    if len(chosen) > points:
        chosen = chosen[np.linspace(0, len(chosen) - 1, points).round().astype(np.int64)]
    facts = _described(evidence, chosen, prior)
    error = (1 - CONFIDENCE) / len(GRID)
    bands = strata.at(chosen)
    recall, fpr = (_intervals(bands, quantity, None, error) for quantity in ("recall", "fpr"))
    return [
        FittedPoint(point="", promised=False, band=Band(recall[at], fpr[at]), **facts[at])
        for at in range(len(chosen))
    ]


def at(evidence: Evidence, logit: float, *, prior: float | None = None) -> FittedPoint:
    """Return what a threshold does, without a promise: its ``point`` is empty.

    Args:
        evidence: held-out texts.
        logit: the threshold, uncalibrated; between two points of the grid the upper one counts,
            beyond the grid its end.
        prior: the share of positive texts, for precision and rate; None for the evidence's.
    """
    position = min(int(np.searchsorted(GRID, logit)), len(GRID) - 1)
    (facts,) = _described(evidence, np.array([position]), prior)
    return FittedPoint(point="", promised=False, **facts)


def _described(
    evidence: Evidence, thresholds: NDArray[np.int64], prior: float | None
) -> list[dict[str, Any]]:
    """Return the facts of a `FittedPoint` at thresholds, by their positions on the grid."""
    strata = Strata.pooled(evidence)
    at = strata.at(thresholds)
    error = 1 - CONFIDENCE
    names: tuple[Quantity, ...] = ("recall", "fpr", "precision", "rate")
    columns = {name: _intervals(at, name, prior, error) for name in names}
    shared = {
        "prior": evidence.share() if prior is None else prior,
        "negatives": int(strata.harmless_in_all.sum()),
        "positives": int(strata.positive_in_all.sum()),
    }
    return [
        {name: column[row] for name, column in columns.items()}
        | {"logit": float(GRID[threshold])}
        | shared
        for row, threshold in enumerate(thresholds)
    ]


def _intervals(
    strata: Strata, quantity: Quantity, prior: float | None, error: float
) -> list[Interval]:
    """Return a rate at each threshold with its two-sided interval, half the error on each side.

    It is exact; of a weighted mixture approximate, see `mixtures`.
    """
    estimates = strata.estimate(quantity, prior)
    lower, upper = mixtures.rate_ends(strata, quantity, prior, error)
    return [
        Interval(
            float(estimate), min(float(low), float(estimate)), max(float(high), float(estimate))
        )
        for estimate, low, high in zip(estimates, lower, upper, strict=True)
    ]


def _check_classes(evidence: Evidence) -> None:
    harmless, positive = Strata.pooled(evidence).messages()
    if not (harmless and positive):
        raise OperatingPointError(
            "the evidence has texts of one class alone; a criterion needs both"
        )

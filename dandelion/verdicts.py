"""What thresholds do on labelled texts: operating points kept or broken, a curve, slices."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from .classifier import Classifier
from .decision.evidence import GRID, Evidence
from .decision.operating_points import (
    Constraint,
    FittedPoint,
    InfeasibleError,
    Interval,
    OperatingPointError,
    at,
    curve,
    fit,
    parse,
)
from .decision.policy import fit_point
from .decision.promises import Strata
from .labelled import Counted, evidence_of

LEAST_IN_SLICE: Final = 20
"""Texts of a label in a slice, below which its rate is not reported."""

MAX_SLICES: Final = 50
"""Values of a column that are reported, the most frequent ones; the others count together."""

STANDARD_POINTS: Final = ("fpr<=0.01", "recall>=0.9", "precision>=0.9")
RATES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Alerts per message of the curve's summary."""

_FLAGGED_ROWS: Final = 5

OTHERS: Final = "(others)"

Verdict = Literal["kept", "broken", "undecided"]


@dataclass(frozen=True, slots=True)
class CheckedConstraint:
    """A constraint of a shipped operating point, on these texts.

    Attributes:
        constraint: in the grammar, about all texts: they have no sources of the artifact.
        rate: with its 95 % interval.
        verdict: ``kept`` or ``broken`` if the whole interval is on one side of the bound, else
            ``undecided``.
    """

    constraint: str
    rate: Interval
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ShippedPoint:
    """An operating point of the artifact, fitted on its own evidence, on these texts.

    Attributes:
        point: in the grammar; ``default`` in front of the artifact's own.
        found: what it does here; its ``logit`` is the threshold. None if it cannot be fitted.
        constraints: of the point; empty for criteria, which promise nothing.
        problem: why it cannot be fitted; empty if it can.
    """

    point: str
    found: FittedPoint | None
    constraints: tuple[CheckedConstraint, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class WantedPoint:
    """An operating point, fitted on these texts.

    Attributes:
        point: as it was given.
        fitted: None if it cannot be promised, or these texts cannot show it.
        problem: why not, with the labels that it would take if they are known.
        texts_needed: labelled texts that it would take in all; None if unknown.
    """

    point: str
    fitted: FittedPoint | None
    problem: str = ""
    texts_needed: int | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """The texts of one value of a column, at the artifact's threshold.

    Attributes:
        column: its name.
        value: of the column.
        texts: labelled ones, one per group of near copies.
        positives: among them.
        recall: None with fewer than `LEAST_IN_SLICE` positive texts.
        fpr: None with fewer than `LEAST_IN_SLICE` harmless texts.
    """

    column: str
    value: str
    texts: int
    positives: int
    recall: Interval | None
    fpr: Interval | None


def shipped_points(
    classifier: Classifier, labelled: Evidence, own: float | None, prior: float | None
) -> tuple[ShippedPoint, ...]:
    """Return what the artifact's own operating points do on these texts.

    Args:
        classifier: whose threshold and evidence they are.
        labelled: these texts.
        own: the prior that rates here are reported at; None for that of these texts.
        prior: the prior that the artifact's points are fitted at; None if unknown.
    """
    default = classifier.manifest.operating_point or ""
    basis = classifier.basis()
    here = at(labelled, basis.boundary, prior=own)
    found = [_on_these(f"default {default}".strip(), default, here)]
    for point in STANDARD_POINTS:
        if basis.evidence is None:
            problem = "the artifact has no evidence to fit it on"
            found.append(ShippedPoint(point, None, problem=problem))
            continue
        try:
            fitted = fit_point(point, basis, prior)
        except (InfeasibleError, OperatingPointError) as error:
            found.append(ShippedPoint(point, None, problem=str(error)))
        else:
            found.append(_on_these(point, point, at(labelled, fitted.logit, prior=own)))
    return tuple(found)


def _on_these(name: str, point: str, here: FittedPoint) -> ShippedPoint:
    constraints = parse(point).constraints if point else ()
    return ShippedPoint(
        name,
        here,
        tuple(_checked(replace(constraint, where=None), here) for constraint in constraints),
    )


def _checked(constraint: Constraint, here: FittedPoint) -> CheckedConstraint:
    rate: Interval = getattr(here, constraint.quantity)
    bound = constraint.bound
    is_minimum = constraint.quantity in ("precision", "recall")
    verdict: Verdict = "undecided"
    if rate.lower >= bound if is_minimum else rate.upper <= bound:
        verdict = "kept"
    elif rate.upper < bound if is_minimum else rate.lower > bound:
        verdict = "broken"
    return CheckedConstraint(str(constraint), rate, verdict)


def wanted_point(point: str, evidence: Evidence, prior: float | None) -> WantedPoint:
    """Fit an operating point on these texts.

    Raises:
        OperatingPointError: it is not in the grammar, or names an unknown source.
    """
    for constraint in parse(point).constraints:
        Strata.of(evidence, constraint.where)  # checks that there is such a source
    try:
        return WantedPoint(point, fit(point, evidence, prior=prior))
    except InfeasibleError as error:
        return WantedPoint(point, None, str(error), error.texts_needed)
    except OperatingPointError as error:  # there are no texts of a label that it is about
        return WantedPoint(point, None, f"{error}.")


def at_rates(whole: Sequence[FittedPoint]) -> tuple[FittedPoint, ...]:
    """Return the lowest thresholds that raise alerts at most at each of `RATES`."""
    found: dict[float, FittedPoint] = {}
    for rate in RATES:
        within = [point for point in whole if point.rate.estimate <= rate * (1 + 1e-9)]
        if within:
            found[within[0].logit] = replace(within[0], point=f"rate<={rate:g}")
    return tuple(found.values())


def of_flagged(labelled: Evidence, boundary: float) -> tuple[FittedPoint, ...]:
    """Return up to five thresholds from the artifact's own upwards, for texts that it flagged.

    Args:
        labelled: the texts.
        boundary: the artifact's threshold as a logit, not necessarily of the grid.
    """
    own = float(GRID[max(0, int(np.searchsorted(GRID, boundary, side="right")) - 1)])
    above = (point for point in curve(labelled, points=len(GRID)) if point.logit > own)
    chosen = [at(labelled, own), *above]
    count = min(len(chosen), _FLAGGED_ROWS)
    return tuple(chosen[row] for row in np.linspace(0, len(chosen) - 1, count).round().astype(int))


def slices(
    by: Mapping[str, Sequence[str]],
    counted: Counted,
    version: str,
    boundary: float,
    *,
    hides_recall: bool,
) -> tuple[Slice, ...]:
    """Return recall and FPR at a threshold by the values of columns.

    Args:
        by: column → value of each text.
        counted: the texts that count.
        version: of the artifact.
        boundary: the threshold, as a logit.
        hides_recall: whether there are flagged texts only.
    """
    found = []
    for column, values in by.items():
        own = [values[row] for row in counted.rows.tolist()]
        frequent = {value for value, _ in Counter(own).most_common(MAX_SLICES)}
        names = [value if value in frequent else OTHERS for value in own]
        for value in dict.fromkeys(name for name, _ in Counter(names).most_common()):
            part = counted.where(np.array([name == value for name in names]))
            found.append(_slice(column, value, part, version, boundary, hides_recall=hides_recall))
    return tuple(found)


def _slice(  # noqa: PLR0913
    column: str, value: str, part: Counted, version: str, boundary: float, *, hides_recall: bool
) -> Slice:
    positives = int(part.labels.sum())
    here = at(evidence_of(part, version), boundary)
    has_positives = positives >= LEAST_IN_SLICE and not hides_recall
    has_harmless = len(part.labels) - positives >= LEAST_IN_SLICE and not hides_recall
    return Slice(
        column,
        value,
        len(part.labels),
        positives,
        here.recall if has_positives else None,
        here.fpr if has_harmless else None,
    )

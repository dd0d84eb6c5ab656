"""Operating points: named ways to choose a threshold, fitted on evidence with confidence.

The grammar, the same in configuration, on the command line, in Python and in requests::

    point      := (criterion | constraint {"," constraint}) ["@prior=" number]
    criterion  := "macro_f1" | "f1" | "cost(fp=" number ",fn=" number ")"
    constraint := ("precision>=" | "recall>=" | "fpr<=" | "rate<=") number ["[" source or group "]"]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .evidence import Evidence

Quantity = Literal["precision", "recall", "fpr", "rate"]
Criterion = Literal["macro_f1", "f1", "cost"]

CONFIDENCE = 0.95


class OperatingPointError(ValueError):
    """An operating point is not in the grammar, or names a source that the evidence lacks."""


class InfeasibleError(ValueError):
    """No threshold can be promised to meet the constraints.

    The message says what can be promised at best, and how many more labelled texts it would take.

    Attributes:
        point: in the grammar.
        best: the strictest bound that can be promised; None if none can.
        texts_needed: harmless or positive labelled texts that it would take in all; None if no
            number of texts would do at the estimated rates.
    """

    def __init__(
        self, message: str, point: str, best: float | None, texts_needed: int | None
    ) -> None:
        super().__init__(message)
        self.point = point
        self.best = best
        self.texts_needed = texts_needed


@dataclass(frozen=True, slots=True)
class Constraint:
    """One side of a rate that must be kept.

    Attributes:
        quantity: which rate; ``rate`` is that of alerts per message.
        bound: in (0, 1): at least for precision and recall, at most for the others.
        where: a source or a group of sources; None for all together.
    """

    quantity: Quantity
    bound: float
    where: str | None = None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A way to choose a threshold; ``str`` gives it in the grammar, normalised.

    Attributes:
        constraints: all of them hold; empty with a criterion.
        criterion: what is maximised (or, for ``cost``, minimised); None with constraints.
        costs: of a false positive and a false negative; None but for ``cost``.
        prior: the share of positive texts in the traffic, in (0, 1); None for the evidence's own.
    """

    constraints: tuple[Constraint, ...] = ()
    criterion: Criterion | None = None
    costs: tuple[float, float] | None = None
    prior: float | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its two-sided 95 % interval."""

    estimate: float
    lower: float
    upper: float


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
        precision: share of the flagged texts that are positive, at ``prior``.
        rate: share of all texts that are flagged, at ``prior``.
        prior: which precision and rate are for.
        negatives: harmless texts of the evidence, one per group.
        positives: positive texts of it.
        plateau: for criteria, the lowest and highest logit that are as good within the bootstrap's
            error; None for constraints.
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


def parse(text: str) -> OperatingPoint:
    """Parse an operating point.

    Raises:
        OperatingPointError: it is not in the grammar; names the position and what was expected.
    """
    raise NotImplementedError(text)


def fit(
    point: OperatingPoint | str,
    evidence: Evidence,
    *,
    prior: float | None = None,
    confidence: float = CONFIDENCE,
) -> FittedPoint:
    """Choose the threshold of an operating point on evidence.

    Args:
        point: parsed or not.
        evidence: held-out texts.
        prior: the share of positive texts, for a point that names none; None for the evidence's.
        confidence: of promises.

    Raises:
        InfeasibleError: no threshold can be promised.
        OperatingPointError: it is not in the grammar, or names an unknown source or group.
    """
    raise NotImplementedError(point, evidence, prior, confidence)


def curve(
    evidence: Evidence, *, prior: float | None = None, points: int = 200
) -> Sequence[FittedPoint]:
    """Return what thresholds over the whole grid do, at most ``points`` of them."""
    raise NotImplementedError(evidence, prior, points)

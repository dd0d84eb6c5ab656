"""Why an operating point cannot be promised: what can be at best, and how many texts it takes."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..plural import number_of
from .evidence import Counts
from .grammar import Constraint, OperatingPoint
from .intervals import Floats
from .promises import Mask, Strata

MAX_TEXTS: Final = 10**8

OUT_OF_REACH: Final = 10**6
"""Labelled texts above which a number of them is no advice."""

# Loosest thresholds of so many different numbers of false alarms are looked at.
_CANDIDATES: Final = 12


class Need(NamedTuple):
    """Labelled texts that a promise takes.

    Attributes:
        kind: ``harmless``, ``positive``, or ``labelled`` for both in the present proportion.
        texts: how many of them in all, to two significant digits.
        more: how many more than there are, likewise.
    """

    kind: str
    texts: int
    more: int


class InfeasibleError(ValueError):
    """No threshold can be promised to meet the constraints.

    The message says what can be promised at best, and how many more labelled texts it would take.

    Attributes:
        point: in the grammar.
        best: the strictest bound that can be promised; None if none can.
        texts_needed: harmless or positive labelled texts that it would take in all; None if no
            number of texts would do at the estimated rates.
        need: the same, with their kind and how many are missing.
    """

    def __init__(
        self,
        message: str,
        point: str,
        best: float | None,
        texts_needed: int | None,
        need: Need | None = None,
    ) -> None:
        super().__init__(message)
        self.point = point
        self.best = best
        self.texts_needed = texts_needed
        self.need = need


def harmless_texts(target: float, prior: float, recall: float = 1.0, error: float = 0.05) -> int:
    """Return how many harmless texts without a false alarm promise a precision at a prior.

    With n of them, the upper bound of the FPR is 1 − (error / 2)^(1 / n), and the promise holds if
    this is at most prior (1 − target) / ((1 − prior) target) times the recall.

    Args:
        target: precision, in (0, 1).
        prior: the share of positive texts, in (0, 1).
        recall: its lower bound, at half the error, in (0, 1].
        error: of the promise.

    Example:
        >>> harmless_texts(0.99, 0.01), harmless_texts(0.9, 0.01), harmless_texts(0.9, 0.1)
        (36153, 3285, 297)
    """
    most = recall * prior * (1 - target) / ((1 - prior) * target)
    if most >= 1:
        return 1
    return math.ceil(math.log(error / 2) / math.log1p(-most))


def best_bound(
    constraint: Constraint, strata: Strata, prior: float | None, error: float
) -> float | None:
    """Return the strictest bound that can be promised, rounded to three digits to the safe side.

    A stricter precision than the refused one is left out: its tests begin elsewhere, and may pass.

    Args:
        constraint: that is refused.
        strata: the `promises.relevant` sources, of one draw.
        prior: the share of positive texts; None for the evidence's own.
        error: of the promise.

    Returns:
        None if no bound in (0, 1) can be promised.
    """
    bounds = strata.bound(constraint, prior, error)
    if not constraint.is_minimum:
        return _rounded(float(bounds.max(axis=0).min()), up=True)
    bounds = bounds.min(axis=0)
    if constraint.quantity == "recall":
        return _rounded(float(bounds.max()), up=False)
    # The first test is at the strictest point that could pass if all flagged texts were positive.
    possible = strata.all_positive().bound(constraint, prior, error).min(axis=0)
    stricter = np.append(np.maximum.accumulate(possible[::-1])[::-1][1:], 0.0)
    is_looser = (bounds > stricter) & (bounds < constraint.bound)
    return _rounded(float(bounds[is_looser].max(initial=0.0)), up=False)


def needed(
    constraint: Constraint, strata: Strata, prior: float | None, error: float
) -> Need | None:
    """Return how many labelled texts a promise takes if further ones are like those at hand.

    More harmless texts are tried first where these limit it, then positive ones, then both.

    Returns:
        None if no number of texts does, at most `MAX_TEXTS`.
    """
    strata = strata.at(_candidates(constraint, strata))
    for kind in _kinds(constraint, strata, prior):
        factor = _least_factor(constraint, strata, prior, error, kind)
        if factor is not None:
            present = _texts(strata, kind)
            return Need(kind, _about(present * factor), _about(present * (factor - 1)))
    return None


def explain(
    point: OperatingPoint,
    parts: Sequence[tuple[Constraint, Strata, Mask]],
    prior: float | None,
    confidence: float,
) -> InfeasibleError:
    """Return the error of a point without a threshold.

    Args:
        point: with constraints.
        parts: each constraint with its sources and the grid points that it accepts.
        prior: the share of positive texts; None for the evidence's own.
        confidence: of the promises.
    """
    error = 1 - confidence
    for constraint, strata, accepted in parts:
        if not accepted.any():
            return _of_constraint(point, constraint, strata, prior, confidence)
    intersection = np.logical_and.reduce(
        [accepted for one, _, accepted in parts if one.quantity != "recall"]
    )
    best, least = None, ""
    for constraint, strata, _ in parts:
        if constraint.quantity == "recall" and np.any(intersection):
            lowest = np.flatnonzero(intersection)[:1]
            bound = float(strata.at(lowest).bound(constraint, prior, error).min())
            best = _rounded(bound, up=False)
            least = f" Where the others hold, at best {_named(constraint, best)} can be promised."
            break
    return InfeasibleError(
        f"{point} cannot be promised at {confidence:.0%}: each constraint can be by itself, but no "
        f"threshold meets all.{least}",
        str(point),
        best,
        None,
    )


def _of_constraint(
    point: OperatingPoint,
    constraint: Constraint,
    strata: Strata,
    prior: float | None,
    confidence: float,
) -> InfeasibleError:
    error = 1 - confidence
    best = best_bound(constraint, strata, prior, error)
    where = ""
    if strata.weights is None and len(strata.names) > 1:
        strata = _hardest(constraint, strata, prior, error)
        where = f" of {strata.names[0]!r}, where it is hardest"
    need = needed(constraint, strata, prior, error)
    is_at_prior = prior is not None and constraint.quantity in ("precision", "rate")
    at = f"@prior={prior:g}" if is_at_prior else ""
    harmless, positive = _texts(strata, "harmless"), _texts(strata, "positive")
    present = f"{harmless:,} harmless and {number_of(positive, 'positive text')}{where}"
    if best is None:
        message = (
            f"{constraint}{at} cannot be promised at {confidence:.0%} with {present}, nor any "
        )
        message += "other bound."
    else:
        message = (
            f"{constraint}{at} cannot be promised at {confidence:.0%}: with {present}, at best "
        )
        message += f"{_named(constraint, best)}{at} can."
    if need is None:
        message += " More texts like these would not do: the model is not good enough for it."
    elif need.texts > OUT_OF_REACH:
        message += f" It would take over {OUT_OF_REACH:,} {need.kind} texts like these: out of "
        message += f"reach for this model on such texts{' at this base rate' * is_at_prior}."
    else:
        message += f" It would take about {need.texts:,} {need.kind} texts like these, "
        message += f"some {need.more:,} more."
    return InfeasibleError(message, str(point), best, need and need.texts, need)


def _hardest(constraint: Constraint, strata: Strata, prior: float | None, error: float) -> Strata:
    """Return the one of several sources whose best bound is the worst."""
    alone = [
        strata.of_sources(np.arange(len(strata.names)) == at) for at in range(len(strata.names))
    ]
    bounds = [best_bound(constraint, one, prior, error) for one in alone]
    sign = 1 if constraint.is_minimum else -1
    return alone[int(np.argmin([-np.inf if bound is None else sign * bound for bound in bounds]))]


def _named(constraint: Constraint, bound: float | None) -> str:
    return str(Constraint(constraint.quantity, bound or 0.0, constraint.where))


def _kinds(constraint: Constraint, strata: Strata, prior: float | None) -> tuple[str, ...]:
    if strata.weights is not None:
        return ("labelled",)
    match constraint.quantity:
        case "fpr":
            return ("harmless",)
        case "recall":
            return ("positive",)
        case _:
            return ("labelled",) if prior is None else ("harmless", "positive", "labelled")


def _candidates(constraint: Constraint, strata: Strata) -> NDArray[np.int64]:
    """Return positions of thresholds of which one passes first as texts are added."""
    last = len(strata.logits) - 1
    if constraint.quantity == "recall":
        return np.array([0])
    if constraint.quantity in ("fpr", "rate"):
        return np.array([last])
    alarms = strata.harmless.sum(axis=0)
    _, loosest = np.unique(alarms, return_index=True)
    if len(loosest) > _CANDIDATES:
        spread = np.geomspace(1, len(loosest), _CANDIDATES).astype(np.int64) - 1
        loosest = loosest[np.unique(spread)]
    return loosest


def _least_factor(
    constraint: Constraint, strata: Strata, prior: float | None, error: float, kind: str
) -> float | None:
    """Return by how much the texts of a kind must grow, to 1 %; None beyond `MAX_TEXTS`."""

    def passes(factor: float) -> bool:
        grown = _grown(
            strata,
            1.0 if kind == "positive" else factor,
            1.0 if kind == "harmless" else factor,
            is_minimum=constraint.is_minimum,
        )
        return bool(grown.meets(constraint, prior, error).all(axis=0).any())

    low, high = 1.0, 2.0
    most = MAX_TEXTS / max(_texts(strata, kind), 1)
    while not passes(high):
        low, high = high, 2 * high
        if high > most:
            return None
    while high > low * 1.005:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high


def _grown(strata: Strata, harmless: float, positive: float, *, is_minimum: bool) -> Strata:
    """Multiply the texts of both classes; fractions are rounded to the promise's disadvantage."""
    harmless_in_all = np.floor(strata.harmless_in_all * harmless)
    positive_in_all = np.floor(strata.positive_in_all * positive)
    rounded = np.floor if is_minimum else np.ceil
    return replace(
        strata,
        harmless=_integers(np.minimum(np.ceil(strata.harmless * harmless), harmless_in_all)),
        positive=_integers(np.minimum(rounded(strata.positive * positive), positive_in_all)),
        harmless_in_all=_integers(harmless_in_all),
        positive_in_all=_integers(positive_in_all),
    )


def _integers(values: Floats) -> Counts:
    return values.astype(np.int64)


def _about(texts: float) -> int:
    return max(int(float(f"{texts:.2g}")), 1)


def _texts(strata: Strata, kind: str) -> int:
    harmless, positive = int(strata.harmless_in_all.sum()), int(strata.positive_in_all.sum())
    return {"harmless": harmless, "positive": positive}.get(kind, harmless + positive)


def _rounded(bound: float, *, up: bool) -> float | None:
    """Round to three digits, to the safe side; those of 1 − bound where that is smaller."""
    if not 0 < bound < 1:
        return None
    digits = 3 - int(np.ceil(np.log10(min(bound, 1 - bound)) + 1e-12))
    scale = 10.0**digits
    found = (np.ceil(bound * scale - 1e-9) if up else np.floor(bound * scale + 1e-9)) / scale
    return float(found) if 0 < found < 1 else None

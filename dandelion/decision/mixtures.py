"""Intervals of the rates of a mixture of strata, for description.

A promise about a mixture adds up the bounds of its strata as if all of them were at their worst at
once (see `promises`). For strata of many messages with hardly a positive text that is far from what
is likely. Here the distances of the strata's exact bounds from their estimates are added as errors
are, in squares (MOVER, the method of variance estimates recovery: Zou & Donner 2008), and a rate is
taken from the ratio of two such sums (Donner & Zou 2012, "Closed-form confidence intervals for
functions of the normal mean and standard deviation", eq. 9). The intervals are approximate; tests
hold them to 95 % by simulation.
"""

from typing import NamedTuple

import numpy as np

from . import intervals
from .evidence import Counts
from .grammar import Quantity
from .intervals import Floats
from .promises import Mask, Strata


class _Sum(NamedTuple):
    """Messages that counts stand for, float64[t] each: estimate and ends."""

    estimate: Floats
    lower: Floats
    upper: Floats


def rate_ends(
    strata: Strata, quantity: Quantity, prior: float | None, error: float | Floats
) -> tuple[Floats, Floats]:
    """Return the lower and the upper end of a rate's interval at each threshold, float64[t] each.

    They are exact, and those of `ends` for a weighted mixture.

    Args:
        strata: of one draw.
        quantity: which rate.
        prior: the share of positive texts; None for the strata's own.
        error: of both sides together; float64[e] for one threshold, then float64[e] is returned.
    """
    if strata.weights is not None:
        return ends(strata, quantity, prior, error)
    return (
        strata.bounds(quantity, prior, error / 2, "lower")[0],
        strata.bounds(quantity, prior, error / 2, "upper")[0],
    )


def ends(
    strata: Strata, quantity: Quantity, prior: float | None, error: float | Floats
) -> tuple[Floats, Floats]:
    """Return the ends of a rate's interval in a weighted mixture; see `rate_ends`."""
    if prior is not None and quantity in ("precision", "rate"):
        recall, fpr = (ends(strata, name, None, error / 2) for name in ("recall", "fpr"))
        if quantity == "rate":
            low, high = (prior * recall[side] + (1 - prior) * fpr[side] for side in (0, 1))
            return low, high
        return (
            _share(prior * recall[0], (1 - prior) * fpr[1], unknown=0.0),
            _share(prior * recall[1], (1 - prior) * fpr[0], unknown=1.0),
        )
    flags_none, flags_all = strata.certain()
    nowhere = np.zeros_like(flags_none)
    hits = _sum(strata, strata.positive, flags_none, nowhere, error)
    alarms = _sum(strata, strata.harmless, flags_none, nowhere, error)
    match quantity:
        case "recall":
            missed = strata.positive_in_all - strata.positive
            return _ends_of_share(hits, _sum(strata, missed, flags_all, nowhere, error))
        case "fpr":
            passed = strata.harmless_in_all - strata.harmless
            return _ends_of_share(alarms, _sum(strata, passed, flags_all, nowhere, error))
        case "precision":
            return _ends_of_share(hits, alarms)
        case "rate":
            flagged = _sum(strata, strata.harmless + strata.positive, flags_none, flags_all, error)
            total = _messages(strata).sum()
            return flagged.lower / total, np.minimum(flagged.upper / total, 1.0)


def _messages(strata: Strata) -> Floats:
    """Return the messages of each stratum, float64[s, 1]."""
    weights = np.ones(len(strata.names)) if strata.weights is None else strata.weights
    messages: Floats = weights[:, None] * (strata.harmless_in_all + strata.positive_in_all)
    return messages


def _sum(
    strata: Strata, counts: Counts, is_none: Mask, is_all: Mask, error: float | Floats
) -> _Sum:
    """Add up messages over strata, whose shares are known for sure where a mask says so."""
    texts = strata.harmless_in_all + strata.positive_in_all
    low, high = intervals.two_sided(counts, texts, 1 - error)
    shares = [
        np.where(is_none, 0.0, np.where(is_all, 1.0, values))
        for values in (counts / np.maximum(texts, 1), low, high)
    ]
    estimate, lowest, highest = (_messages(strata) * values for values in shares)
    total = estimate.sum(axis=0)
    below = np.sqrt(np.sum((estimate - lowest) ** 2, axis=0))
    above = np.sqrt(np.sum((highest - estimate) ** 2, axis=0))
    return _Sum(total, np.maximum(total - below, 0), total + above)


def _ends_of_share(part: _Sum, rest: _Sum) -> tuple[Floats, Floats]:
    """Return the ends of part / (part + rest), through those of rest / part."""
    low, high = _ends_of_ratio(rest, part)
    return 1 / (1 + high), 1 / (1 + low)


def _ends_of_ratio(above: _Sum, below: _Sum) -> tuple[Floats, Floats]:
    """Return the ends of a ratio, float64[t]; infinite where the denominator may be 0."""
    product = above.estimate * below.estimate

    def root(one: Floats, other: Floats) -> Floats:
        spread = one * other * (2 * above.estimate - one) * (2 * below.estimate - other)
        return np.sqrt(np.maximum(product**2 - spread, 0))

    with np.errstate(divide="ignore", invalid="ignore"):
        largest = below.upper * (2 * below.estimate - below.upper)
        low = (product - root(above.lower, below.upper)) / largest
        smallest = below.lower * (2 * below.estimate - below.lower)
        high = (product + root(above.upper, below.lower)) / smallest
    return (
        np.maximum(np.where(np.isfinite(low), low, 0.0), 0.0),
        np.where(below.lower > 0, high, np.inf),
    )


def _share(part: Floats, rest: Floats, unknown: float) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.where(part + rest > 0, part / (part + rest), unknown)

"""Prediction intervals: how many of the next messages will be flagged, missed, for review.

Two things are uncertain: the rate, which is known from the texts of the evidence alone, and the
messages, which are a random sample even where the rate is known. So their number is Binomial(N, p),
and p has the distribution whose quantiles are the exact bounds of the rate, at every confidence.
For the rate of one class that is Beta(k + 1, n − k) for the upper limit and Beta(k, n − k + 1) for
the lower one, and the number is beta-binomial. Thatcher (1964, "Relationships between Bayesian and
confidence limits for predictions", Journal of the Royal Statistical Society B 26, 176-192) shows
that such limits keep their confidence, whatever the rate is. Here the size of the class is binomial
too, a rate may be the sum of two, and bounds of a weighted mixture are approximate: tests hold the
coverage to 95 % by simulation. As N grows, the interval divided by N becomes that of the rate.

The share of positive messages is taken as given.
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Final, NamedTuple, Self

import numpy as np

from . import intervals, mixtures
from .grammar import Quantity
from .intervals import Floats, Interval
from .promises import Strata

MAX_MESSAGES: Final = 10**12

_ERROR: Final = 0.025  # on each side

# The distribution of the rate, from its median on: half of the probability is at the median itself,
# the rest in cells of equal width on the scale of normal quantiles, each at its far edge. So limits
# are a little too far rather than too near; one of the edges is the quantile 1.96.
_EDGES: Final = 0.04 * np.arange(126)  # to 5, beyond which there is a probability of 3e-7
_BEYOND: Final = np.array([*(NormalDist().cdf(-float(z)) for z in _EDGES), 0.0])
_WEIGHTS: Final = np.array([0.5, *(_BEYOND[:-1] - _BEYOND[1:])])
_ERRORS: Final = np.array([*_BEYOND[:-1], NormalDist().cdf(-6.0)])


class Share(NamedTuple):
    """A share of all messages, as far as it is known.

    Attributes:
        estimate: of it.
        lower: float64[q], lower bounds, from the median down.
        upper: float64[q], upper bounds, from the median up.
    """

    estimate: float
    lower: Floats
    upper: Floats

    @classmethod
    def of(cls, strata: Strata, quantity: Quantity, prior: float) -> Self:
        """Return what is known of a rate.

        Args:
            strata: texts at or above one threshold.
            quantity: ``recall`` or ``fpr``, of the class; ``rate``, of all messages.
            prior: the share of positive messages, for ``rate``.
        """
        lower, upper = mixtures.rate_ends(strata, quantity, prior, 2 * _ERRORS)
        return cls(float(strata.estimate(quantity, prior)[0]), lower, upper)

    def times(self, factor: float) -> "Share":
        """Return the same share of a class that is this share of all messages."""
        return Share(factor * self.estimate, factor * self.lower, factor * self.upper)

    def rest(self) -> "Share":
        """Return the share of the others."""
        return Share(1 - self.estimate, 1 - self.upper, 1 - self.lower)


def predict(share: Share, messages: int) -> Interval:
    """Return how many of the next messages there will be, with the 95 % prediction interval.

    Args:
        share: of them.
        messages: how many there are in all, from 1 to `MAX_MESSAGES`.

    Returns:
        The expected number, and whole numbers as ends: at most 2.5 % of such predictions are
        passed on each side.

    Raises:
        ValueError: the number of messages is out of range.
    """
    if not 1 <= messages <= MAX_MESSAGES:
        raise ValueError(f"{messages} messages; expected a number from 1 to {MAX_MESSAGES:,}")
    expected = messages * share.estimate
    lower, upper = (np.clip(bounds, 0.0, 1.0) for bounds in (share.lower, share.upper))

    def is_high(count: int) -> bool:
        """Whether more than this many are unlikely."""
        more = intervals.at_least(count + 1, messages, upper)
        return count >= messages or float(_WEIGHTS @ more) <= _ERROR

    def is_low(count: int) -> bool:
        """Whether fewer than this many are unlikely."""
        fewer = intervals.at_most(count - 1, messages, lower) if count > 0 else np.zeros(1)
        return count <= 0 or float(_WEIGHTS @ fewer) <= _ERROR

    start = min(max(round(expected), 0), messages)
    spread = max(1, math.isqrt(int(messages * share.estimate * (1 - share.estimate)) + 1))
    highest = _first(is_high, start, spread, messages)
    lowest = messages - _first(
        lambda count: is_low(messages - count), messages - start, spread, messages
    )
    return Interval(expected, min(float(lowest), expected), max(float(highest), expected))


def _first(holds: Callable[[int], bool], start: int, step: int, last: int) -> int:
    """Return the lowest whole number for which something holds, that holds from there to ``last``.

    Args:
        holds: what.
        start: where to begin to look, in 0 … last.
        step: how far the number is about.
        last: for which it holds.
    """
    low, high = -1, last  # it does not hold for low, it holds for high
    at = start
    while low < at < high:  # ever longer steps towards it, until it lies between
        if holds(at):
            high, at = at, max(at - step, low + 1) if low < 0 else low
        else:
            low, at = at, min(at + step, high) if high == last else high
        step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high

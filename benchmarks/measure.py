"""Interleaved rounds, and the median and spread of what they measure.

Standard library only: the baselines' environment imports this module too.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to measure.

    Attributes:
        rounds: how often each contender is measured.
        load_s: duration of one HTTP load, whole seconds.
        slice_s: least duration of one in-process measurement, seconds.
        is_quick: whether to leave out what takes long.
    """

    rounds: int
    load_s: int
    slice_s: float
    is_quick: bool

    def for_long_parts(self) -> "Scale":
        """Return the scale for parts that take long: a single round in a quick run."""
        return replace(self, rounds=1) if self.is_quick else self


FULL = Scale(rounds=5, load_s=3, slice_s=0.2, is_quick=False)
QUICK = Scale(rounds=2, load_s=1, slice_s=0.05, is_quick=True)


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several rounds: median, lowest and highest."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Summarise at least one value, rounded to six significant digits."""
        found = list(values)
        median, low, high = (
            float(f"{figure:.6g}") for figure in (statistics.median(found), min(found), max(found))
        )
        return cls(median, low, high, len(found))


def interleaved(measurements: Mapping[K, Callable[[], T]], rounds: int) -> dict[K, list[T]]:
    """Repeat measurements in rounds: A, B, C, A, B, C, …

    A disturbance of a shared machine then hits all of them alike.

    Args:
        measurements: name → function that measures once.
        rounds: how often each of them runs.

    Returns:
        Name → results in the order of the rounds.
    """
    found: dict[K, list[T]] = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            found[name].append(measure())
    return found


def spreads(found: Mapping[str, Sequence[float]]) -> dict[str, Spread]:
    """Summarise the rounds of each measurement.

    Example:
        >>> spreads({"ours": [3.0, 1.0, 2.0]})
        {'ours': Spread(median=2.0, low=1.0, high=3.0, rounds=3)}
    """
    return {name: Spread.of(values) for name, values in found.items()}


def seconds_per_call(call: Callable[[int], object], at_least_s: float) -> float:
    """Time one call, averaged over a loop that takes at least ``at_least_s``; seconds.

    Args:
        call: takes 0, 1, 2 …, so that it can use another input each time.
        at_least_s: duration of the loop that counts; the shorter loops before it are the warm-up.
    """
    count = 1
    while True:
        started = time.perf_counter()
        for number in range(count):
            call(number)
        seconds = time.perf_counter() - started
        if seconds >= at_least_s:
            return seconds / count
        count = max(count * 2, round(count * at_least_s / max(seconds, 1e-7)))


def digits(value: float) -> str:
    """Format a figure for reading: three significant digits, whole numbers from 1,000 on.

    Example:
        >>> digits(12.345), digits(1234567.8)
        ('12.3', '1,234,568')
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"

"""Rounds in turn, and what is told of them: the median and its spread.

The standard library alone: the peers' own environment imports this module too.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        rounds: how often everyone has a turn.
        load_s: whole seconds of load over HTTP in a turn.
        slice_s: seconds of computing in a turn, at least.
        is_quick: whether to leave out what takes long.
    """

    rounds: int
    load_s: int
    slice_s: float
    is_quick: bool

    def of_long_parts(self) -> "Scale":
        """Take one round in the quick run, for what takes long."""
        return replace(self, rounds=1) if self.is_quick else self


FULL = Scale(rounds=5, load_s=3, slice_s=0.2, is_quick=False)
QUICK = Scale(rounds=2, load_s=1, slice_s=0.05, is_quick=True)


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over rounds."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Take the median, the least and the largest of at least one value, six digits each."""
        found = list(values)
        median, low, high = (
            float(f"{figure:.6g}") for figure in (statistics.median(found), min(found), max(found))
        )
        return cls(median, low, high, len(found))

    def to_json(self) -> dict[str, float]:
        """Return it as ``benchmarks.json`` holds it."""
        return asdict(self)


def interleaved(turns: Mapping[K, Callable[[], T]], rounds: int) -> dict[K, list[T]]:
    """Give everyone a turn, then everyone again: A, B, C, A, B, C, …

    What disturbs a shared machine for a while then disturbs all of them.

    Args:
        turns: name → what measures once.
        rounds: turns each.

    Returns:
        Name → what its turns returned, in their order.
    """
    found: dict[K, list[T]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            found[name].append(turn())
    return found


def spreads(found: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Summarise the rounds of everyone, as ``benchmarks.json`` holds them."""
    return {name: Spread.of(values).to_json() for name, values in found.items()}


def seconds_per_call(call: Callable[[int], object], at_least_s: float) -> float:
    """Time a call in a row of calls that takes at least ``at_least_s``, in seconds.

    Args:
        call: is given 0, 1, 2 …, so that it need not do the same every time.
        at_least_s: of the row that counts; shorter ones before it warm up.
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
    """Write a figure for people: three digits, all of them from 1,000 on."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"

"""Interleaved rounds and their spread."""

import statistics
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.measure import Spread, digits, interleaved, seconds_per_call, spreads


def test_every_measurement_runs_in_every_round() -> None:
    order: list[str] = []
    interleaved({name: partial(order.append, name) for name in "abc"}, 2)
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_results_are_in_the_order_of_the_rounds() -> None:
    numbers = iter(range(4))
    measurements = dict.fromkeys("ab", partial(next, numbers))
    assert interleaved(measurements, 2) == {"a": [0, 2], "b": [1, 3]}


@given(st.lists(st.floats(1e-6, 1e6), min_size=1))
def test_the_median_is_between_lowest_and_highest(values: list[float]) -> None:
    found = Spread.of(values)
    assert found.low <= found.median <= found.high
    assert found.rounds == len(values)
    assert abs(found.median - statistics.median(values)) <= 1e-5 * found.median


def test_a_spread_has_six_significant_digits() -> None:
    assert spreads({"a": [3.0, 1.0, 2.0000004]}) == {"a": Spread(2.0, 1.0, 3.0, rounds=3)}


def test_calls_are_repeated_until_they_take_long_enough() -> None:
    numbers: list[int] = []
    seconds = seconds_per_call(numbers.append, at_least_s=0.001)
    last = numbers[-1]
    assert numbers[-last - 1 :] == list(range(last + 1))  # the loop that counts restarts at 0
    assert seconds * (last + 1) >= 0.000999


def test_figures_have_three_digits_or_all_before_the_point() -> None:
    assert [digits(value) for value in (0.12345, 12.345, 999.4, 1234567.8)] == [
        "0.123",
        "12.3",
        "999",
        "1,234,568",
    ]

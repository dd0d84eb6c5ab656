"""Rounds in turn and their spread."""

import statistics
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.measure import Spread, digits, interleaved, seconds_per_call, spreads


def test_everyone_has_a_turn_in_every_round() -> None:
    order: list[str] = []
    interleaved({name: partial(order.append, name) for name in "abc"}, 2)
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_what_the_turns_return_is_kept_in_order() -> None:
    numbers = iter(range(4))
    turns = dict.fromkeys("ab", partial(next, numbers))
    assert interleaved(turns, 2) == {"a": [0, 2], "b": [1, 3]}


@given(st.lists(st.floats(1e-6, 1e6), min_size=1))
def test_a_median_lies_within_its_spread(values: list[float]) -> None:
    found = Spread.of(values)
    assert found.low <= found.median <= found.high
    assert found.rounds == len(values)
    assert abs(found.median - statistics.median(values)) <= 1e-5 * found.median


def test_a_spread_is_kept_as_json() -> None:
    assert spreads({"a": [3.0, 1.0, 2.0000004]}) == {
        "a": {"median": 2.0, "low": 1.0, "high": 3.0, "rounds": 3}
    }


def test_calls_are_counted_until_they_take_long_enough() -> None:
    asked: list[int] = []
    seconds = seconds_per_call(asked.append, at_least_s=0.001)
    last = asked[-1]
    assert asked[-last - 1 :] == list(range(last + 1))  # the row that counts begins at 0 again
    assert seconds * (last + 1) >= 0.000999


def test_figures_are_written_for_people() -> None:
    assert [digits(value) for value in (0.12345, 12.345, 999.4, 1234567.8)] == [
        "0.123",
        "12.3",
        "999",
        "1,234,568",
    ]

"""Intervals against the textbook's, by hand and by their definitions."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.intervals import corrected_interval, exact, upper_bound, wilson


def test_by_hand() -> None:
    # Mean 2, variance 1, n = 3; t with two degrees of freedom is 4.3027 at 97.5 %.
    half_width = 4.302652729911275 * math.sqrt(1 / 3 + 1 / 8)
    assert corrected_interval([1, 2, 3]) == pytest.approx((2 - half_width, 2 + half_width))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=10))
def test_holds_the_mean_and_is_wider_than_the_uncorrected(values: list[float]) -> None:
    low, high = corrected_interval(values)
    mean = math.fsum(values) / len(values)
    assert low - 1e-12 <= mean <= high + 1e-12
    plain = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    assert high - low >= 2 * plain - 1e-9


def test_one_value_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two values or more, not 1; take more seeds"):
        corrected_interval([0.5])


@given(st.integers(0, 50), st.integers(1, 50))
def test_the_upper_bound_is_where_so_few_would_be_found_in_one_of_twenty(
    count: int, more: int
) -> None:
    bound = upper_bound(count, count + more)
    assert stats.binom.cdf(count, count + more, bound) == pytest.approx(0.05)
    assert upper_bound(more, more) == 1


@given(st.integers(0, 100), st.integers(0, 100))
def test_wilsons_interval_is_where_the_score_test_is_just_not_rejected(a: int, b: int) -> None:
    if a + b == 0:
        return
    share = a / (a + b)
    for bound in wilson(a, a + b):
        if 1e-9 < bound < 1 - 1e-9:
            score = (share - bound) / math.sqrt(bound * (1 - bound) / (a + b))
            assert abs(score) == pytest.approx(stats.norm.ppf(0.975))


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_exact_bounds_leave_half_the_error_on_each_side(counts: tuple[int, int]) -> None:
    count, of = counts
    low, high = exact(count, of, 0.1)
    assert low <= count / of <= high
    assert (low == 0) == (count == 0)
    assert (high == 1) == (count == of)
    if count > 0:
        assert stats.binom.sf(count - 1, of, low) == pytest.approx(0.05)
    if count < of:
        assert stats.binom.cdf(count, of, high) == pytest.approx(0.05)

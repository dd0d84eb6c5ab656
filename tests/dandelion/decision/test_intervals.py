"""Binomial tails and Clopper-Pearson bounds, against SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dandelion.decision.intervals import at_least, at_most, lower, two_sided, upper

SIZES = (1, 2, 3, 10, 40, 1000, 4501, 100_000, 10**6)


def successes(n: int) -> np.ndarray:
    edges = np.arange(min(n, 20) + 1)
    return np.unique(np.concatenate([edges, n - edges, np.linspace(0, n, 100).astype(int)]))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("error", [0.5, 0.05, 0.025, 1e-4, 1e-7])
def test_bounds_are_those_of_the_beta_distribution(n: int, error: float) -> None:
    k = successes(n)
    highest = np.where(k == n, 1.0, stats.beta.isf(error, k + 1, n - k + (k == n)))
    lowest = np.where(k == 0, 0.0, stats.beta.ppf(error, k + (k == 0), n - k + 1))
    np.testing.assert_allclose(upper(k, n, error), highest, rtol=1e-9)
    np.testing.assert_allclose(lower(k, n, error), lowest, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("p", [1e-4, 0.01, 0.3, 0.9, 0.999])
def test_tails_are_those_of_the_binomial_distribution(n: int, p: float) -> None:
    k = successes(n)
    np.testing.assert_allclose(at_most(k, n, p), stats.binom.cdf(k, n, p), rtol=1e-9, atol=1e-250)
    expected = stats.binom.sf(k - 1, n, p)
    np.testing.assert_allclose(at_least(k, n, p), expected, rtol=1e-9, atol=1e-250)


def test_edges() -> None:
    assert two_sided(0, 0) == (0, 1)
    assert (float(lower(0, 7, 0.05)), float(upper(7, 7, 0.05))) == (0, 1)
    assert float(upper(0, 4501, 0.05)) == pytest.approx(1 - 0.05 ** (1 / 4501), rel=1e-12)
    assert (float(at_most(3, 3, 0.5)), float(at_most(0, 0, 0.5))) == (1, 1)
    assert (float(at_most(2, 3, 1.0)), float(at_most(0, 3, 0.0))) == (0, 1)


def test_shapes_broadcast() -> None:
    k, n = np.array([[0], [1]]), np.array([5, 7, 9])
    assert upper(k, n, 0.05).shape == (2, 3)
    assert upper(k, n, np.array([0.05, 0.1, 0.05])).shape == (2, 3)
    assert upper(np.zeros((0,)), 3, 0.05).shape == (0,)
    assert upper(k, n, np.array([0.05, 0.1, 0.05]))[1, 1] == upper(1, 7, 0.1)


@given(st.integers(1, 3000), st.data())
def test_a_bound_has_its_error_as_tail(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    error = data.draw(st.floats(1e-6, 0.9))
    assert float(at_most(k, n, upper(k, n, error))) == pytest.approx(error, rel=1e-8)
    assert k / n <= float(upper(k, n, min(error, 0.5))) <= 1
    low, high = two_sided(k, n)
    assert 0 <= low <= k / n <= high <= 1

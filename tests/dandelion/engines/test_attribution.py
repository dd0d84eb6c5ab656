import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.engines.attribution import Layers, log_odds, log_odds_coefficients
from tests.dandelion.examples import make_network


def layers(seed: int, outputs: int = 2) -> Layers:
    network = make_network(rows=2, dimensions=5, hidden=12, outputs=outputs, seed=seed)
    return Layers.of(network)


def test_the_layers_are_those_of_the_network() -> None:
    rng = np.random.default_rng(0)
    one = layers(0)
    values = rng.normal(size=5)

    hidden = np.maximum(one.weight1 @ values + one.bias1, 0)
    hidden = np.maximum(one.weight2 @ hidden + one.bias2, 0)
    np.testing.assert_allclose(one.logits(values), one.output @ hidden)


@given(st.integers(0, 500))
def test_mean_gradient_is_complete(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = layers(seed)
    start, stop, coefficients = rng.normal(size=5), 9 * rng.normal(size=5), rng.normal(size=2)

    gradient = one.mean_gradient(start, stop, coefficients)

    expected = coefficients @ (one.logits(stop) - one.logits(start))
    assert gradient @ (stop - start) == pytest.approx(expected, abs=1e-9)


def test_mean_gradient_is_the_mean_of_gradients() -> None:
    rng = np.random.default_rng(3)
    one = layers(3)
    start, stop, coefficients = rng.normal(size=5), 5 * rng.normal(size=5), np.array([1.0, -2.0])

    times = (np.arange(20_000) + 0.5) / 20_000
    gradients = [one.gradient(start + time * (stop - start), coefficients) for time in times]
    np.testing.assert_allclose(
        one.mean_gradient(start, stop, coefficients), np.mean(gradients, axis=0), atol=5e-3
    )


def test_mean_gradient_between_equal_inputs_is_the_gradient() -> None:
    one = layers(1)
    values = np.random.default_rng(1).normal(size=5)

    found = one.mean_gradient(values, values, np.ones(2))
    np.testing.assert_allclose(found, one.gradient(values, np.ones(2)))


@given(st.integers(0, 500), st.integers(1, 6), st.sampled_from([0.0, 1.0, 50.0, 1e4]))
def test_coefficients_give_the_change_of_the_log_odds(seed: int, count: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    start, stop = scale * rng.normal(size=(2, count))
    is_positive = np.arange(count) == 0

    found = log_odds_coefficients(start, stop, is_positive)

    change = log_odds(stop, is_positive) - log_odds(start, is_positive)
    assert found @ (stop - start) == pytest.approx(change, abs=1e-9 * (1 + scale))


def test_coefficients_of_two_logits_are_those_of_their_difference() -> None:
    is_positive = np.array([False, True])

    found = log_odds_coefficients(np.array([0.0, 1.0]), np.array([3.0, 1.5]), is_positive)
    np.testing.assert_allclose(found, [-1, 1])

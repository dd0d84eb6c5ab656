"""Calibrations fitted on held-out texts."""

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dandelion.decision.calibration import MAX_PARAMETER, Calibration
from dandelion.decision.calibration_fit import (
    MAX_RATIO,
    MIN_SLOPE,
    fit_calibration,
    fit_temperature,
)
from dandelion.decision.policy import scores

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def texts_of(
    calibration: Calibration, count: int = 6000, *, prior: float = 0.5, seed: int = 0
) -> tuple[Floats, Integers]:
    """Draw logits, and labels with the probabilities that a calibration gives at a prior."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, count)
    chances = scores(logits.astype(np.float32), calibration, prior)
    return logits, (rng.random(count) < chances).astype(np.int64)


def log_loss(calibration: Calibration, logits: Floats, labels: Integers) -> float:
    signs = np.where(labels == 1, 1, -1)
    losses = np.logaddexp(0, -signs * calibration.logits(logits))
    return float((losses[labels == 1].mean() + losses[labels == 0].mean()) / 2)


@pytest.mark.parametrize(
    "truth",
    [
        Calibration("temperature", 0.4, 0.4, 0.0),
        Calibration("platt", 1.5, 1.5, -2.0),
        Calibration("beta", 0.3, 1.0, 1.0),
    ],
)
def test_finds_the_method_and_its_parameters(truth: Calibration) -> None:
    logits, labels = texts_of(truth, 20_000)
    # Equal totals of the classes are a prior of ½ only if the truth's shares are equal too.
    shift = np.log(labels.mean() / (1 - labels.mean()))
    fitted = fit_calibration(logits, labels)
    found = fitted.calibration
    assert found.method == truth.method
    assert found.a == pytest.approx(truth.a, rel=0.15)
    assert found.b == pytest.approx(truth.b, rel=0.15)
    assert found.c == pytest.approx(truth.c - shift, abs=0.2)
    assert fitted.log_losses[truth.method] < fitted.log_loss_before
    assert fitted.folds == 5
    assert fitted.texts == ((labels == 0).sum(), labels.sum())


def test_leaves_a_slope_where_the_highest_logits_say_no_more() -> None:
    # Above 0 the chance is 0.9 whatever the logit.
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, 20_000)
    chances = 1 / (1 + np.exp(-np.minimum(2 * logits, 0) - np.log(9)))
    found = fit_calibration(
        logits, (rng.random(len(logits)) < chances).astype(np.int64)
    ).calibration
    assert found.method == "beta"
    assert found.b == pytest.approx(found.a / MAX_RATIO, rel=0.01)
    steps = np.diff(scores(np.arange(0, 15, 0.05, dtype=np.float32), found))
    assert steps.min() > 1e-5


def test_prefers_the_simpler_method_where_they_tie() -> None:
    chosen = [
        fit_calibration(*texts_of(Calibration("temperature", 2.0, 2.0, 0.0), 500, seed=seed))
        for seed in range(20)
    ]
    simple = [fitted.calibration.method == "temperature" for fitted in chosen]
    best = [min(fitted.log_losses, key=fitted.log_losses.__getitem__) for fitted in chosen]
    assert sum(simple) >= 14  # one standard error is a lenient test: about one in six fails it
    assert best.count("temperature") < sum(simple)


def test_scores_are_probabilities_at_equal_shares_whatever_the_sample() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(30_000) % 50 == 0).astype(np.int64)  # 2 % positive
    logits = rng.normal(np.where(labels, 1.5, -1.5), 1.0) / 2 + 3
    found = fit_calibration(logits, labels).calibration
    # The log likelihood ratio of the two normal distributions is 3 x for x = 2 (logit − 3).
    assert found.method == "platt"
    np.testing.assert_allclose(found.logits(np.array([2.5, 3.0, 3.5])), [-3, 0, 3], atol=0.3)


def test_a_fit_is_the_minimum() -> None:
    logits, labels = texts_of(Calibration("beta", 0.3, 2.0, 1.5))
    found = fit_calibration(logits, labels).calibration
    lowest = log_loss(found, logits, labels)
    for a, b, c in ((0.02, 0, 0), (0, 0.05, 0), (0, 0, 0.05), (0.02, -0.05, 0.05)):
        for sign in (-1, 1):
            moved = Calibration("beta", found.a + sign * a, found.b + sign * b, found.c + sign * c)
            assert log_loss(moved, logits, labels) > lowest


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-1e4, 1e4) | st.sampled_from([-2.0, 0.0, 1e-9, 1e-150, 3.0]),
            st.integers(0, 1),
        ),
        min_size=2,
        max_size=30,
    )
)
def test_never_fails_nor_saturates(texts: list[tuple[float, int]]) -> None:
    logits = np.array([logit for logit, _ in texts])
    labels = np.array([label for _, label in texts])
    if len(set(labels)) < 2:
        with pytest.raises(ValueError, match=r"there is no (positive|harmless) text"):
            fit_calibration(logits, labels)
        return
    fitted = fit_calibration(logits, labels)
    found = fitted.calibration
    assert min(found.a, found.b) >= MIN_SLOPE
    assert max(found.a, found.b) <= MAX_PARAMETER
    assert np.isfinite(fitted.log_loss_before)
    assert all(np.isfinite(loss) for loss in fitted.log_losses.values())
    again = fit_calibration(logits, labels)
    assert again == fitted


def test_separable_texts_keep_scores_below_one() -> None:
    labels = np.arange(200) % 2
    logits = np.where(labels, 5.0, -5.0) + np.linspace(0, 1, 200)
    calibrated = fit_calibration(logits, labels).calibration.logits(logits)
    assert np.abs(calibrated).max() < 7
    assert np.median(calibrated[labels == 1]) == pytest.approx(np.log(101), rel=0.2)


def test_equal_logits_give_one_half() -> None:
    labels = np.array([0, 0, 0, 1] * 10)
    found = fit_calibration(np.full(40, 7.0), labels).calibration
    assert found.logits(np.array([7.0])) == pytest.approx(0, abs=0.01)


def test_inverted_logits_get_the_lowest_slope() -> None:
    labels = np.arange(100) % 2
    found = fit_calibration(np.where(labels, -3.0, 3.0), labels).calibration
    assert found.a == found.b == MIN_SLOPE


def test_few_texts_are_fitted_without_cross_validation() -> None:
    fitted = fit_calibration(np.array([-1.0, -2.0, 1.0]), np.array([0, 0, 1]))
    assert (fitted.calibration.method, fitted.folds, fitted.log_losses) == ("temperature", 0, {})


def test_weights_are_repeated_texts_within_a_class() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 2
    logits = rng.normal(np.where(labels, 1.0, -1.0), 1.0) + 0.5
    weights = np.where(logits > 0, 9.0, 1.0)
    weighted = fit_calibration(logits, labels, weights=weights).calibration
    copies = weights.astype(int)
    repeated = fit_calibration(
        np.repeat(logits, copies),
        np.repeat(labels, copies),
        groups=np.repeat(np.arange(4000), copies),
    ).calibration
    at = np.array([-2.0, 0.0, 2.0])
    np.testing.assert_allclose(weighted.logits(at), repeated.logits(at), atol=0.1)
    plain = fit_calibration(logits, labels).calibration
    assert np.abs(plain.logits(at) - weighted.logits(at)).max() > 0.3
    tenfold = fit_calibration(logits, labels, weights=weights * 10).calibration
    assert tenfold.logits(at) == pytest.approx(weighted.logits(at))


def test_copies_in_one_group_buy_no_certainty() -> None:
    # Ten texts a thousand times over: held out one by one, the copies would be seen in training.
    rng = np.random.default_rng(1)
    labels = np.tile(np.arange(20) % 2, 50)
    logits = np.tile(rng.normal(np.where(np.arange(20) % 2, 1.0, -1.0), 1.5), 50)
    alone = fit_calibration(logits, labels)
    grouped = fit_calibration(logits, labels, groups=np.tile(np.arange(20), 50))
    assert min(grouped.log_losses.values()) > min(alone.log_losses.values()) + 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"logits": [0.0, np.nan]}, "a logit is not a finite number"),
        ({"logits": [0.0, np.inf]}, "a logit is not a finite number"),
        ({"logits": [[0.0], [1.0]]}, "2 dimensions; expected 1"),
        ({"labels": [0, 1, 1]}, "3 labels for 2 texts"),
        ({"labels": [0, 2]}, "a label is not in 0 … 1"),
        ({"labels": [1, 1]}, "no harmless text"),
        ({"labels": [0, 0]}, "no positive text"),
        ({"weights": [1.0, 0.0]}, "a weight is not a positive number"),
        ({"weights": [1.0, np.nan]}, "a weight is not a positive number"),
        ({"weights": [1.0]}, "1 weights for 2 texts"),
        ({"groups": [1]}, "1 groups for 2 texts"),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    given_ = {"logits": [-1.0, 1.0], "labels": [0, 1]} | arguments
    arrays = {name: np.array(value) for name, value in given_.items()}
    with pytest.raises(ValueError, match=message):
        fit_calibration(arrays.pop("logits"), arrays.pop("labels"), **arrays)


def test_names_the_install_command_where_scipy_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs SciPy\. Install it: .*\[evaluate\]"):
        fit_calibration(np.array([-1.0, 1.0]), np.array([0, 1]))


def test_the_record_is_json() -> None:
    logits, labels = texts_of(Calibration("temperature", 0.4, 0.4, 0.0), 500)
    fitted = fit_calibration(logits, labels)
    record = fitted.to_json()
    assert Calibration(**record["calibration"]) == fitted.calibration
    assert set(record["log_losses"]) == {"temperature", "platt", "beta"}
    assert record["texts"] == [int((labels == 0).sum()), int(labels.sum())]


def test_temperature_of_many_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (6000, 4))
    noise = rng.gumbel(size=logits.shape)
    labels = (0.3 * logits + noise).argmax(axis=1)
    fitted = fit_temperature(logits, labels)
    assert fitted.calibration.method == "temperature"
    assert fitted.calibration.a == pytest.approx(0.3, rel=0.1)
    assert fitted.log_losses["temperature"] < fitted.log_loss_before
    assert fitted.texts == tuple(np.bincount(labels))


def test_labels_weigh_the_same_however_frequent() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [3000, 3000, 60])
    logits = rng.normal(0, 1, (6060, 3))
    logits[np.arange(6060), labels] += np.where(labels == 2, -1.0, 3.0)  # the rare one is confused
    found = fit_temperature(logits, labels).calibration.a
    assert found < 0.6 * fit_temperature(logits[labels < 2], labels[labels < 2]).calibration.a


def test_temperature_needs_two_labels() -> None:
    with pytest.raises(ValueError, match="fewer than two labels"):
        fit_temperature(np.zeros((3, 3)), np.array([1, 1, 1]))
    with pytest.raises(ValueError, match="a label is not in 0 … 2"):
        fit_temperature(np.zeros((2, 3)), np.array([1, 3]))

"""Calibration makes scores probabilities at the reference prior."""

import numpy as np
import pytest

from dandelion.decision.calibration import Calibration
from dandelion.engines.network import sigmoid, softmax
from training.calibration import calibrated, fit_binary, fit_multiclass


def test_scores_of_unequal_classes_become_probabilities_at_equal_shares() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(20_000) < 0.1).astype(np.int64)
    # The true log-odds at equal shares are twice these, for the logits have a variance of 1.
    logits = rng.normal(np.where(labels == 1, 1.0, -1.0), 1).astype(np.float32) * 0.4 - 0.3
    calibration, record = fit_binary(logits, labels, fitted_on="validation")
    assert calibration.method == "platt"
    assert calibration.a == pytest.approx(2 / 0.4, rel=0.05)
    assert calibration.c == pytest.approx(2 * 0.3 / 0.4, abs=0.1)
    assert record["fitted_on"] == "validation"
    assert record["texts"] == [int((labels == 0).sum()), int(labels.sum())]
    assert set(record["log_losses"]) == {"temperature", "platt", "beta"}
    assert record["folds"] == 5
    for name in ("log_loss", "brier", "ece"):
        before, after = record["before"][name], record["after"][name]  # type: ignore[literal-required]
        assert after < before
    assert record["after"]["ece"] is not None
    assert record["after"]["ece"] < 0.02
    assert record["after"]["log_loss"] == pytest.approx(record["log_losses"]["platt"], abs=0.01)


def test_more_than_two_labels_get_a_temperature() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 3000)
    logits = (3.0 * (np.eye(3)[labels] + rng.normal(0, 0.7, (3000, 3)))).astype(np.float32) * 4
    calibration, record = fit_multiclass(logits, labels, fitted_on="out_of_fold")
    assert calibration.method == "temperature"
    assert calibration.a < 0.5
    assert record["after"]["log_loss"] < record["before"]["log_loss"]
    assert record["before"]["brier"] is record["after"]["ece"] is None


def test_scores_are_those_of_the_engine() -> None:
    calibration = Calibration("beta", 0.7, 1.9, -0.4)
    logits = np.linspace(-9, 9, 7, dtype=np.float32)
    scores = calibrated(logits, calibration)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, sigmoid(calibration.logits(logits)), atol=1e-7)
    assert (np.diff(scores) > 0).all()
    several = np.array([[1.0, 3.0, -2.0]], np.float32)
    halved = calibrated(several, Calibration("temperature", 0.5, 0.5, 0.0))
    np.testing.assert_allclose(halved, softmax(several / 2), atol=1e-7)

"""Metrics and the rule for fitted thresholds."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from training.evaluation import (
    METRICS,
    Labels,
    Scores,
    evaluate,
    evaluate_at,
    expected_calibration_error,
    fit_threshold,
    is_collapsed,
    majority,
)

LABELS = np.array([1, 1, 1, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.8, 0.3, 0.6, 0.2, 0.1, 0.1, 0.05], dtype=np.float32)


@st.composite
def scored(draw: st.DrawFn) -> tuple[Labels, Scores]:
    texts = draw(
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 16)), min_size=2, max_size=30)
    )
    labels = np.array([label for label, _ in texts])
    assume(0 < labels.mean() < 1)
    return labels, np.array([score / 16 for _, score in texts], dtype=np.float32)


def test_by_hand() -> None:
    found = evaluate(LABELS, SCORES, 0.5)
    assert tuple(found) == METRICS
    # two of three positives found, one of five negatives called positive
    assert found["accuracy"] == 6 / 8
    assert found["f1"] == found["f1_minority"] == pytest.approx(2 * 2 / (3 + 3))
    assert found["macro_f1"] == pytest.approx((2 / 3 + 8 / 10) / 2)
    assert found["g_mean"] == pytest.approx((2 / 3 * 4 / 5) ** 0.5)
    assert found["mcc"] == pytest.approx((2 * 4 - 1 * 1) / (3 * 5 * 3 * 5) ** 0.5)
    assert found["auroc"] == pytest.approx(14 / 15)
    assert found["average_precision"] == pytest.approx((1 / 1 + 2 / 2 + 3 / 4) / 3)
    assert found["brier"] == pytest.approx(
        sum((score - label) ** 2 for score, label in zip(SCORES, LABELS, strict=True)) / 8
    )


def test_minority_is_the_smaller_class() -> None:
    found = evaluate(1 - LABELS, 1 - SCORES, 0.5)
    assert found["f1_minority"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(0.8)


def test_several_thresholds() -> None:
    found = evaluate_at(LABELS, SCORES, {"low": 0.0, "high": 1.0})
    assert found["low"]["f1"] == pytest.approx(6 / 11)
    assert found["high"]["f1"] == 0


@given(scored(), st.floats(0, 1))
def test_agrees_with_scikit_learn(data: tuple[Labels, Scores], threshold: float) -> None:
    labels, scores = data
    predicted = scores.astype(np.float64) >= threshold
    found = evaluate(labels, scores, threshold)
    assert found["macro_f1"] == pytest.approx(
        metrics.f1_score(labels, predicted, average="macro", zero_division=0)
    )
    assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(labels, predicted))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(labels, scores))


def by_counting(labels: Labels, predicted: np.ndarray, criterion: str) -> float:
    right = labels == predicted
    if criterion == "accuracy":
        return float(right.mean())
    f1s = [
        2
        * (right & (labels == label)).sum()
        / ((labels == label).sum() + (predicted == label).sum())
        for label in (0, 1)
    ]
    return float(np.mean(f1s))


@given(scored(), st.sampled_from(["macro_f1", "accuracy"]))
def test_no_threshold_beats_the_fitted_one(data: tuple[Labels, Scores], criterion: str) -> None:
    labels, scores = data
    threshold, value = fit_threshold(labels, scores, criterion)  # type: ignore[arg-type]
    assert 0 <= threshold <= 1
    assert evaluate(labels, scores, threshold)[criterion] == pytest.approx(value)
    cuts = np.linspace(0, 1, 65)  # scores are sixteenths, so every way to part them is among these
    best = max(by_counting(labels, scores >= cut, criterion) for cut in cuts)
    assert value == pytest.approx(best)


def test_the_fitted_threshold_is_the_midpoint_of_the_best_interval() -> None:
    labels = np.array([1, 1, 0, 0])
    scores = np.array([0.9, 0.7, 0.3, 0.1], dtype=np.float32)
    assert fit_threshold(labels, scores) == (pytest.approx(0.5), 1.0)
    equal = np.full(4, 0.5, dtype=np.float32)
    assert fit_threshold(labels, equal)[0] in (0.25, 0.75)


def test_calibration_error() -> None:
    labels = np.array([1, 0, 1, 1])
    sure = np.array([1, 0, 1, 1], dtype=np.float32)
    assert expected_calibration_error(labels, sure) == 0
    assert expected_calibration_error(labels, 1 - sure) == 1
    half = np.full(4, 0.5, dtype=np.float32)
    assert expected_calibration_error(labels, half) == pytest.approx(0.25)


def test_majority() -> None:
    found = majority(np.array([1, 1, 0]), np.array([1, 1, 1, 0]))
    assert found["accuracy"] == 0.75
    assert found["f1"] == pytest.approx(6 / 7)
    assert found["f1_minority"] == found["g_mean"] == found["mcc"] == 0
    assert majority(np.array([1, 0, 0]), np.array([1, 0, 0, 0]))["accuracy"] == 0.75


@pytest.mark.parametrize(
    ("accuracy", "g_mean", "collapsed"),
    [
        (0.75, 0.0, True),
        (0.25, 0.0, True),
        (0.7515, 0.09, True),
        (0.753, 0.0, False),
        (0.75, 0.11, False),
    ],
)
def test_collapsed(accuracy: float, g_mean: float, collapsed: bool) -> None:
    labels = np.array([1, 1, 1, 0])
    assert is_collapsed(labels, {"accuracy": accuracy, "g_mean": g_mean}) is collapsed

"""Metrics."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from training.quality.metrics import (
    AT_THRESHOLD,
    METRICS,
    Labels,
    Scores,
    evaluate,
    evaluate_classes,
    expected_calibration_error,
    is_collapsed,
    macro_f1,
    majority,
    prevalence_weights,
    value_of,
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


def test_the_threshold_decides() -> None:
    low, high = evaluate(LABELS, SCORES, 0.0), evaluate(LABELS, SCORES, 1.0)
    assert low["f1"] == pytest.approx(6 / 11)
    assert high["f1"] == 0
    assert low["auroc"] == high["auroc"]


def test_a_margin_is_no_probability() -> None:
    margin = evaluate(LABELS, SCORES, 0.5, score_kind="margin")
    assert margin["brier"] is margin["ece"] is None
    probability = evaluate(LABELS, SCORES, 0.5)
    assert margin | {"brier": 0, "ece": 0} == probability | {"brier": 0, "ece": 0}
    assert None not in probability.values()


@settings(max_examples=40)
@given(scored(), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_weights_count_as_repeated_texts_do(
    data: tuple[Labels, Scores], threshold: float, seed: int
) -> None:
    labels, scores = data
    counts = np.random.default_rng(seed).integers(1, 5, len(labels))
    weighted = evaluate(labels, scores, threshold, weights=counts.astype(np.float64))
    repeated = evaluate(np.repeat(labels, counts), np.repeat(scores, counts), threshold)
    assert weighted == pytest.approx(repeated)


@settings(max_examples=40)
@given(scored(), st.floats(0, 1))
def test_equal_weights_change_nothing(data: tuple[Labels, Scores], threshold: float) -> None:
    labels, scores = data
    found = evaluate(labels, scores, threshold, weights=np.full(len(labels), 0.25))
    assert found == pytest.approx(evaluate(labels, scores, threshold))


def test_weights_by_hand() -> None:
    labels = np.array([1, 1, 0, 0])
    scores = np.array([0.9, 0.1, 0.8, 0.2], dtype=np.float32)
    found = evaluate(labels, scores, 0.5, weights=np.array([3.0, 1.0, 2.0, 4.0]))
    assert found["accuracy"] == pytest.approx(7 / 10)
    assert found["f1"] == pytest.approx(6 / 9)
    assert found["f1_minority"] == found["f1"]  # 4 of 10 count as positive
    assert found["g_mean"] == pytest.approx((3 / 4 * 4 / 6) ** 0.5)
    # Of the pairs' weights 3·2 + 3·4 are in order, 1·2 and 1·4 are not.
    assert found["auroc"] == pytest.approx(18 / 24)
    assert found["average_precision"] == pytest.approx(3 / 4 * 3 / 3 + 1 / 4 * 4 / 10)
    assert found["brier"] == pytest.approx((3 * 0.01 + 0.81 + 2 * 0.64 + 4 * 0.04) / 10)
    assert found["ece"] == pytest.approx((3 * 0.1 + 0.9 + 2 * 0.8 + 4 * 0.2) / 10)  # a bin each


def test_which_class_is_the_minority_is_a_matter_of_weight() -> None:
    light = evaluate(LABELS, SCORES, 0.5)
    weights = np.where(LABELS == 1, 10.0, 1.0)
    heavy = evaluate(LABELS, SCORES, 0.5, weights=weights)
    assert light["f1_minority"] == light["f1"]
    assert heavy["f1_minority"] != heavy["f1"]


@given(scored(), st.floats(0.01, 0.99))
def test_prevalence_weights_give_positives_their_share(
    data: tuple[Labels, Scores], share: float
) -> None:
    labels, _ = data
    weights = prevalence_weights(labels, share)
    assert weights.dtype == np.float64
    assert weights.sum() == pytest.approx(len(labels))
    assert weights[labels == 1].sum() / weights.sum() == pytest.approx(share)
    assert len(set(weights[labels == 1].tolist())) == len(set(weights[labels == 0].tolist())) == 1


def test_a_shifted_prevalence_moves_precision_and_leaves_rates() -> None:
    seldom = evaluate(LABELS, SCORES, 0.5, weights=prevalence_weights(LABELS, 0.01))
    often = evaluate(LABELS, SCORES, 0.5)
    assert seldom["g_mean"] == pytest.approx(often["g_mean"])
    assert seldom["auroc"] == pytest.approx(often["auroc"])
    # precision .01·2/3 ÷ (.01·2/3 + .99·1/5), recall 2/3
    precision = 0.01 * 2 / 3 / (0.01 * 2 / 3 + 0.99 / 5)
    assert seldom["f1"] == pytest.approx(2 * precision * (2 / 3) / (precision + 2 / 3))


# Beyond two labels

OF_THREE = np.array([0, 0, 0, 1, 1, 2])
CHOSEN = np.array([0, 0, 1, 1, 0, 1])


def scores_of(chosen: Labels, classes: int = 3) -> Scores:
    """Give the chosen label most of the score."""
    members = np.eye(classes, dtype=np.float32)[chosen]
    return (members + 0.2) / (1 + 0.2 * classes)  # type: ignore[no-any-return]


def test_classes_by_hand() -> None:
    found = evaluate_classes(OF_THREE, scores_of(CHOSEN))
    assert list(found) == [*METRICS, "per_class_f1", "confusion_matrix"]
    assert found["confusion_matrix"] == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]
    assert found["per_class_f1"] == pytest.approx([4 / 6, 2 / 5, 0])
    assert found["accuracy"] == pytest.approx(3 / 6)
    assert found["macro_f1"] == pytest.approx((4 / 6 + 2 / 5) / 3)
    # Gorodkin 2004: (c s − Σ p t) / √((s² − Σ p²)(s² − Σ t²))
    predicted, there = np.array([3, 3, 0]), np.array([3, 2, 1])
    expected = (3 * 6 - predicted @ there) / (
        (36 - predicted @ predicted) * (36 - there @ there)
    ) ** 0.5
    assert found["mcc"] == pytest.approx(expected)
    null = {name for name, value in found.items() if value is None}
    assert null == set(METRICS) - {"accuracy", "macro_f1", "mcc"}


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_classes_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels, chosen = np.array(pairs).T
    assume(len(set(labels.tolist())) > 1)  # every fold has every class
    found = evaluate_classes(labels, scores_of(chosen, 4))
    matrix = metrics.confusion_matrix(labels, chosen, labels=range(4))
    assert found["confusion_matrix"] == matrix.tolist()
    expected = metrics.f1_score(labels, chosen, labels=range(4), average="macro", zero_division=0)
    assert found["macro_f1"] == macro_f1(labels, chosen, 4) == pytest.approx(expected)


def test_a_class_that_is_not_there_counts_nothing() -> None:
    found = evaluate_classes(np.array([0, 1]), scores_of(np.array([0, 1])))
    assert found["per_class_f1"] == [1, 1, 0]
    assert found["macro_f1"] == pytest.approx(2 / 3)


@settings(max_examples=40)
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


def test_calibration_error() -> None:
    labels = np.array([1, 0, 1, 1])
    sure = np.array([1, 0, 1, 1], dtype=np.float32)
    assert expected_calibration_error(labels, sure) == 0
    assert expected_calibration_error(labels, 1 - sure) == 1
    half = np.full(4, 0.5, dtype=np.float32)
    assert expected_calibration_error(labels, half) == pytest.approx(0.25)
    weights = np.array([1.0, 3.0, 1.0, 1.0])
    assert expected_calibration_error(labels, half, weights) == pytest.approx(0)


def test_majority() -> None:
    found = majority(np.array([1, 1, 0]), np.array([1, 1, 1, 0]))
    assert found["accuracy"] == 0.75
    assert found["f1"] == pytest.approx(6 / 7)
    assert found["f1_minority"] == found["g_mean"] == found["mcc"] == 0
    assert tuple(found) == AT_THRESHOLD
    assert majority(np.array([1, 0, 0]), np.array([1, 0, 0, 0]))["accuracy"] == 0.75


def test_majority_of_classes() -> None:
    found = majority(np.array([2, 2, 1, 0]), OF_THREE, 3)
    assert found["accuracy"] == pytest.approx(1 / 6)
    assert found["per_class_f1"] == pytest.approx([0, 0, 2 / 7])
    assert found["mcc"] == 0
    assert found["auroc"] is None


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
    at_half = majority(labels, labels) | {"accuracy": accuracy, "g_mean": g_mean}
    assert is_collapsed(labels, {"0.5": at_half}) is collapsed


def test_choosing_one_label_only_is_a_collapse() -> None:
    constant = evaluate_classes(OF_THREE, scores_of(np.full(6, 1)))
    assert is_collapsed(OF_THREE, {"argmax": constant})
    assert not is_collapsed(OF_THREE, {"argmax": evaluate_classes(OF_THREE, scores_of(CHOSEN))})


def test_the_value_of_a_metric_that_is_not_defined() -> None:
    found = evaluate_classes(OF_THREE, scores_of(CHOSEN))
    assert value_of(found, "accuracy") == found["accuracy"]
    with pytest.raises(ValueError, match="auroc is not defined"):
        value_of(found, "auroc")
    with pytest.raises(ValueError, match="brier is not defined"):
        value_of(majority(LABELS, LABELS), "brier")

"""Fitted thresholds."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dandelion.decision.rule import Decision
from dandelion.decision.threshold import fit_threshold

Labels = NDArray[np.int64]
Scores = NDArray[np.float32]
Criterion = Literal["macro_f1", "accuracy"]


@st.composite
def scored(draw: st.DrawFn) -> tuple[Labels, Scores]:
    texts = draw(
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 16)), min_size=2, max_size=30)
    )
    labels = np.array([label for label, _ in texts])
    assume(0 < labels.mean() < 1)
    return labels, np.array([score / 16 for _, score in texts], dtype=np.float32)


def by_counting(labels: Labels, scores: Scores, threshold: float, criterion: Criterion) -> float:
    predicted = np.array(Decision.binary(threshold).decide(scores).positions)
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


@settings(max_examples=40)
@given(scored(), st.sampled_from(["macro_f1", "accuracy"]))
def test_no_threshold_beats_the_fitted_one(
    data: tuple[Labels, Scores], criterion: Criterion
) -> None:
    labels, scores = data
    threshold, value = fit_threshold(labels, scores, criterion)
    assert 0 <= threshold <= 1
    assert by_counting(labels, scores, threshold, criterion) == pytest.approx(value)
    # Scores are multiples of 1/16: these thresholds separate them in every possible place.
    cuts = np.linspace(0, 1, 65).tolist()
    best = max(by_counting(labels, scores, cut, criterion) for cut in cuts)
    assert value == pytest.approx(best)


def fitted(labels: list[int], scores: list[float], criterion: Criterion = "accuracy") -> float:
    return fit_threshold(np.array(labels), np.array(scores), criterion)[0]


def test_the_midpoint_of_the_best_interval() -> None:
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.7, 0.3, 0.1], dtype=np.float32)
    assert fit_threshold(labels, scores) == (pytest.approx(0.5), 1.0)


# Only the text with the second highest score is positive. Two intervals have a single error: above
# the highest score, and between the second and the third.
@pytest.mark.parametrize(
    ("scores", "threshold"),
    [
        ([0.75, 0.5, 0.25, 0.25], 0.375),  # 0.25 wide: (0.75, 1] and (0.25, 0.5]
        ([0.875, 0.75, 0.25, 0.25], 0.5),  # the lower one is wider: 0.5
        ([0.5, 0.25, 0.125, 0.125], 0.75),  # the upper one is wider: 0.5
    ],
)
def test_of_equally_good_intervals_the_widest_then_the_lowest(
    scores: list[float], threshold: float
) -> None:
    assert fitted([0, 1, 0, 0], scores) == threshold


def test_equal_scores_are_never_separated() -> None:
    assert fitted([1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5]) == 0.75  # all negative: three right
    assert fitted([1, 1, 1, 0], [0.5, 0.5, 0.5, 0.5]) == 0.25  # all positive: three right


def test_the_criterion_decides() -> None:
    labels, scores = [0, 0, 0, 1, 0, 0], [0.9, 0.75, 0.7, 0.5, 0.25, 0.1]
    assert fitted(labels, scores, "accuracy") == pytest.approx(0.95)
    assert fitted(labels, scores, "macro_f1") == pytest.approx(0.375)


def test_refuses_a_score_that_is_nan() -> None:
    with pytest.raises(ValueError, match="a score is NaN"):
        fit_threshold(np.array([1, 0]), np.array([0.5, np.nan]))

"""Fitted thresholds."""

from fractions import Fraction
from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dandelion.decision.rule import Decision
from dandelion.decision.threshold import (
    FalseAlarmLimit,
    LimitError,
    fit_limited_threshold,
    fit_threshold,
)

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


# Within limits on false alarms


@st.composite
def limited(draw: st.DrawFn) -> tuple[Labels, Scores, list[FalseAlarmLimit]]:
    labels, scores = draw(scored())
    limits = []
    for _ in range(draw(st.integers(1, 3))):
        rows = np.array(draw(st.lists(st.booleans(), min_size=len(labels), max_size=len(labels))))
        assume((rows & (labels == 0)).any())
        limits.append(FalseAlarmLimit(rows, draw(st.integers(0, 9)) / 10))
    return labels, scores, limits


def are_held(
    labels: Labels, scores: Scores, limits: list[FalseAlarmLimit], threshold: float
) -> bool:
    flagged = np.array(Decision.binary(threshold).decide(scores).positions)
    return all(
        Fraction(int((flagged & rows & (labels == 0)).sum()), int((rows & (labels == 0)).sum()))
        <= Fraction(str(max_rate))
        for rows, max_rate in limits
    )


@given(limited())
def test_limits_hold_at_the_threshold_and_at_no_lower_one(
    data: tuple[Labels, Scores, list[FalseAlarmLimit]],
) -> None:
    labels, scores, limits = data
    positive = scores[labels == 1]
    # These separate the scores, multiples of 1/16, in every possible place.
    held = [cut for cut in np.linspace(0, 1, 65).tolist() if are_held(*data, cut)]
    try:
        threshold = fit_limited_threshold(labels, scores, limits)
    except LimitError:
        assert not held or min(held) > positive.max()
        return
    assert are_held(labels, scores, limits, threshold)
    flagged = (scores >= threshold).sum()
    assert flagged == max((scores >= cut).sum() for cut in held)
    assert (positive >= threshold).any()
    above, below = scores[scores >= threshold], scores[scores < threshold]
    if threshold > 0:
        assert threshold == pytest.approx((above.min() + below.max(initial=0)) / 2)


def everywhere(count: int, max_rate: float) -> list[FalseAlarmLimit]:
    return [FalseAlarmLimit(np.ones(count, dtype=np.bool_), max_rate)]


def test_every_limit_counts_and_the_strictest_decides() -> None:
    labels, scores = np.array([1, 0, 1, 0, 1]), np.array([0.9, 0.8, 0.6, 0.4, 0.2])
    first, second = (np.arange(5) == row for row in (1, 3))
    loose = [FalseAlarmLimit(first, 0.99), FalseAlarmLimit(second, 0.0)]
    assert fit_limited_threshold(labels, scores, loose[1:]) == pytest.approx(0.5)
    assert fit_limited_threshold(labels, scores, loose) == pytest.approx(0.85)
    # Together they are two texts, and half of them may be flagged.
    together = [FalseAlarmLimit(first | second, 0.5)]
    assert fit_limited_threshold(labels, scores, together) == pytest.approx(0.5)


def test_a_share_that_binary_numbers_miss_is_still_reached() -> None:
    labels = np.array([1] + [0] * 100)
    scores = np.linspace(1, 0, 101)
    threshold = fit_limited_threshold(labels, scores, everywhere(101, 0.07))
    assert (scores[labels == 0] >= threshold).sum() == 7


def test_no_text_is_flagged_together_with_a_harmless_one_of_the_same_score() -> None:
    labels, scores = np.array([1, 1, 0, 0]), np.array([1.0, 0.5, 0.5, 0.25])
    assert fit_limited_threshold(labels, scores, everywhere(4, 0.0)) == 0.75


@pytest.mark.parametrize(
    ("scores", "limits", "message"),
    [
        ([0.9, 0.5], [], "there is no limit"),
        ([0.9, 0.5], [FalseAlarmLimit(np.array([True, False]), 0.5)], "limit 1 is about no harm"),
        ([0.4, 0.5], everywhere(2, 0.5), "is above the score of any positive text"),
        ([1.0, 1.0], everywhere(2, 0.5), "is above the score of any positive text"),
    ],
)
def test_limits_that_cannot_be_met(
    scores: list[float], limits: list[FalseAlarmLimit], message: str
) -> None:
    with pytest.raises(LimitError, match=message):
        fit_limited_threshold(np.array([1, 0]), np.array(scores), limits)

"""How far scores can be read as probabilities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk

from dandelion.decision.calibration import IDENTITY
from dandelion.decision.policy import scores as scores_at
from dandelion.decision.reliability import (
    brier_score,
    calibration_error,
    log_loss,
    prior_weights,
    reliability,
    reliability_bins,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def calibrated(count: int, seed: int = 0) -> tuple[Floats, Integers]:
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.5, 0.5, count)
    return scores, (rng.random(count) < scores).astype(np.int64)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 1, width=32) | st.sampled_from([0.0, 0.5, 1.0]),
            st.integers(0, 1),
            st.sampled_from([0.5, 1.0, 3.0]),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_agrees_with_scikit_learn_and_with_itself(texts: list[tuple[float, int, float]]) -> None:
    scores, weights = np.array([[text[0], text[2]] for text in texts]).T
    labels = np.array([text[1] for text in texts])
    found = reliability(scores, labels, weights=weights)
    assert found.brier == pytest.approx(
        sk.brier_score_loss(labels, scores, sample_weight=weights, pos_label=1)
    )
    bounded = np.clip(scores, 2**-24, 1 - 2**-24)
    assert found.log_loss == pytest.approx(
        sk.log_loss(labels, bounded, sample_weight=weights, labels=[0, 1])
    )
    assert 0 <= found.ece <= 1
    assert sum(one.texts for one in found.bins) == found.texts == len(texts)
    assert len(found.bins) <= 15
    for one, following in zip(found.bins, found.bins[1:], strict=False):
        assert one.lowest <= one.highest < following.lowest
    for one in found.bins:
        assert one.lower <= one.share + 1e-9
        assert one.share <= one.upper + 1e-9 or len(set(weights)) > 1
        assert one.lowest - 1e-9 <= one.mean_score <= one.highest + 1e-9


def test_weights_are_repeated_texts() -> None:
    scores, labels = calibrated(300)
    weights = np.arange(300) % 3 + 1
    found = reliability(scores, labels, weights=weights.astype(np.float64))
    repeated = reliability(np.repeat(scores, weights), np.repeat(labels, weights))
    assert found.log_loss == pytest.approx(repeated.log_loss)
    assert found.brier == pytest.approx(repeated.brier)
    assert found.ece == pytest.approx(repeated.ece)
    assert [one.share for one in found.bins] == pytest.approx([one.share for one in repeated.bins])
    assert all(
        ours.upper - ours.lower > theirs.upper - theirs.lower  # copies are no evidence
        for ours, theirs in zip(found.bins, repeated.bins, strict=True)
        if 0 < ours.share < 1
    )


def test_bins_are_equally_full() -> None:
    scores, labels = calibrated(3000)
    bins = reliability_bins(scores, labels)
    assert [one.texts for one in bins] == [200] * 15
    one = bins[7]
    found = round(one.share * 200)
    interval = stats.binomtest(found, 200).proportion_ci(0.95, "exact")
    assert (one.lower, one.upper) == pytest.approx(tuple(interval))


def test_intervals_cover_the_mean_score_of_calibrated_scores() -> None:
    covered = [
        one.lower <= one.mean_score <= one.upper
        for seed in range(20)
        for one in reliability_bins(*calibrated(3000, seed))
    ]
    assert np.mean(covered) >= 0.93


def test_calibration_error_of_calibrated_and_shifted_scores() -> None:
    scores, labels = calibrated(60_000)
    assert calibration_error(scores, labels) < 0.01
    assert calibration_error(scores * 0.9, labels) == pytest.approx(0.05, abs=0.01)
    # Opposite errors of neighbours cancel only within a bin.
    labels = np.repeat([0, 1], 500)
    assert calibration_error(np.full(1000, 0.5), labels) == pytest.approx(0)
    assert calibration_error(np.where(labels, 0.4, 0.6), labels) == pytest.approx(0.6)


def test_corrected_scores_are_calibrated_at_another_prior() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(40_000) % 2
    logits = rng.normal(np.where(labels, 1.0, -1.0), 1.0).astype(np.float32) * 2  # at a prior of ½
    weights = prior_weights(labels, 0.05)
    assert weights @ labels / weights.sum() == pytest.approx(0.05)
    assert weights.mean() == pytest.approx(1)
    corrected = scores_at(logits, IDENTITY, 0.05)
    assert calibration_error(corrected, labels, weights=weights) < 0.005
    assert calibration_error(scores_at(logits, IDENTITY), labels, weights=weights) > 0.1
    assert calibration_error(corrected, labels) > 0.1


def test_scores_of_0_and_1_have_a_finite_loss() -> None:
    labels = np.array([0, 1])
    assert log_loss(np.array([1.0, 0.0]), labels) == pytest.approx(24 * np.log(2))
    assert log_loss(np.array([0.0, 1.0]), labels) == pytest.approx(0, abs=1e-6)
    assert brier_score(np.array([1.0, 0.0]), labels) == 1


def test_the_record_is_json() -> None:
    record = reliability(*calibrated(30)).to_json()
    assert set(record) == {"log_loss", "brier", "ece", "bins", "texts"}
    assert record["bins"][0]["texts"] == 2


@pytest.mark.parametrize(
    ("scores", "labels", "weights", "message"),
    [
        ([], [], None, "there is no text"),
        ([0.5], [0, 1], None, "differ in length"),
        ([0.5, 1.5], [0, 1], None, r"a score is not in \[0, 1\]"),
        ([0.5, np.nan], [0, 1], None, r"a score is not in \[0, 1\]"),
        ([0.5, 0.5], [0, 1], [1.0, 0.0], "a weight is not a positive number"),
        ([0.5, 0.5], [0, 1], [1.0], "differ in length"),
    ],
)
def test_refuses(
    scores: list[float], labels: list[int], weights: list[float] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        reliability(
            np.array(scores),
            np.array(labels, dtype=np.int64),
            weights=None if weights is None else np.array(weights),
        )


def test_a_prior_needs_both_labels() -> None:
    with pytest.raises(ValueError, match="texts of one label only"):
        prior_weights(np.array([1, 1]), 0.1)
    with pytest.raises(ValueError, match="the prior is 1"):
        prior_weights(np.array([0, 1]), 1)

"""Policies: from a choice to a threshold in the policy's own scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.decision.calibration import IDENTITY, Calibration
from dandelion.decision.evidence import Evidence
from dandelion.decision.operating_points import InfeasibleError, OperatingPointError, fit
from dandelion.decision.policy import Basis, PolicyChoice, PolicyError, resolve, scores

PLATT = Calibration("platt", 0.5, 0.5, 1.0)
BETA = Calibration("beta", 0.5, 2.0, -1.0)


def draw_evidence(texts: int = 4000, apart: float = 6.0) -> Evidence:
    """Return evidence of two sources, half of whose texts are positive."""
    rng = np.random.default_rng(0)
    labels = np.arange(texts) % 2
    logits = rng.normal(apart * (labels - 0.5), 2)
    return Evidence.of(logits, labels, np.arange(texts) // 2 % 2, ["sms", "tweets"])


EVIDENCE = draw_evidence()
BASIS = Basis.of(0.75, PLATT, EVIDENCE)


@pytest.mark.parametrize("calibration", [IDENTITY, PLATT, BETA])
@pytest.mark.parametrize("prior", [None, 0.001, 0.25])
@pytest.mark.parametrize("point", ["fpr<=0.02", "macro_f1", "recall>=0.9[sms]"])
def test_a_fitted_threshold_flags_the_texts_from_the_grid_point_on(
    calibration: Calibration, prior: float | None, point: str
) -> None:
    policy = resolve(PolicyChoice(point, prior), Basis.of(0.5, calibration, EVIDENCE))
    logit = fit(point, EVIDENCE, prior=prior).logit
    assert policy.operating_point == fit(point, EVIDENCE).point
    assert np.float32(policy.threshold) == policy.threshold
    logits = (logit + np.array([-0.05, -1e-3, 1e-3, 0.05])).astype(np.float32)
    flagged = policy.scores(logits) >= policy.threshold
    assert flagged.tolist() == [False, False, True, True]


@given(
    st.just(0) | st.floats(0.001, 0.999),
    st.sampled_from([IDENTITY, PLATT, BETA]),
    st.floats(0.01, 0.99),
)
def test_a_prior_alone_moves_scores_and_threshold_alike(
    threshold: float, calibration: Calibration, prior: float
) -> None:
    policy = resolve(PolicyChoice(prior=prior), Basis.of(threshold, calibration, None))
    logits = np.linspace(-9, 9, 181).astype(np.float32)
    own = scores(logits, calibration)
    # Not where rounding decides.
    clear = (np.abs(own - np.float32(threshold)) > 1e-5) & (policy.scores(logits) < 1)
    assert ((policy.scores(logits) >= policy.threshold) == (own >= threshold))[clear].all()
    assert not policy.names_decisions


@pytest.mark.parametrize("prior", [1e-300, 1e-7, 1 - 1e-9])
def test_a_prior_beyond_the_limits_is_refused(prior: float) -> None:
    with pytest.raises(PolicyError, match=r"expected a number from 0\.000001 to 0\.9999"):
        resolve(PolicyChoice(prior=prior), BASIS)


def test_a_prior_that_would_flag_every_text_or_none_is_refused() -> None:
    steep = Basis.of(1 - 1e-7, IDENTITY, None)
    with pytest.raises(PolicyError, match="float32"):
        resolve(PolicyChoice(prior=0.9999), steep)
    assert resolve(PolicyChoice(prior=0.9999), steep, threshold=0.5).threshold == 0.5


def test_scores_at_a_prior_are_those_of_bayes() -> None:
    policy = resolve(PolicyChoice(prior=0.01), BASIS)
    own = scores(np.array([1.5], np.float32), PLATT)[0].astype(np.float64)
    expected = own * 0.01 / (own * 0.01 + (1 - own) * 0.99)
    assert policy.scores(np.array([1.5], np.float32))[0] == pytest.approx(expected, rel=1e-6)


@given(st.floats(0, 1))
def test_a_policy_without_point_and_prior_keeps_the_threshold_exactly(threshold: float) -> None:
    assert resolve(PolicyChoice(), Basis.of(threshold, BETA, None)).threshold == threshold


def test_an_own_calibration_keeps_the_boundary() -> None:
    policy = resolve(PolicyChoice(), BASIS.on(BETA, EVIDENCE), name="teens")
    logits = np.linspace(-9, 9, 181).astype(np.float32)
    assert policy.names_decisions
    np.testing.assert_array_equal(
        policy.scores(logits) >= policy.threshold, scores(logits, PLATT) >= 0.75
    )
    # A file of too few texts has evidence alone.
    assert resolve(PolicyChoice(), BASIS.on(None, EVIDENCE)).threshold == 0.75


def test_a_threshold_is_one_of_scores_at_the_prior() -> None:
    assert resolve(PolicyChoice(prior=0.01), BASIS, threshold=0.25).threshold == 0.25


def test_the_review_band_is_below_the_threshold() -> None:
    policy = resolve(PolicyChoice("fpr<=0.01", review="fpr<=0.1"), BASIS)
    assert policy.review is not None
    assert policy.review < policy.threshold
    assert policy.review == resolve(PolicyChoice("fpr<=0.1"), BASIS).threshold
    same = resolve(PolicyChoice("fpr<=0.1", review="fpr<=0.1"), BASIS)
    assert same.review == same.threshold


@pytest.mark.parametrize(
    ("choice", "basis", "error", "message"),
    [
        (
            PolicyChoice("fpr<=0.1", review="fpr<=0.01"),
            BASIS,
            PolicyError,
            "the review point 'fpr<=0.01' begins at a score of .* above the threshold",
        ),
        (PolicyChoice("f1"), Basis.of(0.5, PLATT, None), PolicyError, "no evidence"),
        (PolicyChoice(review="f1"), Basis.of(0.5, PLATT, None), PolicyError, "no evidence"),
        (PolicyChoice(prior=0.1), Basis.of(0.5, None, EVIDENCE), PolicyError, "not calibrated"),
        (PolicyChoice(prior=1.0), BASIS, PolicyError, "expected a number from 0.000001 to 0.9999"),
        (PolicyChoice("fpr<=0.00001"), BASIS, InfeasibleError, "cannot be promised"),
        (PolicyChoice("fpr<0.1"), BASIS, OperatingPointError, "expected"),
        (PolicyChoice("fpr<=0.1[mail]"), BASIS, OperatingPointError, "unknown source"),
    ],
)
def test_what_cannot_be_resolved(
    choice: PolicyChoice, basis: Basis, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        resolve(choice, basis)


def test_equal_scores_are_no_threshold() -> None:
    steep = Basis.of(0.5, Calibration("platt", 8.0, 8.0, 0.0), EVIDENCE)
    assert fit("fpr<=0.005", EVIDENCE).logit > 2.5  # where scores of 1 begin
    with pytest.raises(InfeasibleError, match="cannot be promised"):
        resolve(PolicyChoice("fpr<=0.005"), steep)
    assert resolve(PolicyChoice("fpr<=0.005", prior=1e-5), steep).threshold < 1


def test_points_need_no_calibration() -> None:
    policy = resolve(PolicyChoice("fpr<=0.02"), Basis.of(0.5, None, EVIDENCE))
    assert policy.calibration == IDENTITY


def test_a_threshold_of_zero_flags_everything_at_every_prior() -> None:
    steep = Calibration("platt", 50.0, 50.0, 0.0)  # scores of the lowest grid points are 0
    policy = resolve(PolicyChoice(prior=0.01), Basis.of(0.0, steep, None))
    lowest = policy.scores(np.array([-1e3], dtype=np.float32))
    assert float(lowest[0]) >= policy.threshold

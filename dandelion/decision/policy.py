"""Policies: how a team decides with a model, as configured and as fitted on evidence."""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from . import operating_points
from .calibration import IDENTITY, PRIORS, REFERENCE_PRIOR, Calibration, is_prior
from .evidence import GRID, Evidence
from .operating_points import FittedPoint
from .score_thresholds import separable


class PolicyError(ValueError):
    """A policy asks for what the artifact cannot give, or contradicts itself."""


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """A policy as configured, in serving.toml or in Python.

    Attributes:
        operating_point: in the grammar of `operating_points`; None for the artifact's threshold.
        prior: the share of positive texts in the traffic, in (0, 1): corrects scores and is the
            prior of points that name none; None for the reference prior, without correction.
        review: an operating point: texts below the threshold that reach this one are for review;
            None for no band.
        calibration: file that `dandelion evaluate` wrote, with calibration and evidence of your
            own traffic; None for the artifact's.
        threshold: of scores at the prior, in [0, 1], in place of an operating point.
        review_threshold: the lower end of the review band, likewise, in place of ``review``.
    """

    operating_point: str | None = None
    prior: float | None = None
    review: str | None = None
    calibration: str | None = None
    threshold: float | None = None
    review_threshold: float | None = None

    @property
    def takes_prior(self) -> bool:
        """Whether a request may bring a prior: its numbers would be of other scores."""
        numbers = (self.prior, self.threshold, self.review_threshold)
        return all(number is None for number in numbers)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy ready to decide.

    Attributes:
        name: of the policy; None for one of a request alone.
        operating_point: what the threshold was fitted to; None if a number was given.
        threshold: positive at ``score >= threshold``.
        review: the lower end of the review band, ``review <= score < threshold``; None for none.
        prior: that scores are corrected to (Saerens, Latinne & Decaestecker 2002, eq. 4); None for
            the reference prior, without correction.
        calibration: of the logits.
    """

    name: str | None
    operating_point: str | None
    threshold: float
    review: float | None
    prior: float | None
    calibration: Calibration

    @property
    def names_decisions(self) -> bool:
        """Whether results carry a decision: with a policy or an operating point in force."""
        return self.name is not None or self.operating_point is not None

    def scores(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated scores at the policy's prior, float32[n], of uncalibrated logits."""
        return scores(logits, self.calibration, _or_reference(self.prior))


def scores(
    logits: NDArray[np.floating[Any]], calibration: Calibration, prior: float = REFERENCE_PRIOR
) -> NDArray[np.float32]:
    """Return the probability of the positive label at a prior, float32[n], of uncalibrated logits.

    Raises:
        ValueError: the prior is not in (0, 1).
    """
    if not 0 < prior < 1:
        raise ValueError(f"the prior is {prior}; expected a number between 0 and 1")
    shifted = calibration.logits(logits) + np.log(prior / (1 - prior))
    found: NDArray[np.float32] = (1 / (1 + np.exp(-np.clip(shifted, -700, 700)))).astype(np.float32)
    return found


@dataclass(frozen=True, slots=True)
class Basis:
    """What the policies of an artifact are resolved on.

    Attributes:
        boundary: the logit at which the artifact's own threshold lies, uncalibrated.
        threshold: the artifact's own threshold of scores; None where they are calibrated by
            something else.
        calibration: of the logits; None if scores are not calibrated.
        evidence: held-out logits; None if there are none.
    """

    boundary: float
    threshold: float | None
    calibration: Calibration | None
    evidence: Evidence | None

    @classmethod
    def of(
        cls, threshold: float, calibration: Calibration | None, evidence: Evidence | None
    ) -> Self:
        """Return the basis of an artifact with two labels.

        Args:
            threshold: its own, in [0, 1].
            calibration: its own, if any.
            evidence: its own, if any.
        """
        boundary = _boundary(threshold, calibration or IDENTITY)
        return cls(boundary, threshold, calibration, evidence)

    def on(self, calibration: Calibration | None, evidence: Evidence) -> "Basis":
        """Return the same boundary with the evidence of a policy file.

        Args:
            calibration: the file's; None for the artifact's.
            evidence: the file's.
        """
        if calibration is None:
            return replace(self, evidence=evidence)
        return Basis(self.boundary, None, calibration, evidence)


def resolve(
    choice: PolicyChoice,
    basis: Basis,
    *,
    name: str | None = None,
    threshold: float | None = None,
) -> Policy:
    """Fit a policy.

    Args:
        choice: as configured. Its ``calibration`` is not read here, see `Basis.on`.
        basis: what it is fitted on.
        name: of the policy, if it has one.
        threshold: of scores at the policy's prior, instead of an operating point.

    Raises:
        PolicyError: there is no evidence or no calibration for it, the review point is stricter
            than the threshold, or the prior moves all scores to 0 or 1.
        InfeasibleError: no threshold can be promised for one of its operating points.
        OperatingPointError: one of them is not in the grammar, or names an unknown source.

    Example:
        >>> basis = Basis.of(0.5, Calibration("temperature", 1.0, 1.0, 0.0), None)
        >>> policy = resolve(PolicyChoice(prior=0.01), basis)
        >>> round(policy.threshold, 6)  # the same texts are positive
        0.01
    """
    if choice.prior is not None:
        if basis.calibration is None:
            raise PolicyError(
                "a prior corrects probabilities, but the scores of this artifact are not "
                "calibrated; train it again, or leave the prior out"
            )
        if not is_prior(choice.prior):
            raise PolicyError(f"the prior is {choice.prior}; expected {PRIORS}")
    calibration, prior = basis.calibration or IDENTITY, _or_reference(choice.prior)
    point = None
    threshold = choice.threshold if threshold is None else threshold
    if threshold is None and choice.operating_point is not None:
        fitted = fit_point(choice.operating_point, basis, choice.prior)
        point, threshold = fitted.point, score_at(fitted.logit, calibration, prior)
    elif threshold is None and choice.prior is None and basis.threshold is not None:
        threshold = basis.threshold
    elif threshold is None:
        threshold = score_at(basis.boundary, calibration, prior)
        below = score_at(basis.boundary - 1, calibration, prior)  # texts that must not be flagged
        if choice.prior is not None and math.isfinite(basis.boundary) and threshold == below:
            raise PolicyError(
                f"a prior of {choice.prior:g} moves the scores so close to {threshold:g} that they "
                "are not distinct in float32; expected one closer to 0.5, or a threshold"
            )
    policy = Policy(name, point, threshold, None, choice.prior, calibration)
    if choice.review_threshold is not None:
        return with_review_threshold(policy, choice.review_threshold)
    return policy if choice.review is None else with_review(policy, choice.review, basis)


def with_review(policy: Policy, review: str, basis: Basis) -> Policy:
    """Return a policy with a review band.

    Args:
        policy: without one, resolved on ``basis``.
        review: the operating point of its lower end.
        basis: what it is fitted on.

    Raises:
        PolicyError, InfeasibleError, OperatingPointError: see `resolve`.
    """
    logit = fit_point(review, basis, policy.prior).logit
    lower = score_at(logit, policy.calibration, _or_reference(policy.prior))
    if lower > policy.threshold:
        raise PolicyError(
            f"the review point {review!r} begins at a score of {lower:.4g}, above the threshold "
            f"{policy.threshold:.4g}; expected a looser one"
        )
    return replace(policy, review=lower)


def with_review_threshold(policy: Policy, lower: float) -> Policy:
    """Return a policy with a review band that begins at a score.

    Raises:
        PolicyError: that is above the threshold.
    """
    if lower > policy.threshold:
        raise PolicyError(
            f"the review threshold {lower:.4g} is above the threshold {policy.threshold:.4g}; "
            "expected a lower one"
        )
    return replace(policy, review=lower)


def lowest_logit(threshold: float, calibration: Calibration, prior: float | None) -> float:
    """Return the lowest logit of the grid that a threshold of scores flags; infinite beyond it.

    Args:
        threshold: of scores at the prior.
        calibration: of the logits, which are uncalibrated.
        prior: None for the reference prior.
    """
    on_grid = scores(GRID, calibration, _or_reference(prior)).astype(np.float64)
    at = int(np.searchsorted(on_grid, threshold))
    return float(GRID[at]) if at < len(GRID) else math.inf


def score_at(logit: float, calibration: Calibration, prior: float = REFERENCE_PRIOR) -> float:
    """Return the score of an uncalibrated logit, a float32: what a threshold there is."""
    return float(scores(np.array([logit]), calibration, prior)[0])


def fit_point(point: str, basis: Basis, prior: float | None) -> FittedPoint:
    """Fit an operating point among the grid points whose scores at a prior can be thresholds.

    Raises:
        PolicyError: there is no evidence.
        InfeasibleError: no threshold can be promised for it.
        OperatingPointError: it is not in the grammar, or names an unknown source.
        ValueError: the prior is not in (0, 1).
    """
    if basis.evidence is None:
        raise PolicyError(
            "this artifact has no evidence (held-out scores), so operating points cannot be fitted "
            "on it; give a threshold, or a policy file of your own texts"
        )
    grid = scores(GRID, basis.calibration or IDENTITY, _or_reference(prior))
    return operating_points.fit(point, basis.evidence, prior=prior, among=separable(grid))


def _or_reference(prior: float | None) -> float:
    return REFERENCE_PRIOR if prior is None else prior


def _boundary(threshold: float, calibration: Calibration) -> float:
    """Return the uncalibrated logit of a score: the point of the grid if it is one's, else near it.

    A fitted threshold is a float32. Close to 0 and 1 it has too few digits to be inverted.
    """
    if threshold <= 0:  # flags everything, also below the grid
        return -math.inf
    at = np.flatnonzero(scores(GRID, calibration) == np.float32(threshold))
    if len(at):
        return float(GRID[at[0]])
    if threshold >= 1:
        return math.inf
    wanted = math.log(threshold / (1 - threshold))
    if calibration.a == calibration.b:
        return (wanted - calibration.c) / calibration.a
    low, high = -1e6, 1e6
    for _ in range(100):  # bisection, to the last bit
        middle = (low + high) / 2
        if calibration.logits(np.array([middle]))[0] < wanted:
            low = middle
        else:
            high = middle
    return high

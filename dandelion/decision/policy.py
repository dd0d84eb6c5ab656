"""Policies: how a team decides with a model, as configured and as fitted on evidence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .calibration import REFERENCE_PRIOR, Calibration


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """A policy as configured, in serving.toml or in Python.

    Attributes:
        operating_point: in the grammar of `operating_points`; None for the artifact's threshold.
        prior: the share of positive texts in the traffic, in (0, 1): corrects scores and is the
            prior of points that name none; None for the reference prior, without correction.
        review: an operating point: texts below the threshold that reach this one are for review;
            None for no band.
        calibration: file that `dandelion evaluate` wrote, with calibration and evidence of one's
            own traffic; None for the artifact's.
    """

    operating_point: str | None = None
    prior: float | None = None
    review: str | None = None
    calibration: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy ready to decide.

    Attributes:
        name: of the policy; None for one of a request alone.
        operating_point: what the threshold was fitted to; None if a number was given.
        threshold: positive at ``score >= threshold``.
        review: the lower end of the review band, ``review <= score < threshold``; None for none.
        prior: that scores are corrected to (Saerens, Latinne & Decaestecker 2002, eq. 4).
        calibration: of the logits.
    """

    name: str | None
    operating_point: str | None
    threshold: float
    review: float | None
    prior: float
    calibration: Calibration

    def scores(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated scores at the policy's prior, float32[n], of uncalibrated logits."""
        return scores(logits, self.calibration, self.prior)


def scores(
    logits: NDArray[np.float32], calibration: Calibration, prior: float = REFERENCE_PRIOR
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

"""What traffic is expected to look like: the distributions that a model's held-out texts have.

A share of 13 % spam is nobody's traffic. So the texts of the two labels are weighted by the share
of positive texts that is expected: the prior of a policy, or the share in the user's own texts of
its policy file; else the share in the evidence of the artifact.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .decision import buckets
from .decision.calibration import IDENTITY, REFERENCE_PRIOR, Calibration
from .decision.evidence import GRID, Evidence
from .decision.policy import Basis, Policy
from .reference_file import ContentCounts

Weighting = Literal["training", "prior", "policy_file"]
"""Which texts are the reference: the artifact's held-out ones, as they are or weighted by a prior;
or the user's own, of a policy file."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Expected shares; None where they are not known.

    Attributes:
        weighting: which texts, in which proportion.
        scores: float64[21], of the buckets of `buckets.SCORES` and beyond.
        positive: of texts that get the positive label.
        words: float64[15], of `buckets.WORDS` and beyond.
        unknown: float64[11], of `buckets.UNKNOWN` and beyond, of texts with words.
    """

    weighting: Weighting
    scores: Floats | None = None
    positive: float | None = None
    words: Floats | None = None
    unknown: Floats | None = None

    @property
    def no_content(self) -> float | None:
        """The share of texts without words."""
        return None if self.words is None else float(self.words[0])


def reference_of(
    basis: Basis | None,
    policy: Policy | None,
    content: ContentCounts | None = None,
    *,
    is_own: bool = False,
) -> Reference:
    """Return what is expected of the traffic that one policy decides on.

    Args:
        basis: what the policy is fitted on; None for more than two labels.
        policy: the default one; None for the artifact's threshold.
        content: of the artifact's held-out texts; None if it has no ``reference.json``.
        is_own: whether the basis is of a policy file. Its texts have no counts of words.
    """
    prior = None if policy is None else policy.prior
    weighting: Weighting = "policy_file" if is_own else "training" if prior is None else "prior"
    words = unknown = None
    if content is not None and not is_own:
        words, unknown = content.shares(None if prior is None else np.array([1 - prior, prior]))
    if basis is None or basis.evidence is None:
        return Reference(weighting, words=words, unknown=unknown)
    logits = weighted(basis.evidence, prior)
    if policy is None:
        boundary = basis.boundary
        scores = score_shares(logits, basis.calibration or IDENTITY, REFERENCE_PRIOR)
    else:
        shown = REFERENCE_PRIOR if prior is None else prior
        boundary = _logit_of(policy.threshold, policy.calibration, shown)
        scores = score_shares(logits, policy.calibration, shown)
    positive = float(1 - _share_below(logits, np.array([boundary]))[0])
    return Reference(weighting, scores, positive, words, unknown)


def weighted(evidence: Evidence, prior: float | None) -> Floats:
    """Return the share of texts in each cell of the evidence's grid, float64[602].

    Args:
        evidence: of texts of two classes.
        prior: the share of positive texts; None for that of the evidence.
    """
    weights = evidence.weights or {}
    table = np.sum(
        [weights.get(source, 1.0) * counts for source, counts in evidence.counts.items()], axis=0
    )
    if prior is not None:
        table = table / np.maximum(table.sum(axis=1, keepdims=True), 1e-300)
        table = table * np.array([[1 - prior], [prior]])
    total: Floats = table.sum(axis=0) / table.sum()
    return total


def score_shares(logits: Floats, calibration: Calibration, prior: float) -> Floats:
    """Return the share of each bucket of scores, float64[21].

    Args:
        logits: float64[602], shares of the cells of uncalibrated logits. In a cell they count as
            spread evenly.
        calibration: of the logits.
        prior: that the scores are corrected to.
    """
    inner = np.array(buckets.SCORES[:-1])
    edges = np.array([_logit_of(bound, calibration, prior) for bound in inner])
    below = np.concatenate([[0.0], _share_below(logits, edges), [1.0, 1.0]])
    found: Floats = np.diff(below)
    return found


def _logit_of(score: float, calibration: Calibration, prior: float) -> float:
    """Return the uncalibrated logit of a score, within the grid: ±inf beyond it."""
    if not 0 < score < 1:
        return -np.inf if score <= 0 else np.inf
    shown = calibration.logits(GRID) + np.log(prior / (1 - prior))
    wanted = np.log(score / (1 - score))
    return float(np.interp(wanted, shown, GRID, left=-np.inf, right=np.inf))


def _share_below(logits: Floats, edges: Floats) -> Floats:
    """Return the share of texts whose logit is below each edge, float64[edges]."""
    below = np.cumsum(logits)[:-1]  # at each point of the grid
    found: Floats = np.interp(edges, GRID, below, left=0.0, right=1.0)
    return found


def as_cumulative(shares: Floats) -> list[float]:
    """Return the shares at or below each bound, the last of them 1."""
    cumulative: Any = np.minimum(np.cumsum(shares), 1.0)
    cumulative[-1] = 1.0
    return [float(share) for share in cumulative]

"""Estimate the share of positive texts among unlabelled ones, by their scores alone.

If only the base rate differs from the held-out texts (label shift), unlabelled logits are a mixture
π p + (1 − π) q of the held-out distributions: p of positive texts, q of harmless ones. The estimate
of π is the fixed point of the EM algorithm of Saerens, Latinne & Decaestecker (2002, eq. 2.13 and
following) on binned logits, that is, their maximum likelihood. It is found by bisection, since the
likelihood is concave in π.

Whether the logits are such a mixture can be tested, and is: where they are not, the estimate means
nothing, however many texts there are. A test can miss it: few texts, or a change of the texts that
looks like a change of the base rate.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .evidence import CELLS, Counts, Evidence, cells

DRAWS: Final = 2000
CONFIDENCE: Final = 0.95
LEAST_P: Final = 0.01
LEAST_TEXTS: Final = 50
"""Unlabelled texts, and held-out ones of either class."""

_MAX_BINS: Final = 15
_TEXTS_PER_BIN: Final = 20  # of the rarer class, on average
_BISECTIONS: Final = 30  # to about 1e-9

Floats = NDArray[np.float64]


class NotEstimableError(ValueError):
    """The share of positive texts cannot be estimated from scores.

    Attributes:
        p_value: of the test that the scores are a mixture; None if there are too few texts for it.
    """

    def __init__(self, message: str, p_value: float | None = None) -> None:
        super().__init__(message)
        self.p_value = p_value


@dataclass(frozen=True, slots=True)
class PriorEstimate:
    """The estimated share of positive texts; it holds if only the base rate differs.

    Attributes:
        estimate: in [0, 1].
        lower: of the 95 % interval.
        upper: of the 95 % interval.
        p_value: of the test that the scores are a mixture of the two held-out distributions.
        texts: unlabelled, that it is estimated on.
    """

    estimate: float
    lower: float
    upper: float
    p_value: float
    texts: int


def estimate_prior(  # noqa: PLR0913
    evidence: Evidence,
    logits: NDArray[np.floating[Any]],
    *,
    where: str | None = None,
    draws: int = DRAWS,
    least_p: float = LEAST_P,
    seed: int = 0,
) -> PriorEstimate:
    """Estimate the share of positive texts.

    The grid of the evidence is merged into at most 15 bins that are equally full of the two
    distributions' average. The interval is that of the percentiles of a bootstrap that redraws
    held-out and unlabelled texts together. The test compares observed and fitted shares of the
    bins by Σ (difference)² / variance, with the sampling error of the held-out texts in the
    variance; its distribution is simulated under the fitted mixture, held-out texts redrawn.

    No calibration is needed: a strictly increasing map changes neither bins nor counts.

    Args:
        evidence: held-out texts, one per group of near copies.
        logits: float[n], uncalibrated, of unlabelled texts. Copies count each time.
        where: a source of the evidence or a group of them; None for all.
        draws: of the bootstrap, and of the simulation.
        least_p: below this p-value there is no estimate; 0 for one in any case.
        seed: of both.

    Raises:
        NotEstimableError: the scores are no such mixture, or there are too few texts.
        ValueError: a logit is NaN, or the evidence has no such source.
    """
    if np.isnan(logits).any():
        raise ValueError("a logit is NaN")
    strata, weights = _strata(evidence, where)
    _check_numbers(strata.sum(axis=(0, 2)), len(logits))
    numbers = _effective_numbers(strata, weights)
    starts = _bins(np.tensordot(weights, strata, axes=1), int(min(numbers)))
    strata = np.add.reduceat(strata, starts, axis=-1)
    mixed = np.add.reduceat(np.bincount(cells(logits), minlength=CELLS), starts)

    harmless, positive = np.tensordot(weights, strata, axes=1)
    fitted = _Mixture.of(harmless, positive, mixed, numbers)
    rng = np.random.default_rng(seed)
    lower, upper = _interval(rng, fitted, strata, weights, mixed, draws)
    p_value = _p_value(rng, fitted, draws)
    if p_value < least_p:
        raise NotEstimableError(
            "not estimable: the scores of these texts are not a mixture of the scores of held-out "
            f"harmless and positive texts (p = {p_value:.2g}), so more than the base rate differs. "
            "Label fifty to two hundred of the texts instead",
            p_value,
        )
    return PriorEstimate(float(fitted.prior), lower, upper, p_value, len(logits))


def _interval(  # noqa: PLR0913, PLR0917
    rng: np.random.Generator,
    fitted: "_Mixture",
    strata: Counts,
    weights: Floats,
    mixed: Counts,
    draws: int,
) -> tuple[float, float]:
    """Redraw held-out and unlabelled texts; return the percentiles of the priors that fit them."""
    harmless, positive, texts = fitted.numbers
    again = _redrawn(rng, strata, weights, draws)
    # Half a text of either class is added: else a sample without any positive text would leave no
    # doubt that there are none.
    padded = mixed + (fitted.harmless + fitted.positive) / 2
    mixed_again = rng.multinomial(texts, padded / padded.sum(), draws)
    priors = _Mixture.of(again[:, 0], again[:, 1], mixed_again, (harmless, positive)).prior
    tails = (1 - CONFIDENCE) / 2 * 100
    lower, upper = np.percentile(priors, [tails, 100 - tails]).tolist()
    return lower, upper


def _p_value(rng: np.random.Generator, fitted: "_Mixture", draws: int) -> float:
    """Return how often texts that are such a mixture are as far from their fit as these are."""
    harmless, positive, texts = fitted.numbers
    simulated = _Mixture.of(
        rng.multinomial(round(harmless), fitted.harmless, draws),
        rng.multinomial(round(positive), fitted.positive, draws),
        rng.multinomial(texts, fitted.shares(), draws),
        (harmless, positive),
    )
    larger = np.count_nonzero(simulated.distances() >= fitted.distances())
    return float(1 + larger) / (1 + draws)


@dataclass(frozen=True, slots=True)
class _Mixture:
    """Mixtures fitted to counts; the leading axis, if there is one, is that of the draws.

    Attributes:
        harmless: float64[…, bins], the share of harmless texts in each bin.
        positive: float64[…, bins], likewise.
        observed: float64[…, bins], of the unlabelled texts.
        numbers: of harmless and positive texts, see `_effective_numbers`, and of unlabelled ones.
        prior: float64[…], the fitted weight of ``positive``.
    """

    harmless: Floats
    positive: Floats
    observed: Floats
    numbers: tuple[float, float, int]
    prior: Floats

    @classmethod
    def of(
        cls,
        harmless: NDArray[Any],
        positive: NDArray[Any],
        mixed: Counts,
        numbers: tuple[float, float],
    ) -> "_Mixture":
        """Fit to counts, […, bins] each; those of the held-out texts may be weighted."""
        q, p = _smoothed(harmless, numbers[0]), _smoothed(positive, numbers[1])
        total = int(mixed.reshape(-1, mixed.shape[-1])[0].sum())
        observed = mixed / total
        return cls(q, p, observed, (*numbers, total), _most_likely(q, p, observed))

    def shares(self) -> Floats:
        """Return the shares of the bins that the fit expects, float64[…, bins]."""
        prior = self.prior[..., None]
        mixed: Floats = prior * self.positive + (1 - prior) * self.harmless
        return mixed

    def distances(self) -> Floats:
        """Return how far the observed shares are from the expected ones, float64[…]."""
        prior, expected = self.prior[..., None], self.shares()
        harmless, positive, unlabelled = self.numbers
        variance = (
            expected / unlabelled
            + prior**2 * self.positive / positive
            + (1 - prior) ** 2 * self.harmless / harmless
        )
        found: Floats = np.sum((self.observed - expected) ** 2 / variance, axis=-1)
        return found


def _most_likely(harmless: Floats, positive: Floats, observed: Floats) -> Floats:
    """Return the weight of ``positive`` with the highest likelihood, float64[…]."""
    difference = positive - harmless
    lower = np.zeros(observed.shape[:-1])
    upper = np.ones_like(lower)
    for _ in range(_BISECTIONS):
        middle = (lower + upper) / 2
        slope = np.sum(observed * difference / (harmless + middle[..., None] * difference), axis=-1)
        rises = slope > 0
        lower, upper = np.where(rises, middle, lower), np.where(rises, upper, middle)
    found: Floats = (lower + upper) / 2
    return found


def _strata(evidence: Evidence, where: str | None) -> tuple[Counts, Floats]:
    """Return counts, int64[strata, 2, 602], and how many messages a text stands for, by stratum.

    Without weights, the sources together are one stratum.
    """
    weights = evidence.weights
    if weights is None:
        return evidence.total(where)[None], np.ones(1)
    sources = evidence.sources_of(where)
    counts = np.stack([evidence.counts[source] for source in sources])
    return counts, np.array([weights[source] for source in sources])


def _effective_numbers(strata: Counts, weights: Floats) -> tuple[float, float]:
    """Return how many equally weighted texts of either class would err as much (Kish 1965)."""
    numbers = strata.sum(axis=-1)  # [strata, 2]
    harmless, positive = ((weights @ numbers) ** 2 / (weights**2 @ numbers)).tolist()
    return harmless, positive


def _redrawn(rng: np.random.Generator, strata: Counts, weights: Floats, draws: int) -> Floats:
    """Redraw the texts of each stratum, classes together; weighted, float64[draws, 2, bins]."""
    again = np.zeros((draws, 2, strata.shape[-1]))
    for counts, weight in zip(strata, weights, strict=True):
        total = counts.sum()
        if total:
            drawn = rng.multinomial(total, counts.ravel() / total, draws)
            again += weight * drawn.reshape(draws, 2, -1)
    return again


def _smoothed(counts: NDArray[Any], number: float) -> Floats:
    """Return shares, float64[…, bins], none of them 0: half a text is added to each bin."""
    totals = np.maximum(counts.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    padded = counts / totals * number + 0.5
    shares: Floats = padded / padded.sum(axis=-1, keepdims=True)
    return shares


def _bins(held_out: Floats, texts: int) -> Counts:
    """Return the first cell of each bin, int64[bins].

    Args:
        held_out: float64[2, 602], weighted counts.
        texts: of the rarer class.
    """
    bins = min(max(texts // _TEXTS_PER_BIN, 2), _MAX_BINS)
    below = np.cumsum((held_out / held_out.sum(axis=1, keepdims=True)).mean(axis=0))
    inner = np.searchsorted(below, np.arange(1, bins) / bins) + 1
    return np.unique(np.concatenate([[0], inner[inner < CELLS]]))


def _check_numbers(held_out: Counts, unlabelled: int) -> None:
    for number, kind in (
        (int(held_out[0]), "held-out harmless texts"),
        (int(held_out[1]), "held-out positive texts"),
        (unlabelled, "unlabelled texts"),
    ):
        if number < LEAST_TEXTS:
            raise NotEstimableError(
                f"not estimable: there are {number} {kind}, and it takes at least {LEAST_TEXTS}"
            )

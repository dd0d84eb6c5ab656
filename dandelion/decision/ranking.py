"""How well scores rank: AUROC and average precision, with intervals that hold near 1.

For a random sample of texts, the intervals are closed formulas, so that scores that separate a few
texts perfectly do not pass for certain. For a sample that is stratified by score they would be too
short: where a stratum of many messages shows no positive text, it may have some all the same. So
they are widened to what such samples may have missed, or found by chance.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .intervals import Interval

Z: Final = 1.959964  # two-sided 95 %
DRAWS: Final = 400
_ROUNDS: Final = 60
_ROUNDING: Final = 1e-9
_BLOCK: Final = 2**20  # numbers at a time

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def auroc(logits: NDArray[np.floating[Any]], labels: Integers, weights: Floats) -> float:
    """Return the share of pairs of a positive and a harmless text in the right order.

    Args:
        logits: float[n]; equal ones count half.
        labels: int64[n] of 0 and 1, both present.
        weights: float64[n], messages that each text stands for.
    """
    return float(_auroc(*_by_logit(logits, labels, weights)))


def average_precision(
    logits: NDArray[np.floating[Any]], labels: Integers, weights: Floats
) -> float:
    """Return the mean precision at the thresholds of positive texts; arguments as `auroc`."""
    return float(_average_precision(*_by_logit(logits, labels, weights)))


def _by_logit(
    logits: NDArray[np.floating[Any]], labels: Integers, weights: Floats
) -> tuple[Floats, Floats]:
    """Return the weight of positive and of harmless texts at each logit, ascending."""
    values, at = np.unique(logits, return_inverse=True)
    positive, harmless = (
        np.bincount(at, weights * (labels == label), len(values)).astype(np.float64)
        for label in (1, 0)
    )
    return positive, harmless


def _auroc(positive: Floats, harmless: Floats) -> Floats:
    """Return the AUROC of weights by logit, ascending: float64[…] from float64[…, n]."""
    below = np.cumsum(harmless, axis=-1) - harmless / 2
    pairs = positive.sum(axis=-1) * harmless.sum(axis=-1)
    area: Floats = np.sum(positive * below, axis=-1) / pairs
    return area


def _average_precision(positive: Floats, harmless: Floats) -> Floats:
    """Return the average precision; shapes as `_auroc`."""
    descending = positive[..., ::-1]
    found = np.cumsum(descending, axis=-1)
    flagged = np.cumsum((positive + harmless)[..., ::-1], axis=-1)
    precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
    average: Floats = np.sum(descending * precision, axis=-1) / positive.sum(axis=-1)
    return average


def ranking(
    logits: NDArray[np.floating[Any]],
    labels: Integers,
    weights: Floats | None = None,
    strata: Integers | None = None,
    seed: int = 0,
) -> tuple[Interval, Interval]:
    """Return AUROC and average precision with 95 % intervals.

    That of the AUROC is Newcombe's (2006, "Confidence intervals for an effect size measure based on
    the Mann-Whitney statistic, part 2", method 5); that of average precision is Wilson's of as many
    trials as there are positive texts (Boyd, Eng & Page 2013 take the binomial's). Unequal weights
    make texts worth fewer (Kish's effective number).

    Args:
        logits: float[n], one text per group of near copies.
        labels: int64[n] of 0 and 1, both present.
        weights: float64[n], messages that each text stands for; None for 1 each.
        strata: int64[n], with weights, each text's stratum.
        seed: of the widening, with weights.
    """
    each = np.ones(len(labels)) if weights is None else weights
    area = auroc(logits, labels, each)
    average = average_precision(logits, labels, each)
    positives, negatives = (_effective(each[labels == label]) for label in (1, 0))
    area_ends = _newcombe(area, positives, negatives)
    average_ends = _wilson(average, positives)
    if weights is not None and strata is not None:
        rng = np.random.default_rng(seed)
        # Half a text more of either class for the lower end, none for the upper one.
        low = np.quantile(_drawn(logits, labels, weights, strata, rng, (0.5, 0.5)), 0.025, axis=0)
        high = np.quantile(_drawn(logits, labels, weights, strata, rng, (0.0, 0.5)), 0.975, axis=0)
        area_ends = min(area_ends[0], float(low[0])), max(area_ends[1], float(high[0]))
        average_ends = min(average_ends[0], float(low[1])), max(average_ends[1], float(high[1]))
    return Interval(area, *area_ends), Interval(average, *average_ends)


def _effective(weights: Floats) -> float:
    return float(weights.sum() ** 2 / (weights**2).sum())


def _newcombe(area: float, positives: float, negatives: float) -> tuple[float, float]:
    """Return between which truths the estimate is within `Z` standard errors of them."""
    half = (positives + negatives) / 2 - 1

    def is_near(truth: float) -> bool:
        spread = 1 + half * ((1 - truth) / (2 - truth) + truth / (1 + truth))
        variance = truth * (1 - truth) * max(spread, 0) / (positives * negatives)
        return (area - truth) ** 2 <= Z**2 * variance

    ends = []
    for outer in (0.0, 1.0):
        near, far = area, outer
        for _ in range(_ROUNDS):
            middle = (near + far) / 2
            if is_near(middle):
                near = middle
            else:
                far = middle
        ends.append(near)
    return ends[0], ends[1]


def _wilson(share: float, trials: float) -> tuple[float, float]:
    center = share + Z**2 / (2 * trials)
    spread = Z * np.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    scale = 1 + Z**2 / trials
    return max(0.0, float((center - spread) / scale)), min(1.0, float((center + spread) / scale))


def _drawn(  # noqa: PLR0913, PLR0917
    logits: NDArray[np.floating[Any]],
    labels: Integers,
    weights: Floats,
    strata: Integers,
    rng: np.random.Generator,
    added: tuple[float, float],
) -> Floats:
    """Draw AUROC and average precision again, float64[draws, 2].

    The positive share of each stratum that was not drawn as a whole is drawn from the beta
    distribution of k + ``added[0]`` positive and n − k + ``added[1]`` harmless texts; its texts get
    random weights (Rubin 1981, "The Bayesian bootstrap"). Where a stratum shows no text of a class,
    such texts lie as all texts of it do.
    """
    found = []
    order = np.argsort(logits, kind="stable")
    left = DRAWS
    while left:
        draws = min(left, max(1, _BLOCK // len(labels)))
        left -= draws
        of_class = np.zeros((2, draws, len(labels)))
        for stratum in np.unique(strata):
            texts = np.flatnonzero(strata == stratum)
            own = labels[texts]
            if weights[texts[0]] <= 1 + _ROUNDING:  # drawn as a whole: nothing was missed
                of_class[own, :, texts] = weights[texts, None]
                continue
            counts = own.sum() + added[0], len(own) - own.sum() + added[1]
            share = rng.beta(*counts, size=draws) if min(counts) else np.full(draws, own.mean())
            for label, part in ((0, 1 - share), (1, share)):
                carriers = texts[own == label] if (own == label).any() else texts
                random = rng.exponential(size=(draws, len(carriers)))
                random /= random.sum(axis=1, keepdims=True)
                total = weights[texts].sum() * part
                of_class[label][:, carriers] += total[:, None] * random
        harmless, positive = of_class[:, :, order]
        found.append(np.stack([_auroc(positive, harmless), _average_precision(positive, harmless)]))
    return np.concatenate(found, axis=1).T

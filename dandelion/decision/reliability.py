"""How far scores can be read as probabilities: log loss, Brier score, calibration error, bins.

Every figure is of scores of the positive label against labels 0 and 1. A text may have a weight,
such as `prior_weights`, with which the texts stand for traffic of another base rate; the scores
have to be corrected to the same prior, see `dandelion.decision.policy.scores`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from . import intervals

BINS: Final = 15

# The largest score below 1 in float32 is 1 − 2⁻²⁴: scores that are rounded to 0 or 1 count as this
# far from them.
_LEAST: Final = 2.0**-24

Scores = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """Texts of similar scores.

    Attributes:
        lowest: score in it.
        highest: score in it.
        mean_score: weighted, if there are weights.
        share: of the positive texts, likewise.
        lower: of the share's 95 % interval (Clopper & Pearson 1934).
        upper: of it.
        texts: in it.
    """

    lowest: float
    highest: float
    mean_score: float
    share: float
    lower: float
    upper: float
    texts: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well scores are calibrated.

    Attributes:
        log_loss: see `log_loss`.
        brier: see `brier_score`.
        ece: see `calibration_error`.
        bins: see `reliability_bins`.
        texts: in all.
    """

    log_loss: float
    brier: float
    ece: float
    bins: tuple[Bin, ...]
    texts: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"bins": [asdict(one) for one in self.bins]}


def reliability(
    scores: Scores, labels: Labels, *, weights: Floats | None = None, bins: int = BINS
) -> Reliability:
    """Measure everything.

    Args:
        scores: float[n] in [0, 1].
        labels: int64[n] of 0 and 1; at least one text.
        weights: float64[n], positive; None for 1 each.
        bins: at most so many.

    Raises:
        ValueError: there is no text, a score is not in [0, 1], a weight is not positive, or lengths
            differ.
    """
    found = reliability_bins(scores, labels, weights=weights, bins=bins)
    return Reliability(
        log_loss=log_loss(scores, labels, weights=weights),
        brier=brier_score(scores, labels, weights=weights),
        ece=calibration_error(scores, labels, weights=weights, bins=bins),
        bins=found,
        texts=len(labels),
    )


def log_loss(scores: Scores, labels: Labels, *, weights: Floats | None = None) -> float:
    """Return the mean of −log of the probability that the right label got, in nats (Good 1952).

    Scores closer to 0 or 1 than float32 can say count as 2⁻²⁴ from it.
    """
    values, mass = _checked(scores, labels, weights)
    right = np.where(labels == 1, values, 1 - values)
    return float(mass @ -np.log(np.clip(right, _LEAST, 1 - _LEAST)))


def brier_score(scores: Scores, labels: Labels, *, weights: Floats | None = None) -> float:
    """Return the mean of (score − label)² (Brier 1950)."""
    values, mass = _checked(scores, labels, weights)
    return float(mass @ (values - labels) ** 2)


def calibration_error(
    scores: Scores, labels: Labels, *, weights: Floats | None = None, bins: int = BINS
) -> float:
    """Return the expected calibration error: the mean of |share of positives − mean score|.

    The mean is over `reliability_bins`, each by its weight. These are equally full, as proposed by
    Nguyen & O'Connor (2015); bins of equal width (Guo et al. 2017, and the metric ``ece`` of the
    manifest) give another figure. Chance alone makes it positive, more so with fewer texts.
    """
    values, mass = _checked(scores, labels, weights)
    numbers = _bin_numbers(values, mass, bins)
    return float(np.abs(np.bincount(numbers, mass * (labels - values))).sum())


def reliability_bins(
    scores: Scores, labels: Labels, *, weights: Floats | None = None, bins: int = BINS
) -> tuple[Bin, ...]:
    """Return the table of a reliability diagram (Murphy & Winkler 1977), lowest scores first.

    The bins are equally full by weight, and equal scores are in one bin; so there are fewer where
    many scores are equal. With unequal weights, the interval is that of Kish's effective number of
    texts, which is approximate.
    """
    values, mass = _checked(scores, labels, weights)
    numbers = _bin_numbers(values, mass, bins)
    found = []
    for number in range(int(numbers.max()) + 1):
        is_here = numbers == number
        share, mean = np.average(
            np.stack([labels[is_here], values[is_here]]), axis=1, weights=mass[is_here]
        ).tolist()
        effective = round(mass[is_here].sum() ** 2 / np.sum(mass[is_here] ** 2))
        lower, upper = intervals.two_sided(round(share * effective), effective)
        found.append(
            Bin(
                lowest=float(values[is_here].min()),
                highest=float(values[is_here].max()),
                mean_score=mean,
                share=share,
                lower=float(lower),
                upper=float(upper),
                texts=int(is_here.sum()),
            )
        )
    return tuple(found)


def prior_weights(labels: Labels, prior: float, *, weights: Floats | None = None) -> Floats:
    """Return weights with which the positive texts have a share, float64[n], 1 on average.

    Args:
        labels: int64[n] of 0 and 1, both present.
        prior: the share, in (0, 1).
        weights: float64[n], of the texts within their class; None for 1 each.

    Raises:
        ValueError: a class is missing, or the prior is not in (0, 1).
    """
    if not 0 < prior < 1:
        raise ValueError(f"the prior is {prior}; expected a number between 0 and 1")
    values = np.ones(len(labels)) if weights is None else weights
    totals = np.bincount(labels, values, minlength=2)
    if not totals.all():
        raise ValueError("there are texts of one label only; expected texts of both labels")
    scaled: Floats = values * (len(labels) * np.array([1 - prior, prior]) / totals)[labels]
    return scaled


def _bin_numbers(values: Floats, mass: Floats, bins: int) -> Labels:
    """Return the bin of each text, int64[n], from 0 without gaps."""
    _, where = np.unique(values, return_inverse=True)
    totals = np.bincount(where, mass)
    # A score belongs where the middle of its mass lies.
    middle = np.cumsum(totals) - totals / 2
    places = np.minimum((middle * bins).astype(np.int64), bins - 1)
    return np.unique(places[where], return_inverse=True)[1].astype(np.int64)


def _checked(scores: Scores, labels: Labels, weights: Floats | None) -> tuple[Floats, Floats]:
    """Return scores and weights as float64[n], the weights summing to 1."""
    values = scores.astype(np.float64)
    mass = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    if not len(values):
        raise ValueError("there is no text")
    if not labels.shape == values.shape == mass.shape:
        raise ValueError("scores, labels and weights differ in length")
    if not ((values >= 0) & (values <= 1)).all():  # NaN is not either
        raise ValueError("a score is not in [0, 1]")
    if not (np.isfinite(mass) & (mass > 0)).all():
        raise ValueError("a weight is not a positive number")
    return values, mass / mass.sum()

"""Thresholds that are best by a criterion, without a promise: macro-F1, F1 and costs."""

from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .evidence import CELLS, GRID, Counts, Evidence
from .grammar import OperatingPoint
from .intervals import Floats, Interval

DRAWS: Final = 400
_SEED: Final = 0


class Best(NamedTuple):
    """The best threshold by a criterion.

    Attributes:
        position: on the grid.
        value: of the criterion; for ``cost`` the mean cost of a message.
        plateau: positions of the lowest and the highest threshold that are not worse within the
            bootstrap's error.
    """

    position: int
    value: Interval
    plateau: tuple[int, int]


def best(
    point: OperatingPoint,
    evidence: Evidence,
    prior: float | None,
    among: NDArray[np.bool_] | None = None,
) -> Best:
    """Choose the threshold that is best by a criterion.

    Groups of near copies, each counted once, are drawn again with replacement within each source
    (Efron's bootstrap), and the choice is repeated on every draw. The interval of the value is that
    of the best value of a draw, less the optimism of both choices; with few texts it is too narrow,
    as bootstrap intervals are. A threshold belongs to the plateau unless it is worse than the
    chosen one in more than 95 % of the draws.

    Among equally good thresholds the widest interval's middle is chosen, then the lowest.

    Args:
        point: with a criterion.
        evidence: of both classes.
        prior: the share of positive texts that classes are weighted to; None for the evidence's.
        among: bool[601], the grid points that can be thresholds, at least one; None for all.
    """
    allowed = np.arange(len(GRID)) if among is None else np.flatnonzero(among)
    values = criterion(point, _weighted(evidence, evidence.counts.items()), prior)[allowed]
    chosen = _middle(values)
    drawn = criterion(point, _weighted(evidence, _resampled(evidence)), prior)[:, allowed]
    # By how much a choice looks better on the texts it was made on: once in the evidence, and once
    # more in each draw of it (Efron 1983).
    optimism = float((drawn.max(axis=1) - values[drawn.argmax(axis=1)]).mean())
    low, high = np.quantile(drawn.max(axis=1), [0.025, 0.975]) - 2 * optimism
    is_worse = (drawn < drawn[:, [chosen]]).mean(axis=0) > 0.95
    plateau = np.flatnonzero(~is_worse)
    estimate = float(values[chosen])
    bounds = sorted([float(low), float(high)])
    if point.criterion == "cost":
        estimate, bounds = -estimate, [-bounds[1], -bounds[0]]
    interval = Interval(estimate, min(bounds[0], estimate), max(bounds[1], estimate))
    ends = int(allowed[plateau[0]]), int(allowed[plateau[-1]])
    return Best(int(allowed[chosen]), interval, ends)


def criterion(point: OperatingPoint, counts: Floats, prior: float | None) -> Floats:
    """Return the criterion at each threshold, float64[…, 601]; for ``cost`` its negative.

    Args:
        point: with a criterion.
        counts: float64[…, 2, 602], harmless and positive texts by cell.
        prior: as in `best`.
    """
    in_all = counts.sum(axis=-1, keepdims=True)
    share = in_all / in_all.sum(axis=-2, keepdims=True)  # of each class
    if prior is not None:
        share = np.array([[1 - prior], [prior]])
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(in_all > 0, from_above(counts) / in_all, 0.0)  # FPR and recall
    harmless, positive = share[..., 0, :], share[..., 1, :]
    false_positive, true_positive = harmless * rates[..., 0, :], positive * rates[..., 1, :]
    true_negative, false_negative = harmless - false_positive, positive - true_positive
    if point.costs is not None:
        cost: Floats = point.costs[0] * false_positive + point.costs[1] * false_negative
        return -cost
    wrong = false_positive + false_negative
    with np.errstate(divide="ignore", invalid="ignore"):
        f1 = 2 * true_positive / (2 * true_positive + wrong)
        if point.criterion == "macro_f1":
            f1 = (f1 + 2 * true_negative / (2 * true_negative + wrong)) / 2
    return np.where(np.isnan(f1), 0.0, f1)


def from_above(counts: Floats) -> Floats:
    """Return how many texts, weighted, each threshold flags."""
    above: Floats = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1][..., 1:]
    return above


def _weighted(evidence: Evidence, counts: Iterable[tuple[str, Counts]]) -> Floats:
    """Return the sum of the counts of all sources, one after the other."""
    weights = evidence.weights or {}
    weighted = (np.multiply(table, weights.get(source, 1.0)) for source, table in counts)
    total: Floats = reduce(np.add, weighted)
    return total


def _resampled(evidence: Evidence) -> Iterator[tuple[str, Counts]]:
    """Draw the texts of each source again, with replacement: source and int64[draws, 2, 602].

    Four megabytes for each source, so they are not kept.
    """
    rng = np.random.default_rng(_SEED)
    for source, table in evidence.counts.items():
        flat = table.ravel()
        used = np.flatnonzero(flat)
        texts = int(flat.sum())
        again = np.zeros((DRAWS, flat.size), dtype=np.int64)
        if texts:
            again[:, used] = rng.multinomial(texts, flat[used] / texts, size=DRAWS)
        yield source, again.reshape(DRAWS, 2, CELLS)


def _middle(values: Floats) -> int:
    """Return the middle of the widest run of best positions, of the lowest run among equals."""
    is_best = values >= values.max() - 1e-12
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_best, [False]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    widest = int(np.argmax(ends - starts))
    return int((starts[widest] + ends[widest] - 1) // 2)

"""Promises compared with test texts: is a constraint kept, at the source where it is kept worst?"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dandelion.decision.operating_points import CONFIDENCE, Constraint

from ..rates import rate_of
from ..schema.decisions import Kept, SourceCounts

_DRAWS: Final = 2000
_NEEDS: Final[Mapping[str, tuple[bool, bool]]] = {  # positive, harmless texts
    "recall": (True, False),
    "fpr": (False, True),
    "precision": (True, True),
    "rate": (True, True),
}


def judge(
    constraint: Constraint,
    counts: Sequence[SourceCounts],
    sources: Sequence[str],
    prior: float | None,
) -> Kept | None:
    """Compare a constraint with test texts.

    Args:
        constraint: that was promised.
        counts: of the test texts, by source.
        sources: those that the constraint is about, each on its own.
        prior: the share of positive texts that precision and rate are for; None for that of each
            source.

    Returns:
        The comparison at the worst source; None if no source has texts of the classes that it
        takes, or if it is about precision and nothing is flagged.
    """
    usable = [one for one in _of(constraint, counts, sources) if _is_defined(constraint, one)]
    if not usable:
        return None
    is_floor = constraint.is_minimum
    at = {one.source: rate_of(constraint.quantity, one, prior) for one in usable}
    worst = (min if is_floor else max)(at, key=lambda source: at[source].value)
    # One-sided: an interval of twice the error. Several sources share it.
    error = 2 * (1 - CONFIDENCE) / len(usable)
    bounds = [rate_of(constraint.quantity, one, prior, error) for one in usable]
    bound, value = constraint.bound, at[worst].value
    return Kept(
        quantity=constraint.quantity,
        bound=bound,
        source=worst,
        found=at[worst],
        broken=value < bound if is_floor else value > bound,
        clearly_broken=any(one.high < bound if is_floor else one.low > bound for one in bounds),
    )


def chance(
    constraints: Sequence[tuple[Constraint, Sequence[str]]],
    out_of_fold: Sequence[SourceCounts],
    test: Sequence[SourceCounts],
    prior: float | None,
) -> float | None:
    """Return how probably a test fold looks as if a constraint was broken, by chance alone.

    Test folds of the same sizes are drawn from the rates that were found out of fold.

    Args:
        constraints: each with the sources that it is about.
        out_of_fold: counts of the evidence at the threshold, by source.
        test: counts of the test fold.
        prior: see `judge`.

    Returns:
        The share of draws in which some estimate is beyond its bound; None without constraints.
    """
    if not constraints:
        return None
    rng = np.random.default_rng(0)
    evidence = {one.source: one for one in out_of_fold}
    drawn: dict[str, tuple[NDArray[np.int64], ...]] = {}
    for one in test:
        before = evidence.get(one.source, SourceCounts(one.source, 0, 0, 0, 0))
        drawn[one.source] = tuple(
            rng.binomial(texts, flagged / max(of, 1), size=_DRAWS)
            for texts, flagged, of in (
                (one.positives, before.flagged_positives, before.positives),
                (one.negatives, before.flagged_negatives, before.negatives),
            )
        )
    is_beyond = np.zeros(_DRAWS, dtype=np.bool_)
    for constraint, sources in constraints:
        for one in _of(constraint, test, sources):
            values = _values(constraint.quantity, one, drawn[one.source], prior)
            bound = constraint.bound
            is_beyond |= values < bound if constraint.is_minimum else values > bound
    return float(is_beyond.mean())


def _of(
    constraint: Constraint, counts: Sequence[SourceCounts], sources: Sequence[str]
) -> list[SourceCounts]:
    """Return the counts of the sources that have texts of the classes that a constraint takes."""
    positive, harmless = _NEEDS[constraint.quantity]
    return [
        one
        for one in counts
        if one.source in sources
        and (one.positives or not positive)
        and (one.negatives or not harmless)
    ]


def _is_defined(constraint: Constraint, one: SourceCounts) -> bool:
    return constraint.quantity != "precision" or bool(one.flagged_positives + one.flagged_negatives)


def _values(
    quantity: str,
    one: SourceCounts,
    drawn: tuple[NDArray[np.int64], ...],
    prior: float | None,
) -> NDArray[np.float64]:
    """Return a rate of each draw, as `rate_of` does; of no alert, the precision is 1."""
    hits, alarms = drawn
    if quantity == "recall":
        return hits / one.positives
    if quantity == "fpr":
        return alarms / one.negatives
    texts = one.positives + one.negatives
    share = one.positives / texts if prior is None else prior
    right = share * hits / max(one.positives, 1)
    flagged = right + (1 - share) * alarms / max(one.negatives, 1)
    if quantity == "rate":
        return flagged
    return np.divide(right, flagged, out=np.ones(len(hits)), where=flagged > 0)

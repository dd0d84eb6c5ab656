"""Rates of flagged texts, with exact intervals, and what they mean at a base rate."""

from collections.abc import Sequence
from typing import Literal

from .intervals import exact
from .schema.decisions import SourceCounts
from .schema.transfer import Interval

Quantity = Literal["precision", "recall", "fpr", "rate"]


def rate_of(
    quantity: Quantity, counts: SourceCounts, prior: float | None, error: float = 0.05
) -> Interval:
    """Return a rate with its exact interval.

    Args:
        quantity: which rate; precision and the rate of alerts depend on the prior.
        counts: with texts of the classes that the rate is about.
        prior: the share of positive texts; None for that of the counts. With a prior, recall and
            false-positive rate are bounded, each with half the error.
        error: of the interval, half of it on each side.
    """
    recall = (counts.flagged_positives, counts.positives)
    alarms = (counts.flagged_negatives, counts.negatives)
    flagged = counts.flagged_positives + counts.flagged_negatives
    if quantity == "recall":
        return _share(*recall, error)
    if quantity == "fpr":
        return _share(*alarms, error)
    if prior is None:
        if quantity == "precision":
            return _share(counts.flagged_positives, flagged, error)
        return _share(flagged, counts.positives + counts.negatives, error)
    hit, alarm = _share(*recall, error / 2), _share(*alarms, error / 2)
    if quantity == "precision":
        return Interval(
            precision(hit.value, alarm.value, prior),
            precision(hit.low, alarm.high, prior),
            precision(hit.high, alarm.low, prior),
        )
    return Interval(
        alert_rate(hit.value, alarm.value, prior),
        alert_rate(hit.low, alarm.low, prior),
        alert_rate(hit.high, alarm.high, prior),
    )


def precision(recall: float, alarms: float, prior: float) -> float:
    """Return the share of right alerts at a prior; 1 if there are none."""
    right, wrong = prior * recall, (1 - prior) * alarms
    return right / (right + wrong) if right + wrong else 1.0


def alert_rate(recall: float, alarms: float, prior: float) -> float:
    """Return the alerts per message at a prior."""
    return prior * recall + (1 - prior) * alarms


def _share(count: int, of: int, error: float) -> Interval:
    return Interval(count / of, *exact(count, of, error))


def together(name: str, counts: Sequence[SourceCounts]) -> SourceCounts:
    """Add up the counts of sources under a name."""
    return SourceCounts(
        name,
        sum(one.positives for one in counts),
        sum(one.flagged_positives for one in counts),
        sum(one.negatives for one in counts),
        sum(one.flagged_negatives for one in counts),
    )

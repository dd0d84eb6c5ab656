"""What a policy means for a team: messages flagged and reviewed, hours, true and false alerts.

The intervals of a `Plan` are those of the evidence: how well the rates are known, and so the mean
of many days. Its ``prediction`` is for the next messages, whose numbers vary in addition.
"""

from dataclasses import dataclass, replace

import numpy as np

from .evidence import GRID, Evidence
from .operating_points import Interval, at
from .prediction_intervals import Share, predict
from .promises import Strata

_MINUTES_PER_HOUR = 60


@dataclass(frozen=True, slots=True)
class Prediction:
    """The next messages in numbers, each with its 95 % prediction interval.

    Attributes:
        messages: how many there are.
        flagged: as in `Plan`, like the following.
        true_alerts: likewise.
        false_alerts: likewise.
        missed: likewise.
        in_review: likewise.
        found_in_review: likewise.
        hours: likewise.
    """

    messages: int
    flagged: Interval
    true_alerts: Interval
    false_alerts: Interval
    missed: Interval
    in_review: Interval | None
    found_in_review: Interval | None
    hours: Interval


@dataclass(frozen=True, slots=True)
class Plan:
    """A policy in numbers of messages, for a volume; each with its 95 % interval.

    Attributes:
        volume: messages.
        prior: the share of positive ones.
        flagged: messages at or above the threshold.
        true_alerts: positive ones among them.
        false_alerts: harmless ones among them.
        missed: positive messages that are neither flagged nor for review.
        in_review: messages in the review band; None without one.
        found_in_review: positive ones among them; None without a band.
        hours: of reviewers, for the band; without one, for all flagged messages.
        prediction: for the next ``volume`` messages, rounded.
    """

    volume: float
    prior: float
    flagged: Interval
    true_alerts: Interval
    false_alerts: Interval
    missed: Interval
    in_review: Interval | None
    found_in_review: Interval | None
    hours: Interval
    prediction: Prediction


def plan(  # noqa: PLR0913
    evidence: Evidence,
    threshold: float,
    *,
    prior: float,
    volume: float,
    minutes: float,
    review: float | None = None,
) -> Plan:
    """Count messages.

    Args:
        evidence: of the rates.
        threshold: as an uncalibrated logit.
        prior: the share of positive messages, in (0, 1).
        volume: messages in a period, such as a day; at most `prediction_intervals.MAX_MESSAGES`.
        minutes: of a reviewer for a message.
        review: the lower end of the review band, as a logit; None for no band.

    Raises:
        ValueError: the prior or the volume is out of range.
    """
    positive, harmless = volume * prior, volume * (1 - prior)
    above = at(evidence, threshold, prior=prior)
    lowest = above if review is None else at(evidence, review, prior=prior)
    flagged = _times(volume, above.rate)
    in_review = found_in_review = None
    if review is not None:
        band = at(_below(evidence, threshold), review, prior=prior)
        in_review, found_in_review = _times(volume, band.rate), _times(positive, band.recall)
    reached = _times(positive, lowest.recall)
    return Plan(
        volume,
        prior,
        flagged,
        _times(positive, above.recall),
        _times(harmless, above.fpr),
        Interval(positive - reached.estimate, positive - reached.upper, positive - reached.lower),
        in_review,
        found_in_review,
        _times(minutes / _MINUTES_PER_HOUR, flagged if in_review is None else in_review),
        _predicted(evidence, threshold, review, prior, max(1, round(volume)), minutes),
    )


def _predicted(  # noqa: PLR0913, PLR0917
    evidence: Evidence,
    threshold: float,
    review: float | None,
    prior: float,
    messages: int,
    minutes: float,
) -> Prediction:
    above = _strata(evidence, threshold)
    lowest = above if review is None else _strata(evidence, review)
    recall = Share.of(above, "recall", prior)
    reached = recall if review is None else Share.of(lowest, "recall", prior)
    flagged = predict(Share.of(above, "rate", prior), messages)
    in_review = found_in_review = None
    if review is not None:
        band = _strata(_below(evidence, threshold), review)
        in_review = predict(Share.of(band, "rate", prior), messages)
        found_in_review = predict(Share.of(band, "recall", prior).times(prior), messages)
    return Prediction(
        messages,
        flagged,
        predict(recall.times(prior), messages),
        predict(Share.of(above, "fpr", prior).times(1 - prior), messages),
        predict(reached.rest().times(prior), messages),
        in_review,
        found_in_review,
        _times(minutes / _MINUTES_PER_HOUR, flagged if in_review is None else in_review),
    )


def _strata(evidence: Evidence, logit: float) -> Strata:
    return Strata.pooled(evidence).at(np.array([_position(logit)]))


def _position(logit: float) -> int:
    """Return the position on the grid of a threshold, as `operating_points.at` does."""
    return min(int(np.searchsorted(GRID, logit)), len(GRID) - 1)


def _times(factor: float, rate: Interval) -> Interval:
    return Interval(factor * rate.estimate, factor * rate.lower, factor * rate.upper)


def _below(evidence: Evidence, logit: float) -> Evidence:
    """Return evidence in which no text that a threshold flags is flagged: they are below the grid.

    Between two points of the grid, the threshold is the upper one, as in `operating_points.at`.
    """
    first = _position(logit) + 1
    counts = {}
    for source, table in evidence.counts.items():
        moved = table.copy()
        moved[:, 0] += moved[:, first:].sum(axis=1)
        moved[:, first:] = 0
        counts[source] = moved
    return replace(evidence, counts=counts, bands=None)

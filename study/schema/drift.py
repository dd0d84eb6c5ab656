"""``drift.json``: how soon changed traffic is detected, and how often unchanged traffic is."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Detection:
    """How soon a change is detected.

    Attributes:
        change: ``doubled``, the share of positive texts; or the source that takes the place of the
            other.
        detected: the share of repetitions in which an alarm is given within the window's texts.
        by_positive: the same by the share of positive texts alone.
        by_scores: the same by the scores alone.
        median_texts: until then; None if fewer than half are detected.
    """

    change: str
    detected: float
    by_positive: float
    by_scores: float
    median_texts: int | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Traffic of one source at one share of positive texts.

    Attributes:
        model: that scores it.
        source: of the texts.
        prior: the share of positive texts.
        basis: what it is compared with: a policy file of half of the source's texts, or the
            evidence of the artifact at that prior.
        reference_texts: in the reference.
        false_alarms_per_day: begun in unchanged traffic.
        share_in_alarm: of the time, without any change.
        detections: of changes.
    """

    model: str
    source: str
    prior: float
    basis: Literal["policy_file", "prior"]
    reference_texts: int
    false_alarms_per_day: float
    share_in_alarm: float
    detections: list[Detection]


@dataclass(frozen=True, slots=True)
class Drift:
    """The simulation.

    Attributes:
        texts_per_hour: of the traffic; the window is an hour.
        days: of unchanged traffic.
        repetitions: of each change.
        deviation: alarm beyond so many standard errors of the share of positive texts.
        index: alarm beyond this population stability index of the scores.
        traffic: what was simulated.
    """

    texts_per_hour: int
    days: int
    repetitions: int
    deviation: float
    index: float
    traffic: list[Traffic]

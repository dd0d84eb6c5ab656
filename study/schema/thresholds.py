"""The file of an older release's thresholds, such as ``thresholds-0.6.json``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """What a threshold did to the texts of a source; a rate is null without a text of its class."""

    negatives: int
    false_positive_rate: float | None
    positives: int
    recall: float | None


@dataclass(frozen=True, slots=True)
class Before:
    """A variant of two labels, as it was released.

    Attributes:
        version: of its artifact.
        threshold: its default one.
        rule: how that was chosen; null for macro-F1 on validation.
        by_source: fold → source → rates at the threshold; empty if they were not measured.
    """

    version: str
    threshold: float
    rule: str | None
    by_source: dict[str, dict[str, Rates]]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The variants of a release, by ``model/variant``."""

    release: str
    variants: dict[str, Before]

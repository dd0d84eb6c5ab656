"""The series of a shadow: a variant that scores a sample of the texts of the served one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dandelion.manifest import Manifest

from .counters import Counter, Family, Histogram, Kind, SharedCounters

# Finest where most differences lie.
_DIFFERENCES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, *(step / 10 for step in range(1, 11)))

_LABELS: Final = ("model", "shadow")

_TEXTS: Final = Family(
    Kind.COUNTER, "dandelion_shadow_texts", "Texts that the shadow scored as well.", _LABELS
)
_DISAGREEMENTS: Final = Family(
    Kind.COUNTER,
    "dandelion_shadow_disagreements",
    "Texts that the shadow labels otherwise than the served variant: positive_to_negative (of the "
    "shadow), negative_to_positive, or label with more than two labels.",
    (*_LABELS, "kind"),
)
_DROPPED: Final = Family(
    Kind.COUNTER,
    "dandelion_shadow_dropped",
    "Texts of the sample that the shadow did not score: under load, or because it cannot decide "
    "as the request wants.",
    _LABELS,
)
_DIFFERENCE: Final = Family(
    Kind.HISTOGRAM,
    "dandelion_shadow_score_difference",
    "Absolute difference between the score of the shadow and that of the served variant: of the "
    "positive label, or, with more than two labels, of the label that was served.",
    _LABELS,
    _DIFFERENCES,
)
FAMILIES: Final = (_TEXTS, _DISAGREEMENTS, _DROPPED, _DIFFERENCE)


class Disagreement(StrEnum):
    """How the shadow's label differs from the one that was served."""

    POSITIVE_TO_NEGATIVE = "positive_to_negative"
    """Served: positive; of the shadow: negative."""
    NEGATIVE_TO_POSITIVE = "negative_to_positive"
    """Served: negative; of the shadow: positive."""
    LABEL = "label"
    """Another one of more than two labels."""


@dataclass(frozen=True, slots=True)
class ShadowMetrics:
    """The series of one shadow. Every text of the sample is among ``texts`` or ``dropped``."""

    texts: Counter
    disagreements: Mapping[Disagreement, Counter]
    dropped: Counter
    difference: Histogram

    @classmethod
    def of(cls, counters: SharedCounters, manifest: Manifest) -> "ShadowMetrics":
        """Create every series of a shadow.

        Args:
            counters: of the service.
            manifest: of the shadow's artifact.
        """
        labels = (manifest.model, manifest.variant)
        is_label = {Disagreement.LABEL}
        kinds = set(Disagreement) - is_label if len(manifest.labels) == 2 else is_label
        return cls(
            counters.counter(_TEXTS, *labels),
            {kind: counters.counter(_DISAGREEMENTS, *labels, kind) for kind in sorted(kinds)},
            counters.counter(_DROPPED, *labels),
            counters.histogram(_DIFFERENCE, *labels),
        )

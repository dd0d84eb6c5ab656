"""The series of traces."""

from typing import Final

from .counters import Family, Kind

SPANS_DROPPED: Final = Family(
    Kind.COUNTER,
    "dandelion_spans_dropped",
    "Spans of sampled traces that were not sent: the collector was down, slow or refused them.",
    (),
)

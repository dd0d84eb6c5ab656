"""The series of the decision record."""

from enum import StrEnum
from typing import Final

from .counters import Counter, Family, Kind, SharedCounters


class Dropped(StrEnum):
    """Why decisions could not be recorded."""

    FULL = "full"
    """No space or quota is left, or the file is as large as the process may make it."""
    PERMISSION = "permission"
    """The service may not open, write or rotate the file."""
    READ_ONLY = "read_only"
    """The file system is."""
    MISSING = "missing"
    """The directory of the file does not exist any more."""
    LOCKED = "locked"
    """Another worker, or another thread, held the file for too long."""
    ERROR = "error"
    """Any other error of the system."""


_RECORDED: Final = Family(
    Kind.COUNTER, "dandelion_recorded_decisions", "Decisions written to the decision record.", ()
)
_DROPPED: Final = Family(
    Kind.COUNTER,
    "dandelion_record_dropped",
    "Decisions that could not be written to the decision record.",
    ("reason",),
)
FAMILIES: Final = (_RECORDED, _DROPPED)


class RecordMetrics:
    """Counts decisions that are recorded, and those that could not be.

    Args:
        counters: of the service.
    """

    def __init__(self, counters: SharedCounters) -> None:
        self.recorded: Counter = counters.counter(_RECORDED)
        self._dropped = {reason: counters.counter(_DROPPED, reason.value) for reason in Dropped}

    def drop(self, reason: Dropped, decisions: int) -> None:
        """Count decisions that could not be recorded."""
        self._dropped[reason].inc(decisions)

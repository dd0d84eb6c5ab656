"""The phase of the service's life, which all its processes share."""

import mmap
from enum import IntEnum


class Phase(IntEnum):
    """What the service does now; it only moves on to a later one.

    Attributes:
        SERVING: everything.
        DRAINING: everything, but it reports that it is not ready, so that no more is sent.
        STOPPING: it finishes the requests in flight.
    """

    SERVING = 0
    DRAINING = 1
    STOPPING = 2


class SharedPhase:
    """The phase, in memory that is shared with every process forked from this one."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    @property
    def current(self) -> Phase:
        """The phase now."""
        return Phase(self._memory[0])

    def advance(self, phase: Phase) -> None:
        """Move on to ``phase``, in every process at once; nothing if it is an earlier one."""
        self._memory[0] = max(self._memory[0], phase)

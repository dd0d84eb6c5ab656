"""The phase of a generation's life, in memory that its processes share."""

import mmap
from enum import IntEnum


class Phase(IntEnum):
    """What the processes of a generation do now; it only moves on to a later one.

    Attributes:
        SERVING: everything.
        RETIRING: they finish with the connections that they have; another generation accepts.
        DRAINING: everything, but the service reports that it is not ready, so that no more is sent.
        STOPPING: they finish the requests in flight.
        KILLED: nothing more.
    """

    SERVING = 0
    RETIRING = 1
    DRAINING = 2
    STOPPING = 3
    KILLED = 4


class SharedPhase:
    """A phase, in memory that is shared with every process forked from this one."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    @property
    def current(self) -> Phase:
        """The phase now."""
        return Phase(self._memory[0])

    @property
    def is_ready(self) -> bool:
        """Whether the service takes more requests than those that it has."""
        return self.current < Phase.DRAINING

    def advance(self, phase: Phase) -> None:
        """Move on to ``phase``, in every process at once; nothing if it is an earlier one."""
        self._memory[0] = max(self._memory[0], phase)

"""What a process asks the system about the processes that it descends from, and they about it."""

import ctypes
import os
from collections.abc import Container
from contextlib import suppress
from typing import Final

# prctl(2)
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def ask_for_signal_at_parent_end(number: int) -> bool:
    """Have this process receive a signal when its parent ends; returns whether the system can."""
    return _prctl(_PR_SET_PDEATHSIG, number)


def become_parent_of_orphans() -> bool:
    """Become the parent of descendants whose parent ends; returns whether the system can."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans(known: Container[int | None]) -> None:
    """Wait for children that have ended and that this process has not forked itself.

    Args:
        known: those that it has, which are waited for elsewhere.
    """
    with suppress(ChildProcessError):
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid in known:
                return
            os.waitpid(ended.si_pid, 0)


def exists(pid: int) -> bool:
    """Return whether there is a process, even if it has only not been waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_child(pid: int) -> bool:
    """Return whether a process is a child of this one, even if it has only not been waited for."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _prctl(option: int, value: int) -> bool:
    with suppress(AttributeError, OSError, TypeError):  # not Linux
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    return False


class Lifeline:
    """A pipe by which descendants see whether the process that created it still lives."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)

    def leave(self) -> None:
        """Be a descendant: called once in each child of the process that created it."""
        os.close(self._write)

    @property
    def is_alive(self) -> bool:
        """Whether the process that created it has not ended; for descendants."""
        try:
            return bool(os.read(self._read, 1))
        except BlockingIOError:
            return True

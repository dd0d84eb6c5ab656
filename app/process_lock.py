"""A lock between processes, which the kernel releases when its holder dies."""

import errno
import os
import tempfile
import weakref
from functools import partial


class SharingError(Exception):
    """The system provides no memory, or no lock, for what the processes share."""


class ProcessLock:
    """Excludes other processes, not threads: a context manager.

    Create it before the fork of the processes that share it.

    Args:
        name: what the system lists it as, for people.

    Raises:
        OSError: the system provides no file to lock.
    """

    def __init__(self, name: str) -> None:
        import fcntl  # noqa: PLC0415 - not on Windows, where there is only one process

        # What the kernel locks is a file: one without a name, in memory where the system can.
        descriptor = _memory_file(name)
        if descriptor is None:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        self._lock = partial(fcntl.lockf, descriptor, fcntl.LOCK_EX)
        self._unlock = partial(fcntl.lockf, descriptor, fcntl.LOCK_UN)
        weakref.finalize(self, os.close, descriptor)

    def __enter__(self) -> None:
        """Wait until no other process holds it."""
        self._lock()

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self._unlock()


def _memory_file(name: str) -> int | None:
    """Return the descriptor of a file in memory; None where the system, or a sandbox, has none."""
    if not hasattr(os, "memfd_create"):
        return None
    try:
        return os.memfd_create(name)
    except (PermissionError, NotImplementedError):
        return None
    except OSError as error:
        if error.errno == errno.ENOSYS:
            return None
        raise

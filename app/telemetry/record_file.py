"""A file to which the workers of a service append lines, all of a request's or none.

Each process opens it for itself, as a lock (flock(2)) belongs to what was opened and would be
shared after a fork. The kernel releases the lock of a process that dies. Under the lock

- the file is the one at its path: another worker, or a program such as logrotate, may have moved
  it, so the two are compared;
- it ends with a whole line: what a process that was killed has written of one is cut off;
- lines are appended by one write(2). Where it fails, the file gets its former length again.

POSIX only.
"""

import errno
import fcntl
import logging
import os
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from .logs import Throttle
from .record_metrics import Dropped, RecordMetrics

# For its user alone; a umask may take more away.
_MODE: Final = 0o600
# Appending takes far less, even a large batch. It is waited for in the event loop, too.
_MAX_WAIT_S: Final = 2.0
_STEP_S: Final = 0.0005
# Once a lock was not released in time, nothing waits for it for a while, or until it is released.
_IMPATIENT_S: Final = 10.0
# Moves by others that are followed before an append; each takes another process a moment.
_MAX_MOVES: Final = 100
_BLOCK: Final = 65_536

_REASONS: Final = {
    errno.ENOSPC: Dropped.FULL,
    errno.EDQUOT: Dropped.FULL,
    errno.EFBIG: Dropped.FULL,
    errno.EACCES: Dropped.PERMISSION,
    errno.EPERM: Dropped.PERMISSION,
    errno.EROFS: Dropped.READ_ONLY,
    errno.ENOENT: Dropped.MISSING,
    errno.ENOTDIR: Dropped.MISSING,
    errno.ETIMEDOUT: Dropped.LOCKED,
}

_log = logging.getLogger("dandelion")


class RecordFile:
    """Appends lines; what cannot be written is counted and logged, and the service goes on.

    Threads may share it. Nothing is opened before the first line, so it may be inherited by a fork.

    Args:
        path: of the file, which is created with mode 0600.
        metrics: counts what is written and what is not.
        max_bytes: the size at which the file is rotated: before it would be exceeded; 0 for never.
        files: rotated files that are kept, at least 1: ``path.1`` is the newest.
    """

    def __init__(
        self, path: Path, metrics: RecordMetrics, max_bytes: int = 0, files: int = 1
    ) -> None:
        self._path = path.resolve()
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._files = files
        self._file = -1
        self._using = threading.Lock()
        self._patient_at = 0.0  # by the monotonic clock
        self._throttle = Throttle()
        self._is_failing = False

    def check(self) -> None:
        """Open the file, and create it if it is missing.

        Raises:
            OSError: it cannot be opened or, if that is wanted, rotated; or it is no regular file.
        """
        os.close(_open(self._path))
        if self._max_bytes and not os.access(self._path.parent, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, "its directory is not writable, so it cannot be rotated")

    def close(self) -> None:
        """Close the file; a further append opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def append(self, lines: bytes, count: int) -> bool:
        """Append lines, none of which stays if that fails.

        Args:
            lines: each with its line feed, at least one.
            count: how many they are.

        Returns:
            Whether they are in the file; they may not be on the disk yet.
        """
        try:
            self._append(lines)
        except OSError as error:
            self._drop(error, count)
            return False
        self._metrics.recorded.inc(count)
        if self._is_failing:
            self._is_failing = False
            _log.warning("decisions are recorded again", extra={"path": str(self._path)})
        return True

    def _drop(self, error: OSError, count: int) -> None:
        reason = _REASONS.get(error.errno or 0, Dropped.ERROR)
        self._metrics.drop(reason, count)
        self._is_failing = True
        if self._throttle.is_due():
            facts = {"path": str(self._path), "reason": reason.value, "error": error.strerror}
            _log.error("decisions are not recorded", extra=facts)

    def _append(self, lines: bytes) -> None:
        until = time.monotonic()
        until += _MAX_WAIT_S if until >= self._patient_at else 0
        if not self._using.acquire(timeout=max(until - time.monotonic(), 0)):
            raise self._timed_out()
        try:
            size = self._lock(until)
            # Others may have filled the next file before this one gets its lock.
            while self._max_bytes and size and size + len(lines) > self._max_bytes:
                self._rotate()
                size = self._lock(until)
            self._patient_at = 0.0
            self._write(lines, size)
        finally:
            if self._file >= 0:
                fcntl.flock(self._file, fcntl.LOCK_UN)
            self._using.release()

    def _lock(self, until: float) -> int:
        """Open and lock the file at the path; returns its size, after a whole line."""
        for _ in range(_MAX_MOVES):
            if self._file < 0:
                self._file = _open(self._path)
            self._wait_for_lock(until)
            found = os.fstat(self._file)
            with suppress(FileNotFoundError):
                if os.path.samestat(found, os.stat(self._path)):  # noqa: PTH116 - far quicker
                    return self._end_line(found.st_size)
            self.close()  # and release it
        raise self._timed_out()

    def _wait_for_lock(self, until: float) -> None:
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise self._timed_out() from None
                time.sleep(_STEP_S)
            else:
                return

    def _timed_out(self) -> OSError:
        self._patient_at = time.monotonic() + _IMPATIENT_S
        return OSError(errno.ETIMEDOUT, "another worker or thread holds the file")

    def _end_line(self, size: int) -> int:
        """Cut off what a killed process has written of a line; returns the size."""
        if not size or os.pread(self._file, 1, size - 1) == b"\n":
            return size
        end = size
        while end:
            start = max(end - _BLOCK, 0)
            found = os.pread(self._file, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        os.ftruncate(self._file, end)
        _log.warning("cut off an unfinished line", extra={"path": str(self._path)})
        return end

    def _write(self, lines: bytes, size: int) -> None:
        left = memoryview(lines)
        try:
            while left:  # once, unless space runs out
                left = left[os.write(self._file, left) :]
        except OSError:
            with suppress(OSError):
                if os.fstat(self._file).st_size > size:
                    os.ftruncate(self._file, size)
            raise

    def _rotate(self) -> None:
        """Move the file, which is locked, and close it: that of the others is another from now on.

        Nobody else rotates before the last move, since they compare the file with its path.
        """
        path = str(self._path)
        for number in range(self._files - 1, 0, -1):
            with suppress(FileNotFoundError):
                os.replace(f"{path}.{number}", f"{path}.{number + 1}")  # noqa: PTH105
        with suppress(FileNotFoundError):  # moved by somebody else
            os.replace(path, f"{path}.1")  # noqa: PTH105
        self.close()


def _open(path: Path) -> int:
    # Not blocking: a pipe without a reader would wait for one.
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY, _MODE)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a regular file")
    return file

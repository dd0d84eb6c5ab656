"""The service's Unix domain socket: one, which every worker accepts from."""

import errno
import logging
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..settings import SettingsError, source
from .sockets import Listener

_LOCK_S: Final = 1.0

_log = logging.getLogger("dandelion")


@dataclass(frozen=True)
class UnixListener(Listener):
    """The listening socket of a service, duplicated for each worker.

    Attributes:
        path: of its file.
        identity: device and inode of the file that this service created.
    """

    path: Path
    identity: tuple[int, int]

    def withdraw(self) -> None:
        """Remove the file, unless another service has replaced it."""
        with suppress(OSError), _locked(self.path):
            if _identity(self.path) == self.identity:
                self.path.unlink()


def check(path: Path) -> None:
    """Check that a socket can be created at ``path``, before the models are loaded.

    Raises:
        SettingsError: another service listens there, it is not a socket, its directory does not
            exist or cannot be written to, or the path is too long for a socket.
    """
    with _refusing(path), _locked(path):
        _check_unused(path)
        # A socket that does not exist refuses the path itself, without creating anything.
        with _unbound() as probe, suppress(FileNotFoundError, ConnectionRefusedError):
            probe.connect(os.fspath(path))
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def listen(path: Path, workers: int) -> UnixListener:
    """Create the socket, in place of one that a dead service has left, and open it.

    The file's mode is that of the process's umask: who may not write to it cannot connect.

    Args:
        path: of its file.
        workers: at least 1.

    Raises:
        SettingsError: as `check`.
    """
    with _refusing(path), _locked(path):
        _check_unused(path)
        path.unlink(missing_ok=True)
        first = _unbound()
        first.bind(os.fspath(path))
        first.listen()
        identity = _identity(path)
    _log.info("listening on unix:%s", path)
    duplicates = [[first.dup()] for _ in range(1, workers)]
    return UnixListener([[first], *duplicates], path, identity)


def _unbound() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


def _check_unused(path: Path) -> None:
    """Raise an error unless there is nothing at ``path``, or a socket that nobody listens on."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "there is a file that is not a socket")
    with _unbound() as client:
        client.setblocking(False)  # a full queue is a living service, too
        with suppress(ConnectionRefusedError, FileNotFoundError):
            with suppress(BlockingIOError):
                client.connect(os.fspath(path))
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Describe an error of the system in terms of the setting."""
    try:
        yield
    except OSError as error:  # Python's own, for a path that is too long, has no number
        reason = error.strerror or str(error)
        raise SettingsError(
            f"{source('uds')}: cannot listen on {os.fspath(path)!r}: {reason}"
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Exclude other services that start with a socket in the same directory.

    For a moment at most: another program may lock a directory for ever, such as ``/tmp``.
    """
    import fcntl  # noqa: PLC0415 - not on Windows

    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + _LOCK_S
        while time.monotonic() < deadline:
            with suppress(OSError):
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(_LOCK_S / 100)
        yield
    finally:
        os.close(directory)


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino

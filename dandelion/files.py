"""Files that somebody else wrote, read without waiting and within a bound."""

import errno
import os
import stat
from pathlib import Path


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Read a regular file.

    A directory, a device or a pipe, which could block or never end, is refused before it is read;
    a link is followed.

    Args:
        path: of the file.
        max_bytes: its size at most.

    Raises:
        OSError: it cannot be read, is no regular file or is too large; ``strerror`` is the reason.
    """
    try:
        # Path.open takes no opener.
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            if status.st_size > max_bytes:
                raise OSError(errno.EFBIG, f"larger than {max_bytes} bytes")
            return file.read()
    except ValueError as error:  # the name contains a null character
        raise OSError(errno.EINVAL, str(error)) from error


def _open_at_once(path: str, flags: int) -> int:
    # To open a pipe for reading waits for a writer. Windows has no such pipes.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))

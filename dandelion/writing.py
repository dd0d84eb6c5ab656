"""Files that are written whole or not at all."""

import os
import sys
import tempfile
from pathlib import Path


def write_atomically(
    path: Path, data: bytes, mode: int = 0o644, owner: tuple[int, int] | None = None
) -> None:
    """Write a temporary file and rename it, so that no reader ever sees half of it.

    Args:
        path: of the file; it replaces an older one.
        data: its content.
        mode: its permissions; nobody else can read it before it has them.
        owner: its user and group, by number; by default those of this process. Not on Windows.

    Raises:
        OSError: the directory does not exist or cannot be written to, or ``path`` is a directory.
        PermissionError: this process may not give a file to ``owner``.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:100]}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        if owner is not None and sys.platform != "win32":
            os.chown(temporary, *owner)  # before `chmod`: it may clear bits of the mode
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

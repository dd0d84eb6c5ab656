"""Files that are written whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a temporary file and rename it, so that no reader ever sees half of it.

    Args:
        path: of the file; it replaces an older one.
        data: its content.
        mode: its permissions; nobody else can read it before it has them.

    Raises:
        OSError: the directory does not exist or cannot be written to, or ``path`` is a directory.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:100]}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

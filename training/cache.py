"""Where training keeps what it can make again, and how it writes files."""

import os
import tempfile
from pathlib import Path


def cache_directory() -> Path:
    """Return the directory of caches: ``TRAINING_CACHE``, by default ``.cache`` here."""
    return Path(os.environ.get("TRAINING_CACHE", ".cache"))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file aside and rename it, so that nobody ever reads half of it.

    Raises:
        OSError: the directory cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise

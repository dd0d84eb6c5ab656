"""The pages about tuning, from their stored trials alone."""

import json
from pathlib import Path

from training import tuning
from training.cache import write_atomically


def write(directory: Path) -> list[Path]:
    """Write ``tuning-….md`` next to every ``tuning-….json``.

    Returns:
        The files that were written.
    """
    written = []
    for file in sorted(directory.glob("tuning-*.json")):
        search: tuning.Search = json.loads(file.read_text(encoding="utf-8"))
        page = file.with_suffix(".md")
        write_atomically(page, tuning.page(search).encode())
        written.append(page)
    return written

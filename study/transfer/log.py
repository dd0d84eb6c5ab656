"""The log of readings: whenever a source that fits did without is read, a line is written.

Only the first reading after a freeze was seen by no choice; the log shows which one that is.
"""

import datetime
import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

FILE: Final = "transfer-log.jsonl"

Purpose = Literal["choice", "report"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A line of the log.

    Attributes:
        date: ISO 8601 to the second, UTC.
        commit: of the code.
        dirty: whether files were changed since.
        model: the task.
        recipe: ours or a baseline.
        trial: our variant, or the baseline's setting.
        configuration: identifies everything that decides the fit, sources included.
        source: that was read.
        purpose: ``choice`` if a trial was chosen by it, for a fit without another source too.
    """

    date: str
    commit: str
    dirty: bool
    model: str
    recipe: str
    trial: str
    configuration: str
    source: str
    purpose: Purpose


def append(readings: Iterable[Reading], directory: Path) -> None:
    """Write lines to the end of the log, created if there is none.

    Raises:
        OSError: it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / FILE).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(one)) + "\n" for one in readings)


def now() -> str:
    """Return the date and time, ISO 8601 to the second, UTC."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()


def commit() -> tuple[str, bool]:
    """Return the commit of the current directory's code, and whether files differ from it.

    Outside a repository the commit is ``unknown``.
    """
    # The log itself and the pages are what the command writes.
    changed = _git("status", "--porcelain", "--", ".", ":!docs/results")
    return _git("rev-parse", "--short=12", "HEAD") or "unknown", bool(changed)


def _git(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()

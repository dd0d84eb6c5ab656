"""How far a long run is: a bar on a terminal, and plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Final, Self

import typer

from ..plural import number_of

# How often a line is written where there is no terminal.
_EVERY_S: Final = 10.0


class Progress:
    """Shows on standard error how far a run is; a context manager.

    Args:
        is_quiet: whether to show nothing.
    """

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._total: int | None = None
        self._units = self._rows = 0
        self._started = self._shown = time.monotonic()
        self._units_before = 0  # of an interrupted run
        self._notes: set[str] = set()
        self._bar: _Bar | None = None

    def begin(self, units: int | None) -> None:
        """Begin; see `dandelion.bulk.run.Watch`."""
        self._total = units
        self._started = self._shown = time.monotonic()
        if not self._is_quiet and sys.stderr is not None and sys.stderr.isatty():
            self._bar = _Bar(units)

    def advance(self, units: int, rows: int) -> None:
        """Count what is done, and show it if it is time to."""
        self._units += units
        self._rows += rows
        if not rows:
            self._units_before += units
        if self._is_quiet:
            return
        if self._bar is not None:
            self._bar.update(self._units, self._speed())
        elif time.monotonic() - self._shown >= _EVERY_S:
            self._shown = time.monotonic()
            typer.echo(self._line(), err=True)

    def note(self, sentence: str) -> None:
        """Show a sentence, once."""
        if not self._is_quiet and sentence not in self._notes:
            self._notes.add(sentence)
            typer.echo(sentence, err=True)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started

    def _rate(self) -> float:
        return self._rows / max(self.seconds, 1e-9)

    def _speed(self) -> str:
        return f"{self._rate():,.0f} texts/s"

    def _line(self) -> str:
        parts = [number_of(self._rows, "row"), self._speed()]
        if self._total:
            parts.insert(1, f"{min(self._units / self._total, 1):.0%}")
            new = self._units - self._units_before
            if new:
                left = self.seconds * max(self._total - self._units, 0) / new
                parts.append(f"{duration(left)} left")
        return ", ".join(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class _Bar:
    """A bar of rich, which is imported when it is needed."""

    def __init__(self, total: int | None) -> None:
        from rich import progress  # noqa: PLC0415
        from rich.console import Console  # noqa: PLC0415

        self._progress = progress.Progress(
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.fields[speed]}"),
            progress.TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=total, speed="")
        self._progress.start()

    def update(self, units: int, speed: str) -> None:
        """Show how much is done."""
        self._progress.update(self._task, completed=units, speed=speed)

    def stop(self) -> None:
        """Remove the bar."""
        self._progress.stop()


def duration(seconds: float) -> str:
    """Return a duration in words.

    Example:
        >>> [duration(seconds) for seconds in (4.2, 100, 8000)]
        ['4 s', '2 min', '2 h 13 min']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

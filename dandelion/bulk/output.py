"""Outputs that appear when they are complete, and what an interrupted one is resumed from.

Next to an output ``scored.jsonl`` there are, until it is complete: ``scored.jsonl.part``, the side
file ``scored.jsonl.part.errors``, and ``scored.jsonl.part.state``, which says how much of both is
valid. What was written after the state is cut off when an interrupted run goes on.
"""

import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from .errors import BulkError, RefusedError
from .job import BrokenRow
from .side_file import written
from .state import State, aside, read_state

if sys.platform != "win32":
    import fcntl

# How often the state is written; what was scored since is scored again after an interruption.
_STATE_EVERY_S: Final = 1.0


class Output:
    """The output of one file; a context manager that closes it.

    Args:
        path: of the complete file.
        side_file: path of the complete side file.
        made_of: everything that the output depends on, as JSON.
        resumes: whether to go on with what an interrupted run has left.
        is_made_aside: whether what becomes the complete file is not what is appended to.

    Attributes:
        made: the path of what becomes the complete file.
        parts: the paths of what is appended to: the output and the side file.
        state: how far it has come.
        is_new: whether nothing was left.

    Raises:
        RefusedError: another process is writing it, it is no regular file, or something has changed
            since the interrupted run.
        BulkError: it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        side_file: Path,
        made_of: Mapping[str, Any],
        *,
        resumes: bool,
        is_made_aside: bool = False,
    ) -> None:
        self.path, self._side_file = path, side_file
        part, errors, made, self._state_path = aside(path)
        self.parts = part, errors
        self.made = made if is_made_aside else part
        self._files: list[BinaryIO] = []
        if path.exists() and not path.is_file():
            raise RefusedError(f"{path}: not a regular file; - is standard output")
        with self._readable_errors():
            found = read_state(self._state_path) if resumes else None
            if found is not None:
                found.check_same(made_of, str(path))
            if found is not None and found.is_done and not (self.made.exists() or path.exists()):
                found = None  # it was complete, and somebody took it away
            self.is_new = found is None
            self.state = found or State(made_of)
            if not self.state.is_done:
                self._open()
        self._saved_at = -math.inf  # the first rows are saved at once

    def _open(self) -> None:
        try:
            for part, size in zip(
                self.parts, (self.state.data_bytes, self.state.error_bytes), strict=True
            ):
                file = part.open("ab")
                self._files.append(file)
                _lock(file, self.path)
                _shorten(file, size, part)
            if self.is_new:
                self._state_path.unlink(missing_ok=True)
        except BaseException:
            self.close()
            raise

    def write(
        self, data: bytes, broken: tuple[BrokenRow, ...], rows: int, offset: int, line: int
    ) -> None:
        """Append scored rows and broken ones.

        Args:
            data: to append.
            broken: rows that are left out.
            rows: how many the data has.
            offset: of the next row in the input.
            line: of the next row.

        Raises:
            BulkError: it cannot be written.
        """
        errors = written(broken)
        with self._readable_errors():
            self._files[0].write(data)
            self._files[1].write(errors)
            state = self.state
            self.state = replace(
                state,
                offset=offset,
                line=line,
                data_bytes=state.data_bytes + len(data),
                error_bytes=state.error_bytes + len(errors),
                rows=state.rows + rows,
                broken=state.broken + len(broken),
            )
            has_rows = rows or broken
            if has_rows and time.monotonic() - self._saved_at >= _STATE_EVERY_S:
                self._save()

    def save(self) -> None:
        """Make what was written what an interrupted run is resumed from.

        Raises:
            BulkError: it cannot be written.
        """
        with self._readable_errors():
            self._save()

    def _save(self) -> None:
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        self.state.write(self._state_path)
        self._saved_at = time.monotonic()

    def finish(self) -> None:
        """Give the files their names; the side file only if there are broken rows.

        Raises:
            BulkError: they cannot be renamed.
        """
        with self._readable_errors():
            if not self.state.is_done:
                self.state = replace(self.state, is_done=True)
                self._save()
                self.close()
            part, errors = self.parts
            if not self.state.broken:
                self._side_file.unlink(missing_ok=True)  # of an earlier run
                errors.unlink(missing_ok=True)
            elif errors.exists():
                with self._readable_errors(self._side_file):
                    shutil.move(errors, self._side_file)  # it may be on another file system
            if self.made.exists():
                self.made.replace(self.path)
            part.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the state: the run is complete.

        Raises:
            BulkError: it cannot be removed.
        """
        with self._readable_errors():
            self._state_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files; what was not saved is lost."""
        for file in self._files:
            with suppress(OSError):  # if it cannot write the rest, which is cut off later
                file.close()
        self._files = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._files:
            if self.state.rows or self.state.broken:
                with suppress(BulkError):
                    self.save()
            else:
                for path in (*self.parts, self.made, self._state_path):
                    with suppress(OSError):
                        path.unlink()
        self.close()

    @contextmanager
    def _readable_errors(self, path: Path | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise BulkError(f"{path or self.path}: cannot be written: {reason}") from error


def _shorten(file: BinaryIO, size: int, path: Path) -> None:
    """Cut off what was written after the state.

    Raises:
        RefusedError: it is shorter already.
    """
    if file.tell() < size:
        raise RefusedError(f"{path} is shorter than it was. Start again without --resume")
    file.truncate(size)
    file.seek(size)


def _lock(file: BinaryIO, path: Path) -> None:
    """Refuse to write what another process writes; Windows refuses it by itself.

    Raises:
        RefusedError: another process does.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(f"{path}: another process is writing it") from None


class Pipe:
    """Standard output, which cannot be resumed; with a side file if one is named.

    Args:
        stream: of standard output.
        side_file: its path; None for none.

    Attributes:
        state: how much was written.

    Raises:
        BulkError: the side file cannot be written.
    """

    def __init__(self, stream: BinaryIO, side_file: Path | None) -> None:
        self._stream, self._side_file = stream, side_file
        self._part = side_file and aside(side_file).part
        self._errors: BinaryIO | None = None
        self.state, self.is_new = State({}), True
        if self._part is not None:
            with self._readable_errors():
                self._errors = self._part.open("wb")

    def write(
        self, data: bytes, broken: tuple[BrokenRow, ...], rows: int, offset: int, line: int
    ) -> None:
        """Write scored rows and broken ones, see `Output.write`.

        Raises:
            BulkError: the side file cannot be written.
            OSError: standard output cannot.
        """
        self._stream.write(data)
        self._stream.flush()
        if self._errors is not None:
            with self._readable_errors():
                self._errors.write(written(broken))
        self.state = replace(
            self.state,
            offset=offset,
            line=line,
            rows=self.state.rows + rows,
            broken=self.state.broken + len(broken),
        )

    def finish(self) -> None:
        """Give the side file its name.

        Raises:
            BulkError: it cannot be renamed.
        """
        if self._part is None or self._side_file is None:
            return
        with self._readable_errors():
            if self._errors is not None:
                self._errors.close()
            if self.state.broken:
                self._part.replace(self._side_file)
            else:
                self._part.unlink()
                self._side_file.unlink(missing_ok=True)

    def forget(self) -> None:
        """Do nothing: there is no state."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._errors is not None:
            self._errors.close()
        if error is not None and self._part is not None:
            self._part.unlink(missing_ok=True)

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise BulkError(f"{self._side_file}: cannot be written: {reason}") from error

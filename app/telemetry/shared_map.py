"""The memory map in which the processes of the service count.

All processes of the service descend from one, which creates this anonymous map before the first
fork. Each process writes to its own row, so none waits for another to count something, and the
process that is scraped sums the rows. There is no file to create, to clean up or to find, and no
directory that could be full: what can fail is the reservation, at the start.

The map holds, one after the other and aligned to 8 bytes (`Layout` has the arithmetic):

header
    int64: the epoch, the length of the directory, then three words per row: the first epoch that
    does not count the row, the id of the process that writes to it, and its owner: the number of
    the generation that the process belongs to.
totals
    float64[2, cells]: the sums of all retired rows; row ``epoch % 2`` is the current one.
rows
    float64[rows, cells].
exemplars
    Per row and cell: see `Exemplars`. Untouched pages take no memory.
directory
    Lines of text, one for each thing that is counted. `counters` writes and reads them.

**Cells** are written by one aligned store of 8 bytes: a reader sees the old value or the new one.

**The directory** can be extended at any time by any process. The line is written first and the
length last, under a lock that the kernel releases when its holder dies: a process that is killed in
between leaves nothing behind.

**Rows** are opened and retired by the processes that fork others, under the same lock, and retired
only after the end of the process that wrote to them. The new total is written next to the current
one; then one store, that of the epoch, makes it current and stops counting the row. Wherever a
process is killed, each count is in exactly one place: a retirement that was not completed is undone
by the next one, and a row is zeroed when it is opened, too.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..process_lock import ProcessLock, SharingError
from ..shared_memory import Fence
from .exemplars import SIZE as EXEMPLAR
from .exemplars import Exemplars

WORD: Final = 8

# Words of the header.
_EPOCH: Final = 0
_DIRECTORY_LENGTH: Final = 1
_FIRST_ROW: Final = 2
_ROW_WORDS: Final = 3  # epoch, process id, owner

_FOREVER: Final = 2**63 - 1


class MetricsError(SharingError):
    """The system provides no memory, or no lock, for the metrics."""


@dataclass(frozen=True)
class Layout:
    """Where everything lies in the map; all offsets are in bytes from its start.

    Attributes:
        rows: processes that can count at the same time, the parent included.
        cells: per row; the default is enough for some 60 models.
        directory_bytes: for the directory.
    """

    rows: int = 1
    cells: int = 8192
    directory_bytes: int = 2**18

    @property
    def totals(self) -> int:
        """Offset of the two totals."""
        return WORD * (_FIRST_ROW + _ROW_WORDS * self.rows)

    @property
    def values(self) -> int:
        """Offset of the rows."""
        return self.totals + 2 * WORD * self.cells

    @property
    def exemplars(self) -> int:
        """Offset of the exemplars."""
        return self.values + WORD * self.rows * self.cells

    def exemplar(self, row: int, cell: int) -> int:
        """Offset of one exemplar: value, time, trace id."""
        return self.exemplars + EXEMPLAR * (row * self.cells + cell)

    @property
    def directory(self) -> int:
        """Offset of the directory."""
        return self.exemplars + EXEMPLAR * self.rows * self.cells

    @property
    def size(self) -> int:
        """Bytes of the whole map."""
        return self.directory + self.directory_bytes


class Combined(NamedTuple):
    """The first cells of all rows, combined.

    Attributes:
        sums: float64[used], the sum of every process, those that have ended among them.
        running: float64[used], the sum of the processes that run.
        greatest: float64[used], the maximum of the processes that run.
    """

    sums: NDArray[np.float64]
    running: NDArray[np.float64]
    greatest: NDArray[np.float64]


class SharedMap:
    """Rows, totals and directory of one service. The process that creates it has row 0.

    Args:
        layout: sizes; with one row the map belongs to this process alone.

    Raises:
        MetricsError: the system refuses the memory, or the file to lock.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        try:
            memory = mmap.mmap(-1, layout.size)
        except OSError as error:
            raise MetricsError(
                f"cannot reserve {layout.size // 2**20 + 1} MB of memory for the metrics of "
                f"{layout.rows} processes: {error.strerror}"
            ) from error
        whole = memoryview(memory)
        self._header = whole[: layout.totals].cast("q")
        self._cells = whole[layout.values : layout.exemplars].cast("d")
        self.exemplars = Exemplars(whole[layout.exemplars : layout.directory], layout.cells)
        self._directory = whole[layout.directory :]
        self._totals: NDArray[np.float64] = np.frombuffer(
            memory, count=2 * layout.cells, offset=layout.totals
        ).reshape(2, layout.cells)
        self._rows: NDArray[np.float64] = np.frombuffer(
            memory, count=layout.rows * layout.cells, offset=layout.values
        ).reshape(layout.rows, layout.cells)
        self._order_memory = Fence().order
        self.adding: AbstractContextManager[object] = nullcontext()
        """Hold it to extend the directory; it excludes other processes, not threads."""
        if layout.rows > 1:
            try:
                self.adding = ProcessLock("dandelion-counters")
            except OSError as error:
                raise MetricsError(
                    "cannot create a file, which the workers' metrics are locked by: "
                    f"{error.strerror}"
                ) from error
        self._header[_word(0)] = _FOREVER
        self._header[_word(0) + 1] = os.getpid()

    def lines(self, start: int) -> list[bytes]:
        """Return the lines of the directory from byte ``start``, each with its line feed."""
        end = self._header[_DIRECTORY_LENGTH]
        self._order_memory()
        return bytes(self._directory[start:end]).splitlines(keepends=True)

    def append(self, line: bytes) -> bool:
        """Append to the directory, with `adding` held; returns whether there was room."""
        start = self._header[_DIRECTORY_LENGTH]
        end = start + len(line)
        if end > self.layout.directory_bytes:
            return False
        self._directory[start:end] = line
        self._order_memory()
        self._header[_DIRECTORY_LENGTH] = end
        return True

    def open_row(self, used: int, owner: int = 0) -> int:
        """Return a free row, zeroed and counted from now on; for the process that will fork.

        Args:
            used: cells that may have been written to; all after that many are 0.
            owner: a number, see `rows_of`.

        Raises:
            RuntimeError: every row is in use.
        """
        with self.adding:
            for row in range(1, self.layout.rows):
                if not self._is_counted(row):
                    self._rows[row, :used] = 0.0
                    self._header[_word(row) + 1] = 0
                    self._header[_word(row) + 2] = owner
                    self._order_memory()
                    self._header[_word(row)] = _FOREVER
                    return row
        raise RuntimeError(f"all {self.layout.rows} rows of the counters are in use")

    def claim(self, row: int) -> "memoryview[float]":
        """Return the cells of a row, which this process alone writes to from now on."""
        self._header[_word(row) + 1] = os.getpid()
        start = row * self.layout.cells
        return self._cells[start : start + self.layout.cells]

    def rows_of(self, owner: int) -> list[int]:
        """Return the rows that were opened for an owner and are still counted."""
        return [
            row
            for row in range(1, self.layout.rows)
            if self._is_counted(row) and self._header[_word(row) + 2] == owner
        ]

    def retire(self, row: int, used: int) -> None:
        """Add a row to the total and free it, after the end of the process that wrote to it.

        Args:
            row: a row that `open_row` returned.
            used: all cells after that many are 0.
        """
        with self.adding:
            self._undo_incomplete()
            epoch = self._header[_EPOCH]
            total, next_total = self._totals[epoch % 2], self._totals[(epoch + 1) % 2]
            np.add(total[:used], self._rows[row, :used], out=next_total[:used])
            self._header[_word(row)] = epoch + 1
            self._order_memory()
            self._header[_EPOCH] = epoch + 1
            self._order_memory()
            self._header[_word(row) + 1] = 0
            self._rows[row, :used] = 0.0

    def combined(self, used: int) -> Combined:
        """Combine the first cells of all rows."""
        while True:
            epoch = self._header[_EPOCH]
            self._order_memory()
            retired = self._totals[epoch % 2, :used].copy()
            running, greatest = np.zeros(used), np.zeros(used)
            for row in range(self.layout.rows):
                if self._header[_word(row)] > epoch:
                    # By NumPy's arithmetic, which reads each cell at once; a copy promises less.
                    np.add(running, self._rows[row, :used], out=running)
                    np.maximum(greatest, self._rows[row, :used], out=greatest)
            self._order_memory()
            if self._header[_EPOCH] == epoch:  # otherwise a row may have been reused meanwhile
                return Combined(retired + running, running, greatest)

    def column(self, cell: int) -> dict[int, float]:
        """Return the value of a cell in each row that is counted, by row."""
        return {
            row: float(self._rows[row, cell])
            for row in range(self.layout.rows)
            if self._is_counted(row)
        }

    def process_ids(self, owner: int | None = None) -> Iterator[int]:
        """Yield the first process's id, then those of the others that count; or an owner's."""
        for row in range(self.layout.rows):
            process_id, of = self._header[_word(row) + 1], self._header[_word(row) + 2]
            if process_id and self._is_counted(row) and owner in {None, of}:
                yield process_id

    def _is_counted(self, row: int) -> bool:
        return self._header[_word(row)] > self._header[_EPOCH]

    def _undo_incomplete(self) -> None:
        """Go on counting a row whose retirement was begun by a process that was killed."""
        epoch = self._header[_EPOCH]
        for row in range(1, self.layout.rows):
            if epoch < self._header[_word(row)] < _FOREVER:
                self._header[_word(row)] = _FOREVER


def _word(row: int) -> int:
    """The index in the header of a row's first word."""
    return _FIRST_ROW + _ROW_WORDS * row

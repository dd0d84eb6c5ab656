"""Examples of what a histogram's buckets have counted: the ids of traces.

OpenMetrics 1.0, "Exemplars".
"""

from typing import Final, NamedTuple

from ..shared_memory import Fence

SIZE: Final = 32  # bytes: value (float64), Unix time in seconds (float64), trace id
_WORD: Final = 8
_TRACE_ID: Final = slice(16, SIZE)


class Exemplar(NamedTuple):
    """One value that was observed.

    Attributes:
        value: in the unit of the histogram.
        time: Unix time in seconds; never 0.
        trace_id: of the request, 16 bytes.
    """

    value: float
    time: float
    trace_id: bytes


class Exemplars:
    """The newest exemplar of each cell and row.

    The time is 0 while an exemplar is written, so a reader never gets one half. Those of a process
    that has ended stay until its row has newer ones: its counts stay, too.

    Args:
        memory: `SIZE` bytes for each cell of each row, zeros at first.
        cells: of a row.
    """

    def __init__(self, memory: memoryview, cells: int) -> None:
        self._memory = memory
        self._words = memory.cast("d")
        self._cells = cells
        self._rows = len(memory) // (SIZE * cells)
        self._order = Fence().order

    def write(self, row: int, cell: int, exemplar: Exemplar) -> None:
        """Replace an exemplar; for the one process that writes to the row."""
        start = SIZE * (row * self._cells + cell)
        word = start // _WORD
        self._words[word + 1] = 0.0
        self._order()
        self._words[word] = exemplar.value
        self._memory[start + _TRACE_ID.start : start + _TRACE_ID.stop] = exemplar.trace_id
        self._order()
        self._words[word + 1] = exemplar.time

    def newest(self, cell: int) -> Exemplar | None:
        """Return the newest exemplar of a cell in all rows, if there is one."""
        found = [one for row in range(self._rows) if (one := self._read(row, cell)) is not None]
        return max(found, key=lambda one: one.time, default=None)

    def _read(self, row: int, cell: int) -> Exemplar | None:
        start = SIZE * (row * self._cells + cell)
        word = start // _WORD
        time = self._words[word + 1]
        if not time:
            return None
        self._order()
        value = self._words[word]
        trace_id = bytes(self._memory[start + _TRACE_ID.start : start + _TRACE_ID.stop])
        self._order()
        return Exemplar(value, time, trace_id) if self._words[word + 1] == time else None

"""What processes share: a document, and the order of accesses."""

import mmap
import threading
from typing import Final

_HEAD: Final = 8  # bytes of a number


class Fence:
    """Keeps this process's accesses to memory in order, also on arm64, which reorders them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def order(self) -> None:
        """Let earlier reads and writes precede later ones.

        Accesses before and after a lock may be moved to where it is held, and be reordered there.
        With two rounds none passes both: earlier ones precede the first release, later ones follow
        the second acquisition.
        """
        for _ in range(2):
            with self._lock:
                pass


class SharedDocument:
    """A document in memory that one process writes, and every process forked from it reads.

    Written to one half while the other is read, so a reader gets a whole document even if the
    writer is killed. Untouched pages take no memory.

    Args:
        max_bytes: of a document.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._half = _HEAD + max_bytes
        self._memory = memoryview(mmap.mmap(-1, _HEAD + 2 * self._half))
        self._number = self._memory[:_HEAD].cast("q")  # of documents that were written
        self._order = Fence().order

    def write(self, document: bytes) -> None:
        """Replace the document.

        Raises:
            ValueError: it is too large.
        """
        if len(document) > self.max_bytes:
            raise ValueError(f"{len(document)} bytes; expected at most {self.max_bytes}")
        number = self._number[0] + 1
        start = self._start(number)
        self._memory[start : start + _HEAD] = len(document).to_bytes(_HEAD, "little")
        self._memory[start + _HEAD : start + _HEAD + len(document)] = document
        self._order()
        self._number[0] = number

    def read(self) -> bytes:
        """Return the document that was written last; nothing if none was."""
        while True:
            number = self._number[0]
            self._order()
            start = self._start(number)
            length = int.from_bytes(self._memory[start : start + _HEAD], "little")
            document = bytes(self._memory[start + _HEAD :][: min(length, self.max_bytes)])
            self._order()
            if self._number[0] == number:
                return document

    def _start(self, number: int) -> int:
        return _HEAD + number % 2 * self._half

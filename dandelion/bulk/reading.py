"""A file of text: its layout, and the blocks of a part of it."""

from collections.abc import Iterator

from .beginning import BEGINNING_BYTES, Asked, Beginning, begin
from .cutting import BLOCK_BYTES, cut, filled, split
from .job import Block
from .sources import Unpacked

ALL = (0, 2**63)
"""The part of a file that is all of it."""


class TextFile:
    """A file of CSV, TSV or JSON Lines that is open for reading.

    Args:
        stream: of its bytes, at the beginning.
        asked: what is known of it.

    Raises:
        RefusedError: see `begin`.
        BulkError: the stream cannot be read.
    """

    def __init__(self, stream: Unpacked, asked: Asked) -> None:
        self._stream = stream
        data = filled(stream, b"", BEGINNING_BYTES)
        self.beginning: Beginning = begin(data, asked)
        stream.push_back(data[self.beginning.offset :])

    def blocks(
        self,
        part: tuple[int, int] = ALL,
        after: tuple[int, int] | None = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> Iterator[Block]:
        """Yield the blocks of a part of the file; it can be read once.

        Args:
            part: the offsets, in the unpacked file, between which its rows begin.
            after: the end of the last block that was scored and its next line; None for none.
            block_bytes: see `BLOCK_BYTES`.

        Raises:
            BulkError: the stream cannot be read.
        """
        layout, (start, stop) = self.beginning.layout, part
        offset, line = self.beginning.offset, self.beginning.line
        if after is not None:
            offset, line = after
            self._stream.skip(offset)
        blocks = cut(
            self._stream,
            layout.format,
            layout.delimiter,
            offset=offset,
            line=line,
            block_bytes=block_bytes,
        )
        for block in blocks:
            if block.offset >= stop:
                return
            if block.end <= start:
                continue
            rows = split(block, start, stop, layout.format, layout.delimiter)
            if rows is not None:
                yield rows

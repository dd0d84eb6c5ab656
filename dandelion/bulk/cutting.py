"""A stream of text, cut into blocks of whole rows: in constant memory, always in the same places.

Where a block ends depends on the bytes and on where it begins, not on how a stream hands them out,
so that scoring continues after an interruption exactly where it stopped.
"""

from collections.abc import Iterator
from typing import Final, Protocol

from .job import MAX_ROW_BYTES, Block, Format
from .records import count_lines, first_line_end, first_row_from, last_row_end

BLOCK_BYTES: Final = 2**20
"""What a block has at most, unless a single row is larger."""

# A row and its line end.
_MOST_BYTES: Final = MAX_ROW_BYTES + 1

# What is kept of a row that is too large.
_SHOWN_BYTES: Final = 1000


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most so many; none at the end."""


def cut(  # noqa: PLR0913
    stream: Readable,
    form: Format,
    delimiter: str = ",",
    *,
    offset: int = 0,
    line: int = 1,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Block]:
    """Yield the blocks of a stream, from the beginning of a row to the end of the stream.

    Args:
        stream: of unpacked bytes, positioned at ``offset``.
        form: the format of the rows.
        delimiter: of CSV.
        offset: of the next byte.
        line: that the next byte is on.
        block_bytes: see `BLOCK_BYTES`; at most `MAX_ROW_BYTES`.

    Raises:
        BulkError, OSError: the stream cannot be read.
    """
    rest, wanted = b"", block_bytes
    while data := filled(stream, rest, wanted):
        is_last = len(data) < wanted
        end = len(data) if is_last else last_row_end(data, form, delimiter)
        if end:
            block, rest = _block(data[:end], offset, line, form), data[end:]
        elif len(data) < _MOST_BYTES:
            rest, wanted = data, min(len(data) + block_bytes, _MOST_BYTES)
            continue
        else:
            block, rest = _too_large(stream, data, offset, line, form)
        yield block
        offset, line, wanted = block.end, block.next_line, block_bytes


def filled(stream: Readable, rest: bytes, wanted: int) -> bytes:
    """Return bytes that were read and those that follow, as many as wanted or all that are left."""
    pieces, size = [rest], len(rest)
    while size < wanted and (piece := stream.read(wanted - size)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _block(data: bytes, offset: int, line: int, form: Format) -> Block:
    return Block(data, offset, offset + len(data), line, line + count_lines(data, form))


def _too_large(
    stream: Readable, data: bytes, offset: int, line: int, form: Format
) -> tuple[Block, bytes]:
    """Return what is left out, the first line, and the bytes after it that were read."""
    shown, size = data[:_SHOWN_BYTES], 0
    problem = f"a row of more than {MAX_ROW_BYTES:,} bytes"
    while True:
        end = first_line_end(data, form)
        if end:
            break
        size += len(data) - 1  # the last byte may be half of a line end
        data = filled(stream, data[-1:], BLOCK_BYTES)
        if len(data) == 1:
            end = 1
            break
    if form == "csv" and len(shown) > end and not size:
        problem += "; a quotation mark on its first line may never be closed"
        shown = shown[:end]
    end_line = line + count_lines(data[:end], form)
    return Block(shown, offset, offset + size + end, line, end_line, problem), data[end:]


def split(block: Block, start: int, stop: int, form: Format, delimiter: str) -> Block | None:
    """Return the rows of a block that begin in a part of the file; None if none does.

    Args:
        block: whole rows.
        start: of the part, a position in the unpacked file.
        stop: of the part.
        form: the format of the rows.
        delimiter: of CSV.
    """
    if start <= block.offset and block.end <= stop:
        return block
    if block.problem:
        return block if start <= block.offset < stop else None
    low, high = (
        first_row_from(block.data, end - block.offset, form, delimiter) for end in (start, stop)
    )
    if low >= high:
        return None
    line = block.line + count_lines(block.data[:low], form)
    return _block(block.data[low:high], block.offset + low, line, form)

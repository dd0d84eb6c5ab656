"""Where the rows of a text end: its lines, or in CSV its records, which may span several."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .job import MAX_ROW_BYTES, Format


def lines_of(text: str) -> list[str]:
    """Return the physical lines of CSV and TSV with their ends: ``\\n``, ``\\r\\n`` or ``\\r``."""
    return list(io.StringIO(text, newline=""))


def count_lines(data: bytes, form: Format) -> int:
    """Count the ends of physical lines; in JSON Lines, only a line feed is one."""
    feeds = data.count(b"\n")
    if form == "jsonl" or b"\r" not in data:
        return feeds
    return feeds + data.count(b"\r") - data.count(b"\r\n")


@contextmanager
def long_fields() -> Iterator[None]:
    """Have `csv` read fields as long as a row may be; its limit is one of the whole process."""
    before = csv.field_size_limit(MAX_ROW_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def last_row_end(data: bytes, form: Format, delimiter: str) -> int:
    """Return where the last row that is surely complete ends, 0 if none is.

    Args:
        data: from the beginning of a row; more may follow.
        form: its format.
        delimiter: of CSV.
    """
    end = _last_line_end(data, form)
    if form == "csv" and b'"' in data[:end]:
        found = _last_end_outside_quotes(data[:end], delimiter)
        if found is None:
            ends = record_ends(lines_of(data[:end].decode("latin-1")), delimiter)
            found = ends[-1] if ends else 0
        return found
    return end


def _last_end_outside_quotes(data: bytes, delimiter: str) -> int | None:
    """Return what `last_row_end` does, ten times as fast; None if quotation marks do not pair up.

    In regular CSV, every second mark opens a value or is the second one of two that stand for one
    mark: what is in front of it ends with a delimiter or a line end, or is empty.
    """
    pieces = data.split(b'"')
    ends = frozenset(f"{delimiter}\r\n".encode())
    if pieces[0] and pieces[0][-1] not in ends:
        return None
    for piece in pieces[2::2]:
        if piece and piece[0] not in ends:
            return None
    for piece in pieces[2:-1:2]:
        if piece and piece[-1] not in ends:
            return None
    stop = len(data)
    for at in range(len(pieces) - 1, -1, -1):
        start = stop - len(pieces[at])
        if at % 2 == 0 and (end := _last_line_end(data[start:stop] + b" ", "csv")):
            return start + end
        stop = start - 1
    return 0


def first_line_end(data: bytes, form: Format) -> int:
    """Return where the first physical line surely ends; 0 if it does not."""
    feed = data.find(b"\n") + 1
    if form == "jsonl":
        return feed
    carriage = data.find(b"\r", 0, feed or len(data) - 1) + 1
    return carriage if carriage and carriage != feed - 1 else feed


def first_row_from(data: bytes, position: int, form: Format, delimiter: str) -> int:
    """Return where the first row begins that does so at a position or after it.

    Args:
        data: whole rows.
        position: in them, or beyond.
        form: their format.
        delimiter: of CSV.

    Returns:
        The position; the length of the data if there is no such row.
    """
    if position <= 0:
        return 0
    if form == "csv" and b'"' in data:
        ends = record_ends(lines_of(data.decode("latin-1")), delimiter)
        return next((end for end in ends if end >= position), len(data))
    if position >= len(data):
        return len(data)
    # Of the byte before the position, the line may end with it or go on.
    at = position - 1
    if form != "jsonl" and data[at : at + 2] == b"\r\n":
        return at + 2
    return at + (first_line_end(data[at:], form) or len(data) - at)


def _last_line_end(data: bytes, form: Format) -> int:
    feed = data.rfind(b"\n") + 1
    if form == "jsonl":
        return feed
    # A carriage return at the very end may be half of a line end.
    return max(feed, data.rfind(b"\r", 0, len(data) - 1) + 1)


def record_ends(lines: Sequence[str], delimiter: str) -> list[int]:
    """Return where each record of CSV ends that is surely complete.

    Args:
        lines: with their ends, of one byte per character.
        delimiter: between the fields.
    """
    ends: list[int] = []
    at = end = 0
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    with long_fields():
        while True:
            try:
                next(reader)
            except StopIteration:
                return ends
            except csv.Error:
                # On the last line, it may be that a quotation mark is closed further on.
                if reader.line_num == len(lines):
                    return ends
            end += sum(map(len, lines[at : reader.line_num]))
            at = reader.line_num
            ends.append(end)

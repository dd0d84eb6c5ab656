"""The beginning of a file of text: its header or first rows, and which column holds the texts."""

import codecs
import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..tables import listed, suggestion
from ..tables.decoding import DecodingError, require_text
from ..tables.delimited import recognize_delimiter
from ..tables.naming import text_column
from .delimited import field_writer, records
from .errors import RefusedError
from .job import UTF_8, Format, Layout
from .records import lines_of, long_fields

BEGINNING_BYTES: Final = 2**20
"""How much of a file is enough to find its layout."""

_LINE_ENDS: Final = ("\r\n", "\n", "\r")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a file before it is read.

    Attributes:
        name: for messages.
        format: of the file.
        text: the column of the texts; None guesses it.
        delimiter: of CSV; None recognizes it.
        added: the names of the columns that are added.
        is_packed: whether the output is packed with gzip.
        encoding: see `Layout`.

    Raises:
        RefusedError: there is a delimiter, but it is not CSV; or an encoding, but it is neither CSV
            nor TSV.
    """

    name: str
    format: Format
    text: str | None
    delimiter: str | None
    added: tuple[str, ...]
    is_packed: bool = False
    encoding: str = UTF_8

    def __post_init__(self) -> None:
        if self.delimiter is not None and self.format != "csv":
            raise RefusedError(f"{self.name}: only CSV has a delimiter; leave out --delimiter")
        if self.encoding != UTF_8 and self.format not in {"csv", "tsv"}:
            raise RefusedError(
                f"{self.name}: only CSV and TSV have encodings; leave out --encoding"
            )


@dataclass(frozen=True, slots=True)
class Beginning:
    """What was found.

    Attributes:
        layout: of the file.
        head: bytes that the output begins with, not packed: a byte order mark, and the header.
        offset: of the first row in the file.
        line: that the first row is on.
    """

    layout: Layout
    head: bytes
    offset: int
    line: int


def begin(data: bytes, asked: Asked) -> Beginning:
    """Find the layout of a file.

    Args:
        data: its first `BEGINNING_BYTES`, or all of it.
        asked: what is known.

    Raises:
        RefusedError: it is not text in the encoding, the column of the texts is missing or cannot
            be guessed, or it has a column with the name of an added one.
    """
    try:
        require_text(data, takes_encoding=False)
    except DecodingError as error:
        raise RefusedError(f"{asked.name}: {error}.") from None
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    if mark and asked.encoding != UTF_8:
        raise RefusedError(f"{asked.name}: UTF-8, by its first bytes; leave out --encoding")
    rest = data[len(mark) :]
    if asked.format == "jsonl":
        return _of_json_lines(rest, mark, asked)
    return _of_delimited(rest, mark, asked)


def _of_json_lines(data: bytes, mark: bytes, asked: Asked) -> Beginning:
    *lines, last = data.split(b"\n")
    if len(data) < BEGINNING_BYTES - len(mark):  # the last line may else go on
        lines.append(last)
    columns: dict[str, None] = {}
    is_empty = True
    for line in lines:
        if not line.strip():
            continue
        is_empty = False
        try:
            row = json.loads(line, parse_int=bool)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            columns |= dict.fromkeys(row)
    text = asked.text or "text"
    if columns or not (asked.text or is_empty):  # else the name makes no difference
        text = choose_text(tuple(columns), asked)
    layout = Layout("jsonl", text, is_packed=asked.is_packed)
    return Beginning(layout, mark, len(mark), 1)


def _of_delimited(data: bytes, mark: bytes, asked: Asked) -> Beginning:
    encoding = asked.encoding
    text = data.decode(encoding, "surrogateescape")
    delimiter = "\t"
    if asked.format == "csv":
        delimiter = asked.delimiter or recognize_delimiter(text)
    unknown = Layout(asked.format, "", delimiter=delimiter)
    lines = lines_of(text)
    with long_fields():
        found = next(records(lines, unknown), None)
    if found is None:
        layout = Layout(asked.format, asked.text or "text", delimiter=delimiter, encoding=encoding)
        return Beginning(layout, mark, len(mark), 1)
    number, raw, fields = found
    is_whole = len(data) < BEGINNING_BYTES - len(mark) or len(raw) < len(text) // 2
    if isinstance(fields, csv.Error) or not is_whole:
        raise RefusedError(
            f"{asked.name}: the first line, which names the columns, is invalid. Check its quotes."
        )
    columns = tuple(name.strip() for name in fields)
    column = choose_text(columns, asked)
    end = next((end for end in _LINE_ENDS if raw.endswith(end)), "")
    layout = Layout(
        asked.format,
        column,
        columns,
        columns.index(column),
        delimiter,
        end or "\n",
        is_packed=asked.is_packed,
        encoding=encoding,
    )
    write = field_writer(layout)
    names = [raw.removesuffix(end), *map(write, asked.added)]
    head = delimiter.join(names).encode(encoding, "surrogateescape") + layout.line_end.encode()
    before = "".join(lines[:number]) + raw
    size = len(before.encode(encoding, "surrogateescape"))
    line = 1 + number + len(lines_of(raw))
    return Beginning(layout, mark + head, len(mark) + size, line)


def choose_text(columns: Sequence[str], asked: Asked) -> str:
    """Choose the column of the texts; of a single one, that.

    Args:
        columns: the names of a file's columns.
        asked: what is known.

    Raises:
        RefusedError: there is no such column or more than one, it cannot be guessed, or a column
            has the name of an added one.
    """
    counts = Counter(columns)
    taken = [name for name in asked.added if counts[name]]
    if taken:
        raise RefusedError(
            f"{asked.name}: there is a column {taken[0]!r} already. Give the added columns other "
            "names, such as --prefix dandelion_"
        )
    name = asked.text
    if name is None:
        is_only_one = len(columns) == 1 and asked.format != "jsonl"  # which may omit others
        name = columns[0] if is_only_one else text_column(columns)
        if name is None:
            raise RefusedError(
                f"{asked.name}: cannot guess which column contains the texts: give it with "
                f"--text-column. Available: {listed(columns) or 'none'}"
            )
    if counts[name] != 1:
        problem = "more than one column" if counts[name] else "no column"
        raise RefusedError(
            f"{asked.name}: {problem} {name!r}{suggestion(name, columns)}; "
            f"available: {listed(columns) or 'none'}"
        )
    return name

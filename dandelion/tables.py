"""Read rows from CSV, TSV, JSON Lines and Parquet files, each with its line number.

No row is lost silently: what is not a valid row is listed with its line and the reason, and the
reason never quotes the text.

Example:
    >>> table = parse(b"text,label\\nhello,ham\\nWIN NOW\\n", Path("messages.csv"))
    >>> table.column("text"), table.lines
    (['hello'], [2])
    >>> describe_bad_rows(table.bad_rows, limit=3)
    ['line 3: wrong number of fields: 1, but the header has 2']
"""

import codecs
import csv
import difflib
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from .installation import pip_install

# The most names in an error message, and the longest that is quoted in full: without a header, a
# name may be a text.
_LISTED_NAMES: Final = 20
_NAME_CHARS: Final = 40


class TableError(Exception):
    """A file cannot be read as a table, or lacks a column.

    The message names the file and what to do.
    """


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        line: the physical line on which the row starts, counted from 1; in Parquet files, which
            have no lines, the row.
        reason: never quotes the text.
        unit: what ``line`` counts.
    """

    line: int
    reason: str
    unit: Literal["line", "row"] = "line"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file.

    Attributes:
        path: of the file.
        sha256: of the file's bytes, hexadecimal.
        columns: their names, in the order of the file. Names may repeat in CSV.
        lines: on which each row starts, see `BadRow`.
        bad_rows: what is not a row, in the order of the file.
        unit: what ``lines`` counts, see `BadRow`.
    """

    path: Path
    sha256: str
    columns: tuple[str, ...]
    lines: Sequence[int]
    _values: Callable[[str], list[object]]
    bad_rows: tuple[BadRow, ...] = ()
    unit: Literal["line", "row"] = "line"

    def column(self, name: str) -> list[object]:
        """Return a column's values, one per row.

        In CSV, every value is a string. In JSON Lines, a row without the column has None.

        Raises:
            TableError: there is no such column or more than one, or its strings are not UTF-8.
        """
        self.check_column(name)
        return self._values(name)

    def check_column(self, name: str) -> None:
        """Check that there is exactly one column of a name.

        Raises:
            TableError: there is none or more than one; suggests a similar name.
        """
        if self.columns.count(name) == 1:
            return
        problem = "more than one column" if name in self.columns else "no column"
        raise TableError(
            f"{self.path}: {problem} {name!r}{suggestion(name, self.columns)}; "
            f"available: {listed(self.columns)}"
        )


def read(path: Path) -> Table:
    """Read a file, see `parse`.

    Raises:
        TableError: the file cannot be read, or `parse` refuses it.
    """
    _reader(path)  # an unsupported file is not even opened
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error
    return parse(data, path)


def parse(data: bytes, path: Path) -> Table:
    """Read the rows from a file's bytes.

    Blank lines are skipped; an empty file has neither columns nor rows. CSV and TSV name their
    columns on the first line. White space around those names is removed, values stay as they are.

    Args:
        data: the file's content; text is UTF-8, with or without a byte order mark.
        path: for the format, by its extension (``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``,
            ``.parquet``), and for messages.

    Raises:
        TableError: the extension is unknown, the text is not UTF-8, the header of a CSV or a
            Parquet file is invalid, or pyarrow, which Parquet needs, is not installed.
    """
    read_table = _reader(path)
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        return Table(path, _sha256(data), (), [], lambda _: [])
    return read_table(path, data)


def describe_bad_rows(bad_rows: Sequence[BadRow], limit: int) -> list[str]:
    """Describe the first ``limit`` bad rows, one line each, and count the others."""
    lines = [f"{bad.unit} {bad.line}: {bad.reason}" for bad in bad_rows[:limit]]
    if len(bad_rows) > limit:
        lines.append(f"and {len(bad_rows) - limit:,} more")
    return lines


def suggestion(name: str, names: Sequence[str]) -> str:
    """Return ``, did you mean 'text'?`` for the most similar of ``names``; empty if none is.

    Example:
        >>> suggestion("txt", ["text", "label"])
        ", did you mean 'text'?"
    """
    near = difflib.get_close_matches(name, names, n=1)
    return f", did you mean {near[0]!r}?" if near and near[0] != name else ""


def listed(names: Sequence[str]) -> str:
    """List names for a message: quoted, long ones shortened, at most twenty.

    Example:
        >>> listed(["text", "label"])
        "'text', 'label'"
    """
    more = f" and {len(names) - _LISTED_NAMES:,} more" if len(names) > _LISTED_NAMES else ""
    return ", ".join(map(shortened, names[:_LISTED_NAMES])) + more


def shortened(name: str) -> str:
    """Quote a name, at most its first twenty characters: it may be a text in the wrong place."""
    return repr(name if len(name) <= _NAME_CHARS else f"{name[: _NAME_CHARS // 2]}…")


def _reader(path: Path) -> Callable[[Path, bytes], Table]:
    try:
        return _READERS[path.suffix.lower()]
    except KeyError:
        raise TableError(
            f"{path}: unsupported extension {path.suffix!r}; supported: {', '.join(_READERS)}. "
            "Rename the file, or save it in one of these formats."
        ) from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _decode(path: Path, data: bytes) -> str:
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    try:
        return data[start:].decode()
    except UnicodeDecodeError as error:
        offset = start + error.start
        line = len((data[:offset] + b".").splitlines())
        raise TableError(
            f"{path}: not UTF-8: line {line}, byte {offset} of the file (counted from 0) is "
            f"0x{data[offset]:02x}. Save the file as UTF-8."
        ) from None


def _read_csv(path: Path, data: bytes, delimiter: str = ",") -> Table:
    records = _records(_decode(path, data), delimiter)
    _, header = next(records)
    if isinstance(header, csv.Error):
        raise TableError(
            f"{path}: the first line, which names the columns, is invalid CSV: {header}. "
            "Check its quotes."
        )
    columns = tuple(name.strip() for name in header)
    starts, rows, bad_rows = [], [], []
    for lines, record in records:
        if isinstance(record, csv.Error):
            bad_rows.append(BadRow(lines.start, f"invalid CSV: {record}"))
            # The lines may contain further rows that were not parsed, so each of them is listed.
            bad_rows += [
                BadRow(line, f"part of the row that starts on line {lines.start}")
                for line in lines[1:]
            ]
        elif len(record) != len(columns):
            reason = f"wrong number of fields: {len(record)}, but the header has {len(columns)}"
            bad_rows.append(BadRow(lines.start, reason))
        else:
            starts.append(lines.start)
            rows.append(record)

    def values(column: str) -> list[object]:
        position = columns.index(column)
        return [row[position] for row in rows]

    return Table(path, _sha256(data), columns, starts, values, tuple(bad_rows))


def _read_tsv(path: Path, data: bytes) -> Table:
    return _read_csv(path, data, "\t")


def _records(text: str, delimiter: str) -> Iterator[tuple[range, list[str] | csv.Error]]:
    """Yield the physical lines of each record that is not blank, and its fields or its error."""
    # Strict, or a quote that is never closed silently swallows the rest of the file.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        record: list[str] | csv.Error
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            record = error
        if record != []:
            yield range(start, reader.line_num + 1), record


def _read_json_lines(path: Path, data: bytes) -> Table:
    lines, rows, bad_rows = [], [], []
    # Only a line feed ends a line: a JSON string may contain U+2028 and the like.
    for number, line in enumerate(_decode(path, data).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            bad_rows.append(BadRow(number, "invalid JSON"))
            continue
        if isinstance(row, dict):
            lines.append(number)
            rows.append(row)
        else:
            bad_rows.append(BadRow(number, "not a JSON object"))
    columns = tuple(dict.fromkeys(column for row in rows for column in row))

    def values(column: str) -> list[object]:
        return [row.get(column) for row in rows]

    return Table(path, _sha256(data), columns, lines, values, tuple(bad_rows))


def _read_parquet(path: Path, data: bytes) -> Table:
    try:
        # Here, because the library does without it.
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise TableError(
            f"{path}: reading Parquet needs pyarrow. Install it: {pip_install('pyarrow>=18')}"
        ) from error
    try:
        table = parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path}: invalid Parquet file: {error}. Write it again.") from error

    def values(column: str) -> list[object]:
        try:
            found: list[object] = table.column(column).to_pylist()
        except UnicodeDecodeError:
            raise TableError(
                f"{path}: the column {column!r} contains strings that are not UTF-8. "
                "Write it again."
            ) from None
        return found

    rows = range(1, table.num_rows + 1)
    return Table(path, _sha256(data), tuple(table.column_names), rows, values, unit="row")


_READERS: Final[dict[str, Callable[[Path, bytes], Table]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}

"""Read rows from CSV, TSV, JSON Lines, JSON and Parquet files, each with its line number.

No row is lost silently: what is not a valid row is listed with its line and the reason, and the
reason never quotes the text. In CSV a value in quotation marks may span several lines; how many
rows do is in the table's notes. In TSV a quotation mark is a character like any other, and every
line is a row.

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
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from . import text_files
from .delimited import (
    Record,
    csv_records,
    delimiter_named,
    describe_delimiter,
    describe_spans,
    explain,
    recognize_delimiter,
    tsv_records,
)
from .installation import pip_install
from .text_files import TextFileError

# The most names in an error message, and the longest that is quoted in full: without a header, a
# name may be a text.
_LISTED_NAMES: Final = 20
_NAME_CHARS: Final = 40

_SPREADSHEETS: Final = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")


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
        notes: sentences about how the file was read, for people: a delimiter that was recognized,
            rows that span several lines.
    """

    path: Path
    sha256: str
    columns: tuple[str, ...]
    lines: Sequence[int]
    _values: Callable[[str], list[object]]
    bad_rows: tuple[BadRow, ...] = ()
    unit: Literal["line", "row"] = "line"
    notes: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class _File:
    """A file to parse: its unpacked bytes, and how to read them."""

    path: Path
    data: bytes
    sha256: str
    encoding: str | None
    delimiter: str | None

    def text(self) -> str:
        try:
            return text_files.decode(self.data, self.encoding)
        except TextFileError as error:
            raise TableError(f"{self.path}: {error}.") from error

    def table(  # noqa: PLR0913, PLR0917
        self,
        columns: Sequence[str],
        lines: Sequence[int],
        values: Callable[[str], list[object]],
        bad_rows: Sequence[BadRow] = (),
        unit: Literal["line", "row"] = "line",
        notes: Sequence[str] = (),
    ) -> Table:
        known = self.path, self.sha256, tuple(columns), lines, values
        return Table(*known, tuple(bad_rows), unit, tuple(notes))

    def empty(self) -> Table:
        return self.table((), [], lambda _: [])


def read(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Read a file, see `parse`.

    Raises:
        TableError: the file cannot be read, or `parse` refuses it.
    """
    check_options(path, encoding=encoding, delimiter=delimiter)  # before the file is opened
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error
    return parse(data, path, encoding=encoding, delimiter=delimiter)


def parse(
    data: bytes, path: Path, *, encoding: str | None = None, delimiter: str | None = None
) -> Table:
    """Read the rows from a file's bytes.

    Blank lines are skipped; an empty file has neither columns nor rows. CSV and TSV name their
    columns on the first line. White space around those names is removed, values stay as they are.
    A CSV file whose first line has no comma, but semicolons, tabs or vertical bars, is separated by
    these. A value of CSV has at most `csv.field_size_limit()` characters.

    Args:
        data: the file's content.
        path: for the format, by its extension (``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``,
            ``.json``, ``.parquet``; all but the last also with ``.gz``), and for messages.
        encoding: of the text, by default UTF-8; a byte order mark is not part of the text.
        delimiter: between the columns of CSV and TSV: a character, or ``tab``.

    Raises:
        TableError: the extension is unknown, an option does not suit the format, the content is
            not text in the encoding, the header of a CSV or a Parquet file is invalid, gzip is
            damaged or holds more than `text_files.MAX_UNPACKED_BYTES`, or pyarrow, which Parquet
            needs, is not installed.
    """
    read_table, is_packed = check_options(path, encoding=encoding, delimiter=delimiter)
    sha256 = hashlib.sha256(data).hexdigest()
    if is_packed:
        try:
            data = text_files.unpack(data)
        except TextFileError as error:
            raise TableError(f"{path}: {error}.") from error
    file = _File(path, data, sha256, encoding, delimiter and delimiter_named(delimiter))
    has_content = data.removeprefix(codecs.BOM_UTF8).strip()
    return read_table(file) if has_content else file.empty()


def check_options(
    path: Path, *, encoding: str | None = None, delimiter: str | None = None
) -> tuple[Callable[[_File], Table], bool]:
    """Check how a file is to be read, without reading it.

    Returns:
        What parses its format, and whether it is compressed.

    Raises:
        TableError: the extension is unknown, or an option does not suit the format.
    """
    extension, is_packed = _extension(path)
    if extension in _SPREADSHEETS:
        raise TableError(
            f"{path}: spreadsheets are not read. Export it as CSV: in a spreadsheet program, save "
            "it as “CSV UTF-8”."
        )
    if extension not in _READERS or (is_packed and extension == ".parquet"):
        raise TableError(
            f"{path}: unsupported extension {''.join(path.suffixes[-2:])!r}; supported: "
            f"{', '.join(_READERS)}, and all but the last with .gz. "
            "Rename the file, or save it in one of these formats."
        )
    if encoding is not None and extension == ".parquet":
        raise TableError(f"{path}: Parquet has no text encoding. Omit --encoding.")
    if delimiter is not None:
        if extension not in {".csv", ".tsv"}:
            raise TableError(f"{path}: only CSV and TSV have a delimiter. Omit --delimiter.")
        try:
            delimiter_named(delimiter)
        except ValueError as error:
            raise TableError(f"{path}: {error}") from None
    return _READERS[extension], is_packed


def _extension(path: Path) -> tuple[str, bool]:
    """Return the extension that names the format, and whether ``.gz`` follows it."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    is_packed = suffixes[-1:] == [".gz"]
    return "".join(suffixes[-2:-1] if is_packed else suffixes[-1:]), is_packed


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


def _read_csv(file: _File) -> Table:
    text = file.text()
    if not text.strip():
        return file.empty()
    notes = []
    delimiter = file.delimiter
    if delimiter is None:
        delimiter = recognize_delimiter(text)
        if delimiter != ",":
            notes.append(describe_delimiter(delimiter))
    records = csv_records(text, delimiter)
    _, header = next(records)
    if isinstance(header, csv.Error):
        raise TableError(
            f"{file.path}: the first line, which names the columns, is invalid CSV: {header}. "
            "Check its quotes."
        )
    return _rows_as_table(file, header, records, notes)


def _read_tsv(file: _File) -> Table:
    text = file.text()
    if not text.strip():
        return file.empty()
    delimiter = file.delimiter or "\t"
    _, header = next(tsv_records(text, delimiter))
    records = list(tsv_records(text, delimiter))[1:]
    quoted = sum(
        any(len(one) > 1 and one[0] == one[-1] == '"' for one in record) for _, record in records
    )
    note = (
        f"{quoted:,} row{'s' * (quoted != 1)} with a value in quotation marks: they belong to the "
        "value in .tsv; if they only surround it, name the file .csv"
    )
    return _rows_as_table(file, header, records, [note] if quoted else [])


def _rows_as_table(
    file: _File,
    header: list[str],
    records: Iterable[Record],
    notes: list[str],
) -> Table:
    columns = tuple(name.strip() for name in header)
    starts: list[int] = []
    rows: list[list[str]] = []
    bad_rows: list[BadRow] = []
    spans: list[range] = []
    for lines, record in records:
        if isinstance(record, csv.Error):
            bad_rows.append(BadRow(lines.start, f"invalid CSV: {explain(record)}"))
            # The lines may contain further rows that were not parsed, so each of them is listed.
            bad_rows += [
                BadRow(line, f"part of the row that starts on line {lines.start}")
                for line in lines[1:]
            ]
        elif len(record) != len(columns):
            reason = f"wrong number of fields: {len(record)}, but the header has {len(columns)}"
            if len(lines) > 1:
                reason += f" (the row goes on to line {lines[-1]})"
            bad_rows.append(BadRow(lines.start, reason))
        else:
            starts.append(lines.start)
            rows.append(record)
            if len(lines) > 1:
                spans.append(lines)

    if spans:
        notes = [*notes, describe_spans(spans)]

    def values(column: str) -> list[object]:
        position = columns.index(column)
        return [row[position] for row in rows]

    return file.table(columns, starts, values, bad_rows, notes=notes)


def _read_json_lines(file: _File) -> Table:
    lines, rows, bad_rows = [], [], []
    # Only a line feed ends a line: a JSON string may contain U+2028 and the like.
    for number, line in enumerate(file.text().split("\n"), start=1):
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
    return _objects_as_table(file, lines, rows, bad_rows)


def _read_json(file: _File) -> Table:
    """Read one array of objects; without brackets, JSON Lines."""
    text = file.text()
    if not text.lstrip().startswith("["):
        return _read_json_lines(file)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" on line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise TableError(
            f"{file.path}: invalid JSON{where}. Write one array of objects; or JSON Lines, an "
            "object per line, where one wrong line is no reason to refuse the others."
        ) from None
    numbers, rows, bad_rows = [], [], []
    for number, row in enumerate(values, start=1):
        if isinstance(row, dict):
            numbers.append(number)
            rows.append(row)
        else:
            bad_rows.append(BadRow(number, "not a JSON object", "row"))
    return _objects_as_table(file, numbers, rows, bad_rows, unit="row")


def _objects_as_table(
    file: _File,
    lines: Sequence[int],
    rows: Sequence[dict[str, object]],
    bad_rows: Sequence[BadRow],
    *,
    unit: Literal["line", "row"] = "line",
) -> Table:
    columns = tuple(dict.fromkeys(column for row in rows for column in row))

    def values(column: str) -> list[object]:
        return [row.get(column) for row in rows]

    return file.table(columns, lines, values, bad_rows, unit=unit)


def _read_parquet(file: _File) -> Table:
    path = file.path
    try:
        # Here, because the library does without it.
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise TableError(
            f"{path}: reading Parquet needs pyarrow. Install it: {pip_install('pyarrow>=18')}"
        ) from error
    try:
        table = parquet.read_table(pa.BufferReader(file.data))
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
    return file.table(table.column_names, rows, values, unit="row")


_READERS: Final[dict[str, Callable[[_File], Table]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".parquet": _read_parquet,
}

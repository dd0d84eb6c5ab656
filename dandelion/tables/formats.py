"""The formats of tables: a file's bytes become rows."""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ..installation import pip_install
from .decoding import DecodingError, decode
from .delimited import (
    Record,
    csv_records,
    describe_delimiter,
    describe_spans,
    explain,
    recognize_delimiter,
    tsv_records,
)
from .table import BadRow, Table, TableError, shortened

# Of what pyarrow reports; its messages may have several lines.
_REASON_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class File:
    """A file to parse.

    Attributes:
        path: for messages.
        data: its bytes, unpacked.
        sha256: of its bytes as they are stored, hexadecimal.
        encoding: of its text; None for UTF-8.
        delimiter: of CSV and TSV; None for the format's own.
    """

    path: Path
    data: bytes
    sha256: str
    encoding: str | None
    delimiter: str | None

    def text(self) -> str:
        """Decode the file.

        Raises:
            TableError: it is not text in the encoding.
        """
        try:
            return decode(self.data, self.encoding)
        except DecodingError as error:
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
        """Return a table of this file, see `Table`."""
        known = self.path, self.sha256, tuple(columns), lines, values
        return Table(*known, tuple(bad_rows), unit, tuple(notes))

    def empty(self) -> Table:
        """Return the table of a file without content."""
        return self.table((), [], lambda _: [])


def _read_csv(file: File) -> Table:
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


def _read_tsv(file: File) -> Table:
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
    file: File,
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
    positions = {name: position for position, name in enumerate(columns)}

    def values(column: str) -> list[object]:
        position = positions[column]
        return [row[position] for row in rows]

    return file.table(columns, starts, values, bad_rows, notes=notes)


def _read_json_lines(file: File) -> Table:
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


def _read_json(file: File) -> Table:
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
    file: File,
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


def _read_parquet(file: File) -> Table:
    path = file.path
    try:
        # Here, because the library does without it.
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise TableError(
            f"{path}: reading Parquet needs pyarrow. Install it: {pip_install('pyarrow>=18')}"
        ) from error
    # Besides its own exceptions, pyarrow raises those of Python's conversions.
    failures = (pa.ArrowException, OSError, ValueError, ArithmeticError, LookupError, TypeError)
    try:
        # Unlike `read_table`, it also reads files with several columns of one name.
        table = parquet.ParquetFile(pa.BufferReader(file.data)).read()
    except failures as error:
        raise TableError(
            f"{path}: invalid Parquet file: {_in_short(error)}. Write it again."
        ) from error

    def values(column: str) -> list[object]:
        try:
            found: list[object] = table.column(column).to_pylist()
        except UnicodeDecodeError:
            raise TableError(
                f"{path}: the column {shortened(column)} contains strings that are not UTF-8. "
                "Write it again."
            ) from None
        except failures as error:
            raise TableError(
                f"{path}: the column {shortened(column)} contains values of the type "
                f"{str(table.schema.field(column).type)[:_REASON_CHARS]} that cannot be read: "
                f"{_in_short(error)}. Write it again, as strings or numbers."
            ) from None
        return found

    rows = range(1, table.num_rows + 1)
    return file.table(table.column_names, rows, values, unit="row")


def _in_short(error: Exception) -> str:
    """Return the first line of an exception's message, without a point at its end."""
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    return first[:_REASON_CHARS].rstrip(" .")


READERS: Final[dict[str, Callable[[File], Table]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".parquet": _read_parquet,
}

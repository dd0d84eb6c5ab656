"""Parquet: units of rows in, tables with the added columns out; types and metadata stay.

The one module of the package that imports pyarrow, the extra `parquet`: import it when needed.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
from pyarrow import parquet

from .beginning import Asked, choose_text
from .errors import BulkError, RefusedError
from .job import BrokenRow, Layout
from .rows import Scores
from .scorer import Scorer

# What is scored at once: at most so many rows, and about so many bytes.
_UNIT_ROWS: Final = 8192
_UNIT_BYTES: Final = 2**22

# A row group of the output: rows of one of the input, at most so many, and about so many bytes.
_GROUP_ROWS: Final = 2**17
_GROUP_BYTES: Final = 2**26

_READ_BYTES: Final = 2**20

_FAILURES: Final = (pa.ArrowException, OSError, ValueError, LookupError, TypeError)
_REASON_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows of one row group that are next to each other.

    Attributes:
        table: all their columns.
        row: of the first one in the file, counted from 1.
        group: the row group.
    """

    table: Any
    row: int
    group: int


@dataclass(frozen=True, slots=True)
class ScoredUnit:
    """The added columns of a unit.

    Attributes:
        columns: a table of them, as a message of Arrow.
        rows: how many there are.
        broken: the rows that are left out.
    """

    columns: bytes
    rows: int
    broken: tuple[BrokenRow, ...]

    def to_bytes(self) -> bytes:
        """Return it as bytes that `read_units` reads."""
        broken = [[one.line, one.reason] for one in self.broken]
        head = {"rows": self.rows, "bytes": len(self.columns), "broken": broken}
        return json.dumps(head).encode() + b"\n" + self.columns


class ParquetFile:
    """A Parquet file that is open for reading, in constant memory.

    Args:
        source: its path, or a stream that can be positioned.
        asked: what is known of it.

    Attributes:
        layout: which column holds the texts.
        rows: how many there are.
        schema: of the file.

    Raises:
        RefusedError: see `choose_text`; or the texts are not strings.
        BulkError: it is no Parquet file.
    """

    def __init__(self, source: str | BinaryIO, asked: Asked) -> None:
        self._name = asked.name
        try:
            # Pages as they are needed, rather than row groups as a whole.
            self._file = parquet.ParquetFile(source, buffer_size=_READ_BYTES, pre_buffer=False)
        except _FAILURES as error:
            raise self._invalid(error) from error
        self.schema = self._file.schema_arrow
        self.rows: int = self._file.metadata.num_rows
        columns = tuple(self.schema.names)
        name = choose_text(columns, asked)
        self.layout = Layout("parquet", name, columns, columns.index(name))
        kind = self.schema.field(self.layout.at).type
        if not _is_text(kind):
            raise RefusedError(
                f"{asked.name}: the column {name!r} is of the type {str(kind)[:_REASON_CHARS]}; "
                "expected strings"
            )

    @property
    def codec(self) -> str:
        """How the file compresses its pages."""
        metadata = self._file.metadata
        if not metadata.num_row_groups or not metadata.num_columns:
            return "snappy"
        return (
            str(metadata.row_group(0).column(0).compression).lower().replace("uncompressed", "none")
        )

    def units(self, part: tuple[int, int] | None = None) -> Iterator[Unit]:
        """Yield the rows of a part of the file.

        Args:
            part: the numbers of its first row, counted from 0, and of the one after its last; None
                for all.

        Raises:
            BulkError: the file is damaged.
        """
        start, stop = part or (0, self.rows)
        first = 0
        for group in range(self._file.metadata.num_row_groups):
            count = self._file.metadata.row_group(group).num_rows
            if first < stop and first + count > start:
                yield from self._units_of(group, first, start, stop)
            first += count

    def _units_of(self, group: int, row: int, start: int, stop: int) -> Iterator[Unit]:
        known = self._file.metadata.row_group(group)
        each = max(1, known.total_byte_size // max(known.num_rows, 1))
        batches = self._file.iter_batches(
            max(1, min(_UNIT_ROWS, _UNIT_BYTES // each)), row_groups=[group], use_threads=False
        )
        while True:
            try:
                batch = next(batches, None)
            except _FAILURES as error:
                raise self._invalid(error) from error
            if batch is None:
                return
            low, high = max(start - row, 0), min(stop - row, batch.num_rows)
            if low < high:
                table = pa.Table.from_batches([batch.slice(low, high - low)], self.schema)
                yield Unit(table, row + low + 1, group)
            row += batch.num_rows

    def _invalid(self, error: Exception) -> BulkError:
        return BulkError(f"{self._name}: invalid Parquet file: {_in_short(error)}")


def count_rows(name: str) -> int:
    """Return how many rows a file has.

    Raises:
        BulkError: it cannot be read, or is no Parquet file.
    """
    try:
        return int(parquet.read_metadata(name).num_rows)
    except _FAILURES as error:
        raise BulkError(f"{name}: invalid Parquet file: {_in_short(error)}") from error


def _in_short(error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    return first[:_REASON_CHARS].rstrip(" .")


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_null(kind)
    )


def packed(table: Any) -> bytes:
    """Return a table as a message of Arrow, without what does not belong to its rows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def unpacked(message: bytes) -> Any:
    """Return the table of a message."""
    with pa.ipc.open_stream(message) as reader:
        return reader.read_all()


def message_of(unit: Unit, layout: Layout) -> tuple[bytes, int]:
    """Return what `score_texts` needs of a unit."""
    return packed(unit.table.select([layout.at])), unit.row


def score_texts(scorer: Scorer, message: bytes, row: int) -> ScoredUnit:
    """Score the texts of a unit.

    Args:
        scorer: of the job.
        message: a table of one column.
        row: the number of its first row.
    """
    texts, broken = [], []
    for number, value in enumerate(_values(unpacked(message).column(0)), row):
        if isinstance(value, str):
            texts.append(value)
        else:
            broken.append(
                BrokenRow(number, "no text" if value is None else "the text is not UTF-8", b"")
            )
    added = _as_table(scorer.score(texts), scorer.added)
    return ScoredUnit(packed(added), len(texts), tuple(broken))


def _values(column: Any) -> list[str | bytes | None]:
    """Return the values of a column; bytes for those that are not UTF-8."""
    try:
        found: list[str | bytes | None] = column.to_pylist()
    except UnicodeDecodeError:
        if pa.types.is_dictionary(column.type):
            column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks])
        found = [_decoded(value.as_buffer()) for value in column.combine_chunks()]
    return found


def _decoded(buffer: Any) -> str | bytes | None:
    if buffer is None:
        return None
    data = buffer.to_pybytes()
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        return bytes(data)


def _as_table(scores: Scores, added: Sequence[str]) -> Any:
    columns: list[Sequence[object]] = [scores.labels, scores.scores]
    if scores.decisions is not None:
        columns.append(scores.decisions)
    columns.append([None if one is None else str(one) for one in scores.each_notice()])
    if scores.explanations is not None:
        columns.append(scores.explanations)
    arrays = [
        pa.array(values, pa.float64() if at == 1 else pa.string())
        for at, values in enumerate(columns)
    ]
    return pa.table(arrays, names=list(added))


def output_schema(schema: Any, added: Sequence[str]) -> Any:
    """Return the schema of the output: that of the input, with the added columns."""
    for at, name in enumerate(added):
        schema = schema.append(pa.field(name, pa.float64() if at == 1 else pa.string()))
    return schema


def joined(table: Any, scored: ScoredUnit, row: int) -> Any:
    """Return the rows of a unit that are not broken, with the added columns.

    Args:
        table: all columns of the unit.
        scored: what is added.
        row: the number of its first row.
    """
    if scored.broken:
        # Slices, as not every type of Arrow can be filtered.
        ends = [-1, *(one.line - row for one in scored.broken), table.num_rows]
        table = pa.concat_tables(
            [table.slice(low + 1, high - low - 1) for low, high in itertools.pairwise(ends)]
        )
    added = unpacked(scored.columns)
    for field, column in zip(added.schema, added.columns, strict=True):
        table = table.append_column(field, column)
    return table


def read_units(path: Path, count: int) -> Iterator[ScoredUnit]:
    """Yield units that were scored before an interruption.

    Args:
        path: of their bytes, one after the other.
        count: how many there are.
    """
    with path.open("rb") as file:
        for _ in range(count):
            head = json.loads(file.readline())
            broken = tuple(BrokenRow(line, reason, b"") for line, reason in head["broken"])
            yield ScoredUnit(file.read(head["bytes"]), head["rows"], broken)


class GroupWriter:
    """Writes a Parquet file: rows of one row group of the input are in row groups of their own.

    Args:
        path: of the file.
        schema: see `output_schema`.
        codec: how pages are compressed.
    """

    def __init__(self, path: Path, schema: Any, codec: str) -> None:
        self._writer = parquet.ParquetWriter(path, schema, compression=codec)
        self._tables: list[Any] = []
        self._group = 0

    def add(self, table: Any, group: int) -> None:
        """Add rows, in order.

        Args:
            table: of the schema.
            group: the row group of the input.
        """
        rows = sum(one.num_rows for one in self._tables)
        size = sum(one.nbytes for one in self._tables)
        if group != self._group or rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            self._write()
        self._group = group
        self._tables.append(table)

    def _write(self) -> None:
        table = pa.concat_tables(self._tables) if self._tables else None
        if table is not None and table.num_rows:
            self._writer.write_table(table, table.num_rows)
        self._tables = []

    def close(self) -> None:
        """Write the rest."""
        self._write()
        self._writer.close()

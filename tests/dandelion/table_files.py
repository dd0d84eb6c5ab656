"""The same rows in every format that tables are read from."""

import csv
import io
import json
from collections.abc import Callable, Sequence

import pyarrow as pa
from pyarrow import parquet

Row = tuple[str, str]
Write = Callable[[Sequence[Row]], bytes]


def to_csv(rows: Sequence[Row], delimiter: str = ",") -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([("text", "label"), *rows])
    return file.getvalue().encode()


def to_tsv(rows: Sequence[Row]) -> bytes:
    """TSV, in which a value cannot contain a tab or a line break, and quotes are literal."""
    return "".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *rows]).encode()


def suited_to(extension: str, rows: Sequence[Row]) -> list[Row]:
    """Replace what a format cannot contain: tabs and line breaks in TSV."""
    if extension != ".tsv":
        return list(rows)
    spaces = {ord(one): " " for one in "\t\r\n"}
    return [(text.translate(spaces), label.translate(spaces)) for text, label in rows]


def to_json_lines(rows: Sequence[Row], **options: bool) -> bytes:
    lines = [json.dumps({"text": text, "label": label}, **options) for text, label in rows]
    return "\n".join(lines).encode()


def to_plain_json_lines(rows: Sequence[Row]) -> bytes:
    return to_json_lines(rows, ensure_ascii=False)


def to_parquet(rows: Sequence[Row]) -> bytes:
    texts, labels = zip(*rows, strict=True)
    return columns_to_parquet({"text": texts, "label": labels})


def columns_to_parquet(columns: dict[str, Sequence[object]]) -> bytes:
    return parquet_bytes(pa.table(columns))


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()


WRITERS: list[tuple[str, Write]] = [
    (".csv", to_csv),
    (".tsv", to_tsv),
    (".jsonl", to_json_lines),
    (".ndjson", to_plain_json_lines),
    (".parquet", to_parquet),
]

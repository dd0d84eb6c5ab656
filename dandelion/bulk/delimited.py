"""CSV and TSV: the added fields go behind each row, which otherwise stays as it is.

In TSV a quotation mark is a character like any other, and every line is a row.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat

from ..decision.notices import Notice
from ..decision.rule import Verdict
from ..tables.delimited import explain
from .job import UTF_8, Block, BrokenRow, Layout
from .records import lines_of, long_fields
from .rows import NOT_UTF_8, Rows, Scores, decoded, is_unicode

Record = tuple[int, str, Sequence[str] | csv.Error]
"""The number of its first line, counted from 0; the record as it stands; its fields."""


def parse(block: Block, layout: Layout) -> Rows:
    """Find the texts of a block's rows.

    Args:
        block: rows; blank lines are none.
        layout: of the file.
    """
    rows = Rows([], [], [])
    width, at = len(layout.columns), layout.at
    encoding = layout.encoding
    text, is_sound = decoded(block.data, encoding)
    with long_fields():
        for number, raw, fields in records(lines_of(text), layout):
            reason = ""
            if isinstance(fields, csv.Error):
                reason = f"invalid CSV: {explain(fields)}"
            elif len(fields) != width:
                reason = f"wrong number of fields: {len(fields)}, but the header has {width}"
            elif not is_sound and not is_unicode(raw):
                reason = NOT_UTF_8 if encoding == UTF_8 else f"not {encoding}"
            if reason:
                row = raw.encode(encoding, "surrogateescape")
                rows.broken.append(BrokenRow(block.line + number, reason, row))
            else:
                rows.texts.append(fields[at])  # type: ignore[index]
                rows.raw.append(raw)
    return rows


def records(lines: Sequence[str], layout: Layout) -> Iterator[Record]:
    """Yield the records of CSV or TSV that are not blank.

    Args:
        lines: with their ends.
        layout: its format and delimiter.
    """
    if layout.format == "csv":
        return _csv_records(lines, layout.delimiter)
    return _tsv_records(lines, layout.delimiter)


def _csv_records(lines: Sequence[str], delimiter: str) -> Iterator[Record]:
    # Strict, or a quote that is never closed silently swallows the rest.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 0
    while True:
        fields: Sequence[str] | csv.Error
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fields = error
        stop = reader.line_num
        if fields != []:
            yield start, "".join(lines[start:stop]), fields
        start = stop


def _tsv_records(lines: Sequence[str], delimiter: str) -> Iterator[Record]:
    for number, line in enumerate(lines):
        content = line.rstrip("\r\n")
        if content:
            yield number, line, content.split(delimiter)


def render(rows: Rows, scores: Scores, layout: Layout) -> str:
    """Return the rows with the added fields, each with its line end.

    Args:
        rows: of a block.
        scores: of each.
        layout: of the file.
    """
    around: dict[tuple[str, Verdict | None, Notice | None], tuple[str, str]] = {}
    mark, write = layout.delimiter, field_writer(layout)
    # JSON contains neither tabs nor line breaks.
    write_json = write if layout.format == "csv" else str

    def make(key: tuple[str, Verdict | None, Notice | None]) -> tuple[str, str]:
        label, decision, notice = key
        after = "" if decision is None else f"{mark}{decision}"
        found = (f"{mark}{write(label)}{mark}", f"{after}{mark}{notice or ''}")
        around[key] = found
        return found

    decisions = scores.decisions or repeat(None)
    explanations = scores.explanations or repeat(None)
    keys = zip(scores.labels, decisions, scores.each_notice(), strict=False)
    lines = []
    each = zip(rows.raw, keys, scores.scores, explanations, strict=False)
    for raw, key, score, explanation in each:
        before, after = around.get(key) or make(key)
        bare = raw.rstrip("\r\n")
        shown = "" if score is None else repr(score)
        if explanation is not None:
            after = f"{after}{mark}{write_json(explanation)}"
        end = raw[len(bare) :] or layout.line_end
        lines.append(f"{bare}{before}{shown}{after}{end}")
    return "".join(lines)


def field_writer(layout: Layout) -> Callable[[str], str]:
    """Return what makes a field of a value: in CSV by quotes, in TSV by backslashes."""
    if layout.format == "tsv":
        return _escaped
    special = {layout.delimiter, '"', "\r", "\n"}

    def write(value: str) -> str:
        if special.isdisjoint(value):
            return value
        doubled = value.replace('"', '""')
        return f'"{doubled}"'

    return write


def _escaped(value: str) -> str:
    return (
        value.replace("\\", "\\\\").replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")
    )

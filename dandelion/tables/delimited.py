"""The records of CSV and TSV, with the physical lines of each.

In CSV a value in quotation marks may contain delimiters and line breaks. In TSV a quotation mark is
a character like any other, and every line is a record.

Example:
    >>> list(tsv_records('inch\\t6"\\n', "\\t"))
    [(range(1, 2), ['inch', '6"'])]
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Final

Record = tuple[range, list[str] | csv.Error]
"""The physical lines of a record, counted from 1, and its fields or what is wrong with it."""

DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""The delimiters that are recognized in CSV, and their names."""


_TAB_NAMES: Final = ("tab", r"\t")


def delimiter_named(name: str) -> str:
    """Return a delimiter: a character itself, or the one that ``tab`` names.

    Raises:
        ValueError: it cannot be a delimiter.
    """
    if name in _TAB_NAMES:
        return "\t"
    if len(name) != 1 or name in '"\r\n\0':
        raise ValueError(
            f"the delimiter {name[:20]!r} is not one character other than a quotation mark or a "
            "line break. Give --delimiter ';', for example, or --delimiter tab."
        )
    return name


def describe_delimiter(delimiter: str) -> str:
    """Describe a delimiter that was recognized."""
    return (
        f"columns separated by {DELIMITERS[delimiter]}, as in the first line "
        "(--delimiter names another)"
    )


def describe_spans(spans: Sequence[range]) -> str:
    """Describe records of several lines: a stray quotation mark makes one of what were many."""
    first, longest = spans[0], max(spans, key=len)
    rows = "1 row spans" if len(spans) == 1 else f"{len(spans):,} rows span"
    more = "" if len(longest) == len(first) else f"; longest: {_lines(longest)}"
    return f"{rows} several lines, in quotation marks (first: {_lines(first)}{more})"


def _lines(lines: range) -> str:
    return f"lines {lines[0]}–{lines[-1]}"


def explain(error: csv.Error) -> str:
    """Return what is wrong with a record."""
    if "field limit" in str(error):
        return f"a value of more than {csv.field_size_limit():,} characters"
    return str(error)


def recognize_delimiter(text: str) -> str:
    """Return the comma, or what the first line that is not blank has instead."""
    found = re.search(r"[^\r\n]+", text)
    header = re.sub('"[^"]*"', "", found[0]) if found else ""
    if "," in header:
        return ","
    most = max(DELIMITERS, key=header.count)
    return most if most in header else ","


def csv_records(text: str, delimiter: str) -> Iterator[Record]:
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


def tsv_records(text: str, delimiter: str) -> Iterator[tuple[range, list[str]]]:
    """Yield each line that is not blank: its number, as a range, and its fields."""
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if content := line.removesuffix("\n"):
            yield range(number, number + 1), content.split(delimiter)

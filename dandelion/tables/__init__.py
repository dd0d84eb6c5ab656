"""Read rows from CSV, TSV, JSON Lines, JSON and Parquet files, each with its line number.

No row is lost silently: what is not a valid row is listed with its line and the reason, and the
reason never quotes the text. In CSV a value in quotation marks may span several lines; how many
rows do is in the table's notes. In TSV a quotation mark is a character like any other, and every
line is a row.

Example:
    >>> from pathlib import Path
    >>> table = parse(b"text,label\\nhello,ham\\nWIN NOW\\n", Path("messages.csv"))
    >>> table.column("text"), table.lines
    (['hello'], [2])
    >>> describe_bad_rows(table.bad_rows, limit=3)
    ['line 3: wrong number of fields: 1, but the header has 2']
"""

from .reading import check_options, parse, read
from .table import (
    BadRow,
    Table,
    TableError,
    describe_bad_rows,
    listed,
    shortened,
    suggestion,
)

__all__ = [
    "BadRow",
    "Table",
    "TableError",
    "check_options",
    "describe_bad_rows",
    "listed",
    "parse",
    "read",
    "shortened",
    "suggestion",
]

"""A user's own texts: rows of a file, with their labels if they have any.

No row is dropped silently: what has no text is listed with its line. What is listed never quotes
the text.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import tables
from .json_values import quoted
from .tables import BadRow, Table, TableError

TEXT: Final = "text"
LABEL: Final = "label"
STRATUM: Final = "stratum"
WEIGHT: Final = "inclusion_weight"

_POSITIVE: Final = frozenset({"1", "1.0", "true"})
_NEGATIVE: Final = frozenset({"0", "0.0", "false"})
_MISSING: Final = frozenset({"", "nan", "null", "na", "n/a"})  # as in training


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file that have a text.

    Attributes:
        table: all rows.
        at: position of each row in the table.
        texts: of each row.
        left_out: rows without a text, and what is no row at all.
    """

    table: Table
    at: tuple[int, ...]
    texts: tuple[str, ...]
    left_out: tuple[BadRow, ...]

    def column(self, name: str) -> list[object]:
        """Return the values of another column, one per row.

        Raises:
            TableError: there is no such column, or more than one.
        """
        values = self.table.column(name)
        return [values[position] for position in self.at]

    def place(self, row: int) -> str:
        """Return where a row is, for messages."""
        return f"{self.table.path}, {self.table.unit} {self.table.lines[self.at[row]]}"


def read_rows(
    path: Path,
    text_column: str = TEXT,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Rows:
    """Read the texts of a file, see `dandelion.tables.read`.

    Raises:
        TableError: the file or the column cannot be read, or no row has a text.
    """
    table = tables.read(path, encoding=encoding, delimiter=delimiter)
    at, texts, left_out = [], [], [*table.bad_rows]
    for position, value in enumerate(table.column(text_column)):
        reason = _no_text(value)
        if reason:
            left_out.append(BadRow(table.lines[position], reason, table.unit))
        else:
            at.append(position)
            texts.append(str(value))
    if not texts:
        raise TableError(f"{path}: no row has a text in the column {text_column!r}")
    left_out.sort(key=lambda bad: bad.line)
    return Rows(table, tuple(at), tuple(texts), tuple(left_out))


def _no_text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "no text"
    if not isinstance(value, str | int | float):
        return "the text is not a string"
    if not str(value).strip():
        return "no text"
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return "the text is not Unicode: it contains half a surrogate pair"
    return ""


def read_labels(
    rows: Rows,
    names: Sequence[str],
    column: str = LABEL,
    positive: str | None = None,
    *,
    option: str = "--positive",
) -> list[int | None]:
    """Read the label of each row: 0, 1, or None if it is empty.

    Args:
        rows: of the file.
        names: the model's negative and its positive label; ``0`` and ``1``, ``false`` and ``true``
            are read as these.
        column: with the labels.
        positive: the label of the positive rows, if the file has labels of its own; every other one
            is negative then.
        option: of the command that gives ``positive``, for the message.

    Raises:
        TableError: there is no such column, or a label is none of these; names the row.
    """
    found: list[int | None] = []
    values = [_plain(value) for value in rows.column(column)]
    for row, value in enumerate(values):
        if value.lower() in _MISSING and value not in names and value != positive:
            found.append(None)
        elif positive is not None:
            found.append(int(value == positive))
        elif value in names or value.lower() in _POSITIVE | _NEGATIVE:
            found.append(int(value == names[1] or value.lower() in _POSITIVE))
        else:
            raise TableError(
                f"{rows.place(row)}: the label is {tables.shortened(value)}; expected "
                f"{tables.listed(names)}, 0, 1, true or false. If the file has other labels, name "
                f"the positive one: {option}"
            )
    if positive is not None and 1 not in found:
        present = [label for label, _ in Counter(values).most_common()]
        raise TableError(
            f"{rows.table.path}: no row has the label {quoted(positive)}"
            f"{tables.suggestion(positive, present)}; labels: {tables.listed(present)}"
        )
    return found


def read_strata(rows: Rows) -> tuple[list[str], list[float]] | None:
    """Read the columns that a sample has: each row's stratum, and how many texts it stands for.

    Returns:
        None if the file has neither column.

    Raises:
        TableError: it has only one of them, a value is missing or no positive number, or the rows
            of a stratum differ in weight; names the row.
    """
    columns = set(rows.table.columns) & {STRATUM, WEIGHT}
    if not columns:
        return None
    if len(columns) == 1:
        (missing,) = {STRATUM, WEIGHT} - columns
        raise TableError(
            f"{rows.table.path}: has a column {next(iter(columns))!r}, but no {missing!r}; a "
            "sample has both: keep them, or remove both"
        )
    strata = [_plain(value) for value in rows.column(STRATUM)]
    weights = []
    first: dict[str, float] = {}
    for row, (stratum, value) in enumerate(zip(strata, rows.column(WEIGHT), strict=True)):
        try:
            weight = float(_plain(value))
        except ValueError:
            weight = math.nan
        if not stratum or not (0 < weight < math.inf):
            raise TableError(
                f"{rows.place(row)}: expected a name as {STRATUM!r} and a positive number as "
                f"{WEIGHT!r}"
            )
        if not math.isclose(weight, first.setdefault(stratum, weight), rel_tol=1e-6):
            raise TableError(
                f"{rows.place(row)}: another {WEIGHT!r} than other rows of its stratum; expected "
                "the columns as they were written"
            )
        weights.append(weight)
    return strata, weights


def _plain(value: object) -> str:
    """Return a value as a string without white space around it; nothing for a missing one."""
    if value is None:
        return ""
    return str(value).strip()

"""Which columns of a table hold the texts and the labels: as named, or guessed if it is obvious."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dandelion.tables import Table, TableError, listed
from dandelion.tables.naming import named, text_column

from ..errors import DatasetError
from .labels import number_of

NAME_CHARS: Final = 64
"""Of the name of a model: a directory, a metric's label and an environment variable."""

_LABEL_WORD = re.compile("labels?|class|target|category|type|sentiment")

# Without such a name, the label column is one with at most this many distinct values.
_FEW_VALUES = 20


@dataclass(frozen=True, slots=True)
class Columns:
    """The two columns.

    Attributes:
        text: with the texts.
        label: with the labels.
        guesses: each guess with its reason, for people.
    """

    text: str
    label: str
    guesses: tuple[str, ...]


def choose_columns(path: Path, table: Table, text: str | None, label: str | None) -> Columns:
    """Choose the columns of a file.

    Args:
        path: of the file.
        table: its rows.
        text: the column of texts; None guesses it.
        label: the column of labels; None guesses it.

    Raises:
        DatasetError: there is no such column, or it cannot be guessed.
    """
    columns = table.columns
    for column in (text, label):
        if column is not None:
            table.check_column(column)
    if text is not None and text == label:
        raise DatasetError(
            f"{path}: {text!r} cannot be both the text and the label column. "
            f"Available: {listed(columns)}."
        )
    guesses = []
    if text is None and (text := text_column(columns, label)) is not None:
        guesses.append(f"text column {text!r} (by its name)")
    if label is None and (label := named(columns, _LABEL_WORD, text)) is not None:
        guesses.append(f"label column {label!r} (by its name)")
    if len(columns) == 2:
        if label is None and (label := _with_few_values(table, text)) is not None:
            guesses.append(f"label column {label!r} (by its few distinct values)")
        if text is None and label is not None:
            text = columns[1 - columns.index(label)]
            guesses.append(f"text column {text!r} (the other one)")
    if text is None or label is None:
        which = " and ".join(
            f"the {what}s (--{what}-column)"
            for what, column in (("text", text), ("label", label))
            if column is None
        )
        if label is None and len(flags := _flags(table, text)) > 1:
            raise DatasetError(
                f"{path}: more than one column of 0 and 1: {listed(flags)}. Train a model "
                f"for each, such as --name {as_name(flags[0])} --label-column {flags[0][:20]} "
                "--positive 1; for the texts --text-column."
            )
        raise DatasetError(
            f"{path}: cannot guess which column contains {which}. "
            f"The columns, named by the first row of a CSV: {listed(columns)}."
        )
    return Columns(text, label, tuple(guesses))


def _with_few_values(table: Table, other: str | None) -> str | None:
    """Return the column that looks like labels, if there is exactly one."""
    found = []
    for column, cells in _readable(table):
        values = Counter(cells)
        few = len(values) <= min(_FEW_VALUES, values.total() // 2)
        # A column that contains its own name: the file has no header.
        if column != other and few and column not in values:
            found.append(column)
    return found[0] if len(found) == 1 else None


def _flags(table: Table, other: str | None) -> list[str]:
    """Return the columns that contain two values, as 0 and 1 or true and false, and no others."""
    found = []
    for column, cells in _readable(table):
        if column == other:
            continue
        values = {cell.casefold() for cell in cells}
        if {number_of(value) or value for value in values} in ({"0", "1"}, {"false", "true"}):
            found.append(column)
    return found


def _readable(table: Table) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns among which can be guessed, and their values, stripped."""
    for column in table.single_columns():
        with suppress(TableError):  # such as dates in Parquet that Python lacks
            yield column, [str(value).strip() for value in table.column(column)]


def as_name(text: str) -> str:
    """Return a text as the name of a model or a source: of a to z, 0 to 9 and _ alone."""
    return re.sub("[^a-z0-9_]+", "_", text.casefold())[:NAME_CHARS]

"""Custom data: a table of labelled texts becomes a data set.

Two columns of the table, named or guessed, become texts and labels. A row that cannot be used is
listed with its line and the reason, which never quotes the text.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np

from dandelion import tables
from dandelion.tables import (
    BadRow,
    Table,
    TableError,
    describe_bad_rows,
    listed,
    shortened,
)

from ..errors import DatasetError
from .datasets import Dataset
from .duplicates import Duplicates
from .duplicates import find as find_duplicates
from .labels import (
    are_numbers,
    choose_names,
    describe_spellings,
    label_of,
    merged_spellings,
    missing_among,
    number_of,
    require_names,
    require_single,
)
from .sources import models

# There are ten folds, and each needs a row of every class.
LEAST_ROWS: Final = 10

# It becomes the name of a directory, of a metric's label and of an environment variable.
_NAME_CHARS = 64

# A column is recognized if every word of its name matches: "tweet_text".
_TEXT_WORD = re.compile(
    "texts?|body|messages?|msg|tweets?|content|comments?|sms|sentence|post|review|email"
)
_LABEL_WORD = re.compile("labels?|class|target|category|type|sentiment")

# Without such a name, the label column is one with at most this many distinct values.
_FEW_VALUES = 20

# JSON can contain half of a surrogate pair, which UTF-8 cannot encode.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class CustomData:
    """A file to train on.

    Attributes:
        name: of the model to train, ``[a-z0-9_]+``, not a built-in one.
        path: see `dandelion.tables.parse` for the formats.
        text_column: the column of texts; None guesses it.
        label_column: the column of labels; None guesses it.
        positive: the positive label; with more than two labels, the others become one negative
            class. None guesses it for two labels and keeps all classes for more.
        encoding: of the text in the file; None for UTF-8.
        delimiter: of CSV and TSV; None recognizes it.
        merge_labels: whether labels that differ in case, white space or Unicode form alone, or are
            booleans as words and as numbers, become one, spelt as most of them are. They are
            refused otherwise.
    """

    name: str
    path: Path
    text_column: str | None = None
    label_column: str | None = None
    positive: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    merge_labels: bool = False


class _Rows(NamedTuple):
    """The usable rows: texts, labels, and where each starts."""

    texts: tuple[str, ...]
    labels: list[str]
    lines: list[int]


@dataclass(frozen=True, slots=True)
class CustomDataset:
    """A file's usable rows as a data set, and the rows left out.

    Attributes:
        dataset: the usable rows, in the order of the file.
        bad_rows: the others, in the order of the file.
        guesses: each guess with its reason, for people.
        notes: what else is worth knowing about the file, a sentence each.
        duplicates: texts that occur more than once; they are part of the data set.
        unit: what the lines of bad rows and duplicates are.
        resolved: the request with the guesses filled in; reading it gives the same data set.
    """

    dataset: Dataset
    bad_rows: tuple[BadRow, ...]
    guesses: tuple[str, ...]
    notes: tuple[str, ...]
    duplicates: Duplicates
    unit: Literal["line", "row"]
    resolved: CustomData


def read(custom: CustomData) -> CustomDataset:
    """Read a file of labelled texts.

    Texts stay as they are. Labels become strings without surrounding white space: ``true``, or
    ``1`` for 1, 1.0, ``"1"``, ``"1.0"`` (pandas writes integers with gaps as floats) and ``"1e0"``.

    Raises:
        DatasetError: the name, the file, a column or the classes cannot be used; the message says
            what can.
    """
    check(custom)
    try:
        table = tables.read(custom.path, encoding=custom.encoding, delimiter=custom.delimiter)
        return _read(custom, table)
    except TableError as error:
        raise DatasetError(str(error)) from error


def check(custom: CustomData) -> None:
    """Check a request as far as that takes no time: the name, the options, whether there is a file.

    Raises:
        DatasetError: one of them is wrong.
    """
    _check_name(custom.name)
    try:
        tables.check_options(custom.path, encoding=custom.encoding, delimiter=custom.delimiter)
        custom.path.stat()
    except TableError as error:
        raise DatasetError(str(error)) from error
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise DatasetError(f"{custom.path}: cannot be read: {reason}. Check the path.") from error


def _read(custom: CustomData, table: Table) -> CustomDataset:
    if not table.lines:
        raise _nothing_usable(custom.path, table.bad_rows)
    text_column, label_column, guesses = _choose_columns(custom, table)
    rows, bad_rows = _usable(table, text_column, label_column)
    if not rows.texts:
        raise _nothing_usable(custom.path, bad_rows)
    notes = list(table.notes)
    require_names(custom.path, rows.labels, rows.lines, table.unit)
    require_single(custom.path, rows.labels)
    spellings = _merge(custom, Counter(rows.labels), notes)
    labels = [spellings[label] for label in rows.labels]
    counts = Counter(labels)
    if len(counts) == 1:
        raise DatasetError(
            f"{custom.path}: only one class in {label_column!r}: all {len(labels):,} rows have the "
            "same label. Add rows of another class, or choose another column with --label-column."
        )
    positive = custom.positive and (number_of(custom.positive) or custom.positive)
    if positive is not None:
        positive = spellings.get(positive, positive)
    names, guess = choose_names(custom.path, counts, positive)
    index = {name: label for label, name in enumerate(names)}
    # One against the rest: every label without a name of its own is negative.
    numbers = np.array([index.get(label, 0) for label in labels], dtype=np.int64)
    _require_rows(custom.path, names, np.bincount(numbers, minlength=len(names)).tolist())
    if len(names) > _FEW_VALUES and are_numbers(names):
        notes.append(f"the {len(names):,} labels are numbers; they are learnt without their order")
    duplicates = find_duplicates(rows.texts, [names[number] for number in numbers], rows.lines)
    return CustomDataset(
        dataset=Dataset(custom.name, rows.texts, numbers, names, table.sha256),
        bad_rows=bad_rows,
        guesses=(*guesses, *guess),
        notes=(*notes, *duplicates.describe(table.unit)),
        duplicates=duplicates,
        unit=table.unit,
        resolved=replace(
            custom,
            text_column=text_column,
            label_column=label_column,
            positive=names[1] if len(names) == 2 else None,
        ),
    )


def _merge(custom: CustomData, counts: Counter[str], notes: list[str]) -> dict[str, str]:
    """Map each label to the spelling that is kept, and add a note on each that is merged.

    Raises:
        DatasetError: labels differ in their spelling alone, and are not to be merged.
    """
    merged = merged_spellings(counts)
    several = describe_spellings(counts, merged)
    if several and not custom.merge_labels:
        raise DatasetError(
            f"{custom.path}: labels that differ in case, white space or Unicode form alone, or are "
            f"booleans as words and as numbers: {'; '.join(several)}. Merge them with "
            "--merge-labels, or correct the file."
        )
    notes += [f"merged labels: {one}; the most frequent spelling is kept" for one in several]
    return merged


def _check_name(name: str) -> None:
    if not re.fullmatch("[a-z0-9_]+", name) or len(name) > _NAME_CHARS:
        raise DatasetError(
            f"invalid model name {shortened(name)}: use only a to z, 0 to 9 and _, at most "
            f"{_NAME_CHARS} of them, such as my_messages"
        )
    if name in models():
        raise DatasetError(
            f"the name {name!r} is taken by a built-in model ({', '.join(models())}); "
            f"choose another, such as my_{name}"
        )


def _nothing_usable(path: Path, bad_rows: Sequence[BadRow]) -> DatasetError:
    if not bad_rows:
        return DatasetError(
            f"{path}: has no rows. At least {LEAST_ROWS} rows of each class are needed."
        )
    return DatasetError(
        f"{path}: no row can be used: {'; '.join(describe_bad_rows(bad_rows, 3))}. "
        "Check the columns and the format."
    )


def _choose_columns(custom: CustomData, table: Table) -> tuple[str, str, list[str]]:
    """Return the text column, the label column and the guesses, see `CustomDataset`."""
    text, label, columns = custom.text_column, custom.label_column, table.columns
    for column in (text, label):
        if column is not None:
            table.check_column(column)
    if text is not None and text == label:
        raise DatasetError(
            f"{custom.path}: {text!r} cannot be both the text and the label column. "
            f"Available: {listed(columns)}."
        )
    guesses = []
    if text is None and (text := _named(columns, _TEXT_WORD, label)) is not None:
        guesses.append(f"text column {text!r} (by its name)")
    if label is None and (label := _named(columns, _LABEL_WORD, text)) is not None:
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
                f"{custom.path}: more than one column of 0 and 1: {listed(flags)}. Train a model "
                f"for each, such as --name {_as_name(flags[0])} --label-column {flags[0][:20]} "
                "--positive 1; for the texts --text-column."
            )
        raise DatasetError(
            f"{custom.path}: cannot guess which column contains {which}. "
            f"The columns, named by the first row of a CSV: {listed(columns)}."
        )
    return text, label, guesses


def _named(columns: Sequence[str], known: re.Pattern[str], other: str | None) -> str | None:
    """Return the column whose name consists of known words, if there is exactly one."""
    found = []
    for column in columns:
        words = re.findall(r"[^\W_]+", column.casefold())
        if column != other and words and all(map(known.fullmatch, words)):
            found.append(column)
    return found[0] if len(found) == 1 else None


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


def _as_name(column: str) -> str:
    return re.sub("[^a-z0-9_]+", "_", column.casefold())[:_NAME_CHARS]


def _usable(table: Table, text_column: str, label_column: str) -> tuple[_Rows, tuple[BadRow, ...]]:
    """Return the usable rows, and every bad row."""
    texts, labels, lines, bad_rows = [], [], [], list(table.bad_rows)
    columns = table.column(text_column), table.column(label_column)
    missing = missing_among(columns[1])
    for line, text, label in zip(table.lines, *columns, strict=True):
        try:
            _require_whole(label, "label")
            row = _text_of(text), label_of(label, missing)
        except ValueError as problem:
            bad_rows.append(BadRow(line, str(problem), table.unit))
            continue
        texts.append(row[0])
        labels.append(row[1])
        lines.append(line)
    bad_rows.sort(key=lambda bad: bad.line)
    return _Rows(tuple(texts), labels, lines), tuple(bad_rows)


def _text_of(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise ValueError("no text")
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("no text")
        _require_whole(value, "text")
        return value
    raise ValueError("its text is not a string")


def _require_whole(value: object, what: str) -> None:
    if isinstance(value, str) and _LONE_SURROGATE.search(value):
        raise ValueError(f"its {what} contains half a character (a lone surrogate)")


def _require_rows(path: Path, names: Sequence[str], counts: Sequence[int]) -> None:
    rare = [(name, count) for name, count in zip(names, counts, strict=True) if count < LEAST_ROWS]
    if not rare:
        return
    if len(rare) > _FEW_VALUES:
        found = f"{len(rare):,} of {len(names):,} classes have fewer"
        if are_numbers(names):
            found += "; they are numbers, and a number to be estimated is not a class"
    else:
        found = ", ".join(f"{shortened(name)} has {count}" for name, count in rare)
    raise DatasetError(
        f"{path}: too few rows to split, each class needs {LEAST_ROWS}, one for each tenth of "
        f"the file: {found}. Add rows, "
        "leave these classes out, set one class against the rest with --positive, or choose "
        "another column with --label-column."
    )

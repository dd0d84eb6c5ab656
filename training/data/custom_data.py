"""Custom data: a table of labelled texts becomes a data set.

Two columns of the table, named or guessed, become texts and labels. A row that cannot be used is
listed with its line and the reason, which never quotes the text.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from dandelion import tables
from dandelion.tables import (
    BadRow,
    Table,
    TableError,
    describe_bad_rows,
    listed,
    shortened,
    suggestion,
)

from ..errors import DatasetError
from .datasets import SOURCES, Dataset

# There are ten folds, and each needs a row of every class.
LEAST_ROWS: Final = 10

# A column is recognized if every word of its name matches: "tweet_text".
_TEXT_WORD = re.compile(
    "texts?|body|messages?|msg|tweets?|content|comments?|sms|sentence|post|review|email"
)
_LABEL_WORD = re.compile("labels?|class|target|category|type|sentiment")

# Without such a name, the label column is one with at most this many distinct values.
_FEW_VALUES = 20

# A label on the left is the positive one of two if the other is on its right.
_OPPOSITES = {
    "1": ("0", "-1"),
    "true": ("false",),
    "t": ("f",),
    "yes": ("no",),
    "y": ("n",),
    "positive": ("negative",),
    "pos": ("neg",),
}
_HARMFUL = re.compile(
    "spam|scam|phishing|fraud|toxic|abus(e|ive)|hate(ful)?|offensive|harassment|insult|threat|"
    "(cyber)?bullying"
)
_HARMLESS = re.compile("ham|normal|clean|ok(ay)?|none|neutral|safe|benign|legit(imate)?")

# JSON can contain half of a surrogate pair, which UTF-8 cannot encode.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class CustomData:
    """A file to train on.

    Attributes:
        name: of the model to train, ``[a-z0-9_]+``, not a built-in one.
        path: ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` or ``.parquet``; UTF-8.
        text_column: the column of texts; None guesses it.
        label_column: the column of labels; None guesses it.
        positive: the positive label; with more than two labels, the others become one negative
            class. None guesses it for two labels and keeps all classes for more.
    """

    name: str
    path: Path
    text_column: str | None = None
    label_column: str | None = None
    positive: str | None = None


@dataclass(frozen=True, slots=True)
class CustomDataset:
    """A file's usable rows as a data set, and the rows left out.

    Attributes:
        dataset: the usable rows, in the order of the file.
        bad_rows: the others, in the order of the file.
        guesses: each guess with its reason, for people.
        resolved: the request with the guesses filled in; reading it gives the same data set.
    """

    dataset: Dataset
    bad_rows: tuple[BadRow, ...]
    guesses: tuple[str, ...]
    resolved: CustomData


def read(custom: CustomData) -> CustomDataset:
    """Read a file of labelled texts.

    Texts stay as they are. Labels become strings without surrounding white space: ``true``, or
    ``1`` for an integer or a whole float (pandas writes integers with gaps as floats).

    Raises:
        DatasetError: the name, the file, a column or the classes cannot be used; the message says
            what can.
    """
    _check_name(custom.name)
    try:
        return _read(custom, tables.read(custom.path))
    except TableError as error:
        raise DatasetError(str(error)) from error


def _read(custom: CustomData, table: Table) -> CustomDataset:
    if not table.lines:
        raise _nothing_usable(custom.path, table.bad_rows)
    text_column, label_column, guesses = _choose_columns(custom, table)
    texts, labels, bad_rows = _usable(table, text_column, label_column)
    if not texts:
        raise _nothing_usable(custom.path, bad_rows)
    counts = Counter(labels)
    if len(counts) == 1:
        raise DatasetError(
            f"{custom.path}: only one class in {label_column!r}: all {len(labels):,} rows have the "
            "same label. Add rows of another class, or choose another column with --label-column."
        )
    names, guess = _choose_names(custom, counts)
    index = {name: label for label, name in enumerate(names)}
    # One against the rest: every label without a name of its own is negative.
    numbers = np.array([index.get(label, 0) for label in labels], dtype=np.int64)
    _require_rows(custom.path, names, np.bincount(numbers, minlength=len(names)).tolist())
    return CustomDataset(
        dataset=Dataset(custom.name, texts, numbers, names, table.sha256),
        bad_rows=bad_rows,
        guesses=(*guesses, *guess),
        resolved=replace(
            custom,
            text_column=text_column,
            label_column=label_column,
            positive=names[1] if len(names) == 2 else None,
        ),
    )


def _check_name(name: str) -> None:
    if not re.fullmatch("[a-z0-9_]+", name):
        raise DatasetError(
            f"invalid model name {name!r}: use only a to z, 0 to 9 and _, such as my_messages"
        )
    if name in SOURCES:
        raise DatasetError(
            f"the name {name!r} is taken by a built-in model ({', '.join(SOURCES)}); "
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
    for column in table.columns:
        if table.columns.count(column) > 1:
            continue
        values = Counter(str(value).strip() for value in table.column(column))
        few = len(values) <= min(_FEW_VALUES, values.total() // 2)
        # A column that contains its own name: the file has no header.
        if column != other and few and column not in values:
            found.append(column)
    return found[0] if len(found) == 1 else None


def _usable(
    table: Table, text_column: str, label_column: str
) -> tuple[tuple[str, ...], list[str], tuple[BadRow, ...]]:
    """Return the texts and labels of the usable rows, and every bad row."""
    texts, labels, bad_rows = [], [], list(table.bad_rows)
    columns = table.column(text_column), table.column(label_column)
    for line, text, label in zip(table.lines, *columns, strict=True):
        try:
            row = _text_of(text), _label_of(label)
        except ValueError as problem:
            bad_rows.append(BadRow(line, str(problem), table.unit))
            continue
        texts.append(row[0])
        labels.append(row[1])
    return tuple(texts), labels, tuple(sorted(bad_rows, key=lambda bad: bad.line))


def _text_of(value: object) -> str:
    if _is_missing(value):
        raise ValueError("no text")
    if isinstance(value, str):
        return _whole(value, "text")
    raise ValueError("its text is not a string")


def _label_of(value: object) -> str:
    if _is_missing(value):
        raise ValueError("no label")
    match value:
        case str():
            return _whole(value, "label").strip()
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
    raise ValueError("its label is not a string, number or boolean")


def _is_missing(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def _whole(value: str, what: str) -> str:
    if _LONE_SURROGATE.search(value):
        raise ValueError(f"its {what} contains half a character (a lone surrogate)")
    return value


def _choose_names(custom: CustomData, counts: Counter[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of the classes, the negative one of two first, and what was guessed."""
    guess = []
    positive = custom.positive
    if positive is None:
        if len(counts) > 2:
            return tuple(sorted(counts)), []
        positive, reason = _guess_positive(counts)
        guess = [f"positive label {positive!r} ({reason})"]
    if positive not in counts:
        raise DatasetError(
            f"{custom.path}: no row has the positive label {positive!r}"
            f"{suggestion(positive, list(counts))}; available: {listed(sorted(counts))}"
        )
    rest = [label for label in counts if label != positive]
    return (rest[0] if len(rest) == 1 else f"not_{positive}", positive), guess


def _guess_positive(counts: Counter[str]) -> tuple[str, str]:
    """Return the positive label of two, and why."""
    first, second = sorted(counts)
    for positive, negative in ((first, second), (second, first)):
        if _is_opposite(positive.casefold(), negative.casefold()):
            return positive, "by its name"
    if counts[first] == counts[second]:
        return second, "both are equally frequent, so the last in alphabetical order"
    rarer = min(counts, key=counts.__getitem__)
    return rarer, f"the rarer one: {counts[rarer]:,} of {counts.total():,} rows"


def _is_opposite(positive: str, negative: str) -> bool:
    bare = re.sub(r"[\W_]", "", positive)
    return (
        negative in _OPPOSITES.get(positive, ())
        or (bool(_HARMFUL.fullmatch(positive)) and bool(_HARMLESS.fullmatch(negative)))
        or re.sub(r"[\W_]", "", negative) in {f"not{bare}", f"non{bare}", f"no{bare}"}
    )


def _require_rows(path: Path, names: Sequence[str], counts: Sequence[int]) -> None:
    rare = [(name, count) for name, count in zip(names, counts, strict=True) if count < LEAST_ROWS]
    if not rare:
        return
    if len(rare) > _FEW_VALUES:
        found = f"{len(rare):,} of {len(names):,} classes have fewer"
    else:
        found = ", ".join(f"{shortened(name)} has {count}" for name, count in rare)
    raise DatasetError(
        f"{path}: too few rows to split, each class needs {LEAST_ROWS}: {found}. Add rows, "
        "leave these classes out, set one class against the rest with --positive, or choose "
        "another column with --label-column."
    )

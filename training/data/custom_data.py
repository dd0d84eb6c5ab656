"""Labelled texts of one's own: CSV, JSON Lines or Parquet in, a data set and its bad rows out.

Bytes become a table of rows, each with its place in the file; two of its columns, named or guessed,
become texts and labels. A row that cannot be used is listed with its place and the reason, which
never quotes the text.
"""

import codecs
import csv
import difflib
import hashlib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ..errors import DatasetError
from .datasets import SOURCES, Dataset

# Ten folds, so that each can have a row of every class.
LEAST_ROWS: Final = 10

# A column is known by its name if every word of the name matches: "tweet_text".
_TEXT_WORD = re.compile(
    "texts?|body|messages?|msg|tweets?|content|comments?|sms|sentence|post|review|email"
)
_LABEL_WORD = re.compile("labels?|class|target|category|type|sentiment")

# Without such a name, the labels are a column with at most so many distinct values.
_FEW_VALUES = 20

# Of two labels, the left one is the positive class when the right one is the other.
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

# JSON can spell half of a surrogate pair, which nothing can write as UTF-8.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class CustomData:
    """A file to learn from.

    Attributes:
        name: of the model that learns it, ``[a-z0-9_]+``, none of the built-in ones.
        path: ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson`` or ``.parquet``; UTF-8.
        text_column: which holds the texts; None guesses.
        label_column: which holds the labels; None guesses.
        positive: the positive label. Of more than two, it is set against the rest. None guesses of
            two labels, and keeps all of more.
    """

    name: str
    path: Path
    text_column: str | None = None
    label_column: str | None = None
    positive: str | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        line: on which the row starts, a physical one; of Parquet the row. Counted from 1.
        reason: without a word of the text.
        unit: what ``line`` counts.
    """

    line: int
    reason: str
    unit: Literal["line", "row"] = "line"


@dataclass(frozen=True, slots=True)
class CustomDataset:
    """What a file holds.

    Attributes:
        dataset: the usable rows, in the file's order.
        bad_rows: the others, in the file's order.
        guesses: a sentence for each thing that was guessed, with its reason.
        resolved: what was asked for, the guesses filled in; reads the same again.
    """

    dataset: Dataset
    bad_rows: tuple[BadRow, ...]
    guesses: tuple[str, ...]
    resolved: CustomData


@dataclass(frozen=True, slots=True)
class _Table:
    """A file's rows.

    Attributes:
        columns: their names.
        lines: of each row, see `BadRow`.
        values: name of a column → its values, one a row.
        bad_rows: what was no row.
        unit: see `BadRow`.
    """

    columns: tuple[str, ...]
    lines: Sequence[int]
    values: Callable[[str], list[object]]
    bad_rows: tuple[BadRow, ...] = ()
    unit: Literal["line", "row"] = "line"


def read(custom: CustomData) -> CustomDataset:
    """Read a file of one's own.

    Texts stay as they are. Labels become strings without surrounding white space: ``true``,
    ``1`` (an integer, or a float without a fraction, as pandas makes of integers with gaps).

    Raises:
        DatasetError: the name, the file, a column or the classes will not do; the message says
            what will.
    """
    _check_name(custom.name)
    read_table = _reader(custom.path)
    data = _bytes_of(custom.path)
    table = read_table(custom.path, data)
    if not table.lines:
        raise _nothing_usable(custom.path, table.bad_rows)
    text_column, label_column, guesses = _choose_columns(custom, table)
    texts, labels, bad_rows = _usable(table, text_column, label_column)
    if not texts:
        raise _nothing_usable(custom.path, bad_rows)
    counts = Counter(labels)
    if len(counts) == 1:
        raise DatasetError(
            f"{custom.path}: one class only in {label_column!r}: all {len(labels):,} rows have the "
            "same label. Add rows of another class, or name another column with --label-column."
        )
    names, guess = _choose_names(custom, counts)
    index = {name: label for label, name in enumerate(names)}
    # One against the rest: a label without a name of its own is negative.
    numbers = np.array([index.get(label, 0) for label in labels], dtype=np.int64)
    _require_rows(custom.path, names, np.bincount(numbers, minlength=len(names)).tolist())
    return CustomDataset(
        dataset=Dataset(custom.name, texts, numbers, names, hashlib.sha256(data).hexdigest()),
        bad_rows=bad_rows,
        guesses=(*guesses, *guess),
        resolved=replace(
            custom,
            text_column=text_column,
            label_column=label_column,
            positive=names[1] if len(names) == 2 else None,
        ),
    )


def describe_bad_rows(bad_rows: Sequence[BadRow], limit: int) -> list[str]:
    """Tell of the first ``limit`` bad rows, a line each, and how many more there are."""
    lines = [f"{bad.unit} {bad.line}: {bad.reason}" for bad in bad_rows[:limit]]
    if len(bad_rows) > limit:
        lines.append(f"and {len(bad_rows) - limit:,} more")
    return lines


def _check_name(name: str) -> None:
    if not re.fullmatch("[a-z0-9_]+", name):
        raise DatasetError(
            f"the name {name!r} will not do: it may hold a to z, 0 to 9 and _ alone, "
            "such as my_messages"
        )
    if name in SOURCES:
        raise DatasetError(
            f"the name {name!r} is taken by a built-in model ({', '.join(SOURCES)}); "
            "choose another, such as my_" + name
        )


def _bytes_of(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        raise _nothing_usable(path, ())
    return data


def _nothing_usable(path: Path, bad_rows: Sequence[BadRow]) -> DatasetError:
    if not bad_rows:
        return DatasetError(
            f"{path}: is empty, but for a header at most. "
            f"At least {LEAST_ROWS} rows of each class are needed."
        )
    return DatasetError(
        f"{path}: none of its rows can be used: {'; '.join(describe_bad_rows(bad_rows, 3))}. "
        "Check the columns and the format."
    )


def _reader(path: Path) -> Callable[[Path, bytes], _Table]:
    try:
        return _READERS[path.suffix.lower()]
    except KeyError:
        raise DatasetError(
            f"{path}: unknown extension {path.suffix!r}; there are: {', '.join(_READERS)}. "
            "Rename the file, or save it in one of these formats."
        ) from None


def _decode(path: Path, data: bytes) -> str:
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    try:
        return data[start:].decode()
    except UnicodeDecodeError as error:
        offset = start + error.start
        line = len((data[:offset] + b".").splitlines())
        raise DatasetError(
            f"{path}: not UTF-8: line {line}, byte {offset} of the file (counted from 0) is "
            f"0x{data[offset]:02x}. Save the file as UTF-8."
        ) from None


def _read_csv(path: Path, data: bytes, delimiter: str = ",") -> _Table:
    records = _records(_decode(path, data), delimiter)
    _, header = next(records)
    if isinstance(header, csv.Error):
        raise DatasetError(
            f"{path}: the first line, which names the columns, is no valid CSV: {header}. "
            "Mind its quotes."
        )
    columns = tuple(name.strip() for name in header)
    starts, rows, bad_rows = [], [], []
    for lines, record in records:
        if isinstance(record, csv.Error):
            bad_rows.append(BadRow(lines.start, f"no valid CSV: {record}"))
            # They may hold rows of their own, so each of them counts.
            bad_rows += [BadRow(line, f"part of line {lines.start}'s row") for line in lines[1:]]
        elif len(record) != len(columns):
            reason = f"wrong number of fields: {len(record)}, the header has {len(columns)}"
            bad_rows.append(BadRow(lines.start, reason))
        else:
            starts.append(lines.start)
            rows.append(record)

    def values(column: str) -> list[object]:
        position = columns.index(column)
        return [row[position] for row in rows]

    return _Table(columns, starts, values, tuple(bad_rows))


def _read_tsv(path: Path, data: bytes) -> _Table:
    return _read_csv(path, data, "\t")


def _records(text: str, delimiter: str) -> Iterator[tuple[range, list[str] | csv.Error]]:
    """Yield the physical lines of each record that is not blank, and its fields or its error."""
    # Strict, or else a quote that is never closed swallows the rest of the file without a word.
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


def _read_json_lines(path: Path, data: bytes) -> _Table:
    lines, rows, bad_rows = [], [], []
    # A string may hold U+2028 and the like: only a line feed ends a line.
    for number, line in enumerate(_decode(path, data).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            bad_rows.append(BadRow(number, "no valid JSON"))
            continue
        if isinstance(row, dict):
            lines.append(number)
            rows.append(row)
        else:
            bad_rows.append(BadRow(number, "not an object"))
    columns = tuple(dict.fromkeys(column for row in rows for column in row))
    return _Table(columns, lines, lambda name: [row.get(name) for row in rows], tuple(bad_rows))


def _read_parquet(path: Path, data: bytes) -> _Table:
    try:
        table = parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(
            f"{path}: not a readable Parquet file ({error}). Write it again."
        ) from error

    def values(column: str) -> list[object]:
        try:
            found: list[object] = table.column(column).to_pylist()
        except UnicodeDecodeError:
            raise DatasetError(
                f"{path}: the column {column!r} holds strings that are not UTF-8. Write it again."
            ) from None
        return found

    return _Table(tuple(table.column_names), range(1, table.num_rows + 1), values, unit="row")


_READERS: Final[dict[str, Callable[[Path, bytes], _Table]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}


def _choose_columns(custom: CustomData, table: _Table) -> tuple[str, str, list[str]]:
    """Return the text column, the label column and a sentence for each that was guessed."""
    text, label, columns = custom.text_column, custom.label_column, table.columns
    for column in (text, label):
        if column is not None and columns.count(column) != 1:
            raise _no_column(custom.path, columns, column)
    if text is not None and text == label:
        raise DatasetError(
            f"{custom.path}: {text!r} cannot hold both texts and labels. "
            f"The columns are {_listed(columns)}."
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
            f"{custom.path}: it is not obvious which column holds {which}. "
            f"The first row's names are taken for the columns': {_listed(columns)}."
        )
    return text, label, guesses


def _no_column(path: Path, columns: Sequence[str], column: str) -> DatasetError:
    problem = "more than one column" if column in columns else "no column"
    return DatasetError(
        f"{path}: {problem} {column!r}{_suggestion(column, columns)}; there are: {_listed(columns)}"
    )


def _named(columns: Sequence[str], known: re.Pattern[str], other: str | None) -> str | None:
    """Return the column whose name is made of known words alone, if there is just one."""
    found = []
    for column in columns:
        words = re.findall(r"[^\W_]+", column.casefold())
        if column != other and words and all(map(known.fullmatch, words)):
            found.append(column)
    return found[0] if len(found) == 1 else None


def _with_few_values(table: _Table, other: str | None) -> str | None:
    """Return the column that looks like labels, if there is just one."""
    found = []
    for column in table.columns:
        values = Counter(str(value).strip() for value in table.values(column))
        few = len(values) <= min(_FEW_VALUES, values.total() // 2)
        # A column named like one of its values: the file has no header.
        if column != other and few and column not in values:
            found.append(column)
    return found[0] if len(found) == 1 else None


def _usable(
    table: _Table, text_column: str, label_column: str
) -> tuple[tuple[str, ...], list[str], tuple[BadRow, ...]]:
    """Return the usable rows' texts and labels, and every bad row."""
    texts, labels, bad_rows = [], [], list(table.bad_rows)
    columns = table.values(text_column), table.values(label_column)
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
    raise ValueError("its text is no string")


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
    raise ValueError("its label is no string, number or boolean")


def _is_missing(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def _whole(value: str, what: str) -> str:
    if _LONE_SURROGATE.search(value):
        raise ValueError(f"its {what} holds half a character (a lone surrogate)")
    return value


def _choose_names(custom: CustomData, counts: Counter[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return the classes' names, of two the negative one first, and what was guessed."""
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
            f"{_suggestion(positive, list(counts))}; there are: {_listed(sorted(counts))}"
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
        return second, "both are equally frequent; the last by name"
    rarer = min(counts, key=counts.__getitem__)
    return rarer, f"the rarer: {counts[rarer]:,} of {counts.total():,} rows"


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
        found = ", ".join(f"{_shortened(name)} has {count}" for name, count in rare)
    raise DatasetError(
        f"{path}: too few rows to split, each class needs {LEAST_ROWS}: {found}. Add rows, "
        "leave these classes out, set one against the rest with --positive, or name another "
        "column with --label-column."
    )


def _suggestion(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f", did you mean {near[0]!r}?" if near and near[0] != name else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FEW_VALUES:,} more" if len(names) > _FEW_VALUES else ""
    return ", ".join(map(_shortened, names[:_FEW_VALUES])) + more


def _shortened(name: str) -> str:
    """Quote a name. What is long may be a text in the wrong place, so only its start shows."""
    return repr(name if len(name) <= 40 else f"{name[:20]}…")

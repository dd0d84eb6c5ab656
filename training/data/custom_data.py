"""Custom data: tables of labelled texts become a data set.

Two columns of each, named or guessed, become texts and labels. A row that cannot be used is listed
with its line and the reason, which never quotes the text. Each of several files is a source.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
from .columns import NAME_CHARS, as_name, choose_columns
from .datasets import Dataset, identify
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

# More classes than that are not listed in a message.
_FEW_CLASSES = 20

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
class CustomFile:
    """What was read of a file.

    Attributes:
        name: of the file as a source: its stem as a name, made unique.
        resolved: the request with the guesses filled in; reading it gives the same data set.
        rows: how many can be used.
        bad_rows: the others, in the order of the file.
        unit: what the lines of bad rows are.
    """

    name: str
    resolved: CustomData
    rows: int
    bad_rows: tuple[BadRow, ...]
    unit: Literal["line", "row"]


@dataclass(frozen=True, slots=True)
class CustomDataset:
    """The usable rows of one or more files as a data set, and the rows left out.

    Attributes:
        dataset: the usable rows, in the order of the files.
        files: what was read of each.
        guesses: each guess with its reason, for people.
        notes: what else is worth knowing about the files, a sentence each.
        duplicates: texts that occur more than once; they are part of the data set.
    """

    dataset: Dataset
    files: tuple[CustomFile, ...]
    guesses: tuple[str, ...]
    notes: tuple[str, ...]
    duplicates: Duplicates

    @property
    def bad_rows(self) -> tuple[BadRow, ...]:
        """The rows of all files that are left out."""
        return tuple(bad for file in self.files for bad in file.bad_rows)

    @property
    def unit(self) -> Literal["line", "row"]:
        """What the lines of duplicates are; of several files they name the file as well."""
        return self.files[0].unit if len(self.files) == 1 else "line"

    @property
    def resolved(self) -> CustomData:
        """The request for the first file, see `CustomFile`."""
        return self.files[0].resolved

    def describe_bad_rows(self, limit: int) -> list[str]:
        """Describe the first ``limit`` bad rows, one line each, and count the others."""
        if len(self.files) == 1:
            return describe_bad_rows(self.bad_rows, limit)
        lines = [
            f"{file.resolved.path.name}, {line}"
            for file in self.files
            for line in describe_bad_rows(file.bad_rows, len(file.bad_rows))
        ]
        more = len(lines) - limit
        return [*lines[:limit], f"and {more:,} more"] if more > 0 else lines


@dataclass(frozen=True, slots=True)
class _Read:
    """A file on its way to a data set: its usable rows, and what `CustomFile` has."""

    custom: CustomData
    sha256: str
    rows: _Rows
    bad_rows: tuple[BadRow, ...]
    unit: Literal["line", "row"]
    guesses: tuple[str, ...]
    notes: tuple[str, ...]


def read(*requests: CustomData) -> CustomDataset:
    """Read files of labelled texts; several become one data set with a source each.

    Texts stay as they are. Labels become strings without surrounding white space: ``true``, or
    ``1`` for 1, 1.0, ``"1"``, ``"1.0"`` (pandas writes integers with gaps as floats) and ``"1e0"``.

    Args:
        requests: one for each file, equal in name, positive label and ``merge_labels``.

    Raises:
        DatasetError: the name, a file, a column or the classes cannot be used, or files have other
            labels than the rest; the message says what can.
    """
    check(*requests)
    try:
        files = [
            _read(one, tables.read(one.path, encoding=one.encoding, delimiter=one.delimiter))
            for one in requests
        ]
        return _as_dataset(files)
    except TableError as error:
        raise DatasetError(str(error)) from error


def check(*requests: CustomData) -> None:
    """Check requests as far as that takes no time: names, options, whether there are the files.

    Raises:
        DatasetError: one of them is wrong.
    """
    for number, custom in enumerate(requests):
        _check_name(custom.name)
        try:
            tables.check_options(custom.path, encoding=custom.encoding, delimiter=custom.delimiter)
            custom.path.stat()
        except TableError as error:
            raise DatasetError(str(error)) from error
        except (OSError, ValueError) as error:  # ValueError: a null character
            reason = error.strerror if isinstance(error, OSError) else error
            raise DatasetError(
                f"{custom.path}: cannot be read: {reason}. Check the path."
            ) from error
        if any(custom.path.samefile(other.path) for other in requests[:number]):
            raise DatasetError(f"{custom.path}: given twice. Give each file once.")


def _read(custom: CustomData, table: Table) -> _Read:
    """Read a file, as far as that is possible without the others."""
    if not table.lines:
        raise _nothing_usable(custom.path, table.bad_rows)
    columns = choose_columns(custom.path, table, custom.text_column, custom.label_column)
    rows, bad_rows = _usable(table, columns.text, columns.label)
    if not rows.texts:
        raise _nothing_usable(custom.path, bad_rows)
    require_names(custom.path, rows.labels, rows.lines, table.unit)
    resolved = replace(custom, text_column=columns.text, label_column=columns.label)
    return _Read(
        resolved, table.sha256, rows, bad_rows, table.unit, columns.guesses, tuple(table.notes)
    )


def _as_dataset(files: Sequence[_Read]) -> CustomDataset:
    custom = files[0].custom
    path = ", ".join(str(file.custom.path) for file in files)
    found = [label for file in files for label in file.rows.labels]
    require_single(path, found)
    notes = list(_of_each(files, [file.notes for file in files]))
    spellings = _merge(path, custom, Counter(found), notes)
    _require_agreement(files, spellings)
    labels = [spellings[label] for label in found]
    counts = Counter(labels)
    if len(counts) == 1:
        raise DatasetError(
            f"{path}: only one class in {custom.label_column!r}: all {len(labels):,} rows have the "
            "same label. Add rows of another class, or choose another column with --label-column."
        )
    positive = custom.positive and (number_of(custom.positive) or custom.positive)
    if positive is not None:
        positive = spellings.get(positive, positive)
    names, guess = choose_names(path, counts, positive)
    index = {name: label for label, name in enumerate(names)}
    # One against the rest: every label without a name of its own is negative.
    numbers = np.array([index.get(label, 0) for label in labels], dtype=np.int64)
    _require_rows(path, names, np.bincount(numbers, minlength=len(names)).tolist())
    if len(names) > _FEW_CLASSES and are_numbers(names):
        notes.append(f"the {len(names):,} labels are numbers; they are learnt without their order")
    dataset = _joined(files, numbers, names)
    duplicates = find_duplicates(
        dataset.texts, [names[number] for number in numbers], _places(files)
    )
    read_files = [
        CustomFile(
            name=name,
            resolved=replace(file.custom, positive=names[1] if len(names) == 2 else None),
            rows=len(file.rows.texts),
            bad_rows=file.bad_rows,
            unit=file.unit,
        )
        for name, file in zip(_source_names(files), files, strict=True)
    ]
    unit = files[0].unit if len(files) == 1 else "line"
    return CustomDataset(
        dataset=dataset,
        files=tuple(read_files),
        guesses=(*_of_each(files, [file.guesses for file in files]), *guess),
        notes=(*notes, *duplicates.describe(unit)),
        duplicates=duplicates,
    )


def _joined(files: Sequence[_Read], labels: NDArray[np.int64], names: tuple[str, ...]) -> Dataset:
    """Return the rows of all files, each a source if there are several."""
    texts = tuple(text for file in files for text in file.rows.texts)
    digests = tuple(file.sha256 for file in files)
    if len(files) == 1:
        return Dataset(files[0].custom.name, texts, labels, names, digests[0])
    sources = _source_names(files)
    return Dataset(
        files[0].custom.name,
        texts,
        labels,
        names,
        identify(sources, digests),
        origins=np.repeat(np.arange(len(files)), [len(file.rows.texts) for file in files]),
        source_names=sources,
        source_sha256=digests,
    )


def _source_names(files: Sequence[_Read]) -> tuple[str, ...]:
    """Name each file by its stem, followed by a number where an earlier one has that name."""
    names: list[str] = []
    for file in files:
        path = file.custom.path
        base = as_name(path.with_suffix("").stem if path.suffix == ".gz" else path.stem)
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base}_{number}"
        names.append(name)
    return tuple(names)


def _places(files: Sequence[_Read]) -> list[int | str]:
    """Return where each row starts: its line, and of several files their name with it."""
    if len(files) == 1:
        return list(files[0].rows.lines)
    return [f"{file.custom.path.name}:{line}" for file in files for line in file.rows.lines]


def _of_each(files: Sequence[_Read], sentences: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the sentences on each file, after its name if there are several."""
    for file, found in zip(files, sentences, strict=True):
        for one in found:
            yield one if len(files) == 1 else f"{file.custom.path.name}: {one}"


def _require_agreement(files: Sequence[_Read], spellings: dict[str, str]) -> None:
    """Check that one file has all the labels, so that none means the same by another name.

    Raises:
        DatasetError: a file has labels that the file with most of them lacks.
    """
    labels = [{spellings[label] for label in file.rows.labels} for file in files]
    most = max(range(len(files)), key=lambda number: len(labels[number]))
    for file, found in zip(files, labels, strict=True):
        if not found <= labels[most]:
            raise DatasetError(
                f"{file.custom.path}: its labels ({file.custom.label_column!r}) are "
                f"{listed(sorted(found))}, but those of {files[most].custom.path} "
                f"({files[most].custom.label_column!r}) are {listed(sorted(labels[most]))}. Use "
                "the same labels in every file; one of them must have all that there are."
            )


def _merge(path: str, custom: CustomData, counts: Counter[str], notes: list[str]) -> dict[str, str]:
    """Map each label to the spelling that is kept, and add a note on each that is merged.

    Raises:
        DatasetError: labels differ in their spelling alone, and are not to be merged.
    """
    merged = merged_spellings(counts)
    several = describe_spellings(counts, merged)
    if several and not custom.merge_labels:
        raise DatasetError(
            f"{path}: labels that differ in case, white space or Unicode form alone, or are "
            f"booleans as words and as numbers: {'; '.join(several)}. Merge them with "
            "--merge-labels, or correct the file."
        )
    notes += [f"merged labels: {one}; the most frequent spelling is kept" for one in several]
    return merged


def _check_name(name: str) -> None:
    if not re.fullmatch("[a-z0-9_]+", name) or len(name) > NAME_CHARS:
        raise DatasetError(
            f"invalid model name {shortened(name)}: use only a to z, 0 to 9 and _, at most "
            f"{NAME_CHARS} of them, such as my_messages"
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


def _require_rows(path: str, names: Sequence[str], counts: Sequence[int]) -> None:
    rare = [(name, count) for name, count in zip(names, counts, strict=True) if count < LEAST_ROWS]
    if not rare:
        return
    if len(rare) > _FEW_CLASSES:
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

"""Feedback: labelled texts that a user exports from his own tools.

A row has a ``text`` and a ``label``, and may have

- ``id``: that of the decision record, ``<decision_id>.<position>``;
- ``decision``: what the service decided, ``positive``, ``review``, ``negative`` or ``none``, or one
  of the model's labels;
- ``source``: where the label is from, such as ``appeals``;
- ``weight``: how much the text counts, compared with others of the feedback.

Other columns, such as ``score`` and ``variant``, are not read. No message quotes a text.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dandelion.retraining_file import FeedbackFile
from dandelion.tables import TableError, describe_bad_rows, listed, shortened
from dandelion.traffic import LABEL, TEXT, Rows, read_labels, read_rows

from ..data.columns import NAME_CHARS, as_name
from ..errors import DatasetError

SOURCE: Final = "feedback"
"""What feedback is called as a source; a row's own source is behind it."""

_MAX_SOURCES: Final = 10
_MAX_WEIGHT: Final = 1000.0
_LISTED: Final = 5

_ID: Final = re.compile(r"[0-9a-f]{32}\.\d{1,6}(?:\.\d{1,6})?")
_DECISIONS: Final = ("positive", "review", "negative", "none")


@dataclass(frozen=True, slots=True)
class Columns:
    """How the files are read.

    Attributes:
        text: the column of texts.
        label: the column of labels.
        positive: the label of the positive rows, if the files have labels of their own.
        encoding: of the files; None for UTF-8.
        delimiter: of CSV and TSV; None recognizes it.
    """

    text: str = TEXT
    label: str = LABEL
    positive: str | None = None
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Feedback:
    """The labelled rows of all files.

    Attributes:
        texts: n texts.
        labels: int64[n] of 0 and 1.
        weights: float64[n], 1 unless a row has one.
        sources: n names, ``feedback`` or ``feedback_…``.
        was_flagged: n; whether the text was flagged or sent to review; None if that is not known.
        ids: n decision ids; None for a row without one.
        places: n; where each row is, for messages.
        files: that were read.
        unlabelled: rows without a label, which are left out.
        unreadable: rows without a text or that are no row, which are left out.
        notes: sentences about them, for people.
    """

    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    sources: tuple[str, ...]
    was_flagged: tuple[bool | None, ...]
    ids: tuple[str | None, ...]
    places: tuple[str, ...]
    files: tuple[FeedbackFile, ...]
    unlabelled: int
    unreadable: int
    notes: tuple[str, ...]


def read(paths: Sequence[Path], names: Sequence[str], columns: Columns) -> Feedback:
    """Read files of feedback, see `dandelion.tables` for the formats.

    Args:
        paths: of the files.
        names: the model's negative and its positive label; 0 and 1, false and true are read, too.
        columns: how they are read.

    Raises:
        DatasetError: a file, a label or the value of another column cannot be used; names the row.
    """
    try:
        found = [_read(path, names, columns) for path in paths]
    except TableError as error:
        # --encoding and --delimiter are of --data.
        message = re.sub("--(encoding|delimiter)", r"--add-\1", str(error))
        raise DatasetError(message) from error
    rows = [row for one in found for row in one.rows]
    sources = tuple(dict.fromkeys(row.source for row in rows))
    if len(sources) > _MAX_SOURCES:
        raise DatasetError(
            f"the column 'source' has {len(sources)} names; expected at most {_MAX_SOURCES}, such "
            "as appeals and reports"
        )
    return Feedback(
        texts=tuple(row.text for row in rows),
        labels=np.array([row.label for row in rows], dtype=np.int64),
        weights=np.array([row.weight for row in rows], dtype=np.float64),
        sources=tuple(row.source for row in rows),
        was_flagged=tuple(row.was_flagged for row in rows),
        ids=tuple(row.id for row in rows),
        places=tuple(row.place for row in rows),
        files=tuple(one.file for one in found),
        unlabelled=sum(one.unlabelled for one in found),
        unreadable=sum(one.unreadable for one in found),
        notes=tuple(note for one in found for note in one.notes),
    )


class _Row(NamedTuple):
    """A labelled row, see `Feedback`."""

    text: str
    label: int
    weight: float
    source: str
    was_flagged: bool | None
    id: str | None
    place: str


class _File(NamedTuple):
    """What was read of a file, see `Feedback`."""

    rows: list[_Row]
    file: FeedbackFile
    unlabelled: int
    unreadable: int
    notes: list[str]


def _read(path: Path, names: Sequence[str], columns: Columns) -> _File:
    rows = read_rows(path, columns.text, encoding=columns.encoding, delimiter=columns.delimiter)
    labels = read_labels(rows, names, columns.label, columns.positive, option="--add-positive")
    chosen = [row for row, label in enumerate(labels) if label is not None]

    def of(column: str, parse: Callable[[str], Any], missing: Any) -> list[Any]:
        return _optional(rows, chosen, column, parse, missing)

    found = zip(
        [rows.texts[row] for row in chosen],
        [int(labels[row] or 0) for row in chosen],
        of("weight", _weight, 1.0),
        of("source", lambda value: f"{SOURCE}_{as_name(value)}"[:NAME_CHARS], SOURCE),
        of("decision", lambda value: _was_flagged(value, names), None),
        of("id", _id, None),
        [rows.place(row) for row in chosen],
        strict=True,
    )
    return _File(
        [_Row(*one) for one in found],
        FeedbackFile(path.name, rows.table.sha256),
        len(labels) - len(chosen),
        len(rows.left_out),
        [f"{path.name}: {one}" for one in describe_bad_rows(rows.left_out, _LISTED)],
    )


def _optional(
    rows: Rows, chosen: Sequence[int], column: str, parse: Callable[[str], Any], missing: Any
) -> list[Any]:
    """Return the values of a column that may be absent, one per chosen row.

    Raises:
        DatasetError: a value is wrong; names the row.
    """
    if column not in rows.table.columns:
        return [missing] * len(chosen)
    values = rows.column(column)
    found = []
    for row in chosen:
        value = values[row]
        text = "" if value is None else str(value).strip()
        if not text or text.lower() == "nan":
            found.append(missing)
            continue
        try:
            found.append(parse(text))
        except ValueError as error:
            raise DatasetError(
                f"{rows.place(row)}: {column!r} is {shortened(text)}; {error}"
            ) from (error)
    return found


def _weight(value: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        weight = math.nan
    if not 0 < weight <= _MAX_WEIGHT:
        raise ValueError(f"expected a number above 0 and at most {_MAX_WEIGHT:g}")
    return weight


def _id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError(
            "expected an id of the decision record, <decision_id>.<position>; if the column is "
            "something else, rename it"
        )
    return value


def _was_flagged(value: str, names: Sequence[str]) -> bool | None:
    known: dict[str, bool | None] = {
        names[0]: False,
        names[1]: True,
        "positive": True,
        "review": True,
        "negative": False,
        "none": False,
    }
    if value not in known:
        raise ValueError(f"expected {listed([*_DECISIONS, *names])}")
    return known[value]

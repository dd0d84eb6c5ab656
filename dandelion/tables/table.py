"""A table, what is wrong with it, and how its names and bad rows are shown to people."""

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

# The most names in an error message, and the longest that is quoted in full: without a header, a
# name may be a text.
_LISTED_NAMES: Final = 20
_NAME_CHARS: Final = 40


class TableError(Exception):
    """A file cannot be read as a table, or lacks a column.

    The message names the file and what to do.
    """


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        line: the physical line on which the row starts, counted from 1; in Parquet files, which
            have no lines, the row.
        reason: never quotes the text.
        unit: what ``line`` counts.
    """

    line: int
    reason: str
    unit: Literal["line", "row"] = "line"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file.

    Attributes:
        path: of the file.
        sha256: of the file's bytes, hexadecimal.
        columns: their names, in the order of the file. Names may repeat in CSV.
        lines: on which each row starts, see `BadRow`.
        bad_rows: what is not a row, in the order of the file.
        unit: what ``lines`` counts, see `BadRow`.
        notes: sentences about how the file was read, for people: a delimiter that was recognized,
            rows that span several lines.
    """

    path: Path
    sha256: str
    columns: tuple[str, ...]
    lines: Sequence[int]
    _values: Callable[[str], list[object]]
    bad_rows: tuple[BadRow, ...] = ()
    unit: Literal["line", "row"] = "line"
    notes: tuple[str, ...] = ()
    _counts: Counter[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Counted once, as a file may have many columns; object.__setattr__, as this is frozen.
        object.__setattr__(self, "_counts", Counter(self.columns))

    def column(self, name: str) -> list[object]:
        """Return a column's values, one per row.

        In CSV, every value is a string. In JSON Lines, a row without the column has None.

        Raises:
            TableError: there is no such column or more than one, or its strings are not UTF-8.
        """
        self.check_column(name)
        return self._values(name)

    def single_columns(self) -> tuple[str, ...]:
        """Return the names that only one column has, in the order of the file."""
        return tuple(name for name in self.columns if self._counts[name] == 1)

    def check_column(self, name: str) -> None:
        """Check that there is exactly one column of a name.

        Raises:
            TableError: there is none or more than one; suggests a similar name.
        """
        if self._counts[name] == 1:
            return
        problem = "more than one column" if self._counts[name] else "no column"
        raise TableError(
            f"{self.path}: {problem} {name!r}{suggestion(name, self.columns)}; "
            f"available: {listed(self.columns)}"
        )


def describe_bad_rows(bad_rows: Sequence[BadRow], limit: int) -> list[str]:
    """Describe the first ``limit`` bad rows, one line each, and count the others."""
    lines = [f"{bad.unit} {bad.line}: {bad.reason}" for bad in bad_rows[:limit]]
    if len(bad_rows) > limit:
        lines.append(f"and {len(bad_rows) - limit:,} more")
    return lines


def suggestion(name: str, names: Sequence[str]) -> str:
    """Return ``, did you mean 'text'?`` for the most similar of ``names``; empty if none is.

    Example:
        >>> suggestion("txt", ["text", "label"])
        ", did you mean 'text'?"
    """
    near = difflib.get_close_matches(name, names, n=1)
    return f", did you mean {near[0]!r}?" if near and near[0] != name else ""


def listed(names: Sequence[str]) -> str:
    """List names for a message: quoted, long ones shortened, at most twenty.

    Example:
        >>> listed(["text", "label"])
        "'text', 'label'"
    """
    more = f" and {len(names) - _LISTED_NAMES:,} more" if len(names) > _LISTED_NAMES else ""
    return ", ".join(map(shortened, names[:_LISTED_NAMES])) + more


def shortened(name: str) -> str:
    """Quote a name, at most its first twenty characters: it may be a text in the wrong place."""
    return repr(name if len(name) <= _NAME_CHARS else f"{name[: _NAME_CHARS // 2]}…")

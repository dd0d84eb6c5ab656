"""What is to be done to rows, and what goes from one process to another.

All of it is picklable, and holds everything that results depend on: equal jobs, layouts and blocks
give equal bytes, wherever they are scored.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from ..decision.policy import Policy
from ..lines import MAX_LINE_BYTES

Format = Literal["csv", "tsv", "jsonl", "parquet"]

UTF_8: Final = "utf-8"

MAX_ROW_BYTES: Final = MAX_LINE_BYTES
"""The largest row; a larger one is broken. As much as a request to the service may contain."""


@dataclass(frozen=True, slots=True)
class Job:
    """How to score rows.

    Attributes:
        artifact: its directory.
        content_hash: of the artifact; another one is refused.
        policy: that decides, resolved; None for a threshold alone.
        threshold: positive at ``score >= threshold``; None for the artifact's or the policy's.
        prefix: in front of the names of the added columns.
        explain: how many spans are listed of each text; None for no explanations.
    """

    artifact: Path
    content_hash: str
    policy: Policy | None = None
    threshold: float | None = None
    prefix: str = ""
    explain: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a file are written, and which of their columns holds the text.

    Attributes:
        format: of the file.
        text: the name of the column.
        columns: all names, in the order of the file; empty for JSON Lines.
        at: the position of the text among them.
        delimiter: between the fields of CSV and TSV, an ASCII character.
        line_end: of the header of CSV and TSV: what ends a last row that has no end.
        is_packed: whether scored blocks are packed with gzip.
        encoding: of CSV and TSV, see `dandelion.tables.decoding.single_byte_encoding`; or UTF-8.
    """

    format: Format
    text: str
    columns: tuple[str, ...] = ()
    at: int = 0
    delimiter: str = ","
    line_end: str = "\n"
    is_packed: bool = False
    encoding: str = UTF_8


@dataclass(frozen=True, slots=True)
class Block:
    """Whole rows of a file of text.

    Attributes:
        data: the bytes, unpacked; of a row that is too large, its beginning.
        offset: of the first byte in the unpacked file.
        end: of the byte after the last one.
        line: the physical line of the first row, counted from 1.
        next_line: the line after the last one.
        problem: what is wrong with all of it; empty for rows.
    """

    data: bytes = field(repr=False)
    offset: int
    end: int
    line: int
    next_line: int
    problem: str = ""


class BrokenRow(NamedTuple):
    """A row that cannot be scored.

    Attributes:
        line: the physical line on which it starts, counted from 1; in Parquet, the row.
        reason: never quotes the text.
        row: as it stands in the file; of a row that is too large, its beginning.
    """

    line: int
    reason: str
    row: bytes


@dataclass(frozen=True, slots=True)
class ScoredBlock:
    """The rows of a block with their scores.

    Attributes:
        data: bytes to append to the output; packed if the layout is.
        rows: how many there are.
        broken: the rows that are left out, in the order of the file.
    """

    data: bytes = field(repr=False)
    rows: int
    broken: tuple[BrokenRow, ...] = field(repr=False, default=())


def added_columns(job: Job, *, is_binary: bool) -> tuple[str, ...]:
    """Return the names of the columns that are added, in their order."""
    names = ["label", "score", *(["decision"] if is_binary else []), "notice"]
    if job.explain is not None:
        names.append("explanation")
    return tuple(job.prefix + name for name in names)

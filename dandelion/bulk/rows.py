"""The rows of a block, and the columns that are added to them."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ..decision.notices import Notice
from ..decision.rule import Verdict
from .job import UTF_8, BrokenRow

NOT_UTF_8: Final = "not UTF-8"
"""The reason for a row of a text file in another encoding."""


class Rows(NamedTuple):
    """The rows of a block that can be scored, and those that cannot.

    Attributes:
        texts: of each row.
        raw: each row as it stands in the file.
        broken: the others.
    """

    texts: list[str]
    raw: list[str]
    broken: list[BrokenRow]


class Scores(NamedTuple):
    """The columns that are added to n rows.

    Attributes:
        labels: n labels of the artifact.
        scores: of the positive label; with more than two labels, of the row's. None without
            content, with two labels.
        decisions: ``positive``, ``review``, ``negative`` or ``none``; None for more than two
            labels.
        notices: position → notice; most rows have none.
        explanations: as JSON; None if they are not asked for.
    """

    labels: Sequence[str]
    scores: Sequence[float | None]
    decisions: Sequence[Verdict] | None
    notices: Mapping[int, Notice]
    explanations: Sequence[str] | None = None

    def each_notice(self) -> list[Notice | None]:
        """Return the notice of each row, None for most."""
        found: list[Notice | None] = [None] * len(self.labels)
        for at, notice in self.notices.items():
            found[at] = notice
        return found


def is_unicode(text: str) -> bool:
    """Return whether a text can be encoded: it contains no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def decoded(data: bytes, encoding: str = UTF_8) -> tuple[str, bool]:
    """Decode text: with halves of surrogate pairs for wrong bytes, and whether there are none."""
    try:
        return data.decode(encoding), True
    except UnicodeDecodeError:
        return data.decode(encoding, "surrogateescape"), False

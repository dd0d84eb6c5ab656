"""Notices: what a reader of a score should know about its text.

They follow from the number of its words and of those that are in the vocabulary. A word is a token
that contains a letter and is no link, mention or run of digits, see
`dandelion.text.tokenizer.is_word`. Of a text that is cut, the words of all windows count.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

LOW_SHARE: Final = 0.7
"""Below this share of known words, a score rests on little.

Chosen on the vocabularies of the served variants, so that few English texts have the notice and
most in other languages do, although their commonest words are often known. Of English messages,
comments and talk pages, 0 to 3.3 % have it; of 30 short sentences in German 97 to 100 %, in Spanish
80 and 93 % (`abuse` and `spam`; 53 and 57 % with the vocabularies of tweets), in Chinese all. Very
short English messages have it more often: 2.7 to 12.6 % of ConvAbuse. The figures are printed by
``pytest -s tests/study/test_notices.py``.
"""


class Notice(StrEnum):
    """Why a score says little or nothing about its text."""

    NO_CONTENT = "no_content"
    """It has no word, only signs, digits, emoji, links or mentions: there is nothing to judge."""

    LOW_EVIDENCE = "low_evidence"
    """The share of its words that are known is below `LOW_SHARE`."""


def notice(words: int, known: int) -> Notice | None:
    """Return the notice of a text by the numbers of its words and of the known ones, if any.

    Example:
        >>> notice(0, 0), notice(3, 2), notice(4, 3)
        (<Notice.NO_CONTENT: 'no_content'>, <Notice.LOW_EVIDENCE: 'low_evidence'>, None)
    """
    if not words:
        return Notice.NO_CONTENT
    return Notice.LOW_EVIDENCE if known < LOW_SHARE * words else None


def shifted(notices: Mapping[int, Notice], start: int) -> dict[int, Notice]:
    """Return the notices of a chunk by their positions in the batch, where it begins at a text."""
    return {start + at: notice for at, notice in notices.items()}

"""Which column holds the texts, where its name makes that obvious.

Example:
    >>> text_column(["id", "tweet_text", "created_at"])
    'tweet_text'
"""

import re
from collections.abc import Sequence
from typing import Final

# A column is recognized if every word of its name matches: "tweet_text".
_TEXT_WORD: Final = re.compile(
    "texts?|body|messages?|msg|tweets?|content|comments?|sms|sentence|post|review|email"
)


def named(columns: Sequence[str], words: re.Pattern[str], other: str | None = None) -> str | None:
    """Return the column whose name consists of given words, if there is exactly one.

    Args:
        columns: their names.
        words: each of a name's words must match it.
        other: a column that is not asked for.
    """
    found = []
    for column in columns:
        parts = re.findall(r"[^\W_]+", column.casefold())
        if column != other and parts and all(map(words.fullmatch, parts)):
            found.append(column)
    return found[0] if len(found) == 1 else None


def text_column(columns: Sequence[str], other: str | None = None) -> str | None:
    """Return the column that is named as one of texts, if there is exactly one.

    Args:
        columns: their names.
        other: a column that holds something else.
    """
    return named(columns, _TEXT_WORD, other)

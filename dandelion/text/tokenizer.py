"""Text to tokens: one definition for training and serving, so that the two never differ.

A token is one of

- a word: a run of letters, lower-cased; a clitic after an apostrophe is a separate token
  (``mike's`` → ``mike`` ``'s``), as in GloVe's vocabulary;
- a number: a run of up to four digits as written, a longer run by its length (``<11 digits>``):
  that there is a telephone number is informative, its digits are not;
- punctuation, a currency sign or an emoji: a run of the same character, truncated to three
  (``!!!!!`` → ``!!!``);
- ``<url>`` for a link and ``<mention>`` for an @mention. No text can produce these tokens itself,
  because brackets are separate tokens.

Every step is linear in the length of the text.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from .default_ignorable import RANGES
from .folding import fold

URL = "<url>"
MENTION = "<mention>"

MAX_RUN = 3  # of the same sign
LONG_DIGITS = 5  # from here on, a run of digits is replaced by its length
MAX_DIGITS = 16  # the largest such length

# Long enough for most messages, short enough to bound the work: CPython sorts a run of n combining
# marks in O(n²) steps, so an unbounded run could stall the service.
_NORMALIZE_CHARS = 256

# With code points beyond U+FFFF in its set, a regular expression takes twice as long; few texts
# contain any.
_IGNORABLE, _IGNORABLE_TO_FFFF = (
    re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges) + "]")
    for ranges in (RANGES, [one for one in RANGES if one[1] <= 0xFFFF])
)

# Characters that one becomes under NFKC at most: U+FDFA. Composition only shortens a text, so the
# longest compatibility decomposition (NFKD) of a single code point is the bound; a test tries all.
MAX_EXPANSION: Final = 18

_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(
    rf"""
      (?P<url>(?:https?://|www\.)\S+)
    | (?P<mention>(?<!\w)@\w+)
    | {_LETTER}+                      # a word
    | (?<={_LETTER})'{_LETTER}+       # its clitic
    | (?P<digits>\d{{{LONG_DIGITS},}})
    | \d+
    | (?P<sign>[^\w\s]|_)(?P=sign)*
    """,
    re.VERBOSE,
)


class TextTooLongError(ValueError):
    """A text exceeds a limit after normalization."""


def clean(text: str, max_chars: int | None = None) -> str:
    """Return ``text`` in Unicode normalization form NFKC, without invisible characters.

    Those are the default ignorable ones, see `default_ignorable`. They are removed first, so that
    they separate nothing that NFKC composes; NFKC gives none. Lone surrogates become U+FFFD, so the
    result can always be encoded as UTF-8.

    Args:
        text: raw.
        max_chars: the length of the result at most; None for any.

    Raises:
        TextTooLongError: the result has more characters; it is not computed to its end.

    Example:
        >>> clean("ﬁve \u200b½")
        'five 1⁄2'
    """
    if not text.isascii():
        # This also joins surrogate pairs that were given as two code units.
        units = text.encode("utf-16-le", "surrogatepass")
        text = units.decode("utf-16-le", "replace")
        ignorable = _IGNORABLE_TO_FFFF if len(units) == 2 * len(text) else _IGNORABLE
        text = ignorable.sub("", text).replace("\u2019", "'")
        blocks: Iterator[str] = (
            unicodedata.normalize("NFKC", text[start : start + _NORMALIZE_CHARS])
            for start in range(0, len(text), _NORMALIZE_CHARS)
        )
        if max_chars is not None and len(text) * MAX_EXPANSION > max_chars:
            blocks = _limited(blocks, max_chars)
        text = "".join(blocks)
    elif max_chars is not None and len(text) > max_chars:
        raise TextTooLongError
    return fold(text)


def _limited(blocks: Iterator[str], max_chars: int) -> Iterator[str]:
    """Yield blocks up to the first that exceeds the limit."""
    for block in blocks:
        max_chars -= len(block)
        if max_chars < 0:
            raise TextTooLongError
        yield block


def normalize(text: str) -> str:
    """Clean and lower-case a text, see `clean`."""
    return clean(text).lower()


def tokenize(text: str) -> list[str]:
    """Split ``text`` into tokens, in the order of the text.

    A text without tokens (empty, or white space only) gives an empty list.

    Example:
        >>> tokenize("WIN £1000!!!! Call 08001234567, it's on www.example.com")
        ['win', '£', '1000', '!!!', 'call', '<11 digits>', ',', 'it', "'s", 'on', '<url>']
    """
    return split(normalize(text))


def split(text: str) -> list[str]:
    """Split a normalized text, see `normalize` and `tokenize`."""
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        token = match[0]
        if kind == "url":
            token = URL
        elif kind == "mention":
            token = MENTION
        elif kind == "digits":
            token = digits(len(token))
        elif kind == "sign":
            token = token[:MAX_RUN]
        tokens.append(token)
    return tokens


def digits(count: int) -> str:
    """Return the token of a long run of digits.

    Example:
        >>> digits(11)
        '<11 digits>'
    """
    return f"<{min(count, MAX_DIGITS)} digits>"

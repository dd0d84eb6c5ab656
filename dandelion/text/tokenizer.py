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

# Normalized at a time where the result may exceed a limit.
_BLOCK_CHARS: Final = 256

# CPython sorts a run of n combining marks in O(n²) steps, so an unbounded run could stall the
# service. Real text has far fewer; the number is that of Unicode's Stream-Safe Text Format (Unicode
# Standard Annex 15, section 13).
MAX_MARKS: Final = 30
# Where such a run may be: all marks are in it, the commonest signs and emoji are not. A shorter run
# cannot exceed the bound under NFKC.
_MARKS: Final = re.compile(r"[^\w\s\x00-\x7f\u2010-\u20cf\u2100-\u2bff\U0001f000-\U0001faff]{10,}")
# What costs little to find, and has to be there if such a run is.
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f][^\x00-\x7f]{9}")
# Three marks whose combining class is 0, although they decompose to marks of other classes.
_COMPOSED_MARKS: Final = "\u0f73\u0f75\u0f81"

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


_WORD = re.compile(rf"'?{_LETTER}+")


class TextTooLongError(ValueError):
    """A text exceeds a limit after normalization."""


def clean(text: str, max_chars: int | None = None) -> str:
    """Return the reading of ``text``: in Unicode normalization form NFKC, see `to_nfkc`, folded.

    What folding changes is described in `folding`. A clean text stays as it is.

    Args:
        text: raw.
        max_chars: the length in NFKC at most; None for any. Folding lengthens no text.

    Raises:
        TextTooLongError: the text has more characters in NFKC.

    Example:
        >>> clean("ﬁve \u200b½, fr.é.e.!!!!!")
        'five 1/2, fr.e.e.!!!'
    """
    return fold(to_nfkc(text, max_chars))


def to_nfkc(text: str, max_chars: int | None = None) -> str:
    """Return ``text`` in Unicode normalization form NFKC, without invisible characters.

    Those are the default ignorable ones, see `default_ignorable`. They are removed first, so that
    they separate nothing that NFKC composes; NFKC gives none. Lone surrogates become U+FFFD, so the
    result can always be encoded as UTF-8. Of more than `MAX_MARKS` combining marks in a row, the
    rest is dropped.

    Args:
        text: raw.
        max_chars: the length of the result at most; None for any.

    Raises:
        TextTooLongError: the result has more characters; it is not computed to its end.

    Example:
        >>> to_nfkc("ﬁve \u200b½")
        'five 1⁄2'
    """
    if text.isascii():
        if max_chars is not None and len(text) > max_chars:
            raise TextTooLongError
        return text
    # This also joins surrogate pairs that were given as two code units.
    units = text.encode("utf-16-le", "surrogatepass")
    text = units.decode("utf-16-le", "replace")
    ignorable = _IGNORABLE_TO_FFFF if len(units) == 2 * len(text) else _IGNORABLE
    text = ignorable.sub("", text).replace("\u2019", "'")
    may_have_many_marks = _NOT_ASCII.search(text)
    if may_have_many_marks:
        # The compatibility forms of two marks would be letters to the pattern.
        text = text.replace("\uff9e", "\u3099").replace("\uff9f", "\u309a")
        text = _MARKS.sub(_with_few_marks, text)
    if max_chars is not None and len(text) * MAX_EXPANSION > max_chars:
        text = "".join(_blocks(text, max_chars))
    text = unicodedata.normalize("NFKC", text)
    if may_have_many_marks:  # one may become two
        text = _MARKS.sub(_with_few_marks, text)
    if max_chars is not None and len(text) > max_chars:
        raise TextTooLongError
    return text


def _with_few_marks(match: re.Match[str]) -> str:
    kept = []
    marks = 0
    for character in match[0]:
        is_mark = unicodedata.combining(character) or character in _COMPOSED_MARKS
        marks = marks + 1 if is_mark else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def _blocks(text: str, max_chars: int) -> Iterator[str]:
    """Yield parts in NFKC, unless their whole will have more characters than the limit.

    The whole is shorter than its parts where one composes with the next: by less than a half.
    """
    left = 2 * max_chars + _BLOCK_CHARS
    for start in range(0, len(text), _BLOCK_CHARS):
        block = unicodedata.normalize("NFKC", text[start : start + _BLOCK_CHARS])
        left -= len(block)
        if left < 0:
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


def place(text: str) -> list[tuple[str, int, int]]:
    """Split a normalized text: each token, its start, and its stop.

    A token replaced by its kind, or truncated, spans all that it stands for.

    Example:
        >>> place("win!!!!! 08001234567")
        [('win', 0, 3), ('!!!', 3, 8), ('<11 digits>', 9, 20)]
    """
    matches = _TOKEN.finditer(text)
    return [(token, *match.span()) for token, match in zip(split(text), matches, strict=True)]


def digits(count: int) -> str:
    """Return the token of a long run of digits.

    Example:
        >>> digits(11)
        '<11 digits>'
    """
    return f"<{min(count, MAX_DIGITS)} digits>"


def is_word(token: str) -> bool:
    """Return whether a token is a word or a clitic: no sign, number, link or mention.

    Example:
        >>> [token for token in tokenize("It's £5 at www.a.org, @you!") if is_word(token)]
        ['it', "'s", 'at']
    """
    return _WORD.fullmatch(token) is not None

"""Text to tokens: one definition, used by training and by serving, so the two never differ.

A token is one of

- a word: a run of letters, lower case; what follows an apostrophe inside a word is a token of its
  own (``mike's`` → ``mike`` ``'s``), as GloVe's vocabulary has it;
- a number: a run of up to four digits as written; a longer run by its length (``<11 digits>``),
  because a telephone number is telling while its digits are not;
- punctuation, a currency sign or an emoji: a run of one and the same sign, cut at three (``!!!!!``
  → ``!!!``);
- ``<url>`` for a link and ``<mention>`` for an @mention. Brackets are signs of their own in a text,
  so no text can spell these.

Every step is linear in the length of the text.
"""

import re
import unicodedata

URL = "<url>"
MENTION = "<mention>"

MAX_RUN = 3  # signs of one kind
LONG_DIGITS = 5  # told by their count
MAX_DIGITS = 16  # the longest count told apart

# Long enough that a message is one piece, short enough to bound the work: CPython orders a run of
# n combining marks in O(n²) steps, so an unbounded run would be a way to stall the service.
_NORMALIZE_CHARS = 256

# Invisible: soft hyphen, zero-width spaces and joiners, directional marks, variation selectors.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")

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


def clean(text: str) -> str:
    """Return ``text`` in Unicode's NFKC form, without invisible characters.

    A lone surrogate becomes U+FFFD, so that what comes out is always valid UTF-8.
    """
    if not text.isascii():
        # A surrogate pair given as two code units is joined on the way.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = _INVISIBLE.sub("", text).replace("\u2019", "'")
        text = "".join(
            unicodedata.normalize("NFKC", text[start : start + _NORMALIZE_CHARS])
            for start in range(0, len(text), _NORMALIZE_CHARS)
        )
    return text


def normalize(text: str) -> str:
    """Lower-case a `clean` text."""
    return clean(text).lower()


def tokenize(text: str) -> list[str]:
    """Split ``text`` into tokens, in the order of the text.

    Returns an empty list for a text without any (empty, only white space).
    """
    return split(normalize(text))


def split(text: str) -> list[str]:
    """Split a text that `normalize` returned, see `tokenize`."""
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
    """Name a long run of digits."""
    return f"<{min(count, MAX_DIGITS)} digits>"

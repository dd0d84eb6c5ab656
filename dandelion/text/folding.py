"""One reading of a text that evasion does not change.

Spelling that readers see through, but that hides words from a model, is undone:

- accents on ASCII letters are removed, and look-alikes become the ASCII character that they share a
  skeleton with (Unicode Technical Standard 39, section 4), in words that have an ASCII letter or
  consist of look-alikes alone; words of other scripts stay;
- single letters that are parted by the same one or two spaces, dots, hyphens, asterisks or
  underscores are joined, from three letters on (``f r e e``, ``f.r.e.e``);
- runs of one letter, of one sign (also with white space between) and of one kind of white space are
  cut at three. Digits stay.

Every step is linear in the length of the text.
"""

import re
import unicodedata
from typing import Final

from .confusables import LOOK_ALIKES

MAX_RUN: Final = 3

_LOOK_ALIKES: Final = {
    ord(character): ascii_one
    for ascii_one, characters in LOOK_ALIKES.items()
    for character in characters
}
_ASCII_LETTER = re.compile("[A-Za-z]")
_WORD = re.compile(r"\S+")
_ACCENTS = re.compile("(?<=[A-Za-z])[\u0300-\u036f]+")

_LETTER = r"[^\W\d_]"
_PARTED = re.compile(rf"(?<![^\W_]){_LETTER}([ .*_-]{{1,2}}){_LETTER}(?:\1{_LETTER})+(?![^\W_])")
_SEPARATORS = re.compile("[ .*_-]+")
_RUNS = re.compile(rf"({_LETTER})\1{{3,}}|(\s)\2{{3,}}|([^\w\s]|_)(?:\s*\3){{3,}}", re.IGNORECASE)


def fold(text: str) -> str:
    """Return the reading of a text in Unicode normalization form NFKC.

    Example:
        >>> fold("F R E E entry!!!!!! сlick nооw, soooooo good")
        'FREE entry!!! click noow, sooo good'
    """
    if not text.isascii():
        text = _WORD.sub(_without_look_alikes, text)
    text = _PARTED.sub(_joined, text)
    return _RUNS.sub(_cut, text)


def _without_look_alikes(match: re.Match[str]) -> str:
    word = match[0]
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFD", word)
    folded = _ACCENTS.sub("", decomposed.translate(_LOOK_ALIKES))
    if not folded.isascii() and not _ASCII_LETTER.search(decomposed):
        return word
    return unicodedata.normalize("NFC", folded)


def _joined(match: re.Match[str]) -> str:
    return _SEPARATORS.sub("", match[0])


def _cut(match: re.Match[str]) -> str:
    run = match[0]
    sign = match[3]
    return sign * MAX_RUN if sign else run[:MAX_RUN]

"""A batch of texts as arrays: code points, their kinds and the text each belongs to.

What `grams` and `surface` compute, they compute on these, without a loop over characters.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .tokenizer import clean

Codes = NDArray[np.uint32]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int32]

SPACE, LOWER, UPPER, DIGIT, SIGN = range(5)
_UNSEEN: Final = 5


class Page:
    """The code points of a batch of `clean` texts, one space before, between and behind them.

    m counts characters, n texts.

    Attributes:
        texts: n texts, clean.
        lengths: int64[n], characters of each.
        starts: int64[n], the place of each one's first character.
        cased: uint32[m], the code points.
        codes: uint32[m], in lower case where that is one character too.
        kinds: uint8[m]: `SPACE`, `LOWER` (letters without case and marks too), `UPPER`, `DIGIT`,
            `SIGN`.
        rows: int32[m]; a space in front of a text belongs to it, the last one to row n.
        space: bool[m].
        word: bool[m]: letters, marks, digits and ``_``.
        starts_word: bool[m]: the first of a run of ``word``.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = [clean(text) for text in texts]
        joined = " ".join(["", *self.texts, ""])
        self.lengths = np.fromiter(map(len, self.texts), np.int64, len(self.texts))
        self.starts = np.cumsum(self.lengths + 1) - self.lengths
        self.cased = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
        self.kinds = _kinds_of(self.cased)
        self.codes = _LOWER_CASE[self.cased]
        self.rows = np.repeat(
            np.arange(len(texts) + 1, dtype=np.int32), np.append(self.lengths + 1, 1)
        )
        self.space = self.kinds == SPACE
        self.word = (self.kinds >= LOWER) & (self.kinds <= DIGIT) | (self.cased == ord("_"))
        self.starts_word = self.word & ~np.append(False, self.word[:-1])

    def count(self, mask: Mask) -> NDArray[np.int64]:
        """Count the characters of a mask in each text, int64[n]."""
        return np.bincount(self.rows[mask], minlength=len(self.lengths))[: len(self.lengths)]


def _kinds_of(codes: Codes) -> NDArray[np.uint8]:
    """Look the kinds of code points up, uint8[m]; ones not met before are entered on the way."""
    kinds = _KINDS[codes]
    if (kinds == _UNSEEN).any():
        for code in np.unique(codes[kinds == _UNSEEN]).tolist():
            _enter(code)
        kinds = _KINDS[codes]
    return kinds


def _enter(code: int) -> None:
    """Enter a code point into the tables. Threads may race: they write the same values."""
    character = chr(code)
    _LOWER_CASE[code] = lower_of(character)
    _KINDS[code] = kind_of(character)


def lower_of(character: str) -> int:
    """Return a character's code point in lower case; its own where that is not one character."""
    lower = character.lower()
    return ord(lower) if len(lower) == 1 else ord(character)


def kind_of(character: str) -> int:
    """Return a character's kind, see `Page.kinds`."""
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return SPACE
    if category[0] in "LM":
        return UPPER if category == "Lu" else LOWER
    return DIGIT if category == "Nd" else SIGN


_KINDS = np.full(0x110000, _UNSEEN, dtype=np.uint8)
_LOWER_CASE = np.arange(0x110000, dtype=np.uint32)
for _code in range(128):
    _enter(_code)

"""Text to surface: how a message is written, whatever it says.

The surface consists of `COUNTS` numbers: counts over the `clean` text, and the kinds of its first
and last character. Each is reduced to one of `LEVELS` levels, and each level of each number is a
row of the network's surface table. Characters are counted in one pass over the whole batch.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .characters import DIGIT, LOWER, SIGN, SPACE, UPPER, TextBatch

LEVELS: Final = 64

# Signs with a count of their own; those in one string share it.
_SIGNS: Final = (
    *("\n", "\r", "\t", ".", ",", "!", "?", ":", ";", "-", "/", "*", "_", "@", "#", "&", "%", "+"),
    *("'’‘", '"“”', "()[]", "<>", "=~^|\\`", "$£€"),
)
_ASIDE: Final = len(_SIGNS)  # for every other character

# The slots after those of the signs.
_OTHER_SIGN, _DIGITS, _UPPERS, _LOWERS, _NOT_ASCII, _SPACES, _DOUBLE_SPACES, _BEFORE_SIGNS = range(
    _ASIDE, _ASIDE + 8
)
_COUNTED: Final = _ASIDE + 8
_WORDS, _LINKS, _LENGTHS = range(_COUNTED, _COUNTED + 3)

# After the counts: words, links, length (coarse, fine), share of capitals, first, last character.
COUNTS: Final = _COUNTED + 7

# The numbers that grow with any text: small letters, spaces, words, length (coarse, fine).
LENGTH_COLUMNS: Final = (_LOWERS, _SPACES, _WORDS, _LENGTHS, COUNTS - 4)

# The smallest count of each level: half powers of two, 1, 2, 3, 4, 6, 8, 11, 16 …
STEPS: Final = np.unique(np.rint(2 ** (np.arange(1, 63) / 2)).astype(np.int64))
_LOW_LEVELS: Final = np.searchsorted(STEPS, np.arange(4096), side="right")
_FINE_CHARS: Final = 5
_FIRST_ROWS: Final = np.arange(COUNTS) * LEVELS

_BY_KIND: Final = {
    SPACE: _SPACES,
    LOWER: _LOWERS,
    UPPER: _UPPERS,
    DIGIT: _DIGITS,
    SIGN: _OTHER_SIGN,
}
_SLOTS_BY_KIND: Final = bytes(_BY_KIND[kind] for kind in range(len(_BY_KIND)))

# The slot of each code point; those beyond the end have the slot at the end.
SLOTS = np.full(0x2100, _ASIDE, dtype=np.uint8)
for _slot, _characters in enumerate(_SIGNS):
    for _character in _characters:
        SLOTS[ord(_character)] = _slot


def encode(batch: TextBatch) -> NDArray[np.int32]:
    """Return the rows of the surface table for each text, int32[n, COUNTS]."""
    slots = _slots_of(batch)
    counts = _count(batch, slots)
    upper, lower = counts[:, _UPPERS], counts[:, _LOWERS]
    found = np.empty((len(counts), COUNTS), dtype=np.int64)
    found[:, : counts.shape[1]] = levels(counts)
    found[:, -4] = batch.lengths // _FINE_CHARS
    found[:, -3] = 10 * upper // np.maximum(upper + lower, 1)
    found[:, -2] = slots[batch.bounds[:-1] + 1]
    found[:, -1] = slots[batch.bounds[1:] - 1]
    np.minimum(found, LEVELS - 1, out=found)
    found += _FIRST_ROWS
    return found.astype(np.int32)


def levels(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of `STEPS` each count reaches.

    Example:
        >>> levels(np.array([0, 1, 5, 6, 100])).tolist()
        [0, 1, 4, 5, 13]
    """
    if counts.max(initial=0) < len(_LOW_LEVELS):
        return _LOW_LEVELS.take(counts)
    return np.searchsorted(STEPS, counts, side="right")


def _count(batch: TextBatch, slots: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count characters by slot, then words, links and all characters: int64[n, _COUNTED + 3]."""
    texts, width = len(batch.texts), _COUNTED + 3
    # The space before a text follows none, however the previous text ends.
    behind_space = batch.space[:-1].copy()
    behind_space[batch.bounds[1:] - 1] = False
    places = {
        _NOT_ASCII: np.flatnonzero(batch.cased >= 128),
        _DOUBLE_SPACES: np.flatnonzero(behind_space & batch.space[1:]) + 1,
        _BEFORE_SIGNS: np.flatnonzero(behind_space & (batch.kinds[1:] == SIGN)) + 1,
        _WORDS: batch.words.starts,
    }
    cells = batch.rows * width
    found = [cells[some] + slot for slot, some in places.items()]
    cells += slots[:-1]
    counts = np.bincount(np.concatenate([cells, *found]), minlength=texts * width)
    counts = counts.reshape(texts, width)
    counts[:, _SPACES] -= 1  # the one before the text
    counts[:, _LINKS] = [text.count("http") + text.count("www.") for text in batch.texts]
    counts[:, _LENGTHS] = batch.lengths
    return counts


def _slots_of(batch: TextBatch) -> NDArray[np.uint8]:
    """Return the slot in which each character is counted, uint8[m]."""
    slots = SLOTS.take(batch.index, mode="clip")
    return np.where(slots == _ASIDE, batch.by_kind(_SLOTS_BY_KIND), slots)

"""Text to surface: how a message is written, whatever it says.

Each of `COUNTS` numbers is a count over the `clean` text, or the kind of its first or last
character, told apart in `LEVELS` steps; each has its own row of the network's surface table. Counts
of characters are one pass over the code points of the whole batch.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .characters import DIGIT, LOWER, SIGN, SPACE, UPPER, Page

LEVELS: Final = 64

# Counted one by one; what stands together is counted together.
_SIGNS: Final = (
    *("\n", "\r", "\t", ".", ",", "!", "?", ":", ";", "-", "/", "*", "_", "@", "#", "&", "%", "+"),
    *("'’‘", '"“”', "()[]", "<>", "=~^|\\`", "$£€"),
)
_ASIDE: Final = len(_SIGNS)  # every other character

# Slots behind those of the signs.
_OTHER_SIGN, _DIGITS, _UPPERS, _LOWERS, _NOT_ASCII, _SPACES, _DOUBLE_SPACES, _BEFORE_SIGNS = range(
    _ASIDE, _ASIDE + 8
)
_COUNTED: Final = _ASIDE + 8

# Besides the counts: words, links, length (coarse, fine), share of capitals, first, last character.
COUNTS: Final = _COUNTED + 7

# Told apart by half powers of two: 0, 1, 2, 3, 4, 6, 8, 11, 16 …
STEPS: Final = np.unique(np.rint(2 ** (np.arange(1, 63) / 2)).astype(np.int64))
_FINE_CHARS: Final = 5

SLOTS = np.full(0x2100, _ASIDE, dtype=np.uint8)
for _slot, _characters in enumerate(_SIGNS):
    for _character in _characters:
        SLOTS[ord(_character)] = _slot


def encode(page: Page) -> NDArray[np.int32]:
    """Find the rows of the surface table for each text, int32[n, COUNTS]."""
    slots = _slots_of(page)
    counts = _count(page, slots)
    upper, lower = counts[:, _UPPERS], counts[:, _LOWERS]
    links = [text.count("http") + text.count("www.") for text in page.texts]
    found: NDArray[np.int64] = np.column_stack(
        [
            levels(counts),
            levels(page.count(page.starts_word)),
            levels(np.array(links, dtype=np.int64)),
            levels(page.lengths),
            page.lengths // _FINE_CHARS,
            10 * upper // np.maximum(upper + lower, 1),
            slots[page.starts],
            slots[page.starts + page.lengths - 1],
        ]
    )
    np.minimum(found, LEVELS - 1, out=found)
    return (found + np.arange(COUNTS) * LEVELS).astype(np.int32)


def levels(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tell how many of `STEPS` each count reaches."""
    return np.searchsorted(STEPS, counts, side="right")


def _count(page: Page, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count characters by slot, int64[n, _COUNTED]."""
    texts = len(page.lengths)
    counts = np.bincount(
        page.rows.astype(np.int64) * _COUNTED + slots, minlength=(texts + 1) * _COUNTED
    )[: texts * _COUNTED].reshape(texts, _COUNTED)
    counts[:, _SPACES] -= 1  # the one in front
    space = page.kinds == SPACE
    again = np.append(False, space[:-1])
    again[page.starts - 1] = False  # the one in front, whatever the text before ends with
    counts[:, _NOT_ASCII] = page.count(page.cased >= 128)
    counts[:, _DOUBLE_SPACES] = page.count(space & again)
    counts[:, _BEFORE_SIGNS] = page.count((page.kinds == SIGN) & again)
    return counts


def _slots_of(page: Page) -> NDArray[np.int64]:
    """Tell what each character is counted as, int64[m]."""
    slots = SLOTS[np.minimum(page.cased, len(SLOTS) - 1)].astype(np.int64)
    by_kind = np.empty(5, dtype=np.int64)
    by_kind[[SPACE, LOWER, UPPER, DIGIT, SIGN]] = _SPACES, _LOWERS, _UPPERS, _DIGITS, _OTHER_SIGN
    return np.where(slots == _ASIDE, by_kind[page.kinds], slots)

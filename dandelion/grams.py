"""Text to grams: the features of the wide path, hashed into buckets.

A DAN knows whole words alone. Grams are what else a message has, each switched by `Features`:

- character n-grams inside words, so that unknown and misspelt words are known by their parts;
- word n-grams;
- signs (punctuation, currency, emoji) and pairs of neighbouring words or signs;
- shapes of words: ``Xxxx``, ``XXX``, ``999``.

A gram has no entry in any dictionary: its hash is its bucket (Weinberger et al. 2009). Everything
is computed on the code points of a batch of texts at once, without a loop over characters; the
definition of each gram, one text at a time, is the reference in the tests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .characters import DIGIT, LOWER, SIGN, UPPER, Codes, Mask, Page, Rows

MAX_BITS: Final = 22
MAX_CHARS: Final = 8

# Hashing is multiplication by odd constants modulo 2³² and a take of the highest bits (Knuth, The
# Art of Computer Programming, volume 3, section 6.4); these are primes near 2³² ÷ φ and beyond.
_STEP: Final = np.uint32(0x01000193)  # FNV-1's prime, from one character to the next
_JOIN: Final = np.uint32(0x85EBCA6B)  # from one word to the next
_SPREAD: Final = np.uint32(0x9E3779B1)

_SPACE_CODE: Final = np.uint32(0x20)
_SHAPES: Final = np.zeros(5, dtype=np.uint32)
_SHAPES[[LOWER, UPPER, DIGIT]] = ord("x"), ord("X"), ord("9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the wide path reads.

    Attributes:
        bits: there are 2**bits buckets.
        chars: shortest and longest character n-gram, or none.
        words: longest word n-gram; 0 for none.
        signs: whether signs, and pairs of neighbouring words and signs, are grams.
        shapes: whether the shapes of words are.
        surface: whether the network reads the text's surface too, see `dandelion.surface`.

    Raises:
        ValueError: a value is out of range, or there would be no gram at all.
    """

    bits: int
    chars: tuple[int, int] | None
    words: int
    signs: bool
    shapes: bool
    surface: bool

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"bits is {self.bits}; expected 1 to {MAX_BITS}")
        if self.chars is not None and not 2 <= self.chars[0] <= self.chars[1] <= MAX_CHARS:
            raise ValueError(
                f"chars is {list(self.chars)}; expected [shortest, longest] from 2 to {MAX_CHARS}"
            )
        if not 0 <= self.words <= 3:
            raise ValueError(f"words is {self.words}; expected 0 to 3")
        if not (self.chars or self.words or self.signs or self.shapes):
            raise ValueError("no gram is switched on")

    @classmethod
    def from_json(cls, values: object) -> Self:
        """Read what `dataclasses.asdict` and JSON made of it.

        Raises:
            ValueError: a field is missing, unknown or of another type, or out of range.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or set(values) != set(names):
            raise ValueError(f"expected the fields {', '.join(names)}")
        chars = values["chars"]
        if chars is not None and not (isinstance(chars, list | tuple) and len(chars) == 2):
            raise ValueError(f"chars is {chars!r}; expected [shortest, longest] or null")
        numbers = [values["bits"], values["words"], *(chars or ())]
        if not all(isinstance(one, int) and not isinstance(one, bool) for one in numbers):
            raise ValueError(f"bits, words and chars hold {numbers}; expected whole numbers")
        switches = [values["signs"], values["shapes"], values["surface"]]
        if not all(isinstance(one, bool) for one in switches):
            raise ValueError(f"signs, shapes, surface are {switches}; expected true or false")
        return cls(**{**values, "chars": None if chars is None else (chars[0], chars[1])})


class GramBatch(NamedTuple):
    """The grams of a batch of texts.

    Attributes:
        ids: int32[grams] in [0, 2**bits), an entry for every occurrence.
        rows: int32[grams], the text each belongs to, in no particular order.
        texts: how many texts there are, those without grams included.
    """

    ids: NDArray[np.int32]
    rows: Rows
    texts: int


def encode(page: Page, features: Features) -> GramBatch:
    """Find every gram of a batch of texts."""
    found = list(_grams(page, features))
    shift = np.uint32(32 - features.bits)
    ids = np.concatenate([_bucket(hashes, shift, family) for family, hashes, _ in found])
    rows = np.concatenate([rows for _, _, rows in found])
    return GramBatch(ids, rows, len(page.texts))


_Family = tuple[int, Codes, Rows]


def _grams(page: Page, features: Features) -> Iterator[_Family]:
    """Yield each family of grams: its number, a hash and a row for every occurrence.

    The families' numbers are part of the artifact format: they keep equal hashes of different
    families apart.
    """
    if features.chars is not None:
        yield from _chars(page, *features.chars)
    if features.words or features.signs:
        starts, words = _runs(page.codes, page.word)
        rows = page.rows[starts]
        for length in range(1, features.words + 1):
            yield 10 + length, *_neighbours(words, rows, length)
    if features.signs:
        yield from _signs(page, starts, words)
    if features.shapes:
        yield 30, *_shapes(page)


def _chars(page: Page, shortest: int, longest: int) -> Iterator[_Family]:
    """Yield the character n-grams inside words, a word being what stands between white space.

    A space at the first or the last place marks the word's border.
    """
    space = page.space
    # Of a run of spaces only the last one is kept: the border in front of a word.
    kept = ~(space & np.append(space[1:], False))
    codes = np.where(space, _SPACE_CODE, page.codes)[kept]
    rows, space = page.rows[kept], space[kept]
    word_start = np.cumsum(space)  # changes at every space
    hashes = codes
    for length in range(2, longest + 1):
        hashes = hashes[:-1] * _STEP + codes[length - 1 :]
        if length < shortest:
            continue
        last = length - 1
        # No space strictly between the ends.
        inside = word_start[last - 1 : -1] == word_start[: len(hashes)]
        yield length, hashes[inside], rows[: len(hashes)][inside]


def _signs(page: Page, starts: NDArray[np.int64], words: Codes) -> Iterator[_Family]:
    """Yield every sign, and every pair of neighbours among words and signs."""
    places = np.flatnonzero((page.kinds == SIGN) & ~page.word)
    signs = page.codes[places]
    yield 20, signs, page.rows[places]
    order = np.argsort(np.concatenate([starts, places]), kind="stable")
    places = np.concatenate([starts, places])[order]
    both = np.concatenate([words, signs * _SPREAD])[order]
    yield 21, *_neighbours(both, page.rows[places], 2)


def _shapes(page: Page) -> tuple[Codes, Rows]:
    """Return the shape of every word between white space: ``x``, ``X``, ``9`` and the signs."""
    shapes = _SHAPES[page.kinds]
    np.copyto(shapes, page.codes, where=page.kinds == SIGN)
    starts, hashes = _runs(shapes, ~page.space)
    return hashes, page.rows[starts]


def _runs(codes: Codes, inside: Mask) -> tuple[NDArray[np.int64], Codes]:
    """Find the runs of characters that are inside: where each starts, and its hash.

    The hash is Σ code · _SPREAD^i over the run's characters i = 1, 2, …, modulo 2³².
    """
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    if not len(starts):
        return starts, np.zeros(0, dtype=np.uint32)
    lengths = stops - starts
    firsts = np.cumsum(lengths) - lengths
    within = np.arange(lengths.sum()) - np.repeat(firsts, lengths)
    weighted = codes[inside] * _powers(int(lengths.max()))[within]
    return starts, np.add.reduceat(weighted, firsts, dtype=np.uint32)


def _neighbours(hashes: Codes, rows: Rows, length: int) -> tuple[Codes, Rows]:
    """Join each run of ``length`` neighbours of the same text into one hash."""
    joined = hashes
    for step in range(1, length):
        joined = joined[:-1] * _JOIN + hashes[step:]
    first, last = rows[: len(joined)], rows[length - 1 :]
    same = first == last
    return joined[same], first[same]


def _bucket(hashes: Codes, shift: np.uint32, family: int) -> NDArray[np.int32]:
    """Map hashes to buckets, int32 in [0, 2**bits)."""
    mixed = hashes + np.uint32((family * int(_SPREAD)) % 2**32)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x2C1B3C6D)
    mixed ^= mixed >> np.uint32(12)
    mixed *= _SPREAD
    return (mixed >> shift).astype(np.int32)


def _powers(count: int) -> Codes:
    """Return _SPREAD¹ … _SPREAD^count modulo 2³²."""
    return np.multiply.accumulate(np.full(count, _SPREAD), dtype=np.uint32)

"""Text to grams: the features of the wide path, hashed into buckets.

A deep averaging network knows only whole words. Grams add, each switched by `Features`:

- character n-grams inside words, by which unknown and misspelled words are recognized;
- word n-grams;
- signs (punctuation, currency, emoji) and pairs of neighbouring words or signs;
- shapes of words: ``Xxxx``, ``XXX``, ``999``.

Grams have no dictionary: their hash is their bucket (feature hashing, Weinberger et al. 2009). They
are computed on the code points of a whole batch, without looping over characters; the reference in
the tests defines each of them for a single text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .characters import SIGN, Codes, Mask, Places, Sums, TextBatch
from .ragged import Parts, sum_parts

MAX_BITS: Final = 22
MAX_CHARS: Final = 8

# Marks the absence of a gram; larger than any bucket.
GAP: Final = 1 << 30

# Multiplicative hashing: multiply by odd constants modulo 2³² and take the highest bits (Knuth, The
# Art of Computer Programming, volume 3, section 6.4).
_STEP: Final = np.uint32(0x01000193)  # FNV-1's prime, from one character to the next
_JOIN: Final = np.uint32(0x85EBCA6B)  # from one word to the next
_MIX: Final = np.uint32(0x2C1B3C6D)
_SPREAD: Final = np.uint32(0x9E3779B1)

# Hashes mixed at a time, few enough to stay in the processor's cache between operations.
_BLOCK: Final = 2**15

_SPACE_CODE: Final = np.uint32(0x20)
# Replaces a character in a shape, by its kind; signs stay.
_SHAPES: Final = bytes([0, *b"xX9", 0])  # SPACE, LOWER, UPPER, DIGIT, SIGN


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The features of the wide path.

    Attributes:
        bits: the number of buckets is 2**bits.
        chars: lengths of the shortest and the longest character n-gram; None for none.
        words: length of the longest word n-gram; 0 for none.
        signs: whether signs, and pairs of neighbouring words and signs, are grams.
        shapes: whether the shapes of words are grams.
        surface: whether the network also reads the surface of the text, see
            `dandelion.text.surface`.

    Raises:
        ValueError: a value is out of range, or no gram is enabled.
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
            raise ValueError("no gram is enabled; set chars, words, signs or shapes")

    @classmethod
    def from_json(cls, values: object) -> Self:
        """Create features from JSON values, which `dataclasses.asdict` gives.

        Raises:
            ValueError: a field is missing, unknown, of the wrong type or out of range.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or set(values) != set(names):
            raise ValueError(f"expected the fields {', '.join(names)}")
        chars = values["chars"]
        if chars is not None and not (isinstance(chars, list | tuple) and len(chars) == 2):
            raise ValueError(f"chars is {chars!r}; expected [shortest, longest] or null")
        numbers = [values["bits"], values["words"], *(chars or ())]
        if not all(isinstance(one, int) and not isinstance(one, bool) for one in numbers):
            raise ValueError(f"bits, words and chars are {numbers}; expected integers")
        switches = [values["signs"], values["shapes"], values["surface"]]
        if not all(isinstance(one, bool) for one in switches):
            raise ValueError(f"signs, shapes, surface are {switches}; expected true or false")
        return cls(**{**values, "chars": None if chars is None else (chars[0], chars[1])})


class GramBatch(NamedTuple):
    """The grams of a batch of n texts.

    Families of grams that begin at the same places of the texts form a part of the batch. A family
    without a gram at one of its places has a gap there, so that nothing has to be moved.

    Attributes:
        ids: int32[entries], one for each place of each family: the bucket of its gram, in
            [0, 2**bits), or `GAP` or more for a gap.
        counts: int64[n], the number of grams of each text, without the gaps.
        parts: which entries belong to which text.
    """

    ids: NDArray[np.int32]
    counts: NDArray[np.int64]
    parts: Parts

    def pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the bucket and the text of every gram, int32[grams] each, in no special order."""
        texts = np.arange(len(self.counts), dtype=np.int32)
        rows = [np.tile(texts.repeat(np.diff(offsets)), count) for count, offsets in self.parts]
        is_gram = self.ids < GAP
        return self.ids[is_gram], np.concatenate(rows)[is_gram]


class _Part(NamedTuple):
    """Families of grams that begin at the same p places.

    Attributes:
        families: f numbers, which separate equal hashes of different families. They are part of the
            artifact format.
        hashes: uint32[f, p].
        valid: bool[f, p], false for a gap.
        offsets: int64[n + 1], the places by text.
    """

    families: Sequence[int]
    hashes: Codes
    valid: Mask
    offsets: NDArray[np.int64]


def encode(batch: TextBatch, features: Features) -> GramBatch:
    """Find every gram of a batch of texts."""
    parts = list(_parts(batch, features))
    families = np.array([one for part in parts for one in part.families], dtype=np.uint32)
    sizes = [part.hashes.shape[1] for part in parts for _ in part.families]
    ids = np.concatenate([part.hashes.ravel() for part in parts])
    ids += (families * _SPREAD).repeat(sizes)
    valid = np.concatenate([part.valid.ravel() for part in parts])
    _to_buckets(ids, ~valid, features.bits)
    by_part = [(len(part.families), part.offsets) for part in parts]
    if len(batch.texts) == 1:  # then all grams count as one family
        by_part = [(1, np.array([0, len(ids)]))]
    counts = sum_parts(valid.view(np.uint8), by_part, np.int64)
    return GramBatch(ids.view(np.int32), counts, by_part)


def spans(batch: TextBatch, features: Features) -> tuple[Places, Places]:
    """Return which characters of the batch each entry of `encode` is made of.

    Returns:
        intp[entries] each: the place of its first character, and the place after its last one. Of a
        gap, neither means anything. A space at either end marks the border of a word.
    """
    found: list[tuple[Places, Places]] = []
    if features.chars is not None:
        places = np.arange(len(batch.codes) - 1)
        found += [
            (places, places + length) for length in range(features.chars[0], features.chars[1] + 1)
        ]
    starts, stops = batch.words
    found += [(starts, _later(stops, length)) for length in range(features.words)]
    if features.signs:
        places, is_sign = _sign_places(batch)
        ends = places + 1
        ends[~is_sign] = stops
        found += [(places, ends), (places, _later(ends, 1))]
    if features.shapes:
        found.append(batch.pieces)
    return (
        np.concatenate([starts for starts, _ in found]),
        np.concatenate([stops for _, stops in found]),
    )


def _later(values: Places, count: int) -> Places:
    """Return the value that comes ``count`` places later; beyond the end the last one."""
    return values.take(np.arange(len(values)) + count, mode="clip")


def _parts(batch: TextBatch, features: Features) -> Iterator[_Part]:
    if features.chars is not None:
        yield _chars(batch, *features.chars)
    if features.words or features.signs:
        starts, stops = batch.words
        words = batch.sums.hash(starts, stops).astype(np.uint32)
    if features.words:
        offsets = batch.offsets(starts)
        numbers = range(11, 11 + features.words)
        yield _Part(numbers, *_neighbours(words, offsets, features.words), offsets)
    if features.signs:
        yield _signs(batch, words)
    if features.shapes:
        yield _shapes(batch)


def _chars(batch: TextBatch, shortest: int, longest: int) -> _Part:
    """Find the character n-grams inside words, which here are runs between white space.

    A space in the first or the last place of a gram marks the border of the word.
    """
    codes = np.where(batch.space, _SPACE_CODE, batch.codes)
    no_space = ~batch.space
    # No gram begins at the space after the last text.
    hashes = np.zeros((longest - 1, len(codes) - 1), dtype=np.uint32)
    valid = np.zeros(hashes.shape, dtype=np.bool_)
    before, inside = codes, no_space[:-1] | no_space[1:]
    for length in range(2, longest + 1):
        count = max(len(codes) - length + 1, 0)
        row = hashes[length - 2, :count]
        np.multiply(before[:count], _STEP, out=row)
        row += codes[length - 1 :]
        before = row
        if length > 2:  # spaces only at the ends
            inside = inside[:count] & no_space[length - 2 : -1]
        valid[length - 2, :count] = inside
    lengths = range(shortest, longest + 1)
    return _Part(lengths, hashes[shortest - 2 :], valid[shortest - 2 :], batch.bounds)


def _signs(batch: TextBatch, words: Codes) -> _Part:
    """Find every sign, and every pair of neighbouring words and signs."""
    places, is_sign = _sign_places(batch)
    offsets = batch.offsets(places)
    signs = batch.codes[places]
    both = signs * _SPREAD
    both[~is_sign] = words
    hashes, valid = _neighbours(both, offsets, 2)
    hashes[0], valid[0] = signs, is_sign
    return _Part((20, 21), hashes, valid, offsets)


def _sign_places(batch: TextBatch) -> tuple[Places, Mask]:
    """Return where every sign and every word begins, and which of them are signs."""
    sign = (batch.kinds == SIGN) & ~batch.word
    first = sign.copy()
    first[batch.words.starts] = True
    places = np.flatnonzero(first)
    return places, sign[places]


def _shapes(batch: TextBatch) -> _Part:
    """Find the shape of every run between white space: ``x``, ``X``, ``9`` and the signs."""
    shapes = np.where(batch.kinds == SIGN, batch.codes, batch.by_kind(_SHAPES).astype(np.uint32))
    starts, stops = batch.pieces
    hashes = Sums(shapes).hash(starts, stops).astype(np.uint32)
    return _Part((30,), hashes[None], np.ones((1, len(hashes)), np.bool_), batch.offsets(starts))


def _neighbours(hashes: Codes, offsets: NDArray[np.int64], longest: int) -> tuple[Codes, Mask]:
    """Hash 1 … ``longest`` neighbours of the same text: uint32 and bool[longest, p].

    Each hash is at the place of its first neighbour.
    """
    count = len(hashes)
    all_joined = np.zeros((longest, count), dtype=np.uint32)
    all_valid = np.zeros(all_joined.shape, dtype=np.bool_)
    # All but the last of each text have a next one. Empty texts at the beginning refer to index -1,
    # hence the additional place.
    has_next = np.ones(count + 1, dtype=np.bool_)
    has_next[offsets[1:] - 1] = False
    joined, valid = hashes, np.ones(count, dtype=np.bool_)
    for length in range(1, longest + 1):
        if length > 1:
            joined = joined[:-1] * _JOIN + hashes[length - 1 :]
            valid = valid[:-1] & has_next[length - 2 : -2]
        all_joined[length - 1, : len(joined)] = joined
        all_valid[length - 1, : len(joined)] = valid
    return all_joined, all_valid


def _to_buckets(hashes: Codes, gaps: Mask, bits: int) -> None:
    """Turn hashes into buckets in [0, 2**bits), in place, and into `GAP` or more where a gap is."""
    for start in range(0, len(hashes), _BLOCK):
        mixed = hashes[start : start + _BLOCK]
        mixed ^= mixed >> np.uint32(15)
        mixed *= _MIX
        mixed ^= mixed >> np.uint32(12)
        mixed *= _SPREAD
        mixed >>= np.uint32(32 - bits)
        mixed |= gaps[start : start + _BLOCK].astype(np.uint32) * np.uint32(GAP)

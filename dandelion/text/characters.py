"""A batch of texts as arrays: code points, their kinds, and the text each belongs to.

`array_tokenizer`, `grams` and `surface` work on these arrays without looping over characters: an
array operation takes about a nanosecond per character, a step of Python fifty. Each array is
computed when it is first read, and shared by everything that reads it.
"""

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .tokenizer import clean

T = TypeVar("T")

Codes = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

SPACE, LOWER, UPPER, DIGIT, SIGN = range(5)

# How the tokenizer's regular expression classifies a character.
TOKEN_SPACE, TOKEN_LETTER, TOKEN_DIGIT, TOKEN_SIGN = range(4)

# Their lower case is not a single character of its own: İ becomes two, and that of Σ depends on its
# position in the word.
UNEVEN: Final = "İΣ"

# A character's traits in one byte: its kind, its kind for the tokenizer, and flags.
_KIND: Final = 0b111
_TOKEN_SHIFT: Final = 3
_WORD, _UNEVEN, _SEEN = 1 << 5, 1 << 6, 1 << 7

# The hash of a run is Σ code · _BASE^i modulo 2⁶⁴. Grams use its lower half, which is the same sum
# modulo 2³² with the lower half of the base. The base is odd and therefore invertible.
_BASE: Final = 0xD1B54A329E3779B1

# Powers of the base are cached for batches of up to this many characters, which takes 32 MB for all
# sizes; the pieces that a `Classifier` splits batches into need 8 MB of it.
CACHED_POWERS: Final = 2**20


class Runs(NamedTuple):
    """Runs of characters, in the order of the batch, each from a start up to before its stop."""

    starts: Places
    stops: Places


class _lazy(Generic[T]):  # noqa: N801
    """A property computed once, like `functools.cached_property`.

    Before Python 3.12, that one has one lock for all instances, so threads wait for each other.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type) -> T:
        value: T = self._compute(instance)
        instance.__dict__[self._name] = value  # from now on, found before this descriptor
        return value


class TextBatch:
    """The code points of n texts, cleaned, with a space before, between and after them.

    m is the number of code points, these spaces included.

    Attributes:
        texts: n texts, see `tokenizer.clean`.

    Args:
        texts: raw, or clean already.
        is_clean: whether they are clean.
    """

    def __init__(self, texts: Sequence[str], *, is_clean: bool = False) -> None:
        self.texts = list(texts) if is_clean else [clean(text) for text in texts]

    @_lazy
    def lengths(self) -> NDArray[np.int64]:
        """int64[n], the number of characters of each text."""
        return np.fromiter(map(len, self.texts), np.int64, len(self.texts))

    @_lazy
    def bounds(self) -> NDArray[np.int64]:
        """int64[n + 1], the place of the space before each text, and of the last space."""
        bounds = np.zeros(len(self.texts) + 1, dtype=np.int64)
        np.add.accumulate(self.lengths + 1, out=bounds[1:])
        return bounds

    @_lazy
    def cased(self) -> Codes:
        """uint32[m], the code points."""
        joined = " ".join(["", *self.texts, ""])
        return np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)

    @_lazy
    def index(self) -> Places:
        """intp[m], the code points in the type that NumPy indexes with."""
        return self.cased.astype(np.intp)

    @_lazy
    def codes(self) -> Codes:
        """uint32[m], the code points, in lower case where that is a single character."""
        return self._looked_up[0]

    @_lazy
    def _traits(self) -> NDArray[np.uint8]:
        return self._looked_up[1]

    @_lazy
    def _looked_up(self) -> tuple[Codes, NDArray[np.uint8]]:
        """Lower case and traits; new characters are entered into the tables first."""
        traits = _TRAITS.take(self.index)
        if not traits.all():
            for code in np.unique(self.cased[traits == 0]).tolist():
                _enter(code)
            traits = _TRAITS.take(self.index)
        return LOWER_CASE.take(self.index), traits

    @_lazy
    def kinds(self) -> NDArray[np.uint8]:
        """uint8[m]: `SPACE`, `LOWER` (or a caseless letter or mark), `UPPER`, `DIGIT`, `SIGN`."""
        return self._traits & np.uint8(_KIND)

    @_lazy
    def token_kinds(self) -> NDArray[np.uint8]:
        """uint8[m]: `TOKEN_SPACE`, `TOKEN_LETTER`, `TOKEN_DIGIT`, `TOKEN_SIGN`."""
        return (self._traits >> np.uint8(_TOKEN_SHIFT)) & np.uint8(3)

    @_lazy
    def space(self) -> Mask:
        """bool[m]: white space and control characters."""
        space: Mask = self.kinds == SPACE
        return space

    @_lazy
    def word(self) -> Mask:
        """bool[m]: letters, marks, digits and ``_``."""
        word: Mask = (self._traits & np.uint8(_WORD)) != 0
        return word

    @_lazy
    def rows(self) -> Places:
        """intp[m − 1], the text that each character belongs to, as does the space before it."""
        return np.arange(len(self.texts)).repeat(self.lengths + 1)

    @_lazy
    def words(self) -> Runs:
        """The runs of ``word``."""
        return _runs(self.word)

    @_lazy
    def pieces(self) -> Runs:
        """The runs between white space."""
        return _runs(self.space)

    @_lazy
    def uneven(self) -> Places:
        """The places of characters whose lower case depends on the text around them."""
        return np.flatnonzero(self._traits & np.uint8(_UNEVEN))

    @_lazy
    def sums(self) -> "Sums":
        """The running sums that give the hash of any run of ``codes``."""
        return Sums(self.codes)

    def rows_of(self, places: Places) -> NDArray[np.intp]:
        """Return the text that each of a few places belongs to."""
        return self.bounds.searchsorted(places, side="right") - 1

    def by_kind(self, values: bytes) -> NDArray[np.uint8]:
        """Map the kind of each character to a value, uint8[m]; five times as fast as NumPy."""
        return np.frombuffer(
            self.kinds.tobytes().translate(values.ljust(256, b"\0")), dtype=np.uint8
        )

    def offsets(self, places: Places) -> NDArray[np.int64]:
        """Return where the places of each text begin among ascending places, int64[n + 1]."""
        return places.searchsorted(self.bounds)


class Sums:
    """Hashes of runs of characters, each from a single subtraction.

    Each character times the power of the base for its place is summed from the beginning. The hash
    of a run is the difference of two sums, divided by the power for the place before the run.
    """

    def __init__(self, codes: Codes) -> None:
        size = 1 << max(len(codes) - 1, 1023).bit_length()
        powers, self._inverses = (_cached_powers if size <= CACHED_POWERS else _powers)(size)
        terms = codes.astype(np.uint64)
        terms *= powers[: len(codes)]
        self._sums = np.add.accumulate(terms, out=terms)

    def hash(self, starts: Places, stops: Places) -> Hashes:
        """Hash runs that start after place 0: Σ code · base^i for i = 1, 2, …, uint64[runs]."""
        before = starts - 1
        return (self._sums[stops - 1] - self._sums[before]) * self._inverses[before]


def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Return the powers of the base from 0 to count − 1, and their inverses, modulo 2⁶⁴."""
    bases = np.array([_BASE, pow(_BASE, -1, 2**64)], dtype=np.uint64)
    powers = np.repeat(bases[:, None], count, axis=1)
    powers[:, 0] = 1
    np.multiply.accumulate(powers, axis=1, out=powers)
    return powers[0], powers[1]


_cached_powers = lru_cache(_powers)


def hash_each(codes: Codes, starts: Places, lengths: Places) -> Hashes:
    """Hash runs like `Sums`, in any order; slower, for tables that are built once."""
    hashes = np.zeros(len(starts), dtype=np.uint64)
    runs = np.arange(len(starts))
    power = 1
    for place in range(int(lengths.max(initial=0))):
        runs = runs[lengths[runs] > place]
        power = power * _BASE % 2**64
        hashes[runs] += codes[starts[runs] + place] * np.uint64(power)
    return hashes


def _runs(mask: Mask) -> Runs:
    """Find the runs where the mask differs from its first and last value."""
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    return Runs(edges[::2], edges[1::2])


def _enter(code: int) -> None:
    """Enter a code point into the tables. Threads may race, for they write the same values."""
    character = chr(code)
    LOWER_CASE[code] = lower_of(character)
    kind = kind_of(character)
    traits = _SEEN | kind | _token_kind(character) << _TOKEN_SHIFT
    if kind in (LOWER, UPPER, DIGIT) or character == "_":
        traits |= _WORD
    if character in UNEVEN:
        traits |= _UNEVEN
    _TRAITS[code] = traits


def lower_of(character: str) -> int:
    """Return the code point of a character in lower case; its own if that is not one character."""
    lower = character.lower()
    return ord(lower) if len(lower) == 1 else ord(character)


def kind_of(character: str) -> int:
    """Return the kind of a character, see `TextBatch.kinds`."""
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return SPACE
    if category[0] in "LM":
        return UPPER if category == "Lu" else LOWER
    return DIGIT if category == "Nd" else SIGN


def _token_kind(character: str) -> int:
    if character.isspace():
        return TOKEN_SPACE
    if character.isdecimal():
        return TOKEN_DIGIT
    return TOKEN_LETTER if character.isalnum() else TOKEN_SIGN


_TRAITS = np.zeros(0x110000, dtype=np.uint8)
LOWER_CASE = np.arange(0x110000, dtype=np.uint32)
for _code in range(128):
    _enter(_code)

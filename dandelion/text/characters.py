"""A batch of texts as arrays: code points, their kinds and the text each belongs to.

What `tokens`, `grams` and `surface` compute, they compute on these, without a loop over characters:
an array operation takes about a nanosecond a character, a step of Python fifty. Each array is made
when it is first asked for, and once for all that read it.
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

# What the tokenizer's regular expression takes a character for.
TOKEN_SPACE, TOKEN_LETTER, TOKEN_DIGIT, TOKEN_SIGN = range(4)

# Lower case is not their own matter: İ becomes two characters, Σ depends on its place in the word.
UNEVEN: Final = "İΣ"

# A character's traits in one byte: its kind, what the tokenizer takes it for, and flags.
_KIND: Final = 0b111
_TOKEN_SHIFT: Final = 3
_WORD, _UNEVEN, _SEEN = 1 << 5, 1 << 6, 1 << 7

# A run's hash is Σ code · _BASE^i modulo 2⁶⁴; its lower half is the sum modulo 2³² over the base's
# lower half, which is the one that grams are hashed with. Odd, so that it can be divided by.
_BASE: Final = 0xD1B54A329E3779B1

# Characters of the largest page whose powers of the base are kept, once there was one so large:
# with those of all smaller sizes 32 MB. The pages that a batch is cut into take 8 MB.
_KEPT: Final = 2**20


class Runs(NamedTuple):
    """Runs of characters, in the order of the page: each from ``starts`` to before ``stops``."""

    starts: Places
    stops: Places


class _lazy(Generic[T]):  # noqa: N801
    """A property computed once, as `functools.cached_property`.

    That one, before Python 3.12, makes threads wait for one another, whichever page each works on.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, batch: Any, owner: type) -> T:
        value: T = self._compute(batch)
        batch.__dict__[self._name] = value  # found first from now on
        return value


class TextBatch:
    """The code points of a batch of texts, made `clean`, a space before, between and behind them.

    m counts characters, n texts.

    Attributes:
        texts: n texts, clean.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = [clean(text) for text in texts]

    @_lazy
    def lengths(self) -> NDArray[np.int64]:
        """int64[n], characters of each text."""
        return np.fromiter(map(len, self.texts), np.int64, len(self.texts))

    @_lazy
    def bounds(self) -> NDArray[np.int64]:
        """int64[n + 1], where each text begins with the space in front of it, and the last ends."""
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
        """intp[m], the code points as NumPy wants them to look something up."""
        return self.cased.astype(np.intp)

    @_lazy
    def codes(self) -> Codes:
        """uint32[m], the code points, in lower case where that is one character too."""
        return self._looked_up[0]

    @_lazy
    def _traits(self) -> NDArray[np.uint8]:
        return self._looked_up[1]

    @_lazy
    def _looked_up(self) -> tuple[Codes, NDArray[np.uint8]]:
        """Lower case and traits; characters not met before are entered on the way."""
        traits = _TRAITS.take(self.index)
        if not traits.all():
            for code in np.unique(self.cased[traits == 0]).tolist():
                _enter(code)
            traits = _TRAITS.take(self.index)
        return LOWER_CASE.take(self.index), traits

    @_lazy
    def kinds(self) -> NDArray[np.uint8]:
        """uint8[m]: `SPACE`, `LOWER` (letters without case and marks too), `UPPER` …, `SIGN`."""
        return self._traits & np.uint8(_KIND)

    @_lazy
    def token_kinds(self) -> NDArray[np.uint8]:
        """uint8[m]: `TOKEN_SPACE`, `TOKEN_LETTER`, `TOKEN_DIGIT`, `TOKEN_SIGN`."""
        return (self._traits >> np.uint8(_TOKEN_SHIFT)) & np.uint8(3)

    @_lazy
    def space(self) -> Mask:
        """bool[m]."""
        space: Mask = self.kinds == SPACE
        return space

    @_lazy
    def word(self) -> Mask:
        """bool[m]: letters, marks, digits and ``_``."""
        word: Mask = (self._traits & np.uint8(_WORD)) != 0
        return word

    @_lazy
    def rows(self) -> Places:
        """intp[m − 1], the text of each character; the space in front belongs to it, too."""
        return np.arange(len(self.texts)).repeat(self.lengths + 1)

    @_lazy
    def words(self) -> Runs:
        """The runs of ``word``."""
        return _runs(self.word)

    @_lazy
    def pieces(self) -> Runs:
        """What stands between white space."""
        return _runs(self.space)

    @_lazy
    def uneven(self) -> Places:
        """The places of characters whose lower case in a text is not the one by themselves."""
        return np.flatnonzero(self._traits & np.uint8(_UNEVEN))

    @_lazy
    def sums(self) -> "Sums":
        """The sums that ``codes`` are hashed by."""
        return Sums(self.codes)

    def rows_of(self, places: Places) -> NDArray[np.intp]:
        """Tell which text each of a few places belongs to."""
        return self.bounds.searchsorted(places, side="right") - 1

    def by_kind(self, values: bytes) -> NDArray[np.uint8]:
        """Look a value up for each character's kind, uint8[m]; five times faster than NumPy."""
        return np.frombuffer(
            self.kinds.tobytes().translate(values.ljust(256, b"\0")), dtype=np.uint8
        )

    def offsets(self, places: Places) -> NDArray[np.int64]:
        """Tell where each text's share of some ascending places begins, int64[n + 1]."""
        return places.searchsorted(self.bounds)


class Sums:
    """Hashes of runs of characters, each by a single subtraction.

    Summed once from the page's beginning, with the power of the base that belongs to the place;
    a run's share is the difference of two sums, divided by the power of the place before it.
    """

    def __init__(self, codes: Codes) -> None:
        size = 1 << max(len(codes) - 1, 1023).bit_length()
        powers, self._inverses = (_kept_powers if size <= _KEPT else _powers)(size)
        terms = codes.astype(np.uint64)
        terms *= powers[: len(codes)]
        self._sums = np.add.accumulate(terms, out=terms)

    def hash(self, starts: Places, stops: Places) -> Hashes:
        """Hash runs, none of which starts at place 0: Σ code · base^i for i = 1, 2, …, uint64."""
        before = starts - 1
        return (self._sums[stops - 1] - self._sums[before]) * self._inverses[before]


def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Return the base's powers from 0 to count − 1, and their inverses, modulo 2⁶⁴."""
    bases = np.array([_BASE, pow(_BASE, -1, 2**64)], dtype=np.uint64)
    powers = np.repeat(bases[:, None], count, axis=1)
    powers[:, 0] = 1
    np.multiply.accumulate(powers, axis=1, out=powers)
    return powers[0], powers[1]


_kept_powers = lru_cache(_powers)


def hash_each(codes: Codes, starts: Places, lengths: Places) -> Hashes:
    """Hash runs as `Sums` does, whatever their order; for tables, which are made once."""
    hashes = np.zeros(len(starts), dtype=np.uint64)
    runs = np.arange(len(starts))
    power = 1
    for place in range(int(lengths.max(initial=0))):
        runs = runs[lengths[runs] > place]
        power = power * _BASE % 2**64
        hashes[runs] += codes[starts[runs] + place] * np.uint64(power)
    return hashes


def _runs(mask: Mask) -> Runs:
    """Find the runs that are unlike the page's first and last character."""
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    return Runs(edges[::2], edges[1::2])


def _enter(code: int) -> None:
    """Enter a code point into the tables. Threads may race: they write the same values."""
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

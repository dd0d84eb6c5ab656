"""The compiled engine: from texts to scores in ``kernel.c``, where that could be built.

For a single text NumPy needs a hundred calls of about a microsecond each, for three microseconds of
arithmetic. NumPy's path (`vocabulary`, `grams`, `surface`, `network`) defines what is computed, and
it is what runs where no C compiler was found.
"""

import ctypes
from array import array
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, Final, Literal, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from ..decision.calibration import IDENTITY, Calibration
from ..decision.notices import LOW_SHARE, Notice, notice
from ..text import characters, surface
from ..text.folding import fold, without_look_alikes
from ..text.grams import Features
from ..text.tokenizer import to_nfkc
from ..text.vocabulary import Vocabulary
from ..text.windows import MAX_WORD_CHARS, Windows
from .layout import Packed as Packed  # noqa: PLC0414 - for `choice`
from .layout import laid_out, layers
from .library import MAX_DIGITS, Model, Words, libraries
from .network import Network
from .restoring import restore

# A code point's class, as kernel.c reads it: its kind in the three lowest bits, and these flags.
# ENTERED is in every class, so 0 is a code point that was not met before.
ENTERED, LETTER, DECIMAL, WORD, BLANK = 8, 16, 32, 64, 128
CLASSES: Final = np.zeros(0x110000, dtype=np.uint8)

_SMALL_COUNTS: Final = 256

# The network's tables, by the field of `Model` that points to them.
_TABLES: Final = {"embedding": "embedding", "grams": "gram_weights", "surface": "surface_table"}

# By the numbers that the kernel gives them.
_NOTICES: Final = {1: Notice.NO_CONTENT, 2: Notice.LOW_EVIDENCE}

_WORDS_BYTES: Final = ctypes.sizeof(Words)

# What a text may need before it is encoded, as in kernel.c.
FOLD, CUT, UNKNOWN = 1, 2, 4

# A shorter batch is done before releasing the interpreter's lock would pay.
_BRIEF_CHARS: Final = 4096


class CompiledBatch:
    """Encoded texts, in memory of the kernel.

    Attributes:
        scorer: that encoded them.
        address: of a `library.Batch`.
        texts: their number; with windows, the number of these.
        windows: int64[n], how many of them are the windows of each text; None if each is a text.
        is_brief: whether the batch is too short to release the interpreter's lock for.
    """

    __slots__ = ("_free", "address", "is_brief", "scorer", "texts", "windows")

    def __init__(  # noqa: PLR0913
        self,
        scorer: "CompiledScorer",
        address: int,
        texts: int,
        windows: "array[int] | None",
        free: Any,
        *,
        is_brief: bool,
    ) -> None:
        self.scorer = scorer
        self.address = address
        self.texts = texts
        self.windows = windows
        self.is_brief = is_brief
        self._free = free

    def __del__(self) -> None:
        self._free(self.address)

    def __reduce__(self) -> NoReturn:
        # A copy would free the same memory.
        raise TypeError("an encoded batch cannot be copied or pickled; encode the texts again")


class CompiledScorer:
    """An artifact laid out for the compiled engine.

    Immutable, so threads may share it.

    Args:
        vocabulary: of v − 1 known tokens.
        features: of the wide path; None without one.
        network: the weights.
        packed: the tables that int8 represents exactly, by name: int8[rows, columns] with float32
            scales, one per row of the embedding, one per column of the others.
        windows: how long texts are cut; None for not at all.
        calibration: of the logits; None for none.
        is_binary: whether there are two labels.

    Raises:
        KernelError: the compiled engine cannot be used.
    """

    name: Final[Literal["compiled"]] = "compiled"

    def __init__(  # noqa: PLR0913
        self,
        vocabulary: Vocabulary,
        features: Features | None,
        network: Network,
        packed: Mapping[str, Packed],
        *,
        windows: Windows | None = None,
        calibration: Calibration | None = None,
        is_binary: bool,
    ) -> None:
        # Brief calls keep the interpreter's lock, long ones release it.
        self._brief, self._long = libraries()
        self._windows = windows
        self._to_cut = 0 if windows is None else CUT
        self._columns = () if is_binary else (len(network.output_bias),)
        calibration = calibration or IDENTITY
        weights = network.weights()
        arrays = {**_characters(), **_vocabulary(vocabulary), **_surface(), **layers(network)}
        # Kept, because the structure only points to them.
        self._arrays = arrays = {
            name: np.ascontiguousarray(values) for name, values in arrays.items()
        }
        tables = {
            field: laid_out(weights[name], packed.get(name), is_single=name == "grams")
            for name, field in _TABLES.items()
            if name in weights
        }
        self._tables = {field: arrays for field, (_, arrays) in tables.items()}
        url, mention, *digits = vocabulary.encode(
            ["http://a", "@a", *("1" * count for count in range(1, MAX_DIGITS + 1))]
        ).ids.tolist()
        self._model = Model(
            **{name: values.ctypes.data for name, values in arrays.items()},
            **{field: table for field, (table, _) in tables.items()},
            mask=len(arrays["slots"]) - 1,
            url=url,
            mention=mention,
            digits=(0, *digits),
            sign_slots_size=len(arrays["sign_slots"]),
            aside=arrays["sign_slots"][-1],
            counts=surface.COUNTS,
            steps_size=len(arrays["steps"]),
            levels_size=len(arrays["levels"]),
            dimensions=network.embedding.shape[1],
            extra=network.hidden1_weight.shape[1] - network.embedding.shape[1],
            hidden=len(arrays["bias1"]),
            outputs=len(network.output_bias),
            is_binary=is_binary,
            window_words=0 if windows is None else windows.words,
            max_word=MAX_WORD_CHARS,
            penalty=0 if windows is None else windows.penalty,
            slope_below=calibration.a,
            slope_above=calibration.b,
            offset=calibration.c,
            low_share=LOW_SHARE,
            **_switches(features),
        )
        self._address = ctypes.addressof(self._model)
        self._unseen = self._brief.dandelion_unseen()
        self._unready = self._brief.dandelion_unready()
        self._long.dandelion_index(self._address, len(vocabulary) - 1)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a classifier of the compiled engine cannot be pickled, because it points into memory; "
            "load the artifact in the other process"
        )

    def encode(self, texts: Sequence[str], *, is_nfkc: bool = False) -> CompiledBatch:
        """Find tokens, grams and surface of n texts, which may be in NFKC already.

        Raises:
            TypeError: a text is of a subclass of str that reports another length.
            MemoryError: the batch is too large.
        """
        texts = tuple(texts)
        joined = "".join(texts)
        if not joined.isascii():
            if not is_nfkc:
                texts = [text if text.isascii() else to_nfkc(text) for text in texts]
            texts = [text if text.isascii() else without_look_alikes(text) for text in texts]
            joined = "".join(texts)
        counts = None
        address, library = self._encode(texts, joined, FOLD | self._to_cut)
        if address == self._unready:
            texts, counts = self._prepared(texts, joined)
            joined = "".join(texts)
            address, library = self._encode(texts, joined, 0)
        return CompiledBatch(
            self,
            address,
            len(texts),
            counts,
            library.dandelion_free,
            is_brief=library is self._brief,
        )

    def _encode(self, texts: Sequence[str], joined: str, checks: int) -> tuple[int, Any]:
        """Return the address of the encoded batch, and the library that it belongs to.

        The address is ``_unready`` if a text needs one of the checks.

        Args:
            texts: in NFKC, without look-alikes.
            joined: the same in one.
            checks: what the texts may need; 0 if they are ready.
        """
        library = self._brief if len(joined) < _BRIEF_CHARS else self._long
        lengths = _lengths(texts, joined)
        lowered, lowered_lengths = None, lengths
        if not joined.isascii() and any(one in joined for one in characters.UNEVEN):
            lower = [text.lower() for text in texts]
            lowered = "".join(lower)
            lowered_lengths = array("q", map(len, lower))
            enter(set(lowered))
        arguments = (
            self._address,
            len(texts),
            joined.encode("utf-32-le"),
            lengths.buffer_info()[0],
            None if lowered is None else lowered.encode("utf-32-le"),
            lowered_lengths.buffer_info()[0],
            checks,
        )
        address = library.dandelion_encode(*arguments)
        if address == self._unseen:
            enter(set(joined))
            address = library.dandelion_encode(*arguments)
        if not address:
            raise MemoryError("the batch is too large to encode")
        return address, library

    def _prepared(self, texts: Sequence[str], joined: str) -> tuple[list[str], "array[int] | None"]:
        """Fold and cut the texts that need it; also return the number of windows of each text."""
        needs, lengths = array("B", bytes(len(texts))), _lengths(texts, joined)
        self._long.dandelion_needs(
            self._address,
            len(texts),
            joined.encode("utf-32-le"),
            lengths.buffer_info()[0],
            FOLD | self._to_cut,
            needs.buffer_info()[0],
        )
        # A text with characters that the kernel has not met before may need both.
        found = [
            fold(text) if need & (FOLD | UNKNOWN) else text
            for text, need in zip(texts, needs, strict=True)
        ]
        if self._windows is None:
            return found, None
        windows = [
            self._windows.cut(text) if need & (CUT | UNKNOWN) else [text]
            for text, need in zip(found, needs, strict=True)
        ]
        return [one for each in windows for one in each], array("q", map(len, windows))

    def restore(self) -> tuple[Vocabulary, Network]:
        """Rebuild vocabulary and weights in float32; the hidden layers keep their padding."""
        return restore(self._model, self._arrays, self._tables)

    def infer(self, batch: CompiledBatch) -> NDArray[np.float32]:
        """Score an encoded batch: float32[n], or float32[n, k] for more than two labels.

        Raises:
            ValueError: another scorer encoded the batch.
            MemoryError: there is no room for the activations of a text.
        """
        return self._computed("dandelion_infer", batch)

    def logits(self, batch: CompiledBatch) -> NDArray[np.float32]:
        """Return uncalibrated log-odds of the positive label, float32[n]; or float32[n, k].

        Raises:
            ValueError, MemoryError: see `infer`.
        """
        return self._computed("dandelion_logits", batch)

    def _computed(
        self, function: Literal["dandelion_infer", "dandelion_logits"], batch: CompiledBatch
    ) -> NDArray[np.float32]:
        """Call a function of the kernel that computes a row of numbers for each text."""
        self._check(batch)
        windows = batch.windows
        texts = batch.texts if windows is None else len(windows)
        numbers = np.empty((texts, *self._columns), np.float32)
        if not texts:
            return numbers
        compute = getattr(self._brief if batch.is_brief else self._long, function)
        # NumPy's own attributes take a microsecond to return the address.
        address = ctypes.addressof(ctypes.c_char.from_buffer(numbers.data))
        counts = None if windows is None else windows.buffer_info()[0]
        if not compute(self._address, batch.address, counts, address):
            raise MemoryError("no memory for the activations of a text")
        return numbers

    def notices(self, batch: CompiledBatch) -> dict[int, Notice]:
        """Return the notice of each text that has one, by its position.

        Raises:
            ValueError: another scorer encoded the batch.
        """
        return self.words(batch)[1]

    def words(self, batch: CompiledBatch) -> tuple[Sequence[int], dict[int, Notice]]:
        """Return the number of words of each text and of its known ones in turn; and `notices`.

        Raises:
            ValueError: another scorer encoded the batch.
        """
        self._check(batch)
        library = self._brief if batch.is_brief else self._long
        texts, windows, counts = batch.texts, batch.windows, None
        if windows is not None:
            counts, texts = windows.buffer_info()
        if texts == 1:  # the usual case; an array has its price
            both = library.dandelion_words_of_one(batch.address)
            every, known = both >> 32, both & 0xFFFFFFFF
            one = notice(every, known)
            return (every, known), {} if one is None else {0: one}
        words = array("i", bytes(_WORDS_BYTES * texts))
        arguments = self._address, batch.address, counts, words.buffer_info()[0]
        if not library.dandelion_words(*arguments, None):
            return words, {}
        found = array("B", bytes(texts))
        library.dandelion_words(*arguments, found.buffer_info()[0])
        return words, {at: _NOTICES[one] for at, one in enumerate(found) if one}

    def _check(self, batch: CompiledBatch) -> None:
        if not isinstance(batch, CompiledBatch) or batch.scorer is not self:
            raise ValueError("the batch was encoded by another classifier; expected this one's")


def _lengths(texts: Sequence[str], joined: str) -> "array[int]":
    """Return the length of each text, int64[n].

    Raises:
        TypeError: a text is of a subclass of str that reports another length.
    """
    lengths = array("q", map(len, texts))
    if sum(lengths) != len(joined):
        raise TypeError("a text reports a length other than its number of characters; expected str")
    return lengths


def enter(found: Iterable[str]) -> None:
    """Enter characters, and their lower case, into the tables that the kernel reads.

    A character's class is written last: other threads read its lower case as soon as they see it.
    """
    for character in found:
        lower = characters.lower_of(character)
        with _entering:
            characters.LOWER_CASE[ord(character)] = lower
            CLASSES[lower] = _class_of(chr(lower))
            CLASSES[ord(character)] = _class_of(character)


def _characters() -> dict[str, NDArray[Any]]:
    return {"classes": CLASSES, "lower": characters.LOWER_CASE}


def _class_of(character: str) -> int:
    is_letter = character.isalnum() and not character.isdecimal()
    return (
        characters.kind_of(character)
        | ENTERED
        | LETTER * is_letter
        | DECIMAL * character.isdecimal()
        | WORD * (character.isalnum() or character == "_")
        | BLANK * character.isspace()
    )


def _vocabulary(vocabulary: Vocabulary) -> dict[str, NDArray[Any]]:
    """Concatenate the known tokens, and allocate the hash table that finds them."""
    bounds = np.zeros(len(vocabulary), dtype=np.int64)
    np.cumsum([len(token) for token in vocabulary.tokens], out=bounds[1:])
    codes = "".join(vocabulary.tokens).encode("utf-32-le", "surrogatepass")
    # At most half full, which keeps look-ups short.
    slots = np.zeros((1 << (2 * len(vocabulary)).bit_length(), 4), dtype=np.uint32)
    return {"tokens": np.frombuffer(codes, np.uint32), "bounds": bounds, "slots": slots}


def _surface() -> dict[str, NDArray[Any]]:
    levels = surface.levels(np.arange(_SMALL_COUNTS)).astype(np.uint8)
    return {"sign_slots": surface.SLOTS, "steps": surface.STEPS, "levels": levels}


def _switches(features: Features | None) -> dict[str, int]:
    if features is None:
        return {}
    shortest, longest = features.chars or (0, 0)
    return {
        "grams": True,
        "shift": 32 - features.bits,
        "shortest": shortest,
        "longest": longest,
        "words": features.words,
        "signs": features.signs,
        "shapes": features.shapes,
        "surface": features.surface,
    }


_entering = Lock()
enter(map(chr, range(128)))

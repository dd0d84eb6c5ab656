"""The compiled engine: from texts to scores in ``kernel.c``, where that could be built.

For one text NumPy pays some hundred calls of about a microsecond each, where the arithmetic takes
three. NumPy's way (`vocabulary`, `grams`, `surface`, `network`) defines what is computed, and is
what runs wherever no C compiler was found.
"""

import ctypes
import hashlib
import logging
from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ..advice import ADVICE
from ..text import characters, surface
from ..text.grams import Features
from ..text.tokenizer import clean
from ..text.vocabulary import Vocabulary
from .network import Network

SOURCE: Final = Path(__file__).with_name("kernel.c")
LIBRARY: Final = Path(__file__).with_name("_kernel.so")

# Bits of a code point's class, and sizes, as kernel.c has them.
_KNOWN, _LETTER, _DECIMAL, _WORD, _BLANK = 8, 16, 32, 64, 128
_MAX_DIGITS: Final = 16
_TILE: Final = 64
_SMALL_COUNTS: Final = 256
_LANES: Final = 8

# Names of the network's tables → of the structure's fields.
_TABLES: Final = {"embedding": "embedding", "grams": "gram_weights", "surface": "surface_table"}

Packed = tuple[NDArray[np.int8], NDArray[np.float32]]

# A batch this short is done before it would pay to let another thread have the interpreter.
_BRIEF_CHARS: Final = 4096


_log = logging.getLogger("dandelion")


_ADVICE: Final = f"With a C compiler (cc) on the path, build it: {ADVICE.build_engine}"


class KernelError(Exception):
    """There is no compiled engine here; the message says why."""


def _fields(kind: Any, *names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names]


class _Table(ctypes.Structure):
    _fields_ = (
        *_fields(ctypes.c_void_p, "values", "scales"),
        *_fields(ctypes.c_int32, "stride", "is_packed"),
    )


class _Model(ctypes.Structure):
    _fields_ = (
        *_fields(ctypes.c_void_p, "classes", "lower", "tokens", "bounds", "slots"),
        *_fields(ctypes.c_int64, "mask"),
        *_fields(ctypes.c_int32, "url", "mention"),
        *_fields(ctypes.c_int32 * (_MAX_DIGITS + 1), "digits"),
        *_fields(ctypes.c_int32, "grams", "shift", "shortest", "longest"),
        *_fields(ctypes.c_int32, "words", "signs", "shapes", "surface"),
        *_fields(ctypes.c_void_p, "sign_slots"),
        *_fields(ctypes.c_int32, "sign_slots_size", "aside", "counts"),
        *_fields(ctypes.c_void_p, "steps", "levels"),
        *_fields(ctypes.c_int32, "steps_size", "levels_size"),
        *_fields(ctypes.c_int32, "dimensions", "extra", "hidden", "outputs", "is_binary"),
        *_fields(_Table, "embedding", "gram_weights", "surface_table"),
        *_fields(ctypes.c_void_p, "hidden1", "bias1", "hidden2", "bias2", "output", "output_bias"),
    )


class Batch:
    """Encoded texts, in the kernel's own memory.

    Attributes:
        kernel: the one that encoded them.
        address: where.
        texts: how many.
        is_brief: whether it is too short to let another thread run meanwhile.
    """

    __slots__ = ("_free", "address", "is_brief", "kernel", "texts")

    def __init__(
        self, kernel: "Kernel", address: int, texts: int, is_brief: bool, free: Any
    ) -> None:
        self.kernel = kernel
        self.address = address
        self.texts = texts
        self.is_brief = is_brief
        self._free = free

    def __del__(self) -> None:
        self._free(self.address)


class Kernel:
    """An artifact laid out for the compiled engine.

    Immutable once made, so threads may share it.

    Args:
        vocabulary: of v − 1 known tokens.
        features: what the wide path reads; None without one.
        network: its weights.
        packed: those of its tables that int8 holds exactly, by name: int8[rows, columns] and
            float32 scales, of each row of the embedding, of each column of the others.
        is_binary: whether there are two labels.

    Raises:
        KernelError: there is no compiled engine.
    """

    name: Final[Literal["compiled"]] = "compiled"

    def __init__(
        self,
        vocabulary: Vocabulary,
        features: Features | None,
        network: Network,
        packed: Mapping[str, Packed],
        *,
        is_binary: bool,
    ) -> None:
        self._brief, self._long = libraries()
        self._scores = () if is_binary else (len(network.output_bias),)
        weights = network.weights()
        arrays = {**_characters(), **_vocabulary(vocabulary), **_surface(), **_layers(network)}
        # What the structure points to must live as long as it does.
        self._arrays = arrays = {
            name: np.ascontiguousarray(values) for name, values in arrays.items()
        }
        tables = {
            field: _table(weights[name], packed.get(name), is_single=name == "grams")
            for name, field in _TABLES.items()
            if name in weights
        }
        self._tables = [arrays for _, arrays in tables.values()]
        url, mention, *digits = vocabulary.encode(
            ["http://a", "@a", *("1" * count for count in range(1, _MAX_DIGITS + 1))]
        ).ids.tolist()
        self._model = _Model(
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
            **_switches(features),
        )
        self._address = ctypes.addressof(self._model)
        self._unseen = self._brief.dandelion_unseen()
        self._long.dandelion_index(self._address, len(vocabulary) - 1)

    def encode(self, texts: Sequence[str]) -> Batch:
        """Find tokens, grams and surface of n texts.

        Raises:
            TypeError: a text is not quite a string.
            MemoryError: the batch is too large.
        """
        texts = tuple(texts)
        joined = "".join(texts)
        if not joined.isascii():
            texts = [text if text.isascii() else clean(text) for text in texts]
            joined = "".join(texts)
        is_brief = len(joined) < _BRIEF_CHARS
        library = self._brief if is_brief else self._long
        lengths = array("q", map(len, texts))
        if sum(lengths) != len(joined):  # of a class of its own
            raise TypeError("the length of a text is not that of its characters; expected str")
        lowered, lowered_lengths = None, lengths
        if not joined.isascii() and any(one in joined for one in characters.UNEVEN):
            lower = [text.lower() for text in texts]
            lowered = "".join(lower)
            lowered_lengths = array("q", map(len, lower))
            _enter(set(lowered))
        arguments = (
            self._address,
            len(texts),
            joined.encode("utf-32-le"),
            lengths.buffer_info()[0],
            None if lowered is None else lowered.encode("utf-32-le"),
            lowered_lengths.buffer_info()[0],
        )
        address = library.dandelion_encode(*arguments)
        if address == self._unseen:
            _enter(set(joined))
            address = library.dandelion_encode(*arguments)
        if not address:
            raise MemoryError("the batch is too large to encode")
        return Batch(self, address, len(texts), is_brief, library.dandelion_free)

    def infer(self, batch: Batch) -> NDArray[np.float32]:
        """Score an encoded batch: float32[n], or float32[n, k] beyond two labels.

        Raises:
            ValueError: another one encoded it.
            MemoryError: there is no room for a text's activations.
        """
        if not isinstance(batch, Batch) or batch.kernel is not self:
            raise ValueError("the batch was encoded by another classifier; give its own encode()'s")
        scores = np.empty((batch.texts, *self._scores), np.float32)
        if not batch.texts:
            return scores
        library = self._brief if batch.is_brief else self._long
        # NumPy's own ways to the address take a microsecond.
        address = ctypes.addressof(ctypes.c_char.from_buffer(scores.data))
        if not library.dandelion_infer(self._address, batch.address, address):
            raise MemoryError("no room for the activations of a text")
        return scores


def is_available() -> bool:
    """Tell whether there is a compiled engine."""
    try:
        libraries()
    except KernelError as error:
        _log.info("NumPy computes the scores: %s", error)
        return False
    return True


@cache
def libraries() -> tuple[Any, Any]:
    """Open the library twice: calls that keep the interpreter's lock, and calls that release it.

    Raises:
        KernelError: it was not built, cannot be opened, or was built from another source.
    """
    if not LIBRARY.exists():
        raise KernelError(f"{LIBRARY.name} was not built. {_ADVICE}")
    try:
        opened = ctypes.PyDLL(str(LIBRARY)), ctypes.CDLL(str(LIBRARY))
        is_of_source = _built_from(opened[0]) == source_digest(SOURCE.read_bytes())
    except OSError as error:
        raise KernelError(f"{LIBRARY.name} cannot be used: {error}. {_ADVICE}") from error
    if not is_of_source:
        raise KernelError(f"{LIBRARY.name} was built from another {SOURCE.name}. {_ADVICE}")
    for library in opened:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        library.dandelion_index.argtypes = [pointer, number]
        library.dandelion_encode.argtypes = [pointer, number, *[pointer] * 4]
        library.dandelion_encode.restype = pointer
        library.dandelion_unseen.restype = pointer
        library.dandelion_infer.argtypes = [pointer] * 3
        library.dandelion_free.argtypes = [pointer]
    return opened


def _built_from(library: Any) -> str:
    try:
        library.dandelion_source.restype = ctypes.c_char_p
        return str(library.dandelion_source().decode())
    except AttributeError:
        return "something else"


def source_digest(source: bytes) -> str:
    """Name a version of ``kernel.c``; a library knows the one that it was built from."""
    return hashlib.sha256(source).hexdigest()[:16]


def _characters() -> dict[str, NDArray[Any]]:
    return {"classes": _CLASSES, "lower": characters.LOWER_CASE}


def _enter(found: Iterable[str]) -> None:
    """Enter characters, and what they are in lower case, into the tables."""
    for character in found:
        lower = characters.lower_of(character)
        with _entering:
            # In this order: another thread goes on as soon as it sees the character's class.
            characters.LOWER_CASE[ord(character)] = lower
            _CLASSES[lower] = _class_of(chr(lower))
            _CLASSES[ord(character)] = _class_of(character)


def _class_of(character: str) -> int:
    is_letter = character.isalnum() and not character.isdecimal()
    return (
        characters.kind_of(character)
        | _KNOWN
        | _LETTER * is_letter
        | _DECIMAL * character.isdecimal()
        | _WORD * (character.isalnum() or character == "_")
        | _BLANK * character.isspace()
    )


def _vocabulary(vocabulary: Vocabulary) -> dict[str, NDArray[Any]]:
    """Lay the known tokens out one after the other, and make room to find them by their hash."""
    bounds = np.zeros(len(vocabulary), dtype=np.int64)
    np.cumsum([len(token) for token in vocabulary.tokens], out=bounds[1:])
    codes = "".join(vocabulary.tokens).encode("utf-32-le", "surrogatepass")
    # At most half full, so that a search is short.
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


def _layers(network: Network) -> dict[str, NDArray[Any]]:
    """Lay the network's weights out, with units that are always 0 up to a whole tile."""
    units = -len(network.hidden1_bias) % _TILE
    pad = ((0, units), (0, units))
    return {
        "hidden1": _tiles(np.pad(network.hidden1_weight, (pad[0], (0, 0)))),
        "bias1": np.pad(network.hidden1_bias, pad[0]),
        "hidden2": _tiles(np.pad(network.hidden2_weight, pad)),
        "bias2": np.pad(network.hidden2_bias, pad[0]),
        "output": np.pad(network.output_weight, ((0, 0), pad[0])),
        "output_bias": network.output_bias,
    }


def _table(
    weights: NDArray[np.float32], packed: Packed | None, *, is_single: bool
) -> tuple[_Table, tuple[NDArray[Any], NDArray[np.float32]]]:
    """Lay a table out, its rows padded to whole vectors; also return the arrays that it points to.

    Packed it takes a quarter of the processor's cache. A single column is padded too, unless it is
    one that is read by itself.
    """
    values, scales = (weights, np.zeros(0, np.float32)) if packed is None else packed
    columns = values.shape[1]
    stride = 1 if columns == 1 and is_single else columns + -columns % _LANES
    values = np.ascontiguousarray(np.pad(values, ((0, 0), (0, stride - columns))))
    if scales.shape[:1] == (1,):  # of each column
        scales = np.pad(scales, ((0, 0), (0, stride - columns)))
    scales = np.ascontiguousarray(scales)
    table = _Table(values.ctypes.data, scales.ctypes.data, stride, packed is not None)
    return table, (values, scales)


def _tiles(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put [outputs, inputs] in the order [outputs / tile, inputs, tile]."""
    outputs, inputs = weight.shape
    return weight.reshape(outputs // _TILE, _TILE, inputs).transpose(0, 2, 1)


_CLASSES = np.zeros(0x110000, dtype=np.uint8)
_entering = Lock()
_enter(map(chr, range(128)))

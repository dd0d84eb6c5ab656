"""The shared library built from ``kernel.c``: found, opened and verified.

A library is used only if it was built from the ``kernel.c`` next to it and agrees with the
structures below on the size and offset of every field, so that a stale or differently compiled one
never reads the wrong memory.
"""

import ctypes
import hashlib
import logging
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..installation import ADVICE

SOURCE: Final = Path(__file__).with_name("kernel.c")
LIBRARY: Final = Path(__file__).with_name("_kernel.so")

MAX_DIGITS: Final = 16

_ADVICE: Final = f"With a C compiler (cc) on the path, build it: {ADVICE.build_engine}"

_log = logging.getLogger("dandelion")


class KernelError(Exception):
    """The compiled engine cannot be used; the message says why and how to build it."""


def _fields(kind: Any, *names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names]


class Slot(ctypes.Structure):
    """A slot of the vocabulary's hash table, see ``kernel.c``."""

    _fields_ = (*_fields(ctypes.c_uint32, "hash", "id", "start", "length"),)


class Table(ctypes.Structure):
    """A table of weights, see ``kernel.c``."""

    _fields_ = (
        *_fields(ctypes.c_void_p, "values", "scales"),
        *_fields(ctypes.c_int32, "stride", "is_packed"),
    )


class Model(ctypes.Structure):
    """An artifact as the kernel reads it, see ``kernel.c``."""

    _fields_ = (
        *_fields(ctypes.c_void_p, "classes", "lower", "tokens", "bounds", "slots"),
        *_fields(ctypes.c_int64, "mask"),
        *_fields(ctypes.c_int32, "url", "mention"),
        *_fields(ctypes.c_int32 * (MAX_DIGITS + 1), "digits"),
        *_fields(ctypes.c_int32, "grams", "shift", "shortest", "longest"),
        *_fields(ctypes.c_int32, "words", "signs", "shapes", "surface"),
        *_fields(ctypes.c_void_p, "sign_slots"),
        *_fields(ctypes.c_int32, "sign_slots_size", "aside", "counts"),
        *_fields(ctypes.c_void_p, "steps", "levels"),
        *_fields(ctypes.c_int32, "steps_size", "levels_size"),
        *_fields(ctypes.c_int32, "dimensions", "extra", "hidden", "outputs", "is_binary"),
        *_fields(Table, "embedding", "gram_weights", "surface_table"),
        *_fields(ctypes.c_void_p, "hidden1", "bias1", "hidden2", "bias2", "output", "output_bias"),
        *_fields(ctypes.c_int32, "window_words", "max_word"),
        *_fields(ctypes.c_double, "penalty", "slope_below", "slope_above", "offset"),
        *_fields(ctypes.c_double, "low_share"),
    )


class Words(ctypes.Structure):
    """The numbers of words of a text, see ``kernel.c``."""

    _fields_ = (*_fields(ctypes.c_int32, "all", "known"),)


class Batch(ctypes.Structure):
    """An encoded batch in the kernel's memory, see ``kernel.c``."""

    _fields_ = (
        *_fields(ctypes.c_int64, "texts"),
        *_fields(ctypes.c_void_p, "token_ends", "gram_ends", "tokens", "grams", "surface", "words"),
        *_fields(ctypes.c_int64, "tokens_size", "grams_size"),
    )


class Extent(NamedTuple):
    """Where a field is in its structure.

    Attributes:
        offset: in bytes.
        size: in bytes.
    """

    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.size} bytes at {self.offset}"


class Libraries(NamedTuple):
    """The library, opened twice.

    Attributes:
        holding: its calls keep the interpreter's lock.
        releasing: its calls release it, so that other threads run meanwhile.
    """

    holding: ctypes.PyDLL
    releasing: ctypes.CDLL


def is_available() -> bool:
    """Return whether the compiled engine can be used; if not, log why."""
    try:
        libraries()
    except KernelError as error:
        _log.info("NumPy computes the scores: %s", error)
        return False
    return True


@cache
def libraries() -> Libraries:
    """Open and verify the library.

    Raises:
        KernelError: it was not built, cannot be opened, was built from another source, or lays
            out a structure differently.
    """
    if not LIBRARY.exists():
        raise KernelError(f"{LIBRARY.name} was not built. {_ADVICE}")
    try:
        opened = Libraries(ctypes.PyDLL(str(LIBRARY)), ctypes.CDLL(str(LIBRARY)))
    except OSError as error:
        raise KernelError(f"{LIBRARY.name} cannot be used: {error}. {_ADVICE}") from error
    _verify(opened.holding)
    for library in opened:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        library.dandelion_index.argtypes = [pointer, number]
        library.dandelion_needs.argtypes = [pointer, number, *[pointer] * 2, number, pointer]
        library.dandelion_needs.restype = None
        library.dandelion_encode.argtypes = [pointer, number, *[pointer] * 4, number]
        library.dandelion_encode.restype = pointer
        library.dandelion_unseen.restype = pointer
        library.dandelion_unready.restype = pointer
        library.dandelion_infer.argtypes = [pointer] * 4
        library.dandelion_logits.argtypes = [pointer] * 4
        library.dandelion_words_of_one.argtypes = [pointer]
        library.dandelion_words_of_one.restype = number
        library.dandelion_words.argtypes = [pointer] * 5
        library.dandelion_words.restype = number
        library.dandelion_free.argtypes = [pointer]
    return opened


def source_digest(source: bytes) -> str:
    """Return the version of ``kernel.c`` that a library built from it reports."""
    return hashlib.sha256(source).hexdigest()[:16]


def _verify(library: Any) -> None:
    try:
        digest = source_digest(SOURCE.read_bytes())
    except OSError as error:
        raise KernelError(f"{SOURCE.name} cannot be read: {error.strerror}. {_ADVICE}") from error
    if _built_from(library) != digest:
        raise KernelError(f"{LIBRARY.name} was built from another {SOURCE.name}. {_ADVICE}")
    expected, found = _expected_layout(), _layout_of(library)
    for name in expected | found:
        if expected.get(name) != found.get(name):
            raise KernelError(
                f"{LIBRARY.name} does not fit this Dandelion: {name} has {found.get(name)}, "
                f"expected {expected.get(name)}. {_ADVICE}"
            )


def _built_from(library: Any) -> str | None:
    """Return the digest of the library's source; None if it is not one of ours."""
    try:
        library.dandelion_source.restype = ctypes.c_char_p
        return str(library.dandelion_source().decode())
    except AttributeError:
        return None


def _expected_layout() -> dict[str, Extent]:
    layout = {}
    for structure in (Slot, Table, Model, Words, Batch):
        for name, *_ in structure._fields_:
            field = getattr(structure, name)
            layout[f"{structure.__name__}.{name}"] = Extent(field.offset, field.size)
        layout[structure.__name__] = Extent(0, ctypes.sizeof(structure))
    return layout


class _Field(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), *_fields(ctypes.c_int64, "offset", "size"))


def _layout_of(library: Any) -> dict[str, Extent]:
    """Return what the library reports of its structures, by name: ``Model``, ``Model.mask`` …"""
    library.dandelion_layout.restype = ctypes.POINTER(_Field)
    table = library.dandelion_layout()
    layout = {}
    for field in table:  # endless; the last name is NULL
        if field.name is None:
            break
        layout[field.name.decode()] = Extent(field.offset, field.size)
    return layout

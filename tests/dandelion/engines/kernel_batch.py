"""The compiled engine's encoded batches, in the form of the NumPy engine."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dandelion.engines import library
from dandelion.engines.compiled import CompiledBatch
from dandelion.engines.network import Encoded
from dandelion.text import surface
from dandelion.text.grams import Features, GramBatch
from dandelion.text.vocabulary import TokenBatch


def unpack(batch: CompiledBatch, features: Features | None) -> Encoded:
    """Copy an encoded batch into arrays."""
    held = library.Batch.from_address(batch.address)
    offsets = np.append(0, _copy(held.token_ends, np.int64, batch.texts))
    tokens = TokenBatch(_copy(held.tokens, np.int32, offsets[-1]), offsets)
    if features is None:
        return Encoded(tokens)
    offsets = np.append(0, _copy(held.gram_ends, np.int64, batch.texts))
    grams = GramBatch(_copy(held.grams, np.int32, offsets[-1]), np.diff(offsets), [(1, offsets)])
    if not features.surface:
        return Encoded(tokens, grams)
    found = _copy(held.surface, np.int32, batch.texts * surface.COUNTS)
    return Encoded(tokens, grams, found.reshape(batch.texts, surface.COUNTS))


def _copy(address: int | None, dtype: Any, count: int) -> NDArray[Any]:
    if not count or address is None:
        return np.zeros(0, dtype=dtype)
    size = int(count) * np.dtype(dtype).itemsize
    return np.frombuffer(ctypes.string_at(address, size), dtype=dtype)

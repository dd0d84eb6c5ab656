"""Sums over ragged arrays: what each text of a batch owns of some values, one after the other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Families of values that stand at the same places: how many there are, and their places by text,
# int64[n + 1]. A part's values are a family's after the other's, each place by place.
Parts = Sequence[tuple[int, NDArray[np.int64]]]

_COMPLEX = {np.float32: np.complex64, np.float64: np.complex128}


def sum_each(
    values: NDArray[Any], offsets: NDArray[np.int64], dtype: type[np.number[Any]]
) -> NDArray[Any]:
    """Sum each text's share along the first axis, [n, …]; zero where there is none.

    Args:
        values: [p] of any type, or float32[p, c].
        offsets: int64[n + 1]; text ``i`` owns ``values[offsets[i]:offsets[i + 1]]``.
        dtype: what is summed in and returned.
    """
    if len(offsets) == 2:
        # In double precision, for here NumPy adds one number after the other, not pair by pair.
        total: NDArray[Any] = np.add.reduce(values, axis=0, dtype=np.float64)[None]
        return total.astype(dtype, copy=False)
    sums = np.zeros((len(offsets) - 1, *values.shape[1:]), dtype=dtype)
    # Texts without a share must not reach `reduceat`, which would give them their neighbour's.
    filled = np.flatnonzero(offsets[1:] != offsets[:-1])
    if values.ndim == 2 and values.shape[1] % 2 == 0:
        # `reduceat` goes column by column: two numbers as one complex number halve its work.
        values, dtype = values.view(np.complex64), _COMPLEX[dtype]
    sums[filled] = np.add.reduceat(values, offsets[filled], axis=0, dtype=dtype).view(sums.dtype)
    return sums


def sum_parts(values: NDArray[Any], parts: Parts, dtype: type[np.number[Any]]) -> NDArray[Any]:
    """Sum each text's share of values that come in parts, see `Parts`: [n, …].

    Those of the same place are added up in their own type first.
    """
    sums = np.zeros((len(parts[0][1]) - 1, *values.shape[1:]), dtype=dtype)
    stop = 0
    for families, offsets in parts:
        places = int(offsets[-1])
        start, stop = stop, stop + families * places
        by_family = values[start:stop].reshape(families, places, *values.shape[1:])
        sums += sum_each(np.add.reduce(by_family, axis=0, dtype=values.dtype), offsets, dtype)
    return sums

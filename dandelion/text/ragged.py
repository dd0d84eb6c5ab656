"""Sums over ragged arrays, in which each text of a batch owns a run of the values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Parts of an array of values. Each is a number of families that share their places, and the offsets
# of the places by text, int64[n + 1]; it holds one family after another, each place by place.
Parts = Sequence[tuple[int, NDArray[np.int64]]]

_COMPLEX = {np.float32: np.complex64, np.float64: np.complex128}


def sum_each(
    values: NDArray[Any], offsets: NDArray[np.int64], dtype: type[np.number[Any]]
) -> NDArray[Any]:
    """Sum the values of each text along the first axis: [n, …], zero for a text without any.

    Args:
        values: [p] of any type, or float32[p, c].
        offsets: int64[n + 1]; text ``i`` owns ``values[offsets[i]:offsets[i + 1]]``.
        dtype: of the sums, float32 or float64, or int64 for values of one column.
    """
    if len(offsets) == 2:
        # In double precision, because NumPy adds these numbers sequentially, not pairwise.
        total: NDArray[Any] = np.add.reduce(values, axis=0, dtype=np.float64)[None]
        return total.astype(dtype, copy=False)
    sums = np.zeros((len(offsets) - 1, *values.shape[1:]), dtype=dtype)
    # Without the empty texts: `reduceat` would give them a value of their neighbour.
    filled = np.flatnonzero(offsets[1:] != offsets[:-1])
    if values.ndim == 2 and values.shape[1] % 2 == 0:
        # `reduceat` works column by column: as complex numbers, there are half as many.
        values, dtype = values.view(np.complex64), _COMPLEX[dtype]
    sums[filled] = np.add.reduceat(values, offsets[filled], axis=0, dtype=dtype).view(sums.dtype)
    return sums


def sum_parts(values: NDArray[Any], parts: Parts, dtype: type[np.number[Any]]) -> NDArray[Any]:
    """Sum the values of each text over all parts, see `Parts`: [n, …].

    Values of the same place are first added in their own type.
    """
    sums = np.zeros((len(parts[0][1]) - 1, *values.shape[1:]), dtype=dtype)
    stop = 0
    for families, offsets in parts:
        places = int(offsets[-1])
        start, stop = stop, stop + families * places
        by_family = values[start:stop].reshape(families, places, *values.shape[1:])
        sums += sum_each(np.add.reduce(by_family, axis=0, dtype=values.dtype), offsets, dtype)
    return sums

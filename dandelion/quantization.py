"""Tables of weights in their stored precision: float32 ↔ float16 or int8.

Training rounds a network with `quantize` before it computes any metric, so that what is measured is
what is shipped.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .engines.network import Network

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)

_SCALE: Final = "_scale"

_MAX_SCALE: Final = 2.0**100

# The packed tables, and the axis along which int8 shares a scale: a row of the embedding is the
# vector of a word; a column of grams or surface holds the weights of a class, of similar size.
_PACKED: Final = {"embedding": 1, "grams": 0, "surface": 0}


def quantize(network: Network, precision: Precision) -> Network:
    """Round the tables to what ``precision`` can store; the other weights stay float32.

    Rounding a rounded network changes nothing.
    """
    weights = network.weights()
    return Network.from_weights(weights | unpack(pack(weights, precision), precision))


def packed_tables(
    weights: Mapping[str, NDArray[np.float32]], precision: Precision
) -> dict[str, tuple[NDArray[np.int8], NDArray[np.float32]]]:
    """Return the tables that are stored as int8, with their scales; none in another precision.

    The embedding has a scale per row, float32[rows, 1]; the others have one per column,
    float32[1, columns].
    """
    if precision != "int8":
        return {}
    stored = pack(weights, "int8")
    return {name: (stored[name], stored[name + _SCALE]) for name in _PACKED if name in stored}


def pack(
    weights: Mapping[str, NDArray[np.float32]], precision: Precision
) -> dict[str, NDArray[Any]]:
    """Return the tables among the weights as they are stored.

    In int8, every row or column has a scale, its largest value ÷ 127. Scales have 16 significant
    bits, so their product with an int8 is exact in float32, and packing an unpacked table gives the
    same bytes. A row or column of denormal numbers becomes zeros.
    """
    packed: dict[str, NDArray[Any]] = {}
    for name, axis in _PACKED.items():
        if name not in weights:
            continue
        table = weights[name]
        if precision != "int8":
            packed[name] = table.astype(precision)
            continue
        scale = np.abs(table).max(axis=axis, keepdims=True) / np.float32(127)
        scale = (scale.view(np.uint32) & np.uint32(0xFFFFFF00)).view(np.float32)
        scale[scale < np.finfo(np.float32).tiny] = 0
        packed[name] = np.rint(table / np.where(scale > 0, scale, 1)).astype(np.int8)
        packed[name + _SCALE] = scale
    return packed


def unpack(
    packed: Mapping[str, NDArray[Any]], precision: Precision
) -> dict[str, NDArray[np.float32]]:
    """Return the tables among the stored tensors, as float32.

    Raises:
        ValueError: a table or a scale is not of the shape and dtype that the precision requires.
        KeyError: a scale is missing.
    """
    return {name: _unpack_table(packed, name, precision) for name in _PACKED if name in packed}


def layers(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the stored tensors that are neither a table nor the scale of one."""
    tables = _PACKED.keys() & tensors.keys()
    return {
        name: tensor for name, tensor in tensors.items() if name.removesuffix(_SCALE) not in tables
    }


def _unpack_table(
    packed: Mapping[str, NDArray[Any]], name: str, precision: Precision
) -> NDArray[np.float32]:
    table = packed[name]
    if table.dtype != precision or table.ndim != 2:
        raise ValueError(f"{name!r} is {table.dtype}, but model.json says {precision}")
    if precision != "int8":
        return table.astype(np.float32)
    scale = packed[name + _SCALE]
    rows, columns = table.shape
    expected = (rows, 1) if _PACKED[name] else (1, columns)
    if scale.shape != expected or scale.dtype != np.float32:
        raise ValueError(f"{name + _SCALE!r} is {scale.dtype}{list(scale.shape)}")
    # Below 2**100, its product with an int8 is finite.
    if not (np.abs(scale) < _MAX_SCALE).all():
        raise ValueError(f"{name + _SCALE!r} contains a value that is not finite or too large")
    unpacked: NDArray[np.float32] = table.astype(np.float32) * scale
    return unpacked

"""How weights lie in the memory that ``kernel.c`` reads."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .library import Table
from .network import Network

Packed = tuple[NDArray[np.int8], NDArray[np.float32]]

_TILE: Final = 64
_LANES: Final = 8


def layers(network: Network) -> dict[str, NDArray[Any]]:
    """Lay out the weights of the layers, padded with units that are always 0 to whole tiles."""
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


def laid_out(
    weights: NDArray[np.float32], packed: Packed | None, *, is_single: bool
) -> tuple[Table, tuple[NDArray[Any], NDArray[np.float32]]]:
    """Lay out a table, its rows padded to whole vectors; also return the arrays it points to.

    Packed, it takes a quarter of the room in the processor's cache. A single column is not padded
    where the kernel reads it as one (``is_single``).
    """
    values, scales = (weights, np.zeros(0, np.float32)) if packed is None else packed
    columns = values.shape[1]
    stride = 1 if columns == 1 and is_single else columns + -columns % _LANES
    values = np.ascontiguousarray(np.pad(values, ((0, 0), (0, stride - columns))))
    if scales.shape[:1] == (1,):  # one per column
        scales = np.pad(scales, ((0, 0), (0, stride - columns)))
    scales = np.ascontiguousarray(scales)
    table = Table(values.ctypes.data, scales.ctypes.data, stride, packed is not None)
    return table, (values, scales)


def _tiles(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder [outputs, inputs] as [outputs / tile, inputs, tile]."""
    outputs, inputs = weight.shape
    return weight.reshape(outputs // _TILE, _TILE, inputs).transpose(0, 2, 1)

"""Vocabulary and float32 weights, rebuilt from the arrays that the compiled engine keeps.

Explanations need them. Rebuilding on demand, a classifier that explains nothing needs no memory for
them.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..text.vocabulary import Vocabulary
from .library import Model
from .network import Network


def restore(
    model: Model,
    arrays: Mapping[str, NDArray[Any]],
    tables: Mapping[str, tuple[NDArray[Any], NDArray[np.float32]]],
) -> tuple[Vocabulary, Network]:
    """Rebuild vocabulary and weights in float32; the hidden layers keep their padding.

    Args:
        model: the sizes.
        arrays: the layers, and the tokens with their bounds.
        tables: the values of each table and its scales, which are empty for float32.
    """
    codes, bounds = arrays["tokens"].tobytes(), (4 * arrays["bounds"]).tolist()
    vocabulary = Vocabulary(
        codes[start:stop].decode("utf-32-le", "surrogatepass") for start, stop in pairwise(bounds)
    )
    outputs = model.outputs
    network = Network(
        embedding=_table(*tables["embedding"], model.dimensions),
        hidden1_weight=_matrix(arrays["hidden1"]),
        hidden1_bias=arrays["bias1"],
        hidden2_weight=_matrix(arrays["hidden2"]),
        hidden2_bias=arrays["bias2"],
        output_weight=arrays["output"],
        output_bias=arrays["output_bias"],
        grams=_table(*tables["gram_weights"], outputs) if "gram_weights" in tables else None,
        surface=(
            _table(*tables["surface_table"], outputs + model.extra)
            if "surface_table" in tables
            else None
        ),
    )
    return vocabulary, network


def _table(values: NDArray[Any], scales: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """Return a table without its padding."""
    table = values[:, :columns].astype(np.float32)
    if scales.size:
        table *= scales if len(scales) > 1 else scales[:, :columns]
    return table


def _matrix(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [outputs / tile, inputs, tile] as [outputs, inputs]."""
    return np.ascontiguousarray(tiles.transpose(0, 2, 1).reshape(-1, tiles.shape[1]))

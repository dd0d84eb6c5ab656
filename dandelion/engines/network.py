"""The forward pass of the wide and deep averaging network, in NumPy.

    deep: average of the embeddings → two hidden layers (ReLU) → logits    (Iyyer et al. 2015)
    wide: sum of the weights of the grams ÷ √(number of grams), added to the logits
                                                                           (Cheng et al. 2016)
    surface: average of its rows, added to the logits and appended to the average of the embeddings

A plain deep averaging network has neither a wide path nor a surface.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..text.grams import GramBatch
from ..text.ragged import sum_each, sum_parts
from ..text.vocabulary import TokenBatch

Float32 = NDArray[np.float32]
T = TypeVar("T")

# Below it, sums over 2³² tokens or grams, and differences of logits, are finite in float32.
MAX_MAGNITUDE: Final = 2.0**90
_MAX_GRAMS: Final = 2.0**32

# Tokens whose vectors are gathered at a time: these (8,192 × 50 float32, 1.6 MB) stay in the
# processor's cache, and no batch needs gigabytes.
BLOCK_TOKENS: Final = 8192


class Encoded(NamedTuple):
    """A batch of n texts, encoded for a network.

    Attributes:
        tokens: for the deep path.
        grams: for the wide path; None if the network has none.
        surface: int32[n, counts], rows of the surface table; None if the network has none.
        windows: if these n are windows, their number for each text, see `dandelion.text.windows`.
        texts: the n texts, clean; a network does not read them.
    """

    tokens: TokenBatch
    grams: GramBatch | None = None
    surface: NDArray[np.int32] | None = None
    windows: Sequence[int] | None = None
    texts: Sequence[str] = ()


@dataclass(frozen=True)
class Network:
    """The weights, for v tokens, d dimensions, h hidden units, k logits and b buckets.

    Attributes:
        embedding: float32[v, d]; row 0 is the unknown token.
        hidden1_weight: float32[h, d + e].
        hidden1_bias: float32[h].
        hidden2_weight: float32[h, h].
        hidden2_bias: float32[h].
        output_weight: float32[k, h].
        output_bias: float32[k].
        grams: float32[b, k], the weight of each bucket for each logit; or None.
        surface: float32[s, k + e], a weight for each logit, then a vector of e numbers; or None.

    Raises:
        ValueError: a weight does not match the others in shape, is not float32 or not finite.
    """

    embedding: Float32
    hidden1_weight: Float32
    hidden1_bias: Float32
    hidden2_weight: Float32
    hidden2_bias: Float32
    output_weight: Float32
    output_bias: Float32
    grams: Float32 | None = None
    surface: Float32 | None = None

    def __post_init__(self) -> None:
        if self.embedding.ndim != 2 or self.hidden1_weight.ndim != 2 or not len(self.embedding):
            raise ValueError("'embedding' and 'hidden1_weight' must be matrices and not empty")
        hidden = len(self.hidden1_weight)
        outputs = self.output_bias.size
        if not outputs:
            raise ValueError("'output_bias' is empty; expected one number per logit")
        dimensions = self.embedding.shape[1]
        extra = self.hidden1_weight.shape[1] - dimensions
        if extra < 0 or (extra and self.surface is None):
            raise ValueError(
                f"'hidden1_weight' reads {dimensions + extra} numbers, but 'embedding' has "
                f"{dimensions}; only a surface adds to them"
            )
        expected = {
            "embedding": self.embedding.shape,
            "hidden1_weight": self.hidden1_weight.shape,
            "hidden1_bias": (hidden,),
            "hidden2_weight": (hidden, hidden),
            "hidden2_bias": (hidden,),
            "output_weight": (outputs, hidden),
            "output_bias": (outputs,),
        }
        if self.grams is not None:
            expected["grams"] = (*self.grams.shape[:1], outputs)
        if self.surface is not None:
            expected["surface"] = (*self.surface.shape[:1], outputs + extra)
        for name, weight in self.weights().items():
            if weight.shape != expected[name]:
                raise ValueError(f"{name!r} has shape {weight.shape}, expected {expected[name]}")
            if weight.dtype != np.float32:
                raise ValueError(f"{name!r} has dtype {weight.dtype}, expected float32")
            if not np.isfinite(weight).all():
                raise ValueError(f"{name!r} contains a value that is not finite")

    @classmethod
    def from_weights(cls, weights: Mapping[str, Float32]) -> "Network":
        """Create a network from its weights by name.

        Raises:
            ValueError: a weight is missing, unknown or does not match the others.
        """
        optional = {"grams", "surface"}
        needed = {field.name for field in fields(cls)} - optional
        if not needed <= set(weights) <= needed | optional:
            raise ValueError(
                f"the weights are {sorted(weights)}, expected {sorted(needed)} "
                f"and optionally {sorted(optional)}"
            )
        return cls(**weights)

    def weights(self) -> dict[str, Float32]:
        """Return every weight by name, in the order in which they are used."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def logits(self, batch: Encoded) -> Float32:
        """Compute float32[n, k]. The embeddings of a text without tokens average to zeros."""
        outputs = len(self.output_bias)
        hidden = self._averages(batch.tokens)  # [n, d]
        wide = self.output_bias  # [k], or [n, k] after an addition
        if self._grams is not None:
            sums = _gram_sums(self._grams, _given(batch.grams, "grams"))
            wide = wide + sums[:, :outputs].astype(np.float32)
        if self.surface is not None:
            rows = _given(batch.surface, "surface").T  # [counts, n]
            # Along the first axis, NumPy adds whole rows of numbers at once.
            surface = self.surface.take(rows, axis=0).sum(axis=0)  # [n, k + e]
            surface /= np.float32(len(rows))
            wide = wide + surface[:, :outputs]
            hidden = np.concatenate([hidden, surface[:, outputs:]], axis=1)  # [n, d + e]
        hidden = _layer(hidden, self.hidden1_weight, self.hidden1_bias)  # [n, h]
        hidden = _layer(hidden, self.hidden2_weight, self.hidden2_bias)  # [n, h]
        logits: Float32 = hidden @ self.output_weight.T + wide  # [n, k]
        return logits

    def magnitude(self) -> float:
        """Return a number that no value of a layer, and no logit, exceeds for any text.

        By the triangle inequality, from the largest absolute value of each table; of grams, which
        are divided by the root of their number, up to 2³² are counted.
        """
        outputs = len(self.output_bias)
        embedding, surface = _largest(self.embedding), _largest(self.surface)
        wide = surface + _largest(self.grams) * np.sqrt(_MAX_GRAMS)
        extra = self.hidden1_weight.shape[1] - self.embedding.shape[1]
        values = np.repeat([embedding, surface], [self.embedding.shape[1], extra])  # [d + e]
        reached = max(embedding, wide)
        for weight, bias in (
            (self.hidden1_weight, self.hidden1_bias),
            (self.hidden2_weight, self.hidden2_bias),
            (self.output_weight, np.abs(self.output_bias) + np.full(outputs, wide)),
        ):
            values = np.abs(weight).astype(np.float64) @ values + np.abs(bias)
            reached = max(reached, values.max(initial=0))
        return float(reached)

    @cached_property
    def _grams(self) -> Float32 | None:
        return None if self.grams is None else _gather_table(self.grams)

    def _averages(self, batch: TokenBatch) -> Float32:
        """Average the embeddings of each text: float32[n, d], summed in float64 across blocks."""
        ids, offsets = batch
        if len(ids) <= BLOCK_TOKENS:
            sums = sum_each(self.embedding.take(ids, axis=0), offsets, np.float32)
        else:
            sums = np.zeros((len(offsets) - 1, self.embedding.shape[1]))
            for start in range(0, len(ids), BLOCK_TOKENS):
                stop = min(start + BLOCK_TOKENS, len(ids))
                first, last = offsets.searchsorted([start, stop], side="right")
                # Only texts first − 1 … last − 1 may have tokens in this block.
                bounds = np.clip(offsets[first - 1 : last + 1], start, stop) - start
                vectors = self.embedding.take(ids[start:stop], axis=0)  # [tokens, d]
                sums[first - 1 : last] += sum_each(vectors, bounds, np.float32)
        sums /= np.maximum(offsets[1:] - offsets[:-1], 1)[:, None]
        return sums.astype(np.float32, copy=False)


def _largest(table: Float32 | None) -> float:
    """Return the largest absolute value of a table; 0 without one."""
    return 0.0 if table is None else float(max(table.max(initial=0), -table.min(initial=0)))


def _given(part: T | None, name: str) -> T:
    if part is None:
        raise ValueError(f"the network reads {name!r}, but the batch has none")
    return part


def _layer(values: Float32, weight: Float32, bias: Float32) -> Float32:
    """Compute max(0, W·x + b) for each row, float32[n, h]."""
    layer: Float32 = values @ weight.T
    layer += bias
    return np.maximum(layer, 0, out=layer)


def _gather_table(table: Float32) -> Float32:
    """Copy a table for `_gram_sums`: float32[b + 1, 2ⁱ], padded with zeros.

    NumPy gathers rows of 4, 8, 16 and 32 bytes several times as fast as others. The last row is the
    weight of a gap.
    """
    rows, columns = table.shape
    padded = np.zeros((rows + 1, 1 << (columns - 1).bit_length()), dtype=np.float32)
    padded[:-1, :columns] = table
    return padded


def _gram_sums(table: Float32, batch: GramBatch) -> NDArray[np.float64]:
    """Sum the weights of each text's grams ÷ √(number of grams): float64[n, columns]."""
    # Clipped, because every id beyond the buckets is a gap.
    weights = table.take(batch.ids, axis=0, mode="clip")  # [entries, columns]
    sums = sum_parts(weights, batch.parts, np.float64)
    sums /= np.sqrt(np.maximum(batch.counts, 1))[:, None]
    return sums


def binary_logits(logits: Float32) -> Float32:
    """Reduce float32[n, k] logits to float32[n]: the log-odds of the positive class.

    A single logit is this already. More are those of a softmax over the negative class and k − 1
    kinds of the positive one, whose log-odds are log Σ e^(other logits) − first logit.
    """
    if logits.shape[1] == 1:
        return logits[:, 0]
    # Subtracted first, because large logits leave too few digits for their small differences.
    others = logits[:, 1:] - logits[:, :1]
    largest = others.max(axis=1)
    reduced: Float32 = largest + np.log(np.exp(others - largest[:, None]).sum(axis=1))
    return reduced


def sigmoid(logits: NDArray[np.floating[Any]]) -> Float32:
    """Compute 1 / (1 + e^−x) without overflow, float32[n] from float[n].

    In float64, so that a larger float32 never has a smaller score.

    Example:
        >>> sigmoid(np.array([0, 1000], dtype=np.float32)).tolist()
        [0.5, 1.0]
    """
    # e^−700 is 0 in float32, and e^700 finite in float64.
    powers = np.exp(-np.maximum(logits.astype(np.float64), -700))
    scores: Float32 = (1 / (1 + powers)).astype(np.float32)
    return scores


def softmax(logits: NDArray[np.floating[Any]]) -> Float32:
    """Compute e^x / Σ e^x for each row without overflow, float32[n, k] from float[n, k].

    Example:
        >>> softmax(np.array([[1000, 1000]], dtype=np.float32)).tolist()
        [[0.5, 0.5]]
    """
    differences = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(differences)
    scores: Float32 = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores

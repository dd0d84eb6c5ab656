"""The forward pass of the wide and deep averaging network, in NumPy.

    deep: average of embeddings → two hidden layers (ReLU) → logits   (Iyyer et al. 2015)
    wide: sum of the grams' weights ÷ √(number of grams) → added to the logits
                                                                       (Cheng et al. 2016)
    surface: average of its rows → added to the logits, and beside the average of embeddings

The plain three-layer DAN has neither wide path nor surface.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..text.grams import GramBatch
from ..text.ragged import sum_each, sum_parts
from ..text.vocabulary import TokenBatch

Float32 = NDArray[np.float32]
T = TypeVar("T")

# Tokens gathered at a time: their vectors (8,192 × 50 float32, 1.6 MB) stay in the processor's
# cache, and a body full of tokens never asks for gigabytes.
_BLOCK_TOKENS = 8192


class Encoded(NamedTuple):
    """A batch of texts as the network reads it.

    Attributes:
        tokens: for the deep path.
        grams: for the wide path; None where the network has none.
        surface: int32[n, counts], rows of the surface table; None where the network has none.
    """

    tokens: TokenBatch
    grams: GramBatch | None = None
    surface: NDArray[np.int32] | None = None


@dataclass(frozen=True)
class Network:
    """The weights; v tokens, d dimensions, h hidden units, k logits, b buckets, all float32.

    Attributes:
        embedding: float32[v, d]; row 0 belongs to the unknown token.
        hidden1_weight: float32[h, d + e].
        hidden1_bias: float32[h].
        hidden2_weight: float32[h, h].
        hidden2_bias: float32[h].
        output_weight: float32[k, h].
        output_bias: float32[k].
        grams: float32[b, k], or None: a gram's weight for each logit.
        surface: float32[s, k + e], or None: a weight for each logit, then a vector of e numbers.

    Raises:
        ValueError: a weight's shape does not fit the others', is not float32 or not finite.
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
            raise ValueError("'embedding' and 'hidden1_weight' are matrices with at least one row")
        hidden = len(self.hidden1_weight)
        outputs = self.output_bias.size
        if not outputs:
            raise ValueError("'output_bias' is empty; expected a number for each logit")
        dimensions = self.embedding.shape[1]
        extra = self.hidden1_weight.shape[1] - dimensions
        if extra < 0 or (extra and self.surface is None):
            raise ValueError(
                f"'hidden1_weight' reads {dimensions + extra} numbers, but 'embedding' has "
                f"{dimensions}; the surface alone may add to them"
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
                raise ValueError(f"{name!r} holds a value that is not finite")

    @classmethod
    def from_weights(cls, weights: Mapping[str, Float32]) -> "Network":
        """Build a network from its named weights.

        Raises:
            ValueError: a weight is missing, unknown or does not fit.
        """
        optional = {"grams", "surface"}
        needed = {field.name for field in fields(cls)} - optional
        if not needed <= set(weights) <= needed | optional:
            raise ValueError(
                f"the weights are {sorted(weights)}, expected {sorted(needed)} "
                f"and maybe {sorted(optional)}"
            )
        return cls(**weights)

    def weights(self) -> dict[str, Float32]:
        """Name every weight that there is, in the order of the data's way."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def logits(self, batch: Encoded) -> Float32:
        """Compute float32[n, k]. A text without tokens averages to zeros."""
        outputs = len(self.output_bias)
        hidden = self._averages(batch.tokens)  # [n, d]
        wide = self.output_bias  # [k], or [n, k] with what is added
        if self._grams is not None:
            sums = _gram_sums(self._grams, _given(batch.grams, "grams"))
            wide = wide + sums[:, :outputs].astype(np.float32)
        if self.surface is not None:
            rows = _given(batch.surface, "surface").T  # [counts, n]
            # Summed along the first axis, where NumPy adds whole rows of numbers at once.
            surface = self.surface.take(rows, axis=0).sum(axis=0)  # [n, k + e]
            surface /= np.float32(len(rows))
            wide = wide + surface[:, :outputs]
            hidden = np.concatenate([hidden, surface[:, outputs:]], axis=1)  # [n, d + e]
        hidden = _layer(hidden, self.hidden1_weight, self.hidden1_bias)  # [n, h]
        hidden = _layer(hidden, self.hidden2_weight, self.hidden2_bias)  # [n, h]
        logits: Float32 = hidden @ self.output_weight.T + wide  # [n, k]
        return logits

    @cached_property
    def _grams(self) -> Float32 | None:
        return None if self.grams is None else _gather_table(self.grams)

    def _averages(self, batch: TokenBatch) -> Float32:
        """Average each text's embeddings: float32[n, d], summed in float64 across blocks."""
        ids, offsets = batch
        if len(ids) <= _BLOCK_TOKENS:
            sums = sum_each(self.embedding.take(ids, axis=0), offsets, np.float32)
        else:
            sums = np.zeros((len(offsets) - 1, self.embedding.shape[1]))
            for start in range(0, len(ids), _BLOCK_TOKENS):
                stop = min(start + _BLOCK_TOKENS, len(ids))
                first, last = offsets.searchsorted([start, stop], side="right")
                # Texts first-1 … last-1 may have tokens here.
                bounds = np.clip(offsets[first - 1 : last + 1], start, stop) - start
                vectors = self.embedding.take(ids[start:stop], axis=0)  # [tokens, d]
                sums[first - 1 : last] += sum_each(vectors, bounds, np.float32)
        sums /= np.maximum(offsets[1:] - offsets[:-1], 1)[:, None]
        return sums.astype(np.float32, copy=False)


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

    NumPy copies rows of 4, 8, 16 and 32 bytes several times faster than others; in the last row is
    what a gap counts.
    """
    rows, columns = table.shape
    padded = np.zeros((rows + 1, 1 << (columns - 1).bit_length()), dtype=np.float32)
    padded[:-1, :columns] = table
    return padded


def _gram_sums(table: Float32, batch: GramBatch) -> NDArray[np.float64]:
    """Sum each text's grams, divided by the root of their number: float64[n, columns]."""
    # Clipped: whatever is beyond the buckets is a gap.
    weights = table.take(batch.ids, axis=0, mode="clip")  # [entries, columns]
    sums = sum_parts(weights, batch.parts, np.float64)
    sums /= np.sqrt(np.maximum(batch.counts, 1))[:, None]
    return sums


def binary_logits(logits: Float32) -> Float32:
    """Reduce float32[n, k] logits to float32[n]: the log-odds of not being of the first class.

    With one logit that is the logit itself. With more they are a softmax's, over the negative class
    and k − 1 kinds of the positive one: log Σ e^(other logits) − first logit.
    """
    if logits.shape[1] == 1:
        return logits[:, 0]
    # Subtracted first: large logits that are alike leave no digits for their difference otherwise.
    others = logits[:, 1:] - logits[:, :1]
    largest = others.max(axis=1)
    reduced: Float32 = largest + np.log(np.exp(others - largest[:, None]).sum(axis=1))
    return reduced


def sigmoid(logits: Float32) -> Float32:
    """Compute 1 / (1 + e^-x) without overflow, float32[n] from float32[n]."""
    decay = np.exp(-np.abs(logits))
    scores: Float32 = np.where(logits >= 0, 1, decay) / (1 + decay)
    return scores.astype(np.float32, copy=False)


def softmax(logits: Float32) -> Float32:
    """Compute e^x / Σ e^x without overflow, float32[n, k] from float32[n, k]."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores: Float32 = powers / powers.sum(axis=1, keepdims=True)
    return scores

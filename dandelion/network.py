"""The forward pass of the 3-layer Deep Averaging Network (Iyyer et al. 2015), in NumPy.

average of embeddings → two hidden layers (ReLU) → one logit → sigmoid
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from .vocabulary import TokenBatch

Float32 = NDArray[np.float32]

# Tokens gathered at a time: their vectors (8,192 × 50 float32, 1.6 MB) stay in the processor's
# cache, and a body full of tokens never asks for gigabytes.
_BLOCK_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Network:
    """The weights of a DAN; v tokens, d dimensions, h hidden units, all float32.

    Attributes:
        embedding: float32[v, d]; row 0 belongs to the unknown token.
        hidden1_weight: float32[h, d].
        hidden1_bias: float32[h].
        hidden2_weight: float32[h, h].
        hidden2_bias: float32[h].
        output_weight: float32[1, h].
        output_bias: float32[1].

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

    def __post_init__(self) -> None:
        if self.embedding.ndim != 2 or self.hidden1_weight.ndim != 2 or not len(self.embedding):
            raise ValueError("'embedding' and 'hidden1_weight' are matrices with at least one row")
        hidden = len(self.hidden1_weight)
        expected = {
            "embedding": self.embedding.shape,
            "hidden1_weight": (hidden, self.embedding.shape[1]),
            "hidden1_bias": (hidden,),
            "hidden2_weight": (hidden, hidden),
            "hidden2_bias": (hidden,),
            "output_weight": (1, hidden),
            "output_bias": (1,),
        }
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
        names = [field.name for field in fields(cls)]
        if set(names) != set(weights):
            raise ValueError(f"the weights are {sorted(weights)}, expected {sorted(names)}")
        return cls(**weights)

    def weights(self) -> dict[str, Float32]:
        """Name every weight, in the order of the data's way."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def logits(self, batch: TokenBatch) -> Float32:
        """Compute float32[n], one logit a text. A text without tokens averages to zeros."""
        hidden = self._averages(batch)  # [n, d]
        hidden = np.maximum(hidden @ self.hidden1_weight.T + self.hidden1_bias, 0)  # [n, h]
        hidden = np.maximum(hidden @ self.hidden2_weight.T + self.hidden2_bias, 0)  # [n, h]
        logits: Float32 = (hidden @ self.output_weight.T + self.output_bias)[:, 0]  # [n]
        return logits

    def scores(self, batch: TokenBatch) -> Float32:
        """Compute float32[n], one score in [0, 1] a text: the sigmoid of its logit."""
        return sigmoid(self.logits(batch))

    def _averages(self, batch: TokenBatch) -> Float32:
        """Average each text's embeddings: float32[n, d], summed in float64 across blocks."""
        ids, offsets = batch
        sums = np.zeros((len(offsets) - 1, self.embedding.shape[1]), dtype=np.float64)
        for start in range(0, len(ids), _BLOCK_TOKENS):
            stop = min(start + _BLOCK_TOKENS, len(ids))
            first, last = np.searchsorted(offsets, [start, stop], side="right")
            # Texts first-1 … last-1 may have tokens here; those without any must not reach
            # `reduceat`, which would give them their neighbour's first token.
            bounds = np.clip(offsets[first - 1 : last + 1], start, stop)
            here = np.flatnonzero(np.diff(bounds))
            vectors = self.embedding[ids[start:stop]]  # [tokens, d]
            sums[here + first - 1] += np.add.reduceat(vectors, bounds[here] - start, axis=0)
        counts = np.maximum(np.diff(offsets), 1)
        return (sums / counts[:, None]).astype(np.float32)


def sigmoid(logits: Float32) -> Float32:
    """Compute 1 / (1 + e^-x) without overflow, float32[n] from float32[n]."""
    decay = np.exp(-np.abs(logits))
    scores: Float32 = np.where(logits >= 0, 1, decay) / (1 + decay)
    return scores.astype(np.float32, copy=False)

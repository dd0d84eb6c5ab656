"""The wide and deep averaging network in torch: what the trainer fits.

`dandelion.engines.network` is the same network for serving; a test proves that they are equal.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from dandelion.engines.network import Network


class Batch(NamedTuple):
    """A batch of n texts.

    Attributes:
        ids: int[tokens], see `dandelion.text.vocabulary.TokenBatch`.
        offsets: int[n + 1].
        grams: float32[n, buckets], sparse, see `training.model.bags.Bags`; None without a wide
            path.
        surface: int[n, counts]; None if it is not read.
    """

    ids: Tensor
    offsets: Tensor
    grams: sparse.csr_array | None = None
    surface: Tensor | None = None


class _SparseProduct(torch.autograd.Function):
    """A sparse matrix times a dense parameter, by SciPy: several times faster than torch on a CPU,
    forward and backward, and always in the same order."""

    @staticmethod
    def forward(ctx: Any, matrix: sparse.csr_array, weight: Tensor) -> Tensor:
        """Compute float32[n, k] from float32[n, b] and float32[b, k]."""
        ctx.matrix = matrix
        return torch.from_numpy(matrix @ weight.detach().numpy())

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[None, Tensor]:
        """Compute the parameter's gradient, float32[b, k]."""
        return None, torch.from_numpy(ctx.matrix.T @ gradients[0].numpy())


class WideAndDeep(nn.Module):
    """Average of embeddings → two hidden layers (ReLU) → k logits, plus those of the wide path.

    Args:
        embedding: float32[v, d], the initial word vectors.
        hidden: units in each hidden layer.
        fine_tune: whether the embedding is trained.
        frozen: its last columns, which are never trained.
        outputs: k.
        buckets: of the grams; 0 for no wide path, which gives the plain DAN.
        surface_rows: of the surface table; 0 for none.
        surface_dimensions: e, numbers of the surface that the hidden layers read next to the
            average of embeddings.
        unread_rows: of the surface table that stay zero.
    """

    def __init__(  # noqa: PLR0913
        self,
        embedding: NDArray[np.float32],
        hidden: int,
        *,
        fine_tune: bool,
        frozen: int = 0,
        outputs: int = 1,
        buckets: int = 0,
        surface_rows: int = 0,
        surface_dimensions: int = 0,
        unread_rows: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.outputs = outputs
        first, last = np.split(embedding, [embedding.shape[1] - frozen], axis=1)
        self.embedding = _mean_of(first, freeze=not fine_tune)
        self.frozen = _mean_of(last, freeze=True) if frozen else None
        extra = surface_dimensions if surface_rows else 0
        self.hidden1 = nn.Linear(embedding.shape[1] + extra, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, outputs)
        self.grams = nn.Parameter(torch.zeros(buckets, outputs)) if buckets else None
        self.surface: nn.EmbeddingBag | None = None
        if surface_rows:
            self.surface = nn.EmbeddingBag(surface_rows, outputs + extra, mode="mean")
            nn.init.zeros_(self.surface.weight[:, :outputs])
            if unread_rows:
                read = torch.ones(surface_rows, 1)
                read[list(unread_rows)] = 0
                with torch.no_grad():
                    self.surface.weight *= read
                self.surface.weight.register_hook(  # type: ignore[no-untyped-call]
                    lambda gradient: gradient * read
                )

    def forward(self, batch: Batch) -> Tensor:
        """Compute float32[n, k] logits."""
        hidden = self.embedding(batch.ids, batch.offsets)  # [n, d]
        if self.frozen is not None:
            hidden = torch.cat([hidden, self.frozen(batch.ids, batch.offsets)], dim=1)
        wide = torch.zeros(())
        if self.grams is not None:
            wide = _SparseProduct.apply(batch.grams, self.grams)  # type: ignore[no-untyped-call]
        if self.surface is not None:
            rows = self.surface(batch.surface)  # [n, k + e]
            wide = wide + rows[:, : self.outputs]
            hidden = torch.cat([hidden, rows[:, self.outputs :]], dim=1)  # [n, d + e]
        hidden = torch.relu(self.hidden1(hidden))  # [n, h]
        hidden = torch.relu(self.hidden2(hidden))  # [n, h]
        logits: Tensor = self.output(hidden) + wide  # [n, k]
        return logits

    def layers(self) -> list[nn.Parameter]:
        """Return every parameter except the tables."""
        return [
            parameter
            for layer in (self.hidden1, self.hidden2, self.output)
            for parameter in layer.parameters()
        ]

    def export(self, weights: NDArray[np.float32] | None = None) -> Network:
        """Copy the weights into a network for serving.

        Args:
            weights: float32[buckets], the weight of each gram, which is multiplied into its row.
        """

        def copy(parameter: Tensor) -> NDArray[np.float32]:
            return parameter.detach().numpy().copy()

        grams = None if self.grams is None else copy(self.grams)
        if grams is not None and weights is not None:
            grams *= weights[:, None]
        embedding = copy(self.embedding.weight)
        if self.frozen is not None:
            embedding = np.concatenate([embedding, copy(self.frozen.weight)], axis=1)
        return Network(
            embedding=embedding,
            hidden1_weight=copy(self.hidden1.weight),
            hidden1_bias=copy(self.hidden1.bias),
            hidden2_weight=copy(self.hidden2.weight),
            hidden2_bias=copy(self.hidden2.bias),
            output_weight=copy(self.output.weight),
            output_bias=copy(self.output.bias),
            grams=grams,
            surface=None if self.surface is None else copy(self.surface.weight),
        )


def _mean_of(vectors: NDArray[np.float32], *, freeze: bool) -> nn.EmbeddingBag:
    return nn.EmbeddingBag.from_pretrained(
        torch.tensor(vectors), freeze=freeze, mode="mean", sparse=True, include_last_offset=True
    )


def binary_logits(logits: Tensor) -> Tensor:
    """Reduce float[n, k] logits to float[n], as `dandelion.engines.network.binary_logits` does."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    return logits[:, 1:].logsumexp(dim=1) - logits[:, 0]

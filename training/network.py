"""The 3-layer Deep Averaging Network (Iyyer et al. 2015) in torch: what the trainer fits.

`dandelion.network` is the same network for serving; a test holds the two together.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dandelion.network import Network


class DeepAveragingNetwork(nn.Module):
    """Average of embeddings → two hidden layers (ReLU) → one logit.

    Args:
        embedding: float32[v, d], the initial word vectors.
        hidden: units in each hidden layer.
        fine_tune: whether the embedding is trained.
    """

    def __init__(self, embedding: NDArray[np.float32], hidden: int, *, fine_tune: bool) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag.from_pretrained(
            torch.tensor(embedding),
            freeze=not fine_tune,
            mode="mean",
            sparse=True,
            include_last_offset=True,
        )
        self.hidden1 = nn.Linear(embedding.shape[1], hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, 1)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Compute float32[n] logits from ids int[tokens] and offsets int[n + 1]."""
        hidden = self.embedding(ids, offsets)  # [n, d]
        hidden = torch.relu(self.hidden1(hidden))  # [n, h]
        hidden = torch.relu(self.hidden2(hidden))  # [n, h]
        logits: Tensor = self.output(hidden)[:, 0]  # [n]
        return logits

    def layers(self) -> list[nn.Parameter]:
        """List every parameter but the embedding's."""
        return [
            parameter
            for layer in (self.hidden1, self.hidden2, self.output)
            for parameter in layer.parameters()
        ]

    def export(self) -> Network:
        """Copy the weights into a network for serving."""

        def copy(parameter: Tensor) -> NDArray[np.float32]:
            return parameter.detach().numpy().copy()

        return Network(
            embedding=copy(self.embedding.weight),
            hidden1_weight=copy(self.hidden1.weight),
            hidden1_bias=copy(self.hidden1.bias),
            hidden2_weight=copy(self.hidden2.weight),
            hidden2_bias=copy(self.hidden2.bias),
            output_weight=copy(self.output.weight),
            output_bias=copy(self.output.bias),
        )

    @classmethod
    def from_network(cls, network: Network) -> "DeepAveragingNetwork":
        """Copy an exported network's weights back."""
        module = cls(network.embedding, len(network.hidden1_bias), fine_tune=True)
        weights = network.weights()
        state = {"embedding.weight": weights.pop("embedding")}
        state |= {name.replace("_", ".", 1): weight for name, weight in weights.items()}
        module.load_state_dict({name: torch.tensor(weight) for name, weight in state.items()})
        return module

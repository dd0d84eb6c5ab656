"""Train a network of your own with a loss of Dandelion.

Shows: the losses of `dandelion_training.losses` in a plain loop of torch, for two classes and for
more. The network is an average of embeddings with one layer, the texts are made up, and one in 25
is positive.

Run, from the root of a checkout (`make install-training` first)::

    python examples/loss_in_torch.py

Prints the F1 of the rare class under each loss, on texts that were not learnt from and at a score
of 0.5; then the accuracy with three classes.
"""

import numpy as np
import torch
from dandelion_training.losses import bce, dice, softmax_dice, weighted_bce
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor, nn

WORDS, LENGTH, TEXTS = 200, 12, 3000


class Averaging(nn.Module):
    """An average of embeddings, then one layer: int64[n, words] → float[n, outputs] logits."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(WORDS, 16)
        self.output = nn.Linear(16, outputs)

    def forward(self, words: Tensor) -> Tensor:
        """Compute the logits of texts."""
        logits: Tensor = self.output(self.embedding(words))
        return logits


def made_up(shares: list[float]) -> tuple[Tensor, Tensor]:
    """Return texts int64[n, words] and their classes int64[n], with the given shares.

    Three words in twelve are mostly the class's own; any text may have the others.
    """
    rng = np.random.default_rng(0)
    classes = rng.choice(len(shares), TEXTS, p=shares)
    words = rng.integers(0, WORDS, (TEXTS, LENGTH))
    words[:, :3] = 20 * classes[:, None] + rng.integers(0, 25, (TEXTS, 3))
    return torch.from_numpy(words), torch.from_numpy(classes)


def train(outputs: int, texts: Tensor, loss_of_batch) -> Averaging:
    """Fit a network: ``loss_of_batch(logits, rows)`` is the loss of a batch's rows."""
    torch.manual_seed(0)
    network = Averaging(outputs)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(12):
        for rows in torch.randperm(len(texts)).split(256):
            optimizer.zero_grad()
            loss_of_batch(network(texts[rows]), rows).backward()
            optimizer.step()
    return network


def two_classes() -> None:
    """Compare losses on a rare class."""
    texts, labels = made_up([0.96, 0.04])
    learnt, held_out = slice(0, 2000), slice(2000, None)
    targets = labels[learnt].float()  # [n], of zeros and ones
    prior = float(targets.mean())  # the share of positives
    losses = {
        "bce": lambda logits, rows: bce(logits, targets[rows]),
        "weighted_bce": lambda logits, rows: weighted_bce(logits, targets[rows], prior),
        "dice": lambda logits, rows: dice(logits, targets[rows], prior, classes="both"),
    }
    for name, loss in losses.items():
        # One output: [n, 1] → [n], logits before the sigmoid.
        network = train(1, texts[learnt], lambda logits, rows, loss=loss: loss(logits[:, 0], rows))
        scores = torch.sigmoid(network(texts[held_out])[:, 0])
        print(f"F1 {f1_score(labels[held_out], scores >= 0.5):.2f}: {name}")


def three_classes() -> None:
    """Train with the Dice loss of more than two classes."""
    texts, labels = made_up([0.6, 0.3, 0.1])
    learnt, held_out = slice(0, 2000), slice(2000, None)
    targets = labels[learnt]  # int64[n]
    network = train(3, texts[learnt], lambda logits, rows: softmax_dice(logits, targets[rows]))
    chosen = network(texts[held_out]).argmax(dim=1)
    print(f"accuracy {accuracy_score(labels[held_out], chosen):.2f}: softmax_dice, three classes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    two_classes()
    three_classes()

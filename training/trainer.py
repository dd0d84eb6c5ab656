"""One fit: the loop over epochs, the early stop and the history."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor

from dandelion.network import Network
from dandelion.vocabulary import TokenBatch

from .configuration import Configuration
from .evaluation import Labels, fit_threshold
from .losses import Loss, loss_named
from .network import DeepAveragingNetwork


@dataclass(frozen=True, slots=True)
class Fold:
    """A fold ready for fitting.

    Attributes:
        tokens: n texts.
        labels: int64[n].
    """

    tokens: TokenBatch
    labels: Labels


@dataclass(frozen=True, slots=True)
class Epoch:
    """What is known after an epoch.

    Attributes:
        train: loss, accuracy and F1 (at threshold 0.5) on the training fold, without dropout.
        validation: the same on the validation fold.
        macro_f1: on validation at the threshold fitted there; the early stop looks at it.
        average_precision: on validation; decides between equal macro-F1.
    """

    train: dict[str, float]
    validation: dict[str, float]
    macro_f1: float
    average_precision: float

    @property
    def rank(self) -> tuple[float, float]:
        """What the best epoch has most of."""
        return self.macro_f1, self.average_precision


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted network.

    Attributes:
        network: of the kept epoch.
        history: an entry an epoch.
        kept_epoch: counted from 1.
        seconds: of wall time.
    """

    network: Network
    history: tuple[Epoch, ...]
    kept_epoch: int
    seconds: float


OnEpoch = Callable[[int, Epoch], None]


def ignore_epoch(_number: int, _epoch: Epoch) -> None:
    """Take no notice of an epoch's end."""


def fit(  # noqa: PLR0913
    config: Configuration,
    train: Fold,
    validation: Fold,
    *,
    embedding: NDArray[np.float32],
    seed: int,
    on_epoch: OnEpoch = ignore_epoch,
) -> Fit:
    """Fit a network; equal arguments give equal weights on one machine.

    Torch is held to one thread: the network is too small for more, and fits run side by side.
    """
    rng = np.random.default_rng(seed)
    started = time.perf_counter()
    loss = loss_named(config.loss, **config.loss_options)
    prior = float(train.labels.mean())
    with _reproducible(seed):
        module = DeepAveragingNetwork(embedding, config.hidden, fine_tune=config.fine_tune)
        optimizers = _optimizers(config, module)

        history: list[Epoch] = []
        best: tuple[int, dict[str, Tensor]] | None = None
        for number in range(1, config.epochs + 1):
            module.train()
            for rows in _batches(train.labels, config, rng):
                ids, offsets = _drop_words(_take(train.tokens, rows), config.word_dropout, rng)
                targets = torch.from_numpy(train.labels[rows].astype(np.float32))
                module.zero_grad()
                logits = module(torch.from_numpy(ids), torch.from_numpy(offsets))
                torch.autograd.backward(loss(logits, targets, prior))
                for optimizer in optimizers:
                    optimizer.step()
            epoch = _measure(module.export(), train, validation, loss, prior)
            history.append(epoch)
            on_epoch(number, epoch)
            if best is None or epoch.rank > history[best[0] - 1].rank:
                best = number, copy.deepcopy(module.state_dict())
            elif config.restore == "best" and number - best[0] >= config.patience:
                break
        kept = len(history)
        if config.restore == "best" and best is not None:
            kept, state = best
            module.load_state_dict(state)
        return Fit(module.export(), tuple(history), kept, time.perf_counter() - started)


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Make torch deterministic and single-threaded, and leave it as it was."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_flush_denormal(True)  # a fading moment must not slow the loop down
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.use_deterministic_algorithms(deterministic)
        torch.set_num_threads(threads)


def _optimizers(config: Configuration, module: DeepAveragingNetwork) -> list[torch.optim.Optimizer]:
    """Give layers and embedding an Adam each, at a rate of its own.

    The embedding's is Adam's lazy form: a batch touches a few hundred rows of tens of thousands,
    and only theirs move.
    """
    layers = torch.optim.AdamW(
        module.layers(), lr=config.layer_rate, weight_decay=config.weight_decay, fused=True
    )
    if not config.fine_tune:
        return [layers]
    embedding = torch.optim.SparseAdam(module.embedding.parameters(), lr=config.embedding_rate)
    return [layers, embedding]


def _batches(
    labels: Labels, config: Configuration, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Shuffle the rows and cut them into batches, int64[≤ batch_size] each."""
    order = rng.permutation(len(labels))
    count = -(-len(labels) // config.batch_size)
    if config.stratified:
        # Each class is dealt out evenly: its i-th text of m gets the place i/m of the epoch.
        places = np.empty(len(labels))
        for label in (0, 1):
            rows = order[labels[order] == label]
            places[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
        order = np.argsort(places, kind="stable")
    yield from np.array_split(order, count)


def _take(tokens: TokenBatch, rows: NDArray[np.int64]) -> TokenBatch:
    """Copy some texts' tokens into a batch of their own."""
    starts = tokens.offsets[rows]
    lengths = tokens.offsets[rows + 1] - starts
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return TokenBatch(tokens.ids[positions], offsets)


def _drop_words(tokens: TokenBatch, share: float, rng: np.random.Generator) -> TokenBatch:
    """Leave each token out with probability ``share``, but never all tokens of a text."""
    if not share:
        return tokens
    kept = rng.random(len(tokens.ids)) >= share
    counts = np.concatenate([[0], np.cumsum(kept)])[tokens.offsets]
    emptied = np.flatnonzero((np.diff(counts) == 0) & (np.diff(tokens.offsets) > 0))
    for row in emptied:
        kept[tokens.offsets[row] : tokens.offsets[row + 1]] = True
    counts = np.concatenate([[0], np.cumsum(kept)])[tokens.offsets]
    return TokenBatch(tokens.ids[kept], counts)


def _measure(network: Network, train: Fold, validation: Fold, loss: Loss, prior: float) -> Epoch:
    def curves(fold: Fold) -> dict[str, float]:
        logits = network.logits(fold.tokens)
        predicted = logits >= 0
        true_positives = int((predicted & (fold.labels == 1)).sum())
        targets = torch.from_numpy(fold.labels.astype(np.float32))
        return {
            "loss": float(loss(torch.from_numpy(logits), targets, prior)),
            "accuracy": float((predicted == fold.labels).mean()),
            "f1": 2 * true_positives / max(int(predicted.sum() + fold.labels.sum()), 1),
        }

    scores = network.scores(validation.tokens)
    return Epoch(
        train=curves(train),
        validation=curves(validation),
        macro_f1=fit_threshold(validation.labels, scores)[1],
        average_precision=float(average_precision_score(validation.labels, scores)),
    )

"""One fit: the loop over epochs, the early stop and the history."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dandelion.decision.threshold import fit_threshold
from dandelion.engines.network import Network, sigmoid, softmax
from dandelion.engines.network import binary_logits as reduce_logits
from dandelion.text import surface
from dandelion.text.vocabulary import TokenBatch

from ..configuration import Configuration, Sampling
from ..losses.registry import loss_named
from ..model import bags
from ..model.bags import Bags
from ..model.network import Batch, WideAndDeep, binary_logits
from ..quality.metrics import Labels, macro_f1

# Curves are measured on so many texts of the training fold: as steady, and soon done.
_MEASURED_TEXTS = 5000
_MEASURED_AT_ONCE = 1024

_EFFECTIVE_BETA = 0.999


@dataclass(frozen=True, slots=True)
class Fold:
    """A fold ready for fitting.

    Attributes:
        tokens: n texts.
        labels: int64[n].
        bags: of the wide path, each gram counting 1; None without one.
        types: int64[n], the finer classes; None where they are not learnt.
    """

    tokens: TokenBatch
    labels: Labels
    bags: Bags | None = None
    types: Labels | None = None


@dataclass(frozen=True, slots=True)
class Epoch:
    """What is known after an epoch.

    Attributes:
        train: loss, accuracy and F1 on up to 5,000 texts of the training fold, without dropout: at
            threshold 0.5; beyond two labels at the highest score, and F1 is macro-F1.
        validation: the same on the validation fold.
        macro_f1: on validation at the threshold fitted there; the early stop looks at it.
        average_precision: on validation; decides between equal macro-F1. Beyond two labels the
            mean over them.
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
Objective = Callable[[Tensor, Labels, Labels | None], Tensor]


def ignore_epoch(_number: int, _epoch: Epoch) -> None:
    """Take no notice of an epoch's end."""


def fit(  # noqa: PLR0913
    config: Configuration,
    train: Fold,
    validation: Fold,
    *,
    embedding: NDArray[np.float32],
    classes: int = 2,
    seed: int,
    on_epoch: OnEpoch = ignore_epoch,
) -> Fit:
    """Fit a network; equal arguments give equal weights on one machine.

    Torch is held to one thread: the network is too small for more, and fits run side by side.
    """
    rng = np.random.default_rng(seed)
    started = time.perf_counter()
    train, validation, gram_weights = _weighed(config, train, validation)
    objective = _objective(config, train, classes)
    with _reproducible(seed):
        module = _module(config, train, embedding, classes)
        optimizers = _optimizers(config, module)
        schedules = _schedules(config, optimizers, train.labels)
        averaged = _averaged(config, module)
        measured: WideAndDeep = module if averaged is None else averaged.module  # type: ignore[assignment]

        history: list[Epoch] = []
        best: tuple[int, dict[str, Tensor]] | None = None
        for number in range(1, config.epochs + 1):
            module.train()
            warming_up = number <= config.warm_up_epochs
            for rows in _batches(train.labels, config, rng):
                module.zero_grad()
                logits = module(_batch(train, rows, config.word_dropout, rng))
                types = None if train.types is None else train.types[rows]
                loss = _cross_entropy if warming_up else objective
                torch.autograd.backward(loss(logits, train.labels[rows], types))
                if config.clip_norm is not None:
                    nn.utils.clip_grad_norm_(module.layers(), config.clip_norm)
                for optimizer in optimizers:
                    optimizer.step()
                for schedule in schedules:
                    schedule.step()
                if averaged is not None:
                    averaged.update_parameters(module)
            epoch = _measure(measured, train, validation, objective, classes)
            history.append(epoch)
            on_epoch(number, epoch)
            if best is None or epoch.rank > history[best[0] - 1].rank:
                best = number, copy.deepcopy(measured.state_dict())
            elif config.restore == "best" and number - best[0] >= config.patience:
                break
        kept = len(history)
        if config.restore == "best" and best is not None:
            kept, state = best
            measured.load_state_dict(state)
        network = measured.export(gram_weights)
        return Fit(network, tuple(history), kept, time.perf_counter() - started)


def sampled_priors(labels: Labels, config: Configuration) -> NDArray[np.float64]:
    """Return each class's share of the texts that training draws, float64[k]."""
    counts = np.bincount(labels).astype(np.float64)
    if config.sampling is Sampling.EFFECTIVE_NUMBER:
        counts /= 1 - _EFFECTIVE_BETA**counts
    elif config.sampling is not Sampling.NONE:
        counts[:] = 1
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


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


def _weighed(
    config: Configuration, train: Fold, validation: Fold
) -> tuple[Fold, Fold, NDArray[np.float32] | None]:
    """Give every gram its weight, learnt from the training fold."""
    if config.wide is None or not config.wide.idf or train.bags is None or validation.bags is None:
        return train, validation, None
    weights = bags.inverse_document_frequency(train.bags)
    return (
        replace(train, bags=bags.weigh(train.bags, weights)),
        replace(validation, bags=bags.weigh(validation.bags, weights)),
        weights,
    )


def _objective(config: Configuration, train: Fold, classes: int) -> Objective:
    """Return what is minimised: the loss, and what the configuration adds to it."""
    priors = sampled_priors(train.labels, config)
    loss = loss_named(config.loss, **config.loss_options)

    def objective(logits: Tensor, labels: Labels, types: Labels | None) -> Tensor:
        if classes > 2:
            prior = torch.from_numpy(priors.astype(np.float32))
            value = loss(logits, torch.from_numpy(labels), prior)
        else:
            targets = torch.from_numpy(labels.astype(np.float32))
            value = loss(binary_logits(logits), targets, float(priors[1]))
        if types is not None:
            entropy = functional.cross_entropy(logits, torch.from_numpy(types))
            value = value + config.types_weight * entropy
        if config.logit_penalty:
            value = value + config.logit_penalty * (logits**2).mean()
        return value

    return objective


def _cross_entropy(logits: Tensor, labels: Labels, types: Labels | None) -> Tensor:
    """Compute the loss of the warm-up; with types the classes are two all the same."""
    if logits.shape[1] > 1 and types is None:
        return functional.cross_entropy(logits, torch.from_numpy(labels))
    targets = torch.from_numpy(labels.astype(np.float32))
    return functional.binary_cross_entropy_with_logits(binary_logits(logits), targets)


def _module(
    config: Configuration, train: Fold, embedding: NDArray[np.float32], classes: int
) -> WideAndDeep:
    learnt = train.labels if train.types is None else train.types
    outputs = 1 if classes == 2 and train.types is None else int(learnt.max()) + 1
    wide = config.wide
    module = WideAndDeep(
        embedding,
        config.hidden,
        fine_tune=config.fine_tune,
        outputs=outputs,
        buckets=0 if wide is None else 2**wide.bits,
        surface_rows=surface.COUNTS * surface.LEVELS if wide and wide.surface else 0,
        surface_dimensions=0 if wide is None else wide.surface_dimensions,
    )
    if config.prior_bias:
        shares = np.bincount(learnt) / len(learnt)
        logs = np.log(shares) if outputs > 1 else np.log(shares[1:] / shares[0])
        with torch.no_grad():
            module.output.bias.copy_(torch.from_numpy(logs.astype(np.float32)))
    return module


def _optimizers(config: Configuration, module: WideAndDeep) -> list[torch.optim.Optimizer]:
    """Give layers, embedding and wide path an Adam each, at a rate of its own.

    The embedding's is Adam's lazy form: a batch touches a few hundred rows of tens of thousands,
    and only theirs move.
    """
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            module.layers(), lr=config.layer_rate, weight_decay=config.weight_decay, fused=True
        )
    ]
    if config.fine_tune:
        optimizers.append(
            torch.optim.SparseAdam(module.embedding.parameters(), lr=config.embedding_rate)
        )
    wide = config.wide
    if wide is not None:
        groups: list[dict[str, Any]] = [{"params": [module.grams], "lr": wide.rate}]
        if module.surface is not None:
            groups.append({"params": [module.surface.weight], "lr": wide.surface_rate})
        optimizers.append(torch.optim.Adam(groups, weight_decay=wide.decay, fused=True))
    return optimizers


def _schedules(
    config: Configuration, optimizers: list[torch.optim.Optimizer], labels: Labels
) -> list[torch.optim.lr_scheduler.LRScheduler]:
    if config.schedule == "constant":
        return []
    steps = config.epochs * _batch_count(_texts_drawn(labels, config), config)
    return [torch.optim.lr_scheduler.CosineAnnealingLR(one, steps) for one in optimizers]


def _averaged(config: Configuration, module: WideAndDeep) -> AveragedModel | None:
    if not config.averaging:
        return None
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))  # type: ignore[no-untyped-call]


def _batch_count(texts: int, config: Configuration) -> int:
    return -(-texts // config.batch_size)


def _class_size(labels: Labels, config: Configuration) -> int:
    """Tell how many texts of each class an over- or undersampled epoch draws."""
    sizes = np.bincount(labels)
    return int(sizes.max() if config.sampling is Sampling.OVERSAMPLE else sizes.min())


def _texts_drawn(labels: Labels, config: Configuration) -> int:
    if config.sampling in {Sampling.NONE, Sampling.EFFECTIVE_NUMBER}:
        return len(labels)
    return _class_size(labels, config) * (int(labels.max()) + 1)


def _drawn(labels: Labels, config: Configuration, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw an epoch's texts in a random order, int64[any]."""
    if config.sampling is Sampling.NONE:
        return rng.permutation(len(labels))
    if config.sampling is Sampling.EFFECTIVE_NUMBER:
        chances = (sampled_priors(labels, config) / np.bincount(labels))[labels]
        return rng.choice(len(labels), len(labels), p=chances / chances.sum())
    size = _class_size(labels, config)
    drawn = []
    for label in range(int(labels.max()) + 1):
        rows = np.flatnonzero(labels == label)
        # Each text as often as any other of its class, but for the last round.
        rounds = [rng.permutation(rows) for _ in range(-(-size // len(rows)))]
        drawn.append(np.concatenate(rounds)[:size])
    return rng.permutation(np.concatenate(drawn))


def _batches(
    labels: Labels, config: Configuration, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Draw an epoch's texts and cut them into batches, int64[≤ batch_size] each."""
    order = _drawn(labels, config, rng)
    if config.stratified:
        # Each class is dealt out evenly: its i-th text of m gets the place i/m of the epoch.
        places = np.empty(len(order))
        for label in np.unique(labels):
            found = np.flatnonzero(labels[order] == label)
            places[found] = (np.arange(len(found)) + rng.random()) / len(found)
        order = order[np.argsort(places, kind="stable")]
    yield from np.array_split(order, _batch_count(len(order), config))


def _batch(
    fold: Fold, rows: NDArray[np.int64], word_dropout: float, rng: np.random.Generator
) -> Batch:
    """Copy some texts into a batch, a share of their tokens left out."""
    ids, offsets = _drop_words(_take(fold.tokens, rows), word_dropout, rng)
    batch = Batch(torch.from_numpy(ids), torch.from_numpy(offsets))
    if fold.bags is None:
        return batch
    taken = fold.bags.take(rows)
    surfaces = None if taken.surface is None else torch.from_numpy(taken.surface)
    return batch._replace(grams=taken.grams, surface=surfaces)


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


def _measure(
    module: WideAndDeep, train: Fold, validation: Fold, objective: Objective, classes: int
) -> Epoch:
    labels = validation.labels
    curves, logits = _curves(module, validation, len(labels), objective, classes)
    if classes > 2:
        members = np.eye(classes, dtype=np.int64)[labels]
        scores = softmax(logits)
        found = macro_f1(labels, logits.argmax(axis=1), classes)
        precision = average_precision_score(members, scores)
    else:
        scores = sigmoid(reduce_logits(logits))
        found = fit_threshold(labels, scores)[1]
        precision = average_precision_score(labels, scores)
    return Epoch(
        train=_curves(module, train, _MEASURED_TEXTS, objective, classes)[0],
        validation=curves,
        macro_f1=found,
        average_precision=float(precision),
    )


def _curves(
    module: WideAndDeep, fold: Fold, most: int, objective: Objective, classes: int
) -> tuple[dict[str, float], NDArray[np.float32]]:
    """Measure up to ``most`` texts, evenly spread; return their float32[n, k] logits as well."""
    count = len(fold.labels)
    rows = np.linspace(0, count - 1, min(most, count)).astype(np.int64)
    labels = fold.labels[rows]
    module.eval()
    rng = np.random.default_rng(0)  # nothing is dropped
    with torch.no_grad():
        pieces = np.array_split(rows, -(-len(rows) // _MEASURED_AT_ONCE))
        logits = torch.cat([module(_batch(fold, piece, 0, rng)) for piece in pieces])
        loss = objective(logits, labels, None if fold.types is None else fold.types[rows])
    found = logits.numpy()
    if classes > 2:
        predicted = found.argmax(axis=1)
        f1 = macro_f1(labels, predicted, classes)
    else:
        predicted = (reduce_logits(found) >= 0).astype(np.int64)
        true_positives = int((predicted & labels).sum())
        f1 = 2 * true_positives / max(int(predicted.sum() + labels.sum()), 1)
    curves = {"loss": float(loss), "accuracy": float((predicted == labels).mean()), "f1": f1}
    return curves, found

"""One fit: the loop over epochs, early stopping and the history."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dandelion.decision.rule import Decision
from dandelion.decision.threshold import fit_threshold
from dandelion.engines.network import Network, sigmoid, softmax
from dandelion.engines.network import binary_logits as reduce_logits
from dandelion.text import surface

from ..configuration import Configuration
from ..errors import DivergenceError
from ..losses.registry import loss_named
from ..model import bags
from ..model.network import WideAndDeep, binary_logits
from ..quality.metrics import Labels, macro_f1
from .batches import Fold, batches_per_epoch, draw, sampled_priors, take_batch

# Curves are measured on a part of the training fold: as steady as on all of it, and faster.
_MEASURED_TEXTS = 5000
_MEASURED_AT_ONCE = 1024


class Curves(TypedDict):
    """What is measured on a fold after an epoch, without dropout.

    Accuracy and F1 are those at threshold 0.5; with more than two labels those of the highest
    score, and F1 is macro-F1.
    """

    loss: float
    accuracy: float
    f1: float


class Epoch(TypedDict):
    """An entry of the history, as it is written to JSON.

    Attributes:
        train: on up to 5,000 texts of the training fold.
        validation: on the validation fold.
        macro_f1: on validation, at the threshold fitted there; early stopping follows it.
        average_precision: on validation; decides between equal macro-F1. With more than two labels
            its mean over the labels.
    """

    train: Curves
    validation: Curves
    macro_f1: float
    average_precision: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted network.

    Attributes:
        network: that of the kept epoch.
        history: an entry per epoch.
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
    """Do nothing at the end of an epoch."""


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

    Args:
        config: the variant.
        train: the fold that is learnt.
        validation: the fold that early stopping looks at.
        embedding: float32[v, d], the initial word vectors.
        classes: k, the number of labels.
        seed: of initialisation, batches and dropout.
        on_epoch: called after each epoch with its number, from 1, and its measurements.
    """
    rng = np.random.default_rng(seed)
    started = time.perf_counter()
    train, validation, gram_weights = _weighted(config, train, validation)
    objective = _objective(config, train, classes)
    with _reproducible(seed):
        module = _module(config, train, embedding, classes)
        update = _Update.of(config, module, train.labels)
        history: list[Epoch] = []
        best: tuple[int, dict[str, Tensor]] | None = None
        for number in range(1, config.epochs + 1):
            loss = _cross_entropy if number <= config.warm_up_epochs else objective
            module.train()
            for rows in draw(train.labels, config, rng, train.weights):
                module.zero_grad()
                logits = module(take_batch(train, rows, config.word_dropout, rng))
                types = None if train.types is None else train.types[rows]
                update.step(loss(logits, train.labels[rows], types))
            epoch = measure(update.measured, train, validation, objective, classes)
            history.append(epoch)
            on_epoch(number, epoch)
            if best is None or _rank(epoch) > _rank(history[best[0] - 1]):
                best = number, copy.deepcopy(update.measured.state_dict())
            elif config.restore == "best" and number - best[0] >= config.patience:
                break
        kept = len(history)
        if config.restore == "best" and best is not None:
            kept, state = best
            update.measured.load_state_dict(state)
        network = update.measured.export(gram_weights)
        return Fit(network, tuple(history), kept, time.perf_counter() - started)


def _rank(epoch: Epoch) -> tuple[float, float]:
    """Return what the best epoch has most of."""
    return epoch["macro_f1"], epoch["average_precision"]


@dataclass(frozen=True, slots=True)
class _Update:
    """What a batch changes: the weights, the learning rates and the average of the weights."""

    module: WideAndDeep
    optimizers: list[torch.optim.Optimizer]
    schedules: list[torch.optim.lr_scheduler.LRScheduler]
    averaged: AveragedModel | None
    clip_norm: float | None

    @classmethod
    def of(cls, config: Configuration, module: WideAndDeep, labels: Labels) -> "_Update":
        optimizers = _optimizers(config, module)
        schedules = _schedules(config, optimizers, labels)
        return cls(module, optimizers, schedules, _averaged(config, module), config.clip_norm)

    @property
    def measured(self) -> WideAndDeep:
        """The network that is measured and kept: the average of the weights, if there is one."""
        return self.module if self.averaged is None else self.averaged.module  # type: ignore[return-value]

    def step(self, loss: Tensor) -> None:
        torch.autograd.backward(loss)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.module.layers(), self.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        for schedule in self.schedules:
            schedule.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.module)


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


def _weighted(
    config: Configuration, train: Fold, validation: Fold
) -> tuple[Fold, Fold, NDArray[np.float32] | None]:
    """Multiply every gram by its inverse document frequency in the training fold."""
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
    priors = sampled_priors(train.labels, config, train.weights)
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
    """Compute the loss of the warm-up; with types there are still two classes."""
    if logits.shape[1] > 1 and types is None:
        return functional.cross_entropy(logits, torch.from_numpy(labels))
    targets = torch.from_numpy(labels.astype(np.float32))
    return functional.binary_cross_entropy_with_logits(binary_logits(logits), targets)


def _module(
    config: Configuration, train: Fold, embedding: NDArray[np.float32], classes: int
) -> WideAndDeep:
    learnt = train.labels if train.types is None else train.types
    outputs = 1 if classes == 2 and train.types is None else int(learnt.max()) + 1
    wide, static = config.wide, config.static
    module = WideAndDeep(
        embedding,
        config.hidden,
        fine_tune=config.fine_tune,
        frozen=0 if static is None or static.fine_tune else static.dimensions,
        outputs=outputs,
        buckets=0 if wide is None else 2**wide.bits,
        surface_rows=surface.COUNTS * surface.LEVELS if wide and wide.surface else 0,
        surface_dimensions=0 if wide is None else wide.surface_dimensions,
        unread_rows=_length_rows() if wide and wide.surface and not wide.length else (),
    )
    if config.prior_bias:
        shares = np.bincount(learnt) / len(learnt)
        logs = np.log(shares) if outputs > 1 else np.log(shares[1:] / shares[0])
        with torch.no_grad():
            module.output.bias.copy_(torch.from_numpy(logs.astype(np.float32)))
    return module


def _length_rows() -> list[int]:
    """Return the rows of the surface table for the numbers that grow with any text."""
    return [
        row
        for column in surface.LENGTH_COLUMNS
        for row in range(column * surface.LEVELS, (column + 1) * surface.LEVELS)
    ]


def _optimizers(config: Configuration, module: WideAndDeep) -> list[torch.optim.Optimizer]:
    """Create an Adam for layers, embedding and wide path each, with their own learning rates.

    The embedding's is Adam's lazy form: a batch touches a few hundred of tens of thousands of rows,
    and only their moments change.
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
    steps = config.epochs * batches_per_epoch(labels, config)
    return [torch.optim.lr_scheduler.CosineAnnealingLR(one, steps) for one in optimizers]


def _averaged(config: Configuration, module: WideAndDeep) -> AveragedModel | None:
    if not config.averaging:
        return None
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))  # type: ignore[no-untyped-call]


def measure(
    module: WideAndDeep, train: Fold, validation: Fold, objective: Objective, classes: int
) -> Epoch:
    """Measure a network after an epoch.

    Raises:
        DivergenceError: a text has no score.
    """
    labels = validation.labels
    curves, logits = _curves(module, validation, len(labels), objective, classes)
    if np.isnan(logits).any():
        raise DivergenceError(
            "training diverged: a text has no score (NaN). Choose less extreme loss_options or "
            "smaller learning rates."
        )
    if classes > 2:
        members = np.eye(classes, dtype=np.int64)[labels]
        scores = softmax(logits)
        found = macro_f1(labels, _chosen(logits), classes)
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


def _chosen(logits: NDArray[np.float32]) -> Labels:
    """Choose a class for each text, int64[n], from float32[n, k] for k > 2 classes."""
    return np.array(Decision.of_classes(logits.shape[1]).decide(logits).positions)


def _curves(
    module: WideAndDeep, fold: Fold, most: int, objective: Objective, classes: int
) -> tuple[Curves, NDArray[np.float32]]:
    """Measure up to ``most`` texts, evenly spread; return their float32[n, k] logits as well."""
    count = len(fold.labels)
    rows = np.linspace(0, count - 1, min(most, count)).astype(np.int64)
    labels = fold.labels[rows]
    module.eval()
    rng = np.random.default_rng(0)  # nothing is dropped
    with torch.no_grad():
        pieces = np.array_split(rows, -(-len(rows) // _MEASURED_AT_ONCE))
        logits = torch.cat([module(take_batch(fold, piece, 0, rng)) for piece in pieces])
        loss = objective(logits, labels, None if fold.types is None else fold.types[rows])
    found = logits.numpy()
    if classes > 2:
        predicted = _chosen(found)
        f1 = macro_f1(labels, predicted, classes)
    else:
        predicted = (reduce_logits(found) >= 0).astype(np.int64)
        true_positives = int((predicted & labels).sum())
        f1 = 2 * true_positives / max(int(predicted.sum() + labels.sum()), 1)
    accuracy = float((predicted == labels).mean())
    return Curves(loss=float(loss), accuracy=accuracy, f1=f1), found

"""Batches: which texts an epoch draws from a fold, and what the network reads of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from dandelion.text.vocabulary import TokenBatch

from ..configuration import Configuration, Sampling
from ..model.bags import Bags
from ..model.network import Batch
from ..quality.metrics import Labels

_EFFECTIVE_BETA = 0.999


@dataclass(frozen=True, slots=True)
class Fold:
    """A fold ready for fitting.

    Attributes:
        tokens: of n texts.
        labels: int64[n].
        bags: what the wide path reads, each gram counting 1; None without a wide path.
        types: int64[n], the finer classes; None if they are not learnt.
        weights: float64[n], how often each text is drawn, relative to the others; None for
            equally often.
    """

    tokens: TokenBatch
    labels: Labels
    bags: Bags | None = None
    types: Labels | None = None
    weights: NDArray[np.float64] | None = None


def sampled_priors(
    labels: Labels, config: Configuration, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return each class's share of the texts that training draws, float64[k].

    Args:
        labels: int64[n].
        config: how they are drawn.
        weights: float64[n], see `Fold`; with them, ``config.sampling`` must be none.
    """
    counts = np.bincount(labels, weights).astype(np.float64)
    if config.sampling is Sampling.EFFECTIVE_NUMBER:
        counts /= 1 - _EFFECTIVE_BETA**counts
    elif config.sampling is not Sampling.NONE:
        counts[:] = 1
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


class SamplingRecord(TypedDict):
    """What an artifact's manifest has as its ``sampling``.

    Attributes:
        method: a `Sampling`, or ``weights``.
        prior: each class's share of the training fold.
        sampled_prior: each class's share of the texts that training draws; scores follow it.
    """

    method: str
    prior: list[float]
    sampled_prior: list[float]


def sampling_record(train: Fold, config: Configuration) -> SamplingRecord | None:
    """Return how training changes the classes' shares, as calibration needs it; None if not."""
    if config.sampling is Sampling.NONE and train.weights is None:
        return None
    prior: list[float] = (np.bincount(train.labels) / len(train.labels)).tolist()
    return SamplingRecord(
        method="weights" if train.weights is not None else str(config.sampling),
        prior=prior,
        sampled_prior=sampled_priors(train.labels, config, train.weights).tolist(),
    )


def batches_per_epoch(labels: Labels, config: Configuration) -> int:
    """Return the number of batches that `draw` yields."""
    if config.sampling in {Sampling.NONE, Sampling.EFFECTIVE_NUMBER}:
        return _batches_of(len(labels), config)
    return _batches_of(_class_size(labels, config) * (int(labels.max()) + 1), config)


def draw(
    labels: Labels,
    config: Configuration,
    rng: np.random.Generator,
    weights: NDArray[np.float64] | None = None,
) -> Iterator[NDArray[np.int64]]:
    """Draw an epoch's texts and cut them into batches: their rows, int64[≤ batch_size] each.

    Args:
        labels: int64[n].
        config: how they are drawn.
        rng: of the draw.
        weights: float64[n], see `Fold`; with them, ``config.sampling`` must be none.
    """
    order = _order(labels, config, rng) if weights is None else draw_weighted(weights, rng)
    if config.stratified:
        # Each class is spread evenly: the i-th of its m texts is placed at (i + jitter) / m of the
        # epoch. Without the jitter the first batch would always have too many of a rare class.
        places = np.empty(len(order))
        for label in np.unique(labels):
            found = np.flatnonzero(labels[order] == label)
            places[found] = (np.arange(len(found)) + rng.random()) / len(found)
        order = order[np.argsort(places, kind="stable")]
    yield from np.array_split(order, _batches_of(len(order), config))


def take_batch(
    fold: Fold, rows: NDArray[np.int64], word_dropout: float, rng: np.random.Generator
) -> Batch:
    """Copy texts into a batch, leaving out the share ``word_dropout`` of their tokens."""
    ids, offsets = drop_words(take_tokens(fold.tokens, rows), word_dropout, rng)
    batch = Batch(torch.from_numpy(ids), torch.from_numpy(offsets))
    if fold.bags is None:
        return batch
    taken = fold.bags.take(rows)
    surfaces = None if taken.surface is None else torch.from_numpy(taken.surface)
    return batch._replace(grams=taken.grams, surface=surfaces)


def take_tokens(tokens: TokenBatch, rows: NDArray[np.int64]) -> TokenBatch:
    """Copy the tokens of texts."""
    starts = tokens.offsets[rows]
    lengths = tokens.offsets[rows + 1] - starts
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return TokenBatch(tokens.ids[positions], offsets)


def drop_words(tokens: TokenBatch, share: float, rng: np.random.Generator) -> TokenBatch:
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


def _batches_of(texts: int, config: Configuration) -> int:
    return -(-texts // config.batch_size)


def _class_size(labels: Labels, config: Configuration) -> int:
    """Return the number of texts of each class that an over- or undersampled epoch draws."""
    sizes = np.bincount(labels)
    return int(sizes.max() if config.sampling is Sampling.OVERSAMPLE else sizes.min())


def draw_weighted(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw n of n texts, each as often as its weight demands, rounded up or down at random.

    Systematic sampling (Madow & Madow 1944) of the texts in a random order.

    Args:
        weights: float64[n], of which only the ratios matter.
        rng: of the draw.

    Returns:
        The rows that are drawn, int64[n], in a random order.
    """
    order = rng.permutation(len(weights))
    reached = np.cumsum(weights[order])
    points = (np.arange(len(weights)) + rng.random()) * (reached[-1] / len(weights))
    drawn = order[np.minimum(np.searchsorted(reached, points, side="right"), len(weights) - 1)]
    return rng.permutation(drawn)


def _order(labels: Labels, config: Configuration, rng: np.random.Generator) -> NDArray[np.int64]:
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
        # In full rounds, so that each text comes as often as any other of its class; the last
        # round is cut.
        rounds = [rng.permutation(rows) for _ in range(-(-size // len(rows)))]
        drawn.append(np.concatenate(rounds)[:size])
    return rng.permutation(np.concatenate(drawn))

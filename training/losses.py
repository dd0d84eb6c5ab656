"""Losses: one function each and one registry.

Every loss takes ``logits`` float[n], ``targets`` float[n] of zeros and ones, and ``prior``, the
share of positives in the training fold; it returns a scalar that is finite, with a finite gradient,
for any finite logits and any mix of classes.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor, float], Tensor]


def dice(logits: Tensor, targets: Tensor, prior: float, *, smoothing: float = 1.0) -> Tensor:
    """Soft Dice of the positive class, Eq. 7 of the paper, over the batch.

        1 − (2 Σ y σ(x) + s) / (Σ y + Σ σ(x) + s)

    At saturated logits and s → 0 it is 1 − F1. The smoothing ``s`` keeps a batch without positives
    defined: there, predicting none costs nothing.

    The value is one ratio over the whole batch, not a mean over its texts: small batches make it
    noisy, and where positives are the majority, predicting all of them is nearly free.

    Raises:
        ValueError: the smoothing is not positive.
    """
    del prior
    if smoothing <= 0:
        raise ValueError(f"the smoothing is {smoothing}; it must be positive")
    scores = torch.sigmoid(logits)
    overlap = (targets * scores).sum()
    return 1 - (2 * overlap + smoothing) / (targets.sum() + scores.sum() + smoothing)


def weighted_bce(logits: Tensor, targets: Tensor, prior: float) -> Tensor:
    """Binary cross-entropy, positives weighted by negatives ÷ positives of the training fold.

    A mean over the batch: its expectation depends on neither the batch's size nor, thanks to the
    weight, on the balance of the classes.

    Raises:
        ValueError: the training fold has one class only.
    """
    if not 0 < prior < 1:
        raise ValueError(f"the share of positives is {prior}; both classes are needed")
    weight = torch.tensor((1 - prior) / prior, dtype=logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight)


def mse(logits: Tensor, targets: Tensor, prior: float) -> Tensor:
    """Mean squared error of the sigmoid: the Brier score of the batch.

    A mean over the batch, each text alike, so the majority class dominates it.
    """
    del prior
    return functional.mse_loss(torch.sigmoid(logits), targets)


LOSSES: Final[dict[str, Callable[..., Tensor]]] = {
    "dice": dice,
    "weighted_bce": weighted_bce,
    "mse": mse,
}


def options_of(name: str) -> set[str]:
    """Name the options of a registered loss."""
    parameters = inspect.signature(LOSSES[name]).parameters.values()
    return {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}


def loss_named(name: str, **options: float) -> Loss:
    """Return the loss registered under ``name``, its options bound.

    Raises:
        KeyError: there is no such loss.
    """
    return partial(LOSSES[name], **options)

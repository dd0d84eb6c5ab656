"""The registry of losses.

To add a loss: write one function in this package, add one line to `LOSSES`, and one row to the
table of its test. A function takes

- ``logits`` float[n] and ``targets`` float[n] of zeros and ones; with more than two classes,
  ``logits`` float[n, k] and ``targets`` int64[n];
- then ``prior``, the share of positives in the training fold, or ``priors`` float[k], the share of
  each class, but only if it needs it;
- then its options, keyword-only, typed as `training.losses.options` describes.

It returns a scalar of the logits' dtype that is finite, with a finite gradient, for logits up to
1e15 in absolute value and any mix of classes, and that does not depend on the order of the texts.

In the formulas x is a logit, y its target, p = σ(x) its score and z = (2y − 1) x its margin; Σ and
mean run over the batch, which has P positives and N negatives. TP = Σ y p, FP = Σ (1 − y) p,
FN = Σ y (1 − p) and TN = Σ (1 − y)(1 − p) are the soft confusion matrix, and s is the smoothing.
Losses that are ratios of such sums are not means over texts: their expectation depends on the batch
size, and small batches make them noisy.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from torch import Tensor

from . import options as declared
from .multiclass import (
    cross_entropy,
    focal_cross_entropy,
    softmax_dice,
    weighted_cross_entropy,
)
from .options import Option
from .overlap import (
    dice,
    dice_bce,
    dice_log_cosh,
    dice_self_adjusting,
    focal_tversky,
    g_mean,
    log_dice,
    mcc,
    tversky,
)
from .pointwise import bce, focal, mse, nll_ratio, squared_hinge, weighted_bce
from .ranking import auroc_logistic, auroc_squared_hinge, average_precision

Loss = Callable[[Tensor, Tensor, Any], Tensor]
"""Logits, targets and the prior or priors → the loss, a scalar."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A loss and what is known about it.

    Attributes:
        function: see above.
        task: ``binary``, or ``multiclass`` for logits float[n, k].
        score_kind: how a logit becomes a score: by the ``sigmoid``, by the sigmoid of a ``margin``,
            or by the ``softmax`` over classes.
    """

    function: Callable[..., Tensor]
    task: Literal["binary", "multiclass"] = "binary"
    score_kind: Literal["sigmoid", "margin", "softmax"] = "sigmoid"

    def bind(self, **options: Option) -> Loss:
        """Return the loss with its options bound.

        Raises:
            ValueError: an option is unknown or its value is not allowed.
        """
        declared.check(self.function, options)
        bound = partial(self.function, **options)
        if {"prior", "priors"} & set(inspect.signature(self.function).parameters):
            return bound
        return lambda logits, targets, _: bound(logits, targets)


LOSSES: Final[dict[str, Registered]] = {
    "bce": Registered(bce),
    "weighted_bce": Registered(weighted_bce),
    "mse": Registered(mse),
    "focal": Registered(focal),
    "squared_hinge": Registered(squared_hinge, score_kind="margin"),
    "nll_ratio": Registered(nll_ratio),
    "dice": Registered(dice),
    "dice_self_adjusting": Registered(dice_self_adjusting),
    "dice_log_cosh": Registered(dice_log_cosh),
    "log_dice": Registered(log_dice),
    "dice_bce": Registered(dice_bce),
    "tversky": Registered(tversky),
    "focal_tversky": Registered(focal_tversky),
    "g_mean": Registered(g_mean),
    "mcc": Registered(mcc),
    "auroc_logistic": Registered(auroc_logistic),
    "auroc_squared_hinge": Registered(auroc_squared_hinge),
    "average_precision": Registered(average_precision),
    "softmax_dice": Registered(softmax_dice, "multiclass", "softmax"),
    "cross_entropy": Registered(cross_entropy, "multiclass", "softmax"),
    "weighted_cross_entropy": Registered(weighted_cross_entropy, "multiclass", "softmax"),
    "focal_cross_entropy": Registered(focal_cross_entropy, "multiclass", "softmax"),
}


def options_of(name: str) -> set[str]:
    """Return the names of a registered loss's options."""
    return set(declared.names(LOSSES[name].function))


def loss_named(name: str, **options: Option) -> Loss:
    """Return the loss registered under ``name``, its options bound.

    Raises:
        KeyError: there is no such loss.
        ValueError: an option is unknown or its value is not allowed.

    Example:
        >>> import torch
        >>> loss = loss_named("dice", smoothing=0.5)
        >>> float(loss(torch.tensor([50.0, -50.0]), torch.tensor([1.0, 0.0]), 0.5))
        0.0
    """
    return LOSSES[name].bind(**options)

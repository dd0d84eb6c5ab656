"""Losses: one function each and one registry.

Every binary loss takes ``logits`` float[n], ``targets`` float[n] of zeros and ones, and ``prior``,
the share of positives in the training fold; those of many classes stand in ``multiclass_losses``.
Each returns a scalar of the logits' dtype that is finite, with a finite gradient, for logits up to
1e15 in size and any mix of classes, and that the order of the texts does not change.

In the formulas x is a logit, y its target, p = σ(x) its score, z = (2y − 1) x its margin; Σ and
mean run over the batch, which has P positives and N negatives. TP = Σ y p, FP = Σ (1 − y) p,
FN = Σ y (1 − p) and TN = Σ (1 − y)(1 − p) are the soft confusion matrix, and s is the smoothing.
Losses made of ratios of such sums are no means over texts: their expectation depends on the size
of the batch, and small batches make them noisy.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from torch import Tensor

from .multiclass import (
    cross_entropy,
    focal_cross_entropy,
    softmax_dice,
    weighted_cross_entropy,
)
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

Loss = Callable[[Tensor, Tensor, float | Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Registered:
    """A loss that can be named.

    Attributes:
        function: takes logits, targets, prior or priors, and its options by keyword.
        task: ``binary``, or ``multiclass`` for logits float[n, k].
        score_kind: what becomes of a logit: the ``sigmoid``, the sigmoid of a ``margin``, or the
            ``softmax`` over classes.
    """

    function: Callable[..., Tensor]
    task: Literal["binary", "multiclass"] = "binary"
    score_kind: Literal["sigmoid", "margin", "softmax"] = "sigmoid"


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
    """Name the options of a registered loss."""
    parameters = inspect.signature(LOSSES[name].function).parameters.values()
    return {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}


def loss_named(name: str, **options: float | bool | str) -> Loss:
    """Return the loss registered under ``name``, its options bound.

    Raises:
        KeyError: there is no such loss.
    """
    return partial(LOSSES[name].function, **options)

"""The losses, for any network in torch.

Each is a function of logits and targets that returns a scalar to minimise::

    from dandelion_training.losses import dice

    loss = dice(logits, targets, prior, classes="both")
    loss.backward()

For two classes, ``logits`` is float[n], before the sigmoid, and ``targets`` float[n] of zeros and
ones. For k classes, ``logits`` is float[n, k], before the softmax, and ``targets`` int64[n]. Some
take ``prior``, the share of positives in the training data, or ``priors``, float[k], as third
argument. Options are keyword arguments. The result has the logits' dtype; it and its gradient are
finite for logits up to 1e15 in absolute value.

Each docstring has formula, source and limit; docs/guide/losses.md says which to choose. `LOSSES`
lists them by name, and `loss_named` binds options after checking them.
"""

from .multiclass import cross_entropy, focal_cross_entropy, softmax_dice, weighted_cross_entropy
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
from .registry import LOSSES, loss_named

__all__ = [
    "LOSSES",
    "auroc_logistic",
    "auroc_squared_hinge",
    "average_precision",
    "bce",
    "cross_entropy",
    "dice",
    "dice_bce",
    "dice_log_cosh",
    "dice_self_adjusting",
    "focal",
    "focal_cross_entropy",
    "focal_tversky",
    "g_mean",
    "log_dice",
    "loss_named",
    "mcc",
    "mse",
    "nll_ratio",
    "softmax_dice",
    "squared_hinge",
    "tversky",
    "weighted_bce",
    "weighted_cross_entropy",
]

"""Losses for k classes, registered in `training.losses.registry`.

They take ``logits`` float[n, k] and ``targets`` int64[n] in 0 … k − 1; one also takes ``priors``
float[k], each class's share of the training fold. In the formulas p = softmax(x) float[n, k], p_t
is the score of a text's own class, and Σ and mean run over the batch.
"""

import torch
from torch import Tensor
from torch.nn import functional

from .options import Positive


def softmax_dice(logits: Tensor, targets: Tensor, *, smoothing: Positive = 1.0) -> Tensor:
    """Soft Dice of each class against the rest (Eq. 7 of the paper), averaged.

        1 − mean over classes c in the batch of
            (2 Σ y_c p_c + s) / (Σ y_c + Σ p_c + s)           x float[n, k], y int64[n] → scalar

    Every class in the batch counts alike, however few texts it has. Classes absent from the batch
    are left out: predicting one costs only what the texts' own classes lose. Small batches have few
    texts of a class, which makes the value noisy. Limit: 1 − macro-F1 over the classes present at
    saturated logits and s → 0.

    Args:
        smoothing: s.
    """
    scores = logits.softmax(1)
    members = functional.one_hot(targets, logits.shape[1]).to(logits.dtype)  # [n, k]
    sizes = members.sum(0)
    coefficients = (2 * (members * scores).sum(0) + smoothing) / (
        sizes + scores.sum(0) + smoothing
    )  # [k]
    return 1 - coefficients[sizes > 0].mean()


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the softmax, the logarithmic score (Good 1952).

        mean of −log p_t                                      x float[n, k], y int64[n] → scalar

    A mean over texts, all counting alike: its expectation does not depend on the batch size, and
    large classes dominate it. Limit: 0 at correct saturated logits.
    """
    return functional.cross_entropy(logits, targets)


def weighted_cross_entropy(logits: Tensor, targets: Tensor, priors: Tensor) -> Tensor:
    """Cross-entropy, each class weighted by the inverse of its share (King & Zeng 2001).

        mean of −log p_t / (k prior_t)                        x float[n, k], y int64[n] → scalar

    A plain mean over texts, not divided by the batch's weights: in expectation, whatever the
    batch size, every class counts 1/k. Limit: 0 at correct saturated logits.

    Raises:
        ValueError: the training fold lacks a class.
    """
    if not (priors > 0).all():
        raise ValueError(f"the shares of the classes are {priors.tolist()}; each must be positive")
    weights = (1 / (len(priors) * priors)).to(logits.dtype)
    return (weights[targets] * functional.cross_entropy(logits, targets, reduction="none")).mean()


def focal_cross_entropy(logits: Tensor, targets: Tensor, *, gamma: Positive = 2.0) -> Tensor:
    """Cross-entropy that fades where the score is already right (Lin et al. 2017, Eq. 4).

        mean of −(1 − p_t)^γ log p_t                          x float[n, k], y int64[n] → scalar

    A mean over texts: its expectation does not depend on the batch size; large classes dominate
    it while they are hard. Limit: 0 at correct saturated logits; `cross_entropy` for γ → 0.

    Args:
        gamma: γ, how fast easy texts fade.
    """
    own = functional.one_hot(targets, logits.shape[1]).bool()  # [n, k]
    # log(1 − p_t), from the other classes' logits: 1 − p_t itself would round to 0.
    others = logits.masked_fill(own, -torch.inf).logsumexp(1) - logits.logsumexp(1)
    losses = functional.cross_entropy(logits, targets, reduction="none")
    return ((gamma * others).exp() * losses).mean()

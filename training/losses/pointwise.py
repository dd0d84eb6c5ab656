"""Losses that are means over texts: each text counts by its own margin."""

import torch
from torch import Tensor
from torch.nn import functional

from .options import Positive, Share


def bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, the logarithmic score (Good 1952).

        mean of −log σ(z)                                     x, y float[n] → scalar

    A mean over texts, all counting alike: its expectation does not depend on the batch size, and
    the majority class dominates it. Limit: 0 at correct saturated logits, mean |x| at wrong ones.
    """
    return functional.binary_cross_entropy_with_logits(logits, targets)


def weighted_bce(logits: Tensor, targets: Tensor, prior: float) -> Tensor:
    """Binary cross-entropy, positives weighted by negatives ÷ positives (King & Zeng 2001).

        mean of −w log σ(z), w = (1 − prior) / prior if y = 1, else 1     x, y float[n] → scalar

    A mean over texts: its expectation does not depend on the batch size. Thanks to the weight
    both classes count alike, whatever the balance, by the share of negatives. Limit: 0 at correct
    saturated logits, mean w |x| at wrong ones.

    Raises:
        ValueError: the training fold has one class only.
    """
    if not 0 < prior < 1:
        raise ValueError(f"the share of positives is {prior}; both classes are needed")
    weight = torch.tensor((1 - prior) / prior, dtype=logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight)


def mse(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of the sigmoid: the Brier score of the batch (Brier 1950).

        mean of (p − y)²                                      x, y float[n] → scalar

    A mean over texts, all counting alike: its expectation does not depend on the batch size, and
    the majority class dominates it. Limit: the share of wrong decisions at saturated logits.
    """
    return functional.mse_loss(torch.sigmoid(logits), targets)


def focal(logits: Tensor, targets: Tensor, *, gamma: Positive = 2.0, alpha: Share = 0.25) -> Tensor:
    """Cross-entropy that fades where the score is already right (Lin et al. 2017, Eq. 5).

        mean of −a (1 − σ(z))^γ log σ(z), a = α if y = 1, else 1 − α      x, y float[n] → scalar

    A mean over texts, where Lin et al. divide by the number of positives: its expectation does not
    depend on the batch size, and only α takes the balance into account. Limit: 0 at correct
    saturated logits, mean a |x| at wrong ones; half of `bce` for γ → 0 and α = 1/2.

    Args:
        gamma: how fast easy texts fade.
        alpha: the weight of positives.
    """
    margins = (2 * targets - 1) * logits
    weights = alpha * targets + (1 - alpha) * (1 - targets)
    # As exponentials of logarithms: no power of zero has a gradient.
    fading = (gamma * functional.logsigmoid(-margins)).exp()
    return -(weights * fading * functional.logsigmoid(margins)).mean()


def squared_hinge(logits: Tensor, targets: Tensor) -> Tensor:
    """Squared hinge of the margin: an L2 support vector machine on the network (Tang 2013).

        mean of max(0, 1 − z)²                                x, y float[n] → scalar

    The logit is a margin and its sigmoid no probability. A mean over texts, all counting alike: its
    expectation does not depend on the batch size, and the majority class dominates it.
    Limit: exactly 0 once every margin is 1 or more; it grows with the square of wrong margins.
    """
    margins = (2 * targets - 1) * logits
    return functional.relu(1 - margins).square().mean()


def nll_ratio(logits: Tensor, targets: Tensor, *, smoothing: Positive = 0.1) -> Tensor:
    """Negative log-likelihood ratio of the right class to its rivals (Zhu et al. 2018).

        mean of −log((σ(z) + s) / (1 − σ(z) + s))             x, y float[n] → scalar

    Zhu et al. take −log(p_c / Σ_{j≠c} p_j) for the right class c. With two classes the only rival
    has 1 − p_c, and p_c = σ(z), so that the ratio's logarithm is −z: linear, its gradient the same
    for every text, right or wrong, and without a lower bound, so that nothing ever stops the logits
    from growing, the bias towards the majority among them. The smoothing bounds each text's
    part to ± log((1 + s) / s) and lets its gradient fade at either end; the larger it is, the
    nearer the loss comes to the mean absolute error of the score.

    A mean over texts, all counting alike: its expectation does not depend on the batch size, and
    the majority class dominates it. Limit: −log((1 + s) / s) at correct saturated logits, its
    opposite at wrong ones; mean of −z for s → 0.
    """
    margins = (2 * targets - 1) * logits
    right, wrong = torch.sigmoid(margins), torch.sigmoid(-margins)
    return ((wrong + smoothing).log() - (right + smoothing).log()).mean()

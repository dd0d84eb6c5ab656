"""Losses made of the soft confusion matrix: Dice, Tversky, G-mean, MCC and variants of them."""

from typing import Literal, assert_never

import torch
from torch import Tensor
from torch.nn import functional

from .options import Positive, Share
from .pointwise import bce

Classes = Literal["positive", "minority", "both"]


def dice(  # noqa: PLR0913
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: Positive = 1.0,
    classes: Classes = "positive",
    squared: bool = False,
) -> Tensor:
    """Soft Dice, Eq. 7 of the paper; with squared scores, that of Milletari et al. 2016.

        1 − (2 Σ y p + s) / (Σ y + Σ p + s)                   x, y float[n] → scalar

    One ratio over the whole batch: small batches make it noisy, and where the counted class is the
    majority, predicting it for all is nearly free. The smoothing keeps a batch without that class
    defined: there, predicting none costs nothing. Limit: 1 − F1 at saturated logits and s → 0,
    squared or not.

    Args:
        smoothing: s.
        classes: whose Dice counts: the positive class's, that of the rarer class by the prior, or
            the mean of both (1 − macro-F1 in the limit).
        squared: whether Σ p² takes the place of Σ p.
    """
    coefficients = _soft_dice(logits, targets, smoothing=smoothing, squared=squared)
    return 1 - _counted(coefficients, classes, prior)


def dice_self_adjusting(  # noqa: PLR0913
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: Positive = 1.0,
    classes: Classes = "positive",
    alpha: Share = 0.5,
) -> Tensor:
    """Dice of scores that fade as they near 1, so that easy texts pull less (Li et al. 2020).

        1 − (2 Σ y q + s) / (Σ y + Σ q + s), q = (1 − p)^α p  x, y float[n] → scalar

    Li et al. write it for a single text; this is their sum over a batch. q is largest at
    p = 1 / (1 + α): positives settle there and not at 1, and negatives beyond it are pushed in
    the wrong direction. Batch and balance: see `dice`. Limit: 1 at saturated logits, right or
    wrong, if any text is of the counted class and s → 0; `dice` for α → 0.

    Args:
        smoothing: s.
        classes: see `dice`.
        alpha: how fast easy texts fade.
    """
    coefficients = _soft_dice(logits, targets, smoothing=smoothing, alpha=alpha)
    return 1 - _counted(coefficients, classes, prior)


def dice_log_cosh(
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: Positive = 1.0,
    classes: Classes = "positive",
) -> Tensor:
    """Logarithm of the hyperbolic cosine of Dice (Jadon 2020).

        log cosh(dice)                                        x, y float[n] → scalar

    About dice² / 2, so its gradient fades as Dice nears 0. Options, batch and balance: see `dice`.
    Limit: log cosh(1 − F1) at saturated logits and s → 0.
    """
    loss = dice(logits, targets, prior, smoothing=smoothing, classes=classes)
    return (2 * (loss / 2).sinh().square()).log1p()  # cosh(u) = 1 + 2 sinh²(u / 2)


def log_dice(
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: Positive = 1.0,
    classes: Classes = "positive",
) -> Tensor:
    """Negative logarithm of the soft Dice coefficient (Wong et al. 2018, with exponent 1).

        −log(1 − dice)                                        x, y float[n] → scalar

    The logarithm steepens it where Dice is poor: the gradient is that of `dice`, divided by the
    coefficient. Options, batch and balance: see `dice`. Limit: −log F1 at saturated logits and
    s → 0.
    """
    coefficients = _soft_dice(logits, targets, smoothing=smoothing)
    return -_counted(coefficients, classes, prior).log()


def dice_bce(  # noqa: PLR0913
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: Positive = 1.0,
    classes: Classes = "positive",
    weight: Share = 0.5,
) -> Tensor:
    """Dice and cross-entropy together (after the combo loss of Taghanaki et al. 2019).

        w · dice + (1 − w) · bce                              x, y float[n] → scalar

    Where Dice's gradient vanishes, wrong and large logits, that of the cross-entropy does not.
    Other options, batch and balance: see `dice` and `bce`. Limit: 0 at correct saturated logits.

    Args:
        smoothing: s.
        classes: see `dice`.
        weight: Dice's part.
    """
    overlap = dice(logits, targets, prior, smoothing=smoothing, classes=classes)
    return weight * overlap + (1 - weight) * bce(logits, targets)


def tversky(  # noqa: PLR0913
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: Positive = 1.0,
    classes: Classes = "positive",
    alpha: Share = 0.3,
    beta: Share = 0.7,
) -> Tensor:
    """Tversky's index: Dice with a price for each kind of error (Salehi et al. 2017).

        1 − (TP + s) / (TP + α FP + β FN + s)                 x, y float[n] → scalar

    α = 1 / (1 + b²) and β = b² / (1 + b²) make it 1 − F_b, recall counting b times as much as
    precision; α = β = 1/2 make it Dice at twice the smoothing. Batch and balance: see `dice`.
    Limit: 1 − Tversky's index of the decisions at saturated logits and s → 0.

    Args:
        smoothing: s.
        classes: see `dice`; false positives and negatives are those of the counted class.
        alpha: the price of false positives.
        beta: the price of false negatives.
    """
    hits, false_alarms, misses = _soft_counts(logits, targets)
    errors = alpha * false_alarms + beta * misses
    # 1 − index, without the subtraction: what is left near 0 keeps its digits.
    return _counted(errors / (hits + errors + smoothing), classes, prior)


def focal_tversky(  # noqa: PLR0913
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: Positive = 1.0,
    classes: Classes = "positive",
    alpha: Share = 0.3,
    beta: Share = 0.7,
    gamma: Positive = 4 / 3,
) -> Tensor:
    """A root of Tversky's loss, which steepens it near 0 (Abraham & Khan 2019).

        tversky^(1 / γ)                                       x, y float[n] → scalar

    Abraham & Khan call α the price of false negatives; here it is Salehi's, see `tversky`. Batch
    and balance: see `dice`. Limit: the root of 1 − Tversky's index at saturated logits and s → 0.

    Args:
        smoothing: s.
        classes: see `dice`.
        alpha: the price of false positives.
        beta: the price of false negatives.
        gamma: γ; above 1 it takes a root, below 1 a power.
    """
    prices = {"alpha": alpha, "beta": beta}
    loss = tversky(logits, targets, prior, smoothing=smoothing, classes=classes, **prices)
    # A root has no slope at 0, which the loss reaches where every logit is saturated and right;
    # the chain rule's other factor vanishes faster, so the gradient's limit is 0.
    positive = torch.where(loss > 0, loss, 1.0)
    return torch.where(loss > 0, positive ** (1 / gamma), 0.0)


def g_mean(logits: Tensor, targets: Tensor, *, smoothing: Positive = 1.0) -> Tensor:
    """Soft geometric mean of sensitivity and specificity (Kubat & Matwin 1997).

        1 − √((TP + s) / (P + s) · (TN + s) / (N + s))        x, y float[n] → scalar

    Each class's rate counts alike whatever the balance; the smoothing draws that of a class with
    few texts in the batch towards 1, and makes that of an absent class 1. Limit: 1 − G-mean of the
    decisions at saturated logits and s → 0.
    """
    hits, _, misses = _soft_counts(logits, targets)
    rates = (hits + smoothing) / (hits + misses + smoothing)  # [2]
    return 1 - rates.prod().sqrt()


def mcc(logits: Tensor, targets: Tensor, *, smoothing: Positive = 1.0) -> Tensor:
    """Matthews' correlation coefficient of the soft confusion matrix (Abhishek & Hamarneh 2021).

        1 − (TP·TN − FP·FN) / √((TP+FP+s)(TP+FN+s)(TN+FP+s)(TN+FN+s))     x, y float[n] → scalar

    Both classes count alike whatever the balance. A batch of one class has no correlation: there
    the value is 1 and the gradient 0; the smoothing keeps that defined. It also keeps the value
    of a perfect batch above 0, the more so the fewer texts a class has. Limit: 1 − MCC of the
    decisions at saturated logits and s → 0, MCC being 0 where one of its four sums is.
    """
    hits, false_alarms, misses = _soft_counts(logits, targets)
    sums = torch.cat((hits + false_alarms, hits + misses)) + smoothing  # [4]
    return 1 - (hits.prod() - false_alarms.prod()) / sums.prod().sqrt()


def _sided(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return each class's own logits and targets, float[2, n]: of the negative, the positive."""
    return torch.stack((-logits, logits)), torch.stack((1 - targets, targets))


def _soft_counts(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return hits, false alarms and misses of each class, float[2]: TN, TP; FN, FP; FP, FN."""
    own, members = _sided(logits, targets)
    scores, rest = torch.sigmoid(own), torch.sigmoid(-own)
    return (
        (members * scores).sum(1),
        ((1 - members) * scores).sum(1),
        (members * rest).sum(1),
    )


def _soft_dice(
    logits: Tensor, targets: Tensor, *, smoothing: float, squared: bool = False, alpha: float = 0.0
) -> Tensor:
    """Return each class's soft Dice coefficient, float[2]: the negative's, the positive's."""
    own, members = _sided(logits, targets)
    # (1 − p)^α p, as an exponential: no power of zero has a gradient.
    scores = (alpha * functional.logsigmoid(-own)).exp() * torch.sigmoid(own)
    sizes = scores.square() if squared else scores
    overlaps = (members * scores).sum(1)
    return (2 * overlaps + smoothing) / (members.sum(1) + sizes.sum(1) + smoothing)


def _counted(by_class: Tensor, classes: Classes, prior: float) -> Tensor:
    """Choose from, or average, float[2]: of the negative, the positive."""
    match classes:
        case "positive":
            return by_class[1]
        case "minority":
            return by_class[int(prior <= 0.5)]
        case "both":
            return by_class.mean()
    assert_never(classes)

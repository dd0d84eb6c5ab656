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
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .multiclass_losses import (
    cross_entropy,
    focal_cross_entropy,
    softmax_dice,
    weighted_cross_entropy,
)

Loss = Callable[[Tensor, Tensor, float | Tensor], Tensor]
Classes = Literal["positive", "minority", "both"]

# Numbers in a block of a pairwise matrix: 2 MB of float64, small enough for a processor's cache.
_BLOCK: Final = 2**18


def bce(logits: Tensor, targets: Tensor, prior: float) -> Tensor:
    """Binary cross-entropy, the logarithmic score (Good 1952).

        mean of −log σ(z)                                     x, y float[n] → scalar

    A mean over texts, each alike: its expectation does not depend on the batch's size, and the
    majority class dominates it. Limit: 0 at correct saturated logits, mean |x| at wrong ones.
    """
    del prior
    return functional.binary_cross_entropy_with_logits(logits, targets)


def weighted_bce(logits: Tensor, targets: Tensor, prior: float) -> Tensor:
    """Binary cross-entropy, positives weighted by negatives ÷ positives (King & Zeng 2001).

        mean of −w log σ(z), w = (1 − prior) / prior if y = 1, else 1     x, y float[n] → scalar

    A mean over texts: its expectation does not depend on the batch's size. Thanks to the weight
    both classes count alike, whatever the balance, by the share of negatives. Limit: 0 at correct
    saturated logits, mean w |x| at wrong ones.

    Raises:
        ValueError: the training fold has one class only.
    """
    if not 0 < prior < 1:
        raise ValueError(f"the share of positives is {prior}; both classes are needed")
    weight = torch.tensor((1 - prior) / prior, dtype=logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight)


def mse(logits: Tensor, targets: Tensor, prior: float) -> Tensor:
    """Mean squared error of the sigmoid: the Brier score of the batch (Brier 1950).

        mean of (p − y)²                                      x, y float[n] → scalar

    A mean over texts, each alike: its expectation does not depend on the batch's size, and the
    majority class dominates it. Limit: the share of wrong decisions at saturated logits.
    """
    del prior
    return functional.mse_loss(torch.sigmoid(logits), targets)


def focal(
    logits: Tensor, targets: Tensor, prior: float, *, gamma: float = 2.0, alpha: float = 0.25
) -> Tensor:
    """Cross-entropy that fades where the score is right already (Lin et al. 2017, Eq. 5).

        mean of −a (1 − σ(z))^γ log σ(z), a = α if y = 1, else 1 − α      x, y float[n] → scalar

    A mean over texts, where Lin et al. divide by the number of positives: its expectation does not
    depend on the batch's size, and of the balance only α takes notice. Limit: 0 at correct
    saturated logits, mean a |x| at wrong ones; half of `bce` for γ → 0 and α = 1/2.

    Args:
        gamma: how fast easy texts fade, positive.
        alpha: the weight of positives, in [0, 1].

    Raises:
        ValueError: an option is out of its range.
    """
    del prior
    _require_positive(gamma=gamma)
    _require_share(alpha=alpha)
    margins = (2 * targets - 1) * logits
    weights = alpha * targets + (1 - alpha) * (1 - targets)
    # As exponentials of logarithms: no power of zero has a gradient.
    fading = (gamma * functional.logsigmoid(-margins)).exp()
    return -(weights * fading * functional.logsigmoid(margins)).mean()


def squared_hinge(logits: Tensor, targets: Tensor, prior: float) -> Tensor:
    """Squared hinge of the margin: an L2 support vector machine on the network (Tang 2013).

        mean of max(0, 1 − z)²                                x, y float[n] → scalar

    The logit is a margin and its sigmoid no probability. A mean over texts, each alike: its
    expectation does not depend on the batch's size, and the majority class dominates it.
    Limit: exactly 0 once every margin is 1 or more; it grows with the square of wrong margins.
    """
    del prior
    margins = (2 * targets - 1) * logits
    return functional.relu(1 - margins).square().mean()


def nll_ratio(logits: Tensor, targets: Tensor, prior: float, *, smoothing: float = 0.1) -> Tensor:
    """Negative log-likelihood ratio of the right class to its rivals (Zhu et al. 2018).

        mean of −log((σ(z) + s) / (1 − σ(z) + s))             x, y float[n] → scalar

    Zhu et al. take −log(p_c / Σ_{j≠c} p_j) for the right class c. With two classes the only rival
    has 1 − p_c, and p_c = σ(z), so that the ratio's logarithm is −z: linear, its gradient the same
    for every text, right or wrong, and without a lower bound, so that nothing ever stops the logits
    from growing, the bias towards the majority among them. The smoothing bounds each text's
    part to ± log((1 + s) / s) and lets its gradient fade at either end; the larger it is, the
    nearer the loss comes to the mean absolute error of the score.

    A mean over texts, each alike: its expectation does not depend on the batch's size, and the
    majority class dominates it. Limit: −log((1 + s) / s) at correct saturated logits, its opposite
    at wrong ones; mean of −z for s → 0.

    Raises:
        ValueError: the smoothing is not positive.
    """
    del prior
    _require_positive(smoothing=smoothing)
    margins = (2 * targets - 1) * logits
    right, wrong = torch.sigmoid(margins), torch.sigmoid(-margins)
    return ((wrong + smoothing).log() - (right + smoothing).log()).mean()


def dice(  # noqa: PLR0913
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: float = 1.0,
    classes: Classes = "positive",
    squared: bool = False,
) -> Tensor:
    """Soft Dice, Eq. 7 of the paper; with squared scores below, as Milletari et al. 2016.

        1 − (2 Σ y p + s) / (Σ y + Σ p + s)                   x, y float[n] → scalar

    One ratio over the whole batch: small batches make it noisy, and where the counted class is the
    majority, predicting it for all is nearly free. The smoothing keeps a batch without that class
    defined: there, predicting none costs nothing. Limit: 1 − F1 at saturated logits and s → 0,
    squared or not.

    Args:
        smoothing: positive.
        classes: whose Dice is counted: the positive class's, that of the class which the prior says
            is rarer, or the mean of both (1 − macro-F1 in the limit).
        squared: whether Σ p² stands for Σ p.

    Raises:
        ValueError: an option is out of its range.
    """
    coefficients = _soft_dice(logits, targets, smoothing=smoothing, squared=squared)
    return 1 - _counted(coefficients, classes, prior)


def dice_self_adjusting(  # noqa: PLR0913
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: float = 1.0,
    classes: Classes = "positive",
    alpha: float = 0.5,
) -> Tensor:
    """Dice of scores that fade as they near 1, so that easy texts pull less (Li et al. 2020).

        1 − (2 Σ y q + s) / (Σ y + Σ q + s), q = (1 − p)^α p  x, y float[n] → scalar

    Li et al. write it for a single text; this is their sum over a batch. q is largest at
    p = 1 / (1 + α): positives settle there and not at 1, and negatives beyond it are pushed the
    wrong way. Batch and balance: see `dice`. Limit: 1 at saturated logits, right or wrong, if any
    text is of the counted class and s → 0; `dice` for α → 0.

    Args:
        smoothing: positive.
        classes: see `dice`.
        alpha: how fast easy texts fade, in [0, 1].

    Raises:
        ValueError: an option is out of its range.
    """
    _require_share(alpha=alpha)
    coefficients = _soft_dice(logits, targets, smoothing=smoothing, alpha=alpha)
    return 1 - _counted(coefficients, classes, prior)


def dice_log_cosh(
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: float = 1.0,
    classes: Classes = "positive",
) -> Tensor:
    """Logarithm of the hyperbolic cosine of Dice (Jadon 2020).

        log cosh(dice)                                        x, y float[n] → scalar

    About dice² / 2, so its gradient fades as Dice nears 0. Options, batch and balance: see `dice`.
    Limit: log cosh(1 − F1) at saturated logits and s → 0.

    Raises:
        ValueError: an option is out of its range.
    """
    loss = dice(logits, targets, prior, smoothing=smoothing, classes=classes)
    return (2 * (loss / 2).sinh().square()).log1p()  # cosh(u) = 1 + 2 sinh²(u / 2)


def log_dice(
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: float = 1.0,
    classes: Classes = "positive",
) -> Tensor:
    """Negative logarithm of the soft Dice coefficient (Wong et al. 2018, with exponent 1).

        −log(1 − dice)                                        x, y float[n] → scalar

    The logarithm steepens it where Dice is poor: the gradient is that of `dice`, divided by the
    coefficient. Options, batch and balance: see `dice`. Limit: −log F1 at saturated logits and
    s → 0.

    Raises:
        ValueError: an option is out of its range.
    """
    coefficients = _soft_dice(logits, targets, smoothing=smoothing)
    return -_counted(coefficients, classes, prior).log()


def dice_bce(  # noqa: PLR0913
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: float = 1.0,
    classes: Classes = "positive",
    weight: float = 0.5,
) -> Tensor:
    """Dice and cross-entropy together (after the combo loss of Taghanaki et al. 2019).

        w · dice + (1 − w) · bce                              x, y float[n] → scalar

    Where Dice's gradient vanishes, wrong and large logits, that of the cross-entropy does not.
    Other options, batch and balance: see `dice` and `bce`. Limit: 0 at correct saturated logits.

    Args:
        smoothing: positive.
        classes: see `dice`.
        weight: Dice's part, in [0, 1].

    Raises:
        ValueError: an option is out of its range.
    """
    _require_share(weight=weight)
    overlap = dice(logits, targets, prior, smoothing=smoothing, classes=classes)
    return weight * overlap + (1 - weight) * bce(logits, targets, prior)


def tversky(  # noqa: PLR0913
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: float = 1.0,
    classes: Classes = "positive",
    alpha: float = 0.3,
    beta: float = 0.7,
) -> Tensor:
    """Tversky's index: Dice with a price for each kind of error (Salehi et al. 2017).

        1 − (TP + s) / (TP + α FP + β FN + s)                 x, y float[n] → scalar

    α = 1 / (1 + b²) and β = b² / (1 + b²) make it 1 − F_b, recall counting b times as much as
    precision; α = β = 1/2 make it Dice at twice the smoothing. Batch and balance: see `dice`.
    Limit: 1 − Tversky's index of the decisions at saturated logits and s → 0.

    Args:
        smoothing: positive.
        classes: see `dice`; false positives and negatives are those of the counted class.
        alpha: the price of false positives, in [0, 1].
        beta: the price of false negatives, in [0, 1].

    Raises:
        ValueError: an option is out of its range.
    """
    _require_positive(smoothing=smoothing)
    _require_share(alpha=alpha, beta=beta)
    hits, false_alarms, misses = _soft_counts(logits, targets)
    errors = alpha * false_alarms + beta * misses
    # 1 − index, without the subtraction: what is left near 0 keeps its digits.
    return _counted(errors / (hits + errors + smoothing), classes, prior)


def focal_tversky(  # noqa: PLR0913
    logits: Tensor,
    targets: Tensor,
    prior: float,
    *,
    smoothing: float = 1.0,
    classes: Classes = "positive",
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 4 / 3,
) -> Tensor:
    """A root of Tversky's loss, which steepens it near 0 (Abraham & Khan 2019).

        tversky^(1 / γ)                                       x, y float[n] → scalar

    Abraham & Khan call α the price of false negatives; here it is Salehi's, see `tversky`. Batch
    and balance: see `dice`. Limit: the root of 1 − Tversky's index at saturated logits and s → 0.

    Args:
        smoothing: positive.
        classes: see `dice`.
        alpha: the price of false positives, in [0, 1].
        beta: the price of false negatives, in [0, 1].
        gamma: positive; beyond 1 it takes a root, below a power.

    Raises:
        ValueError: an option is out of its range.
    """
    _require_positive(gamma=gamma)
    prices = {"alpha": alpha, "beta": beta}
    loss = tversky(logits, targets, prior, smoothing=smoothing, classes=classes, **prices)
    # A root has no slope at 0, which the loss reaches where every logit is saturated and right;
    # the chain rule's other factor vanishes faster, so the gradient's limit is 0.
    positive = torch.where(loss > 0, loss, 1.0)
    return torch.where(loss > 0, positive ** (1 / gamma), 0.0)


def g_mean(logits: Tensor, targets: Tensor, prior: float, *, smoothing: float = 1.0) -> Tensor:
    """Geometric mean of sensitivity and specificity (Kubat & Matwin 1997), made soft.

        1 − √((TP + s) / (P + s) · (TN + s) / (N + s))        x, y float[n] → scalar

    Each class's rate counts alike whatever the balance; the smoothing draws that of a class with
    few texts in the batch towards 1, and makes that of an absent class 1. Limit: 1 − G-mean of the
    decisions at saturated logits and s → 0.

    Raises:
        ValueError: the smoothing is not positive.
    """
    del prior
    _require_positive(smoothing=smoothing)
    hits, _, misses = _soft_counts(logits, targets)
    rates = (hits + smoothing) / (hits + misses + smoothing)  # [2]
    return 1 - rates.prod().sqrt()


def mcc(logits: Tensor, targets: Tensor, prior: float, *, smoothing: float = 1.0) -> Tensor:
    """Matthews' correlation coefficient of the soft confusion matrix (Abhishek & Hamarneh 2021).

        1 − (TP·TN − FP·FN) / √((TP+FP+s)(TP+FN+s)(TN+FP+s)(TN+FN+s))     x, y float[n] → scalar

    Both classes count alike whatever the balance. A batch of one class has no correlation: there
    the value is 1 and the gradient 0; the smoothing keeps that defined, and holds even a perfect
    batch above 0, the more the fewer texts a class has. Limit: 1 − MCC of the decisions at
    saturated logits and s → 0, MCC being 0 where one of its four sums is.

    Raises:
        ValueError: the smoothing is not positive.
    """
    del prior
    _require_positive(smoothing=smoothing)
    hits, false_alarms, misses = _soft_counts(logits, targets)
    sums = torch.cat((hits + false_alarms, hits + misses)) + smoothing  # [4]
    return 1 - (hits.prod() - false_alarms.prod()) / sums.prod().sqrt()


def auroc_logistic(logits: Tensor, targets: Tensor, prior: float) -> Tensor:
    """Logistic loss of every pair of a positive and a negative (Burges et al. 2005).

        Σ_{i positive, j negative} log(1 + exp(x_j − x_i)) / (P N)        x, y float[n] → scalar

    A mean over pairs: its expectation depends on neither the batch's size nor its balance; how
    noisy it is depends on the smaller class. A batch of one class has no pairs: there it is 0.
    Adding a number to every logit changes nothing, so the cut at score 0.5 means nothing: fit a
    threshold. O(P N) time, O(n) memory. Limit: where logits are far apart, Σ max(0, x_j − x_i) /
    (P N); 0 where every positive is far above every negative.
    """
    del prior
    positives, negatives = _split(logits, targets)
    pairs = len(positives) * len(negatives)
    if not pairs:
        return 0 * logits.sum()

    def block_loss(block: Tensor, negatives: Tensor) -> Tensor:
        return -functional.logsigmoid(block[:, None] - negatives).sum()

    return _sum_over_blocks(block_loss, positives, negatives) / pairs


def auroc_squared_hinge(
    logits: Tensor, targets: Tensor, prior: float, *, margin: float = 1.0
) -> Tensor:
    """Squared hinge of every pair of a positive and a negative (Gao & Zhou 2015).

        Σ_{i positive, j negative} max(0, m − (x_i − x_j))² / (P N)       x, y float[n] → scalar

    Batch, balance and cut: see `auroc_logistic`. O(n log n) time, O(n) memory: the pairs that count
    are those where x_j exceeds x_i − m, so both are sorted together (as Rust & Hocking 2023) and,
    from one to the next, the sums of distances and of their squares to the positives passed grow by
    terms that are never negative; expanding the square instead would cancel digits. Limit: exactly
    0 once every positive is m above every negative.

    Args:
        margin: positive.

    Raises:
        ValueError: the margin is not positive.
    """
    del prior
    _require_positive(margin=margin)
    positives, negatives = _split(logits, targets)
    pairs = len(positives) * len(negatives)
    if not pairs:
        return 0 * logits.sum()
    places, order = torch.cat((positives - margin, negatives)).double().sort()  # [n]
    is_positive = order < len(positives)
    passed = is_positive.cumsum(0)[:-1]  # [n − 1], positives before each gap
    gaps = places.diff()
    distances = (passed * gaps).cumsum(0)
    before = functional.pad(distances[:-1], (1, 0))
    squares = (gaps * (2 * before + passed * gaps)).cumsum(0)
    return (squares[~is_positive[1:]].sum() / pairs).to(logits.dtype)


def average_precision(
    logits: Tensor, targets: Tensor, prior: float, *, temperature: float = 1.0
) -> Tensor:
    """Average precision with soft ranks (Brown et al. 2020, Smooth-AP), here of logits.

        mean over positives i of N_i / (1 + P_i + N_i)                    x, y float[n] → scalar
        P_i, N_i = Σ σ((x_j − x_i) / t) over the other positives, the negatives

    P_i and N_i are the soft numbers ranked above i, t the temperature. A mean over positives, but
    precision depends on the balance, and in small batches ranks are coarse: the expectation
    depends on both. Without positives it is 0, without negatives too. The cut at score 0.5 means
    nothing: fit a threshold. O(P n) time, O(n) memory. Limit: 1 − average precision of distinct
    logits for t → 0.

    Args:
        temperature: positive; how far apart two logits must be to be ranked, about.

    Raises:
        ValueError: the temperature is not positive.
    """
    del prior
    _require_positive(temperature=temperature)
    positives, negatives = _split(logits, targets)
    if not len(positives):
        return 0 * logits.sum()

    def block_loss(block: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        # σ(0) = 1/2 of the positive itself is among the first; the 1/2 makes it the formula's 1.
        hits = torch.sigmoid((positives - block[:, None]) / temperature).sum(1) + 0.5
        misses = torch.sigmoid((negatives - block[:, None]) / temperature).sum(1)
        return (misses / (hits + misses)).sum()

    return _sum_over_blocks(block_loss, positives, positives, negatives) / len(positives)


def _require_positive(**options: float) -> None:
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise ValueError(f"the {name} is {value}; it must be positive and finite")


def _require_share(**options: float) -> None:
    for name, value in options.items():
        if not 0 <= value <= 1:
            raise ValueError(f"the {name} is {value}; it must lie between 0 and 1")


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
    _require_positive(smoothing=smoothing)
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
    raise ValueError(f"classes is {classes!r}; there are: positive, minority, both")


def _split(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of positives and of negatives."""
    return logits[targets == 1], logits[targets == 0]


class _SumOverBlocks(torch.autograd.Function):
    """The sum of ``term(block, *columns)`` over blocks of rows, with its gradient made on the way.

    So a block's matrix is gone before the next one comes. Saved for the way back, or made again
    there (torch's checkpoints), they would scatter small pieces over the heap, which then holds as
    much as the whole matrix.
    """

    @staticmethod
    def forward(ctx: Any, term: Callable[..., Tensor], rows: Tensor, *columns: Tensor) -> Tensor:
        total = rows.new_zeros(())
        gradients = [torch.zeros_like(one) for one in (rows, *columns)]
        size = max(1, _BLOCK // max(1, sum(map(len, columns))))
        for start in range(0, len(rows), size):
            block = slice(start, start + size)
            with torch.set_grad_enabled(any(ctx.needs_input_grad)):
                inputs = [one.detach().requires_grad_() for one in (rows[block], *columns)]
                value = term(*inputs)
            total += value.detach()
            if value.requires_grad:
                of_block, *of_columns = torch.autograd.grad(value, inputs)
                gradients[0][block] = of_block
                for gradient, part in zip(gradients[1:], of_columns, strict=True):
                    gradient.add_(part)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return None, *(outer * gradient for gradient in ctx.saved_tensors)


def _sum_over_blocks(term: Callable[..., Tensor], rows: Tensor, *columns: Tensor) -> Tensor:
    total: Tensor = _SumOverBlocks.apply(term, rows, *columns)  # type: ignore[no-untyped-call]
    return total


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

"""Losses over pairs of a positive and a negative text: they train only the ranking."""

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .options import Positive

# Numbers in a block of a pairwise matrix: 2 MB of float64, small enough for a processor's cache.
_BLOCK: Final = 2**18


def auroc_logistic(logits: Tensor, targets: Tensor) -> Tensor:
    """Logistic loss of every pair of a positive and a negative (Burges et al. 2005).

        Σ_{i positive, j negative} log(1 + exp(x_j − x_i)) / (P N)        x, y float[n] → scalar

    A mean over pairs: its expectation depends on neither the batch size nor its balance; how
    noisy it is depends on the smaller class. A batch of one class has no pairs: there it is 0.
    Adding a number to every logit changes nothing, so the cut at score 0.5 means nothing: fit a
    threshold. O(P N) time, O(n) memory. Limit: where logits are far apart, Σ max(0, x_j − x_i) /
    (P N); 0 where every positive is far above every negative.
    """
    positives, negatives = _split(logits, targets)
    pairs = len(positives) * len(negatives)
    if not pairs:
        return 0 * logits.sum()

    def block_loss(block: Tensor, negatives: Tensor) -> Tensor:
        return -functional.logsigmoid(block[:, None] - negatives).sum()

    return _sum_over_blocks(block_loss, positives, negatives) / pairs


def auroc_squared_hinge(logits: Tensor, targets: Tensor, *, margin: Positive = 1.0) -> Tensor:
    """Squared hinge of every pair of a positive and a negative (Gao & Zhou 2015).

        Σ_{i positive, j negative} max(0, m − (x_i − x_j))² / (P N)       x, y float[n] → scalar

    Batch, balance and cut: see `auroc_logistic`. O(n log n) time, O(n) memory: the pairs that count
    are those where x_j exceeds x_i − m, so both are sorted together (as Rust & Hocking 2023) and,
    from one to the next, the sums of distances and of their squares to the positives passed grow by
    terms that are never negative; expanding the square instead would cancel digits. Limit: exactly
    0 once every positive is m above every negative.

    Args:
        margin: m.
    """
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


def average_precision(logits: Tensor, targets: Tensor, *, temperature: Positive = 1.0) -> Tensor:
    """Average precision with soft ranks (Brown et al. 2020, Smooth-AP), here of logits.

        mean over positives i of N_i / (1 + P_i + N_i)                    x, y float[n] → scalar
        P_i, N_i = Σ σ((x_j − x_i) / t) over the other positives, the negatives

    P_i and N_i are the soft numbers ranked above i, t the temperature. A mean over positives, but
    precision depends on the balance, and in small batches ranks are coarse: the expectation
    depends on both. Without positives it is 0, without negatives too. The cut at score 0.5 means
    nothing: fit a threshold. O(P n) time, O(n) memory. Limit: 1 − average precision of distinct
    logits for t → 0.

    Args:
        temperature: t, roughly how far apart two logits must be to count as ranked.
    """
    positives, negatives = _split(logits, targets)
    if not len(positives):
        return 0 * logits.sum()

    def block_loss(block: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        # σ(0) = 1/2 of the positive itself is among the first; the 1/2 makes it the formula's 1.
        hits = torch.sigmoid((positives - block[:, None]) / temperature).sum(1) + 0.5
        misses = torch.sigmoid((negatives - block[:, None]) / temperature).sum(1)
        return (misses / (hits + misses)).sum()

    return _sum_over_blocks(block_loss, positives, positives, negatives) / len(positives)


def _split(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of positives and of negatives."""
    return logits[targets == 1], logits[targets == 0]


class _SumOverBlocks(torch.autograd.Function):
    """The sum of ``term(block, *columns)`` over blocks of rows.

    The gradient is computed in the forward pass, so that the matrix of a block is freed before the
    next one is allocated. Saving the matrices for the backward pass, or computing them again there
    (torch's checkpoints), would scatter small pieces over the heap, which then takes as much memory
    as the whole matrix.
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

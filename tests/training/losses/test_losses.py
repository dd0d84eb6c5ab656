"""The contract of every loss, and what is special about each."""

import inspect
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics
from torch import Tensor
from torch.nn import functional

from training import configuration, losses
from training.errors import ConfigurationError
from training.losses.registry import LOSSES, Registered, loss_named, options_of

PRIOR = 0.25
PRIORS = [0.5, 0.25, 0.25]

LN2, LN3 = math.log(2), math.log(3)
# Logit 0 is score 1/2 and logit ln 3 is score 3/4: TP = 3/4, FN = 1/4, FP = TN = 1/2.
PAIR = ([LN3, 0.0], [1, 0])
# Softmax (1/2, 1/4, 1/4) of class 0, and (1/4, 1/2, 1/4) of class 2; class 1 is absent.
TRIPLES = ([[LN2, 0.0, 0.0], [0.0, LN2, 0.0]], [0, 2])
DICE = 1 - 2.5 / 3.25  # (2 · 3/4 + 1) / (1 + 5/4 + 1)
DICE_NEGATIVE = 1 - 2 / 2.75  # (2 · 1/2 + 1) / (1 + 3/4 + 1)
BCE = (math.log(4 / 3) + LN2) / 2

BY_HAND: list[tuple[str, dict[str, Any], tuple[list[Any], list[int]], float]] = [
    ("bce", {}, PAIR, BCE),
    # the positive's −ln 3/4 weighs (1 − 1/4) / (1/4) = 3, the negative's −ln 1/2 weighs 1
    ("weighted_bce", {}, PAIR, (3 * math.log(4 / 3) + LN2) / 2),
    ("mse", {}, PAIR, (1 / 16 + 1 / 4) / 2),
    ("focal", {}, PAIR, (1 / 4 * 1 / 16 * math.log(4 / 3) + 3 / 4 * 1 / 4 * LN2) / 2),
    ("focal", {"gamma": 1, "alpha": 0.5}, PAIR, (math.log(4 / 3) / 8 + LN2 / 4) / 2),
    ("focal", {"gamma": 0.5}, PAIR, (1 / 8 * math.log(4 / 3) + 3 / 4 * 0.5**0.5 * LN2) / 2),
    ("squared_hinge", {}, ([0.5, -2.0, 0.25], [1, 0, 0]), (0.5**2 + 0 + 1.25**2) / 3),
    # (3/4 + 1/4) / (1/4 + 1/4) = 2 and (1/2 + 1/4) / (1/2 + 1/4) = 1
    ("nll_ratio", {"smoothing": 0.25}, PAIR, -LN2 / 2),
    ("dice", {}, PAIR, DICE),
    ("dice", {"smoothing": 2.0}, PAIR, 1 - 3.5 / 4.25),
    ("dice", {"classes": "both"}, PAIR, (DICE + DICE_NEGATIVE) / 2),
    ("dice", {"squared": True}, PAIR, 1 - 2.5 / (1 + 9 / 16 + 1 / 4 + 1)),
    # q = (1 − 3/4) 3/4 = 3/16 and 1/4
    ("dice_self_adjusting", {"alpha": 1.0}, PAIR, 1 - (6 / 16 + 1) / (1 + 7 / 16 + 1)),
    # q = √(1/4) 3/4 and √(1/2) 1/2
    ("dice_self_adjusting", {}, PAIR, 1 - (6 / 8 + 1) / (1 + 3 / 8 + 0.5**0.5 / 2 + 1)),
    ("dice_log_cosh", {}, PAIR, math.log(math.cosh(DICE))),
    ("log_dice", {}, PAIR, -math.log(1 - DICE)),
    ("log_dice", {"classes": "both"}, PAIR, -math.log(1 - (DICE + DICE_NEGATIVE) / 2)),
    ("dice_bce", {"weight": 0.25}, PAIR, 0.25 * DICE + 0.75 * BCE),
    ("tversky", {}, PAIR, 1 - 1.75 / (0.75 + 0.3 * 0.5 + 0.7 * 0.25 + 1)),
    ("focal_tversky", {"gamma": 2}, PAIR, (1 - 1.75 / 2.075) ** 0.5),
    ("focal_tversky", {}, PAIR, (1 - 1.75 / 2.075) ** 0.75),
    ("g_mean", {}, PAIR, 1 - (1.75 / 2 * 1.5 / 2) ** 0.5),
    ("mcc", {}, PAIR, 1 - (3 / 8 - 1 / 8) / (2.25 * 2 * 1.75 * 2) ** 0.5),
    ("auroc_logistic", {}, ([LN3, 0.0, 0.0], [1, 1, 0]), (math.log(4 / 3) + LN2) / 2),
    # distances 1/2, 1 and −1 against a margin of 1, then of 2
    ("auroc_squared_hinge", {}, ([1.0, 0.5, 0.0, 2.0], [1, 0, 0, 0]), (0.5**2 + 0 + 2**2) / 3),
    (
        "auroc_squared_hinge",
        {"margin": 2.0},
        ([1.0, 0.5, 0.0, 2.0], [1, 0, 0, 0]),
        (1.5**2 + 1**2 + 3**2) / 3,
    ),
    # above the first: 3/4 of a positive, 1/2 of a negative; above the second: 1/4 and 1/4
    (
        "average_precision",
        {},
        ([0.0, LN3, 0.0], [1, 1, 0]),
        (0.5 / (1 + 0.75 + 0.5) + 0.25 / (1 + 0.25 + 0.25)) / 2,
    ),
    ("average_precision", {"temperature": LN3}, ([LN3**2, 0.0], [1, 0]), 0.25 / 1.25),
    ("softmax_dice", {}, TRIPLES, 1 - (2 / 2.75 + 1.5 / 2.5) / 2),
    ("cross_entropy", {}, TRIPLES, (LN2 + 2 * LN2) / 2),
    # weights 1 / (3 · 1/2) and 1 / (3 · 1/4)
    ("weighted_cross_entropy", {}, TRIPLES, (2 / 3 * LN2 + 4 / 3 * 2 * LN2) / 2),
    ("focal_cross_entropy", {}, TRIPLES, (1 / 4 * LN2 + 9 / 16 * 2 * LN2) / 2),
]
CASES = [row[:2] for row in BY_HAND]

# Value of a perfect and of the worst possible prediction of ten texts, four of them positive (of
# class 0 where there are three), at logits of ±50.
EXTREMES = {
    "bce": (0, 50),
    "weighted_bce": (0, (4 * 3 + 6) * 50 / 10),
    "mse": (0, 1),
    "focal": (0, (4 * 0.25 + 6 * 0.75) * 50 / 10),
    "squared_hinge": (0, 51**2),
    "nll_ratio": (-math.log(11), math.log(11)),
    "dice": (0, 1 - 1 / 11),
    "dice_self_adjusting": (1 - 1 / 5, 1 - 1 / 5),
    "dice_log_cosh": (0, math.log(math.cosh(1 - 1 / 11))),
    "log_dice": (0, math.log(11)),
    "dice_bce": (0, (1 - 1 / 11 + 50) / 2),
    "tversky": (0, 1 - 1 / (0.3 * 6 + 0.7 * 4 + 1)),
    "focal_tversky": (0, (1 - 1 / 5.6) ** 0.75),
    "g_mean": (0, 1 - (1 / 5 * 1 / 7) ** 0.5),
    "mcc": (1 - 24 / 35, 1 + 24 / 35),
    "auroc_logistic": (0, 100),
    "auroc_squared_hinge": (0, 101**2),
    "average_precision": (0, 6 / (1 + 3 / 2 + 6)),
    "softmax_dice": (0, 1 - 1 / 11),
    "cross_entropy": (0, 100),
    "weighted_cross_entropy": (0, (4 * 2 / 3 + 6 * 4 / 3) * 100 / 10),
    "focal_cross_entropy": (0, 100),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """As the trainer does: on tensors this small, threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def compute(  # what every loss can be asked, whatever its task
    name: str,
    logits: Tensor,
    targets: list[int],
    *,
    prior: float = PRIOR,
    **options: Any,
) -> Tensor:
    loss = loss_named(name, **options)
    if LOSSES[name].task == "binary":
        return loss(logits, torch.tensor(targets, dtype=logits.dtype), prior)
    return loss(logits, torch.tensor(targets), torch.tensor(PRIORS, dtype=logits.dtype))


def value_of(name: str, logits: list[Any], targets: list[int], **options: Any) -> float:
    return float(compute(name, torch.tensor(logits, dtype=torch.float64), targets, **options))


def logits_from(name: str, numbers: list[float], dtype: torch.dtype = torch.float64) -> Tensor:
    """Binary logits that favour class 1 where they are positive; of three classes, class 0."""
    x = torch.tensor(numbers, dtype=dtype)
    return x if LOSSES[name].task == "binary" else torch.stack((x, -x, 0 * x), dim=1)


def binary_losses() -> list[str]:
    return [name for name, loss in LOSSES.items() if loss.task == "binary"]


# The contract, for every loss


def test_the_tables_are_complete() -> None:
    assert {name for name, _ in CASES} == set(EXTREMES) == set(LOSSES)


@pytest.mark.parametrize(("name", "options", "batch", "expected"), BY_HAND)
def test_value_by_hand(
    name: str, options: dict[str, Any], batch: tuple[list[Any], list[int]], expected: float
) -> None:
    assert value_of(name, *batch, **options) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("targets", [[1, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
def test_gradient(name: str, options: dict[str, Any], targets: list[int]) -> None:
    logits = logits_from(name, [0.3, -1.2, 2.0, 0.0, -0.4]).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: compute(name, x, targets, **options), (logits,))


@pytest.mark.parametrize("name", LOSSES)
def test_perfect_and_worst(name: str) -> None:
    binary = LOSSES[name].task == "binary"
    targets = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0] if binary else [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    signs = [50.0] * 4 + [-50.0] * 6
    perfect, worst = EXTREMES[name]
    right, wrong = (logits_from(name, numbers) for numbers in (signs, [-one for one in signs]))
    assert float(compute(name, right, targets)) == pytest.approx(perfect, abs=1e-10)
    assert float(compute(name, wrong, targets)) == pytest.approx(worst, rel=1e-10)


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("targets", [[1, 0, 1], [1, 1, 1], [0, 0, 0], [1], [0]])
def test_value_and_gradient_are_finite(
    name: str, options: dict[str, Any], dtype: torch.dtype, targets: list[int]
) -> None:
    signs = [[1, -1, 1], [-1, 1, -1], [1, 1, 1], [-1, -1, -1]]
    for scale in (0, 1, 30, 100, 1e4, 1e15):
        for row in signs:
            numbers = [scale * sign for sign in row][: len(targets)]
            x = logits_from(name, numbers, dtype).requires_grad_()
            value = compute(name, x, targets, **options)
            (gradient,) = torch.autograd.grad(value, x)
            assert value.ndim == 0
            assert value.dtype == dtype
            assert torch.isfinite(value), numbers
            assert torch.isfinite(gradient).all(), numbers


TEXTS = st.lists(st.tuples(st.floats(-20, 20), st.integers(0, 1)), min_size=1, max_size=12)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25)  # of each loss
@given(TEXTS)
def test_order_does_not_matter(name: str, texts: list[tuple[float, int]]) -> None:
    numbers, targets = [list(column) for column in zip(*texts, strict=True)]
    there = compute(name, logits_from(name, numbers), targets)
    back = compute(name, logits_from(name, numbers[::-1]), targets[::-1])
    assert float(back) == pytest.approx(float(there), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_the_docstring_describes_batches_and_limits(name: str) -> None:
    text = inspect.getdoc(LOSSES[name].function) or ""
    assert "Limit: " in text
    assert "batch" in text.lower()
    assert "→ scalar" in text


# Against the hard metrics, at saturated logits and smoothing → 0


def hard_f1(targets: NDArray[np.int64], predicted: NDArray[np.int64], beta: float = 1) -> float:
    """F-beta; 1 where there is nothing to find and nothing was found."""
    return float(metrics.fbeta_score(targets, predicted, beta=beta, zero_division=1.0))


def hard_macro_f1(targets: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    return (hard_f1(targets, predicted) + hard_f1(1 - targets, 1 - predicted)) / 2


def hard_g_mean(targets: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    rates = [
        metrics.recall_score(targets, predicted, pos_label=label, zero_division=1.0)
        for label in (0, 1)
    ]
    return float(np.sqrt(np.prod(rates)))


HARD = [
    ("dice", {}, lambda *of: 1 - hard_f1(*of)),
    ("dice", {"squared": True}, lambda *of: 1 - hard_f1(*of)),
    ("dice", {"classes": "both"}, lambda *of: 1 - hard_macro_f1(*of)),
    ("dice", {"classes": "both", "squared": True}, lambda *of: 1 - hard_macro_f1(*of)),
    ("dice_log_cosh", {}, lambda *of: math.log(math.cosh(1 - hard_f1(*of)))),
    ("dice_self_adjusting", {"alpha": 0}, lambda *of: 1 - hard_f1(*of)),
    ("dice_self_adjusting", {}, lambda targets, _: float(targets.any())),
    ("log_dice", {}, lambda *of: -math.log(max(hard_f1(*of), 1e-300))),
    # α = 1 / (1 + b²), β = b² / (1 + b²)
    ("tversky", {"alpha": 0.2, "beta": 0.8}, lambda *of: 1 - hard_f1(*of, beta=2)),
    ("tversky", {"alpha": 0.8, "beta": 0.2}, lambda *of: 1 - hard_f1(*of, beta=0.5)),
    (
        "focal_tversky",
        {"alpha": 0.2, "beta": 0.8, "gamma": 2},
        lambda *of: (1 - hard_f1(*of, beta=2)) ** 0.5,
    ),
    ("g_mean", {}, lambda *of: 1 - hard_g_mean(*of)),
    ("mcc", {}, lambda *of: 1 - metrics.matthews_corrcoef(*of)),
    ("mse", None, lambda targets, predicted: float((targets != predicted).mean())),
]


@pytest.mark.filterwarnings("ignore:A single label was found")  # sklearn's MCC, which then is 0
@pytest.mark.parametrize(("name", "options", "hard"), HARD)
@settings(max_examples=40)  # of each loss
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40))
def test_agrees_with_the_hard_metric(
    name: str, options: dict[str, Any] | None, hard: Any, texts: list[tuple[int, int]]
) -> None:
    targets, predicted = (np.array(column) for column in zip(*texts, strict=True))
    logits = torch.where(torch.tensor(predicted) == 1, 1e4, -1e4).double()
    smoothing = {} if options is None else {"smoothing": 1e-14}
    value = float(compute(name, logits, targets.tolist(), **(options or {}), **smoothing))
    expected = hard(targets, predicted)
    if expected < 100:
        assert value == pytest.approx(expected, abs=1e-6)
    else:  # −log 0, held finite by the smoothing
        assert value > 30


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_softmax_dice_agrees_with_macro_f1_over_the_classes_present(
    texts: list[tuple[int, int]],
) -> None:
    targets, predicted = (torch.tensor(column) for column in zip(*texts, strict=True))
    logits = 1e4 * functional.one_hot(predicted, 4).double()
    value = loss_named("softmax_dice", smoothing=1e-14)(logits, targets, torch.full((4,), 0.25))
    expected = metrics.f1_score(
        targets, predicted, labels=targets.unique(), average="macro", zero_division=0
    )
    assert float(value) == pytest.approx(1 - expected, abs=1e-9)


DISTINCT = st.lists(st.integers(-50, 50), min_size=2, max_size=30, unique=True)


@given(DISTINCT, st.data())
def test_average_precision_agrees_with_the_hard_one_at_low_temperature(
    ranks: list[int], data: st.DataObject
) -> None:
    targets = [1, *data.draw(st.lists(st.integers(0, 1), min_size=len(ranks) - 1))][: len(ranks)]
    value = value_of("average_precision", list(map(float, ranks)), targets, temperature=1e-3)
    assert value == pytest.approx(1 - metrics.average_precision_score(targets, ranks), abs=1e-9)


# What each loss becomes, and what it does not depend on

MIXED = ([0.7, -1.5, 2.0, -0.2, 0.9], [1, 0, 1, 1, 0])


@pytest.mark.parametrize(
    ("name", "options", "other", "other_options", "factor"),
    [
        ("focal", {"gamma": 1e-12, "alpha": 0.5}, "bce", {}, 1 / 2),
        ("focal_cross_entropy", {"gamma": 1e-12}, "cross_entropy", {}, 1),
        ("dice_self_adjusting", {"alpha": 0.0}, "dice", {}, 1),
        ("tversky", {"alpha": 0.5, "beta": 0.5}, "dice", {"smoothing": 2.0}, 1),
        ("focal_tversky", {"gamma": 1}, "tversky", {}, 1),
        ("dice_bce", {"weight": 1}, "dice", {}, 1),
        ("dice_bce", {"weight": 0}, "bce", {}, 1),
    ],
)
def test_one_loss_becomes_another(
    name: str, options: dict[str, Any], other: str, other_options: dict[str, Any], factor: float
) -> None:
    numbers, targets = MIXED
    value = compute(name, logits_from(name, numbers), targets, **options)
    expected = compute(other, logits_from(other, numbers), targets, **other_options)
    assert float(value) == pytest.approx(factor * float(expected), rel=1e-9)


def test_likelihood_ratio_is_the_negative_margin_without_smoothing() -> None:
    logits, targets = MIXED
    margins = [logit if target else -logit for logit, target in zip(logits, targets, strict=True)]
    value = value_of("nll_ratio", logits, targets, smoothing=1e-12)
    assert value == pytest.approx(-sum(margins) / 5, rel=1e-9)


@pytest.mark.parametrize("name", [name for name in LOSSES if "classes" in options_of(name)])
@pytest.mark.parametrize("rarer", ["positive", "negative"])
def test_minority_is_the_class_that_the_prior_says_is_rarer(name: str, rarer: str) -> None:
    logits, targets = MIXED
    prior = 0.1 if rarer == "positive" else 0.9
    if rarer == "negative":  # its loss is the positive's with the classes' names exchanged
        mirrored = [-logit for logit in logits], [1 - target for target in targets]
    else:
        mirrored = MIXED
    value = value_of(name, logits, targets, prior=prior, classes="minority")
    assert value == pytest.approx(value_of(name, *mirrored, classes="positive"), rel=1e-12)
    assert value != pytest.approx(value_of(name, *mirrored, classes="both"), rel=1e-3)


@pytest.mark.parametrize(
    "name",
    [
        *("bce", "weighted_bce", "mse", "focal", "squared_hinge", "nll_ratio"),
        *("auroc_logistic", "auroc_squared_hinge"),
        *("cross_entropy", "weighted_cross_entropy", "focal_cross_entropy"),
    ],
)
def test_a_mean_over_texts_or_pairs_stays_when_every_text_comes_twice(name: str) -> None:
    numbers, targets = MIXED
    once = compute(name, logits_from(name, numbers), targets)
    twice = compute(name, logits_from(name, numbers * 2), targets * 2)
    assert float(twice) == pytest.approx(float(once), rel=1e-12)


def test_softmax_dice_leaves_absent_classes_out() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 3.0]], dtype=torch.float64)
    alone = float(compute("softmax_dice", logits, [0, 0]))
    wider = functional.pad(logits, (0, 1), value=-1e4)  # a fourth class that nobody predicts
    priors = torch.full((4,), 0.25, dtype=torch.float64)
    assert float(loss_named("softmax_dice")(wider, torch.tensor([0, 0]), priors)) == alone


def test_dice_gradient_vanishes_where_every_logit_is_large() -> None:
    logits = torch.full((3,), 200.0, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(compute("dice", logits, [1, 1, 0]), logits)
    assert float(gradient.abs().max()) < 1e-12


def test_cross_entropy_added_to_dice_keeps_the_gradient_there() -> None:
    logits = torch.full((3,), 200.0, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(compute("dice_bce", logits, [1, 1, 0]), logits)
    assert gradient.tolist() == pytest.approx([0, 0, 1 / 6], abs=1e-12)


# Pairwise losses


def every_pair(name: str, logits: Tensor, targets: Tensor) -> Tensor:
    """The defining formula of a pairwise loss, over the whole matrix."""
    positives, negatives = logits[targets == 1], logits[targets == 0]
    distances = positives[:, None] - negatives
    if name == "auroc_logistic":
        return functional.softplus(-distances).mean()
    if name == "auroc_squared_hinge":
        return functional.relu(1 - distances).square().mean()
    above = torch.sigmoid(positives - positives[:, None])
    others = above.sum(1) - above.diagonal()
    misses = torch.sigmoid(-distances).sum(1)
    return (misses / (1 + others + misses)).mean()


PAIRWISE = ["auroc_logistic", "auroc_squared_hinge", "average_precision"]


# 1,500 texts make two million pairs: several blocks, the last of them short.
@pytest.mark.parametrize("count", [7, 1500])
@pytest.mark.parametrize("name", PAIRWISE)
def test_pairwise_losses_equal_their_formula(name: str, count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    targets = (torch.arange(count) % 3 == 0).double()
    logits = torch.randn(count, generator=generator, dtype=torch.float64) + targets / 2
    logits.requires_grad_()
    value = loss_named(name)(logits, targets, PRIOR)
    expected = every_pair(name, logits, targets)
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=0)
    (gradient,) = torch.autograd.grad(3 * value, logits)
    (expected_gradient,) = torch.autograd.grad(3 * expected, logits)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-7, atol=1e-12)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0]), st.integers(0, 1)),
        min_size=1,
        max_size=15,
    )
)
def test_pairwise_squared_hinge_with_ties(texts: list[tuple[float, int]]) -> None:
    numbers, classes = zip((1.0, 1), (0.0, 0), *texts, strict=True)  # a pair at least
    logits, targets = torch.tensor(numbers).double(), torch.tensor(classes).double()
    value = loss_named("auroc_squared_hinge")(logits, targets, PRIOR)
    expected = every_pair("auroc_squared_hinge", logits, targets)
    assert float(value) == pytest.approx(float(expected), rel=1e-12)


def test_pairwise_squared_hinge_keeps_its_digits() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.arange(20_000) % 4 == 0).float()
    single = (torch.randn(20_000, generator=generator) + 3 * targets).requires_grad_()
    double = single.detach().double().requires_grad_()
    values = [loss_named("auroc_squared_hinge")(x, targets, PRIOR) for x in (single, double)]
    gradients = [
        torch.autograd.grad(value, x)[0] for value, x in zip(values, (single, double), strict=True)
    ]
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-6)
    assert float((gradients[0] - gradients[1]).abs().max() / gradients[1].abs().max()) < 1e-6
    far = loss_named("auroc_squared_hinge")(double.detach() + 1e6, targets, PRIOR)
    assert float(far) == pytest.approx(values[1].item(), rel=1e-8)


PEAK = """
import sys
import torch
from training import configuration, losses
from training.errors import ConfigurationError
from training.losses.registry import loss_named

def peak():  # in kB; ru_maxrss would begin with that of the process which started this one
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

torch.set_num_threads(1)
loss = loss_named(sys.argv[1])
def both_ways(count):
    logits = torch.linspace(-3, 3, count).requires_grad_()
    loss(logits, (torch.arange(count) % 2).float(), 0.5).backward()

both_ways(10)
before = peak()
both_ways(10_000)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("name", PAIRWISE)
def test_pairwise_losses_need_little_memory(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, name], capture_output=True, text=True, check=True
    )
    # One matrix of 5,000 × 5,000 float32 takes 100 MB; there would be several.
    assert int(done.stdout) < 60_000


# Learning


def points(count: int, centres: list[tuple[float, float]], shares: list[float]) -> tuple[Any, Any]:
    """Points in the plane about a centre each class, and their classes."""
    generator = torch.Generator().manual_seed(0)
    sizes = [round(share * count) for share in shares]
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return torch.randn(count, 2, generator=generator) + torch.tensor(centres)[labels], labels


def fitted_logits(name: str, x: Tensor, targets: Tensor, prior: Any, outputs: int) -> Tensor:
    weights = torch.zeros(2, outputs, requires_grad=True)
    bias = torch.zeros(outputs, requires_grad=True)
    optimizer = torch.optim.Adam([weights, bias], lr=0.2)
    for _ in range(80):
        optimizer.zero_grad()
        logits = x @ weights + bias
        loss_named(name)(logits.squeeze(1), targets, prior).backward()
        optimizer.step()
    return (x @ weights + bias).detach().squeeze(1)


@pytest.mark.parametrize("share", [0.3, 0.7])
@pytest.mark.parametrize("name", binary_losses())
def test_every_binary_loss_learns(name: str, share: float) -> None:
    x, labels = points(200, [(-1.4, 1.0), (1.4, -1.0)], [1 - share, share])
    logits = fitted_logits(name, x, labels.float(), share, outputs=1)
    assert metrics.roc_auc_score(labels, logits) > 0.95
    # Pairs and ranks know no cut, and self-adjusting Dice keeps positives near its own.
    if name not in {*PAIRWISE, "dice_self_adjusting"}:
        assert float(((logits >= 0) == (labels == 1)).double().mean()) > 0.9


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in binary_losses()])
def test_every_multiclass_loss_learns(name: str) -> None:
    shares = [0.6, 0.3, 0.1]
    x, labels = points(200, [(-3, 0), (3, 0), (0, 4)], shares)
    logits = fitted_logits(name, x, labels, torch.tensor(shares), outputs=3)
    assert metrics.f1_score(labels, logits.argmax(1), average="macro") > 0.9


# Options and the registry


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_weighted_bce_needs_both_classes(prior: float) -> None:
    with pytest.raises(ValueError, match="both classes are needed"):
        value_of("weighted_bce", [1.0], [1], prior=prior)


def test_weighted_cross_entropy_needs_every_class() -> None:
    with pytest.raises(ValueError, match="each must be positive"):
        loss_named("weighted_cross_entropy")(
            torch.zeros(1, 2), torch.tensor([0]), torch.tensor([1.0, 0.0])
        )


POSITIVE = ("smoothing", "margin", "temperature", "gamma")
SHARES = ("alpha", "beta", "weight")
OPTIONS = [(name, option) for name in LOSSES for option in sorted(options_of(name))]

NOT_POSITIVE = ("a finite number above 0", [0, -1.0, math.nan, math.inf, True, "one"])
NO_SHARE = ("a number in [0, 1]", [-0.1, 1.1, math.nan, math.inf, True, "one"])
# Option → what is allowed, and values that are not.
REFUSED = (
    dict.fromkeys(POSITIVE, NOT_POSITIVE)
    | dict.fromkeys(SHARES, NO_SHARE)
    | {
        "classes": ("one of 'positive', 'minority', 'both'", ["all", 1.0, True]),
        "squared": ("true or false", [1.0, 0, "true"]),
    }
)


def test_every_option_is_known_here() -> None:
    assert set().union(*map(options_of, LOSSES)) == set(REFUSED)


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_a_refused_option_is_named_with_its_value_and_what_is_allowed(
    name: str, option: str
) -> None:
    allowed, values = REFUSED[option]
    for value in values:
        message = re.escape(f"{option} is {value!r}; expected {allowed}")
        with pytest.raises(ValueError, match=f"^{message}$"):
            loss_named(name, **{option: value})
        base = {"model": "any", "variant": "any", "loss": name}
        with pytest.raises(ConfigurationError, match=r"^here: loss_options of '") as caught:
            configuration.parse(base | {"loss_options": {option: value}}, "here")
        assert f"{option} is " in str(caught.value)
        assert str(caught.value).endswith(f"; expected {allowed}")


def test_the_bounds_of_options_are_allowed() -> None:
    assert value_of("tversky", *PAIR, alpha=0, beta=1) == pytest.approx(1 - 1.75 / 2)
    loss_named("dice", smoothing=1e-300, squared=True, classes="both")


def test_every_problem_of_the_options_is_reported() -> None:
    with pytest.raises(
        ValueError, match=r"^alpha is 2; expected .*; beta is .*; no option 'gama'; available: smo"
    ):
        loss_named("tversky", alpha=2, beta=-1, gama=1)


def test_the_registry_has_task_and_score() -> None:
    kinds = {name: (loss.task, loss.score_kind) for name, loss in LOSSES.items()}
    multiclass = {name for name, (task, _) in kinds.items() if task == "multiclass"}
    assert multiclass == {
        *("softmax_dice", "cross_entropy", "weighted_cross_entropy", "focal_cross_entropy")
    }
    assert all((kinds[name][1] == "softmax") == (name in multiclass) for name in LOSSES)
    assert {name for name, (_, score) in kinds.items() if score == "margin"} == {"squared_hinge"}
    assert Registered(len) == Registered(len, "binary", "sigmoid")


def test_every_loss_can_be_imported() -> None:
    assert set(losses.__all__) == {*LOSSES, "LOSSES", "loss_named"}
    for name, registered in LOSSES.items():
        assert getattr(losses, name) is registered.function


def test_options_are_named() -> None:
    assert options_of("dice") == {"smoothing", "classes", "squared"}
    assert options_of("tversky") == {"smoothing", "classes", "alpha", "beta"}
    assert options_of("mse") == set()


def test_unknown_loss() -> None:
    with pytest.raises(KeyError, match="hinge"):
        loss_named("hinge")


def test_a_loss_takes_the_prior_only_if_it_needs_it() -> None:
    logits, targets = torch.tensor([0.5, -1.0]), torch.tensor([1.0, 0.0])

    def without(logits: Tensor, targets: Tensor) -> Tensor:
        return (logits * targets).sum()

    def with_prior(logits: Tensor, targets: Tensor, prior: float) -> Tensor:
        return prior * (logits * targets).sum()

    assert float(Registered(without).bind()(logits, targets, 0.25)) == 0.5
    assert float(Registered(with_prior).bind()(logits, targets, 0.25)) == 0.125

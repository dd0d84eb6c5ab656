"""The contract of every loss, and what is special about each."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch import Tensor

from training.losses import LOSSES, dice, loss_named, options_of, weighted_bce

PRIOR = 0.25


def tensor(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def value_of(name: str, logits: list[float], targets: list[float], **options: float) -> float:
    return float(loss_named(name, **options)(tensor(logits), tensor(targets), PRIOR))


# Logit 0 is score 1/2; logit ln 3 is score 3/4.
LN3 = math.log(3)
BY_HAND = [
    # Σyσ = 3/4, Σy = 1, Σσ = 5/4: 1 − (3/2 + 1) / (9/4 + 1)
    ("dice", {}, [LN3, 0.0], [1.0, 0.0], 1 - 2.5 / 3.25),
    ("dice", {"smoothing": 2.0}, [LN3, 0.0], [1.0, 0.0], 1 - 3.5 / 4.25),
    # the positive's −ln 3/4 weighs (1 − 1/4) / (1/4) = 3, the negative's −ln 1/2 weighs 1
    ("weighted_bce", {}, [LN3, 0.0], [1.0, 0.0], (3 * math.log(4 / 3) + math.log(2)) / 2),
    ("mse", {}, [LN3, 0.0], [1.0, 0.0], (1 / 16 + 1 / 4) / 2),
]

# value of a perfect and of the worst possible prediction of ten texts, four of them positive
EXTREMES = {
    "dice": (0.0, 1 - 1 / 11),
    "weighted_bce": (0.0, (4 * 3 + 6) * 50 / 10),
    "mse": (0.0, 1.0),
}


def test_the_table_is_complete() -> None:
    assert {row[0] for row in BY_HAND} == set(EXTREMES) == set(LOSSES)


@pytest.mark.parametrize(("name", "options", "logits", "targets", "expected"), BY_HAND)
def test_value_by_hand(
    name: str, options: dict[str, float], logits: list[float], targets: list[float], expected: float
) -> None:
    assert value_of(name, logits, targets, **options) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("targets", [[1, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
def test_gradient(name: str, targets: list[float]) -> None:
    logits = tensor([0.3, -1.2, 2.0, 0.0, -0.4]).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: loss_named(name)(x, tensor(targets), PRIOR), (logits,)
    )


@pytest.mark.parametrize("name", LOSSES)
def test_perfect_and_worst(name: str) -> None:
    targets = [1.0] * 4 + [0.0] * 6
    perfect, worst = EXTREMES[name]
    signs = [50.0 if target else -50.0 for target in targets]
    assert value_of(name, signs, targets) == pytest.approx(perfect, abs=1e-12)
    assert value_of(name, [-sign for sign in signs], targets) == pytest.approx(worst)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "logits", [[1e4, -1e4, 1e4], [-1e4, 1e4, 1e4], [1e4] * 3, [-1e4] * 3, [0.0] * 3, [1e30] * 3]
)
@pytest.mark.parametrize("targets", [[1, 0, 1], [1, 1, 1], [0, 0, 0]])
def test_value_and_gradient_are_finite(
    name: str, dtype: torch.dtype, logits: list[float], targets: list[float]
) -> None:
    x = torch.tensor(logits, dtype=dtype, requires_grad=True)
    value = loss_named(name)(x, torch.tensor(targets, dtype=dtype), PRIOR)
    (gradient,) = torch.autograd.grad(value, x)
    assert value.ndim == 0
    assert value.dtype == dtype
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
@given(st.lists(st.tuples(st.floats(-20, 20), st.booleans()), min_size=1, max_size=12))
def test_order_does_not_matter(name: str, texts: list[tuple[float, bool]]) -> None:
    logits, targets = [list(map(float, column)) for column in zip(*texts, strict=True)]
    there = value_of(name, logits, targets)
    assert value_of(name, logits[::-1], targets[::-1]) == pytest.approx(there, rel=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_dice_is_one_minus_f1_at_saturated_logits(texts: list[tuple[bool, bool]]) -> None:
    predicted, targets = (np.array(column) for column in zip(*texts, strict=True))
    logits = torch.where(torch.tensor(predicted), 1e3, -1e3).double()
    value = float(dice(logits, torch.tensor(targets).double(), PRIOR, smoothing=1e-12))
    if (predicted | targets).any():
        f1 = f1_score(targets, predicted, labels=[True], average="macro", zero_division=0)
        assert value == pytest.approx(1 - f1, abs=1e-9)
    else:
        assert value == 0  # F1 is 0/0; predicting none of none costs nothing


def test_dice_gradient_vanishes_where_every_logit_is_large() -> None:
    logits = tensor([200.0, 200.0, 200.0]).requires_grad_()
    (gradient,) = torch.autograd.grad(dice(logits, tensor([1, 1, 0]), PRIOR), logits)
    assert float(gradient.abs().max()) < 1e-12


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_weighted_bce_needs_both_classes(prior: float) -> None:
    with pytest.raises(ValueError, match="both classes are needed"):
        weighted_bce(tensor([1.0]), tensor([1.0]), prior)


def test_dice_needs_smoothing() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        dice(tensor([1.0]), tensor([0.0]), PRIOR, smoothing=0)


def test_options_are_named() -> None:
    assert options_of("dice") == {"smoothing"}
    assert options_of("mse") == set()


def test_unknown_loss() -> None:
    with pytest.raises(KeyError, match="hinge"):
        loss_named("hinge")

"""Which loss is chosen, and what is said about it."""

import numpy as np
import pytest

from training.data.balance import RARE, RARE_LOSS, RARE_OPTIONS, choose_loss
from training.data.datasets import Dataset
from training.losses.registry import LOSSES


def dataset(*counts: int) -> Dataset:
    labels = np.repeat(np.arange(len(counts)), counts)
    names = ("ham", "spam", "scam")[: len(counts)]
    return Dataset("mine", ("text",) * len(labels), labels, names, "")


@pytest.mark.parametrize("counts", [(51, 50), (490, 11), (10, 400)])
def test_without_a_rare_label(counts: tuple[int, ...]) -> None:
    choice = choose_loss(dataset(*counts))
    assert (choice.name, choice.options) == ("bce", {})
    rarest = "'spam'" if counts[1] < counts[0] else "'ham'"
    assert choice.notes[0].startswith(f"the rarest label is {rarest}: {min(counts)} texts, 1 in ")
    assert choice.notes[1:] == ("loss bce, the default",)


@pytest.mark.parametrize("counts", [(10_000, 100), (100, 10_000), (4900, 100)])
def test_with_a_rare_label(counts: tuple[int, ...]) -> None:
    choice = choose_loss(dataset(*counts))
    assert (choice.name, choice.options) == (RARE_LOSS, RARE_OPTIONS)
    assert choice.notes[1].startswith('loss dice_bce, with classes="both": the default if a')
    assert len(choice.notes) == 2


def test_the_limit() -> None:
    assert choose_loss(dataset(RARE - 2, 1)).name == "bce"
    assert choose_loss(dataset(RARE - 1, 1)).name == RARE_LOSS


def test_a_label_with_few_texts() -> None:
    choice = choose_loss(dataset(10_000, 12))
    assert choice.notes[0] == "the rarest label is 'spam': 12 texts, 1 in 834"
    assert choice.notes[2].startswith("warning: 12 texts of 'spam' are few, whatever the loss")


@pytest.mark.parametrize("loss", ["bce", "focal", "squared_hinge", "dice"])
def test_a_warning_names_the_loss_to_compare_with(loss: str) -> None:
    choice = choose_loss(dataset(10_000, 100), loss)
    assert (choice.name, choice.options) == (loss, {})
    assert choice.notes[1] == f"loss {loss}, as asked for"
    assert choice.notes[2] == (
        f"warning: for labels this rare, dice_bce was mostly better than {loss} in a few "
        "measurements; to compare, train without --loss, which chooses dice_bce"
    )
    assert len(choose_loss(dataset(1000, 100), loss).notes) == 2


@pytest.mark.parametrize("loss", ["weighted_bce", "dice_bce", "dise"])
def test_other_losses_are_taken_without_a_warning(loss: str) -> None:
    assert choose_loss(dataset(10_000, 100), loss).notes[1:] == (f"loss {loss}, as asked for",)


def test_more_than_two_labels() -> None:
    choice = choose_loss(dataset(10_000, 100, 60))
    assert (choice.name, choice.options) == ("cross_entropy", {})
    assert choice.notes[0] == "the rarest label is 'scam': 60 texts, 1 in 169"
    assert choose_loss(dataset(10, 20, 30), "softmax_dice").name == "softmax_dice"


def test_the_defaults_are_losses() -> None:
    LOSSES[RARE_LOSS].bind(**RARE_OPTIONS)
    for counts in ((10_000, 100), (10, 10), (10, 10, 10)):
        found = dataset(*counts)
        assert LOSSES[choose_loss(found).name].task == found.task

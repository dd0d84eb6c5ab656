"""How names and figures are written on every page."""

import textwrap
from typing import Final

from training.data import datasets
from training.tables import figure

from ..schema.results import Summary
from ..schema.transfer import Interval

_LOSS_TITLES = {
    "bce": "BCE",
    "weighted_bce": "weighted BCE",
    "mse": "MSE",
    "squared_hinge": "squared hinge",
    "dice": "Dice",
    "dice_bce": "Dice + BCE",
    "log_dice": "log Dice",
    "cross_entropy": "cross-entropy",
    "softmax_dice": "softmax Dice",
}

_WIDTH: Final = 100
# Blocks of Markdown whose lines stay as they are.
_LAID_OUT = ("|", "#", "!", "```", "<!--", "- ")


def reflow(text: str) -> str:
    """Wrap the paragraphs of a page in Markdown; tables, lists, headings, images and code
    stay.

    Example:
        >>> reflow("Figures\\nput in.\\n\\n| a |\\n| b |\\n")
        'Figures put in.\\n\\n| a |\\n| b |\\n'
    """
    blocks = [
        block
        if block.lstrip("\n").startswith(_LAID_OUT)
        else textwrap.fill(block, _WIDTH, break_long_words=False, break_on_hyphens=False)
        for block in text.split("\n\n")
    ]
    end = "\n" if text.endswith("\n") else ""
    return "\n\n".join(blocks).rstrip("\n") + end


def title(model: str) -> str:
    """Return the short name of the benchmark's data set of a model, which not every model has.

    Raises:
        DatasetError: it has none.
    """
    return datasets.source_of(model).title


def model_title(model: str) -> str:
    """Write a model's name for a reader.

    Example:
        >>> model_title("cyberbullying_type")
        'Cyberbullying type'
    """
    return model.replace("_", " ").capitalize()


def variant_title(variant: str) -> str:
    """Write a variant's name for a reader.

    Example:
        >>> variant_title("dice-wide")
        'Dice, wide'
    """
    loss, wide, _ = variant.partition("-wide")
    name = _LOSS_TITLES.get(loss, loss)
    return f"{name}, wide" if wide else name


def mean(summary: Summary | None) -> str:
    """Write a mean over seeds; empty where the metric does not apply."""
    return figure(None if summary is None else summary.mean)


def with_std(summary: Summary) -> str:
    """Write a mean with its standard deviation; a single seed has none."""
    spread = "" if summary.std is None else f" ± {figure(summary.std)}"
    return figure(summary.mean) + spread


def with_interval(one: Interval) -> str:
    """Write a figure with its interval.

    Example:
        >>> with_interval(Interval(0.7, 0.68, 0.72))
        '.7000 (.6800–.7200)'
    """
    return f"{figure(one.value)} ({figure(one.low)}–{figure(one.high)})"


def signed(one: Interval) -> str:
    """Write a difference with its interval.

    Example:
        >>> signed(Interval(0.01, -0.01, 0.03))
        '+.0100 (−.0100 to +.0300)'
    """

    def sign(value: float) -> str:
        return ("+" if value >= 0 else "−") + figure(abs(value))

    return f"{sign(one.value)} ({sign(one.low)} to {sign(one.high)})"


def percent(share: float, digits: int = 0) -> str:
    """Write a share in percent.

    Example:
        >>> percent(0.834), percent(0.0341, 1)
        ('83 %', '3.4 %')
    """
    return f"{100 * share:.{digits}f} %"


def small_percent(share: float) -> str:
    """Write a share in percent with two significant digits.

    Example:
        >>> small_percent(0.005), small_percent(0.13)
        ('0.5 %', '13 %')
    """
    return f"{100 * share:.2g} %"


def rate(value: float) -> str:
    """Write a learning rate.

    Example:
        >>> rate(0.0003), rate(1e-5)
        ('.0003', '1e-5')
    """
    return f"{value:g}".removeprefix("0").replace("e-0", "e-")


def seeds(numbers: list[int]) -> str:
    """Write seeds: a range where they are consecutive.

    Example:
        >>> seeds([0, 1, 2]), seeds([0])
        ('seeds 0–2', 'seed 0')
    """
    if len(numbers) == 1:
        return f"seed {numbers[0]}"
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"seeds {numbers[0]}–{numbers[-1]}"
    return f"seeds {', '.join(map(str, numbers))}"

"""Options that are numbers."""

import re
from typing import Annotated, Final

import typer

from ..decision.calibration import PRIORS, is_prior
from ..json_values import quoted

# The numbers that JSON has: no digits of other scripts, no NaN.
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def number(text: object) -> float | None:
    """Parse a number; None if it is none."""
    shown = str(text)  # a default is a number already
    return float(shown) if _NUMBER.fullmatch(shown) else None


def parse_threshold(text: str) -> float:
    """Parse a threshold.

    Raises:
        BadParameter: it is not a number in [0, 1].
    """
    value = number(text)
    if value is None or not 0 <= value <= 1:
        raise typer.BadParameter(f"{quoted(text)} is not a number in [0, 1].")
    return value


def parse_prior(text: str) -> float:
    """Parse a prior.

    Raises:
        BadParameter: it is no prior, see `is_prior`.
    """
    value = number(text)
    if value is None or not is_prior(value):
        raise typer.BadParameter(f"{quoted(text)} is not {PRIORS}.")
    return value


def parse_amount(text: str) -> float:
    """Parse an amount.

    Raises:
        BadParameter: it is not a positive number.
    """
    value = number(text)
    if value is None or not 0 < value < 1e15:
        raise typer.BadParameter(f"{quoted(text)} is not a positive number.")
    return value


PriorOption = Annotated[
    float | None,
    typer.Option(
        "--prior",
        parser=parse_prior,
        metavar="SHARE",
        help="Share of positive texts in the traffic, if only that differs from these texts.",
    ),
]


ThresholdOption = Annotated[
    float | None,
    typer.Option(
        parser=parse_threshold,
        metavar="NUMBER",
        help="Positive at score >= threshold. Default: the model's.",
    ),
]

TrafficPriorOption = Annotated[
    float | None,
    typer.Option(
        parser=parse_prior,
        metavar="NUMBER",
        help="Share of positive texts in your traffic; corrects the scores.",
    ),
]

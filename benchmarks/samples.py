"""Real texts to measure with, and the artifacts called *default* and *plain*."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from training.data import datasets

from . import artifacts

# How the pages name a model's data set.
TITLES: Final = {
    "spam": "SMS",
    "cyberbullying": "tweets",
    "cyberbullying_type": "tweets, six types",
}
# The models of the in-process figures.
MODELS: Final = ("spam", "cyberbullying")
_PLAIN: Final = "dice"


@cache
def texts(model: str, count: int) -> tuple[str, ...]:
    """Return texts evenly spaced over a data set, starting over where it has too few.

    Raises:
        TrainingError: the data set is missing or damaged.
    """
    available = datasets.load(model).texts
    step = max(len(available) // count, 1)
    return tuple(available[number * step % len(available)] for number in range(count))


def variants(model: str) -> dict[str, Path]:
    """Return the artifact that is served, and that of a network without wide path and n-grams."""
    return {"default": artifacts.served()[model], "plain": artifacts.HOME / model / _PLAIN}


def write_bodies(path: Path, contents: Sequence[str], texts_each: int) -> Path:
    """Write request bodies with ``texts_each`` texts each, one per line."""
    starts = range(0, len(contents), texts_each)
    bodies = [{"texts": list(contents[start : start + texts_each])} for start in starts]
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies), encoding="utf-8")
    return path

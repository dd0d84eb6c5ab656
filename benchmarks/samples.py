"""Real texts to measure with, spread over the whole of a data set."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from dandelion import serving
from training.data import datasets

from .machine import ROOT

# The data sets of the in-process figures, by the model that learns from them.
TITLES: Final = {"spam": "SMS", "cyberbullying": "tweets"}
ARTIFACTS: Final = ROOT / "artifacts"
_PLAIN = "dice"


@cache
def texts(model: str, count: int) -> tuple[str, ...]:
    """Return so many texts, evenly spaced in their data set; from the start again when it ends."""
    every = datasets.load(model).texts
    step = max(len(every) // count, 1)
    return tuple(every[number * step % len(every)] for number in range(count))


@cache
def served() -> dict[str, str]:
    """Return the default variant of each model: the one in ``serving.toml``."""
    return {model: path.name for model, path in serving.read(ARTIFACTS, {}).items()}


def variants(model: str) -> dict[str, Path]:
    """Return the artifacts of what is called default and plain."""
    names = {"default": served()[model], "plain": _PLAIN}
    return {title: ARTIFACTS / model / variant for title, variant in names.items()}


def write_bodies(path: Path, some: Sequence[str], texts_each: int) -> Path:
    """Write requests to classify, ``texts_each`` texts each, a line a request."""
    starts = range(0, len(some), texts_each)
    bodies = [{"texts": list(some[start : start + texts_each])} for start in starts]
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies), encoding="utf-8")
    return path

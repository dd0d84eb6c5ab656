"""How rare the rarest class is, and which loss suits that.

The default for rare classes was chosen by a few measurements; docs/guide/custom-data.md has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dandelion.tables import shortened

from .datasets import Dataset

RARE: Final = 50
"""A class is rare if at most one in so many texts is of it."""

RARE_LOSS: Final = "dice_bce"
"""The default loss for two classes one of which is rare."""

RARE_OPTIONS: Final[Mapping[str, str]] = {"classes": "both"}
"""Its options."""

DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "bce": {},
    "cross_entropy": {},
    RARE_LOSS: RARE_OPTIONS,
}
"""Every loss that may be chosen without being asked for, and its options."""

# With fewer texts of a class, quality depends on them more than on the loss.
_FEW_TEXTS: Final = 50

# Losses that were mostly worse for rare classes than the default for them.
_WORSE: Final = frozenset({"bce", "focal", "squared_hinge", "dice"})


@dataclass(frozen=True, slots=True)
class LossChoice:
    """The loss for a data set.

    Attributes:
        name: of the loss.
        options: of the loss.
        notes: the imbalance and what follows from it, a sentence each, for people.
    """

    name: str
    options: Mapping[str, str]
    notes: tuple[str, ...]


def choose_loss(dataset: Dataset, wanted: str | None = None) -> LossChoice:
    """Choose the loss that suits a data set.

    Args:
        dataset: the texts and labels.
        wanted: the name of the loss that the user asks for; it is taken, with a warning if a class
            is rare and another loss suits that.
    """
    counts = np.bincount(dataset.labels, minlength=len(dataset.label_names)).tolist()
    fewest = min(counts)
    one_in = round(sum(counts) / fewest)
    rarest = shortened(dataset.label_names[counts.index(fewest)])
    is_binary = dataset.task == "binary"
    is_rare = one_in >= RARE
    options: Mapping[str, str] = {}
    if wanted is not None:
        name, reason = wanted, "as asked for"
    elif is_binary and is_rare:
        name, options = RARE_LOSS, RARE_OPTIONS
        reason = f"with {_written(options)}: the default if a class is 1 in {RARE} texts or rarer"
    else:
        name, reason = "bce" if is_binary else "cross_entropy", "the default"
    notes = [
        f"the rarest label is {rarest}: {fewest:,} texts, 1 in {one_in:,}",
        f"loss {name}, {reason}",
    ]
    if is_binary and is_rare and wanted in _WORSE:
        notes.append(
            f"warning: for labels this rare, {RARE_LOSS} was mostly better than {wanted} in a few "
            f"measurements; to compare, train without --loss, which chooses {RARE_LOSS}"
        )
    if is_rare and fewest < _FEW_TEXTS:
        notes.append(
            f"warning: {fewest:,} texts of {rarest} are few, whatever the loss; more of them help "
            "most"
        )
    return LossChoice(name, options, tuple(notes))


def _written(options: Mapping[str, str]) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in options.items())

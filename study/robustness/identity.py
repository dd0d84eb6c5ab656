"""Sentences about groups of people, and how a classifier treats each group."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ..schema.robustness import Count, IdentityGroup, IdentityRow
from .scorers import Scorer

_FILE: Final = Path(__file__).with_name("identity.toml")


@dataclass(frozen=True, slots=True)
class Group:
    """The sentences about the words of one group.

    Attributes:
        name: such as ``religion``.
        held_out: whether augmentation must never use its words.
        words: how many.
        harmless: neutral and positive sentences, a word after the other.
        hateful: their counterparts.
    """

    name: str
    held_out: bool
    words: int
    harmless: tuple[str, ...]
    hateful: tuple[str, ...]

    def record(self) -> IdentityGroup:
        """Return what is stored about the group."""
        return IdentityGroup(self.name, self.held_out, self.words)


@dataclass(frozen=True, slots=True)
class Identity:
    """All groups, and how many templates there are of each kind."""

    groups: tuple[Group, ...]
    templates: tuple[int, int]


@lru_cache(maxsize=1)
def sentences() -> Identity:
    """Fill every template with every word."""
    stored = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    groups = tuple(
        Group(
            name,
            group["held_out"],
            len(group["words"]),
            *(
                tuple(_fill(one, *word) for word in group["words"] for one in stored[kind])
                for kind in ("harmless", "hateful")
            ),
        )
        for name, group in stored["groups"].items()
    )
    return Identity(groups, (len(stored["harmless"]), len(stored["hateful"])))


def measure(scorer: Scorer, groups: Sequence[Group]) -> list[IdentityRow]:
    """Count what is flagged in each group, and rank each against the others.

    Args:
        scorer: of two labels, the positive one abuse.
        groups: two or more.
    """
    scores = [(scorer.scores(group.harmless), scorer.scores(group.hateful)) for group in groups]
    rows = []
    for place, (group, (harmless, hateful)) in enumerate(zip(groups, scores, strict=True)):
        others = [pair for other, pair in enumerate(scores) if other != place]
        rows.append(
            IdentityRow(
                group.name,
                _count(harmless, scorer.threshold),
                _count(hateful, scorer.threshold),
                _auroc(harmless, np.concatenate([pair[1] for pair in others])),
                _auroc(np.concatenate([pair[0] for pair in others]), hateful),
            )
        )
    return rows


def _fill(template: str, plural: str, one: str) -> str:
    return template.format(
        plural=plural, one=one, Plural=plural[0].upper() + plural[1:], One=one[0].upper() + one[1:]
    )


def _count(scores: NDArray[np.floating], threshold: float) -> Count:
    return Count(int((scores >= threshold).sum()), len(scores))


def _auroc(negative: NDArray[np.floating], positive: NDArray[np.floating]) -> float:
    labels = np.repeat([0, 1], [len(negative), len(positive)])
    return round(float(roc_auc_score(labels, np.concatenate([negative, positive]))), 6)

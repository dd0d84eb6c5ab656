"""What changes of texts do to decisions, on the test fold of an artifact."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.changes import HARMLESS, Change, evasion

from ..schema.robustness import ChangeRow, Count
from .scorers import Scorer

POSITIVES: Final = 500
NEGATIVES: Final = 2000
EVASION_NEGATIVES: Final = 500
"""The most texts of the test fold that are drawn.

Harmless changes need more negatives than evasion, as their aim is below 1 %.
"""


@dataclass(frozen=True, slots=True)
class Changed:
    """A change and the texts that it alters.

    Attributes:
        change: what was done to texts.
        positives: bool[n], which of the drawn positives it alters.
        negatives: bool[m], which of the drawn negatives; none beyond those it is measured on.
        after: the altered ones, positives first.
    """

    change: Change
    positives: NDArray[np.bool_]
    negatives: NDArray[np.bool_]
    after: Sequence[str]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Texts of a test fold, as they are and changed."""

    positives: Sequence[str]
    negatives: Sequence[str]
    changed: Sequence[Changed]


def draw(
    texts: Sequence[str],
    labels: NDArray[np.int64],
    words: Sequence[str],
    *,
    seed: int,
    share: float = 1.0,
) -> Drawn:
    """Draw texts of a fold and change them.

    Args:
        texts: n of the fold.
        labels: int64[n] of 0 and 1.
        words: ordinary ones, see `evasion`.
        seed: of the draw and the changes.
        share: of the largest numbers of texts.
    """
    rng = np.random.default_rng(seed)

    def some(label: int, largest: int) -> list[str]:
        rows = rng.permutation(np.flatnonzero(labels == label))[: max(1, round(share * largest))]
        return [texts[row] for row in np.sort(rows).tolist()]

    positives, negatives = some(1, POSITIVES), some(0, NEGATIVES)
    few = rng.permutation(len(negatives)) < max(1, round(share * EVASION_NEGATIVES))
    everything = np.ones(len(negatives), np.bool_)
    return Drawn(
        positives,
        negatives,
        [
            _change(one, positives, negatives, few if one.kind == "evasion" else everything, seed)
            for one in (*evasion(words), *HARMLESS)
        ],
    )


def _change(
    change: Change,
    positives: Sequence[str],
    negatives: Sequence[str],
    used: NDArray[np.bool_],
    seed: int,
) -> Changed:
    changed = change.on([*positives, *negatives], seed)
    before = [*positives, *negatives]
    altered = np.array([new != old for new, old in zip(changed, before, strict=True)], np.bool_)
    of_positives, of_negatives = np.split(altered, [len(positives)])
    of_negatives &= used
    wanted = np.concatenate([of_positives, of_negatives]).tolist()
    after = [text for text, is_wanted in zip(changed, wanted, strict=True) if is_wanted]
    return Changed(change, of_positives, of_negatives, after)


def measure(scorer: Scorer, drawn: Drawn) -> tuple[Count, Count, list[ChangeRow]]:
    """Count what a classifier flags, before and after each change.

    Returns:
        The flagged positives, the flagged negatives, and a row for each change.
    """
    positives, negatives = scorer.flags(drawn.positives), scorer.flags(drawn.negatives)
    rows = []
    for one in drawn.changed:
        after = scorer.flags(one.after)
        found, alarms = np.split(after, [int(one.positives.sum())])
        before, quiet = positives[one.positives], ~negatives[one.negatives]
        rows.append(
            ChangeRow(
                one.change.name,
                one.change.kind,
                one.change.augmentation,
                kept=_count(found[before]),
                flagged=_count(alarms),
                raised=_count(alarms[quiet]),
            )
        )
    return _count(positives), _count(negatives), rows


def _count(flags: NDArray[np.bool_]) -> Count:
    return Count(int(flags.sum()), len(flags))

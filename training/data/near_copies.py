"""Groups of near copies: which texts they are, and whether a data set has enough of them.

Under the protocol ``grouped`` near copies stay in one fold, so a group of them counts as one text.
"""

import re
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dandelion.tables import shortened

from ..errors import DatasetError
from .datasets import Dataset

LEAST_GROUPS: Final = 10
"""One for each tenth of a data set."""

_LISTED_CLASSES: Final = 5

LEAST_PREFIX: Final = 40
"""Characters of the key of a text that a longer one may be a continuation of."""


def group_key(text: str) -> str:
    """Reduce a text to the form that its near copies share.

    Case-folded, each run of digits → ``0``, each run of non-word characters → one space, stripped.
    Truncated copies have a key that another one begins with, see `groups`.
    """
    return re.sub(r"\W+", " ", re.sub(r"\d+", "0", text.casefold())).strip()


@lru_cache(maxsize=8)
def groups(dataset: Dataset) -> NDArray[np.int64]:
    """Number the groups of near copies, int64[n], from 0 in the order of their keys.

    Near copies have the same `group_key`, or one is a truncated copy of the other: its key has at
    least `LEAST_PREFIX` characters, and the other's key begins with it. Copies of copies are one
    group. So are the texts of one of the data set's families, if it has any. Groups cross sources.
    """
    texts = [group_key(text) for text in dataset.texts]
    keys = sorted(set(texts))
    joined = _Joined(len(keys))
    # All keys that begin with a key directly follow it in their order. The stack holds those keys
    # that the current one begins with.
    stack: list[int] = []
    for number, key in enumerate(keys):
        while stack and not key.startswith(keys[stack[-1]]):
            stack.pop()
        if stack:
            joined.join(number, stack[-1])
        if len(key) >= LEAST_PREFIX:
            stack.append(number)
    number_of = {key: number for number, key in enumerate(keys)}
    numbers = [number_of[key] for key in texts]
    if dataset.families is not None:
        first: dict[int, int] = {}
        for number, family in zip(numbers, dataset.families.tolist(), strict=True):
            if family >= 0:
                joined.join(number, first.setdefault(family, number))
    ranks: dict[int, int] = {}
    ranked = [ranks.setdefault(joined.root(number), len(ranks)) for number in range(len(keys))]
    return np.array(ranked, dtype=np.int64)[numbers]


def sample(
    dataset: Dataset, rows: int, seed: int = 0, *, at_most: bool = False
) -> NDArray[np.int64]:
    """Choose rows of a data set by whole groups, int64, ascending; or all.

    Equal arguments choose equal rows.

    Args:
        dataset: to choose from.
        rows: how many; the last group may bring more.
        seed: of the choice.
        at_most: leave the group out that would bring more.

    Raises:
        DatasetError: not even one group is small enough for ``at_most``.
    """
    found = groups(dataset)
    order = np.random.default_rng(seed).permutation(found.max() + 1)
    sizes = np.cumsum(np.bincount(found)[order])
    if at_most:
        chosen = order[: np.searchsorted(sizes, rows, side="right")]
    else:
        chosen = order[: np.searchsorted(sizes, rows) + 1]
    if not len(chosen):
        raise DatasetError(
            f"{dataset.name}: {rows:,} rows are less than the first group of near copies has; take "
            f"at least {sizes[0]:,}"
        )
    return np.flatnonzero(np.isin(found, chosen))


def require_groups(dataset: Dataset) -> None:
    """Check that every class has texts of at least `LEAST_GROUPS` groups of near copies.

    Raises:
        DatasetError: a class has fewer; the message has the numbers of its texts and groups.
    """
    numbers = groups(dataset)
    members = [numbers[dataset.labels == label] for label in range(len(dataset.label_names))]
    counts = [len(np.unique(one)) for one in members]
    found = [
        f"{shortened(name)}: {len(one):,} texts in {count} group{'s' * (count != 1)} of near copies"
        for name, one, count in zip(dataset.label_names, members, counts, strict=True)
        if count < LEAST_GROUPS
    ]
    if not found:
        return
    more = len(found) - _LISTED_CLASSES
    classes = ", ".join(found[:_LISTED_CLASSES]) + (f" and {more:,} more classes" * (more > 0))
    raise DatasetError(
        f"{classes}; at least {LEAST_GROUPS} groups are needed, as near copies stay in one fold. "
        "Add different texts, or split at random with --protocol paper (near copies then inflate "
        "the metrics)."
    )


class _Joined:
    """Sets of numbers that are joined one pair at a time (union-find, halving paths)."""

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))

    def root(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    def join(self, one: int, other: int) -> None:
        self._parents[self.root(one)] = self.root(other)

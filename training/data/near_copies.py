"""Whether a data set has enough texts that are not near copies of each other.

Under the protocol ``grouped`` near copies stay in one fold, so a group of them counts as one text.
"""

from typing import Final

from dandelion.tables import shortened

from ..errors import DatasetError
from .datasets import Dataset
from .splits import group_key

LEAST_GROUPS: Final = 10
"""One for each tenth of a data set."""

_LISTED_CLASSES: Final = 5


def require_groups(dataset: Dataset) -> None:
    """Check that every class has texts of at least `LEAST_GROUPS` groups of near copies.

    Raises:
        DatasetError: a class has fewer; the message has the numbers of its texts and groups.
    """
    groups: list[set[str]] = [set() for _ in dataset.label_names]
    sizes = [0] * len(groups)
    for text, label in zip(dataset.texts, dataset.labels.tolist(), strict=True):
        sizes[label] += 1
        if len(groups[label]) < LEAST_GROUPS:  # large data sets need not be grouped twice
            groups[label].add(group_key(text))
    found = [
        f"{shortened(name)}: {size:,} texts in {len(keys)} group{'s' * (len(keys) != 1)} of near "
        "copies"
        for name, size, keys in zip(dataset.label_names, sizes, groups, strict=True)
        if len(keys) < LEAST_GROUPS
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

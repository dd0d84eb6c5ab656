"""Changed copies of training texts, so that a change of spelling or length decides nothing.

Texts of both labels are copied: a change that only abusive texts had would be evidence of abuse.
Copies are made after the split, of the rows to learn from, so none is a copy of a text that is
judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .changes import for_augmentation
from .datasets import Dataset

Kind = Literal["ordinary_words", "leet", "repeated_letters", "case"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_PASSAGES: Final = 500  # harmless texts, at most, whose words are put next to others

# Kind → names of the changes, see `changes.for_augmentation`.
_NAMES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "ordinary_words": ("20 ordinary words behind", "20 ordinary words before"),
    "leet": ("leet",),
    "repeated_letters": ("repeated letters",),
    "case": ("upper case", "lower case", "mixed case"),
}


def extended(
    dataset: Dataset, train: NDArray[np.int64], kinds: Sequence[Kind], share: float, seed: int
) -> tuple[Dataset, NDArray[np.int64]]:
    """Add changed copies of training texts to a data set.

    A row with a larger weight is copied more often, each time changed anew. Every copy has the mean
    weight of the rows, so that an epoch draws ``share`` copies for each original.

    Args:
        dataset: texts, labels and, if there are any, origins and weights.
        train: int64, the rows to learn from, which may be copied.
        kinds: how copies are changed, each equally often.
        share: the number of copies, as a share of these rows.
        seed: of choice and changes; equal arguments return equal texts.

    Returns:
        The data set with the copies behind its own texts, which keep their rows; and the rows to
        learn from with those of the copies, int64.
    """
    rng = np.random.default_rng(seed)
    weights = np.ones(len(dataset.texts)) if dataset.weights is None else dataset.weights
    reached = np.cumsum(weights[train])
    count = round(share * len(train))
    # Systematic sampling: as in `training.fitting.batches`, but from rows in their order.
    points = (np.arange(count) + rng.random()) * (reached[-1] / max(count, 1))
    chosen = train[np.minimum(np.searchsorted(reached, points, side="right"), len(train) - 1)]
    harmless = dataset.take(rng.permutation(train[dataset.labels[train] == 0])[:_PASSAGES])[0]
    by_name = {one.name: one for one in for_augmentation(" ".join(harmless).split() or ["and"])}
    order = rng.permutation(chosen).tolist()
    copies = tuple(
        by_name[str(rng.choice(_NAMES[kinds[place % len(kinds)]]))].apply(dataset.texts[row], rng)
        for place, row in enumerate(order)
    )
    chosen = np.array(order)
    origins, families = dataset.origins, dataset.families
    added = np.arange(len(dataset.texts), len(dataset.texts) + len(copies))
    each = np.full(len(copies), weights[train].mean())
    grown = replace(
        dataset,
        texts=dataset.texts + copies,
        labels=np.concatenate([dataset.labels, dataset.labels[chosen]]),
        origins=None if origins is None else np.concatenate([origins, origins[chosen]]),
        weights=None if dataset.weights is None else np.concatenate([weights, each]),
        families=None if families is None else np.concatenate([families, families[chosen]]),
    )
    return grown, np.concatenate([train, added])

"""The texts of a study: what fits may learn from, and what they are measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from training.data import sources, splits
from training.data.datasets import Dataset
from training.data.splits import Protocol
from training.errors import ConfigurationError

from .units import Help, Plan, Unit

Rows = NDArray[np.int64]

# A seed drives split and initialisation alike.
SEED: Final = 0


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """The texts of a source that is measured: those without a near copy elsewhere in training.

    Attributes:
        texts: n of them.
        labels: int64[n] of 0 and 1.
        groups: int64[n], equal for near copies, of whatever source.
        dropped: texts of the source that have a near copy in a source that is trained on.
        sha256: of texts and labels.
    """

    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    groups: Rows
    dropped: int
    sha256: str


@dataclass(frozen=True, eq=False, slots=True)
class Folds:
    """Rows of the training texts for one fit, int64 each, ascending.

    Attributes:
        train: what is learned from.
        validation: what epoch and thresholds are chosen on.
        test: what the ceilings are read on; empty if a unit is left out.
    """

    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True, eq=False, slots=True)
class Pool:
    """The texts of a study.

    Attributes:
        training: what fits may learn from, with origins and weights.
        groups: int64[n] of its texts, see `Measured`.
        measured: source → its texts.
    """

    training: Dataset
    groups: Rows
    measured: Mapping[str, Measured]

    def origins(self) -> NDArray[np.str_]:
        """Return the name of each training text's source, str[n]."""
        return _origins(self.training)

    def folds(self, left_out: Sequence[Unit], *, seed: int = SEED) -> Folds:
        """Return the rows of a fit that does without units.

        Args:
            left_out: the units; none for the fit on everything, whose test fold is kept apart.
            seed: of the split.
        """
        folds = splits.split(self.training, Protocol.GROUPED, seed)
        if not left_out:
            return Folds(folds.train, folds.validation, folds.test)
        names = [name for unit in left_out for name in unit.all_sources]
        kept = ~np.isin(self.origins(), names)
        train = np.sort(np.concatenate([folds.train, folds.test]))
        return Folds(
            train[kept[train]], folds.validation[kept[folds.validation]], np.empty(0, np.int64)
        )


@dataclass(frozen=True, slots=True)
class _InFull:
    """A source whose texts all count alike, for measuring: `SourceChoice` refuses some."""

    name: str
    weight: float = 1.0
    balanced: bool = False
    rows: int | None = None


@lru_cache(maxsize=2)
def load(model: str, given: Help, others: tuple[Help, ...], plan: Plan) -> Pool:
    """Read the texts of a study; equal arguments are read once.

    Of a measured source those texts are left out that have a near copy among what anything in the
    study learns from, its own unit aside. So every fit is read on the same texts.

    Args:
        model: the task.
        given: what is learned from.
        others: what the study's other fits learn from.
        plan: the units.

    Raises:
        DatasetError: a file is missing, damaged or not known.
        ConfigurationError: nothing is left of a class of a source.
    """
    learned = [_training(model, one) for one in dict.fromkeys((given, *others))]
    names = [(unit, name) for unit in plan.units() for name in unit.sources]
    read = [sources.load((_InFull(name),), model) for _, name in names]
    parts = [*learned, *read]
    joined = Dataset(
        model,
        tuple(text for part in parts for text in part.texts),
        np.concatenate([part.labels for part in parts]),
        learned[0].label_names,
        learned[0].sha256,
    )
    groups = np.split(splits.groups(joined), np.cumsum([len(part.texts) for part in parts])[:-1])
    origins = np.concatenate([_origins(one) for one in learned])
    in_training = np.concatenate(groups[: len(learned)])
    measured = {}
    for (unit, name), part, numbers in zip(names, read, groups[len(learned) :], strict=True):
        elsewhere = in_training[~np.isin(origins, unit.all_sources)]
        measured[name] = _measured(part, numbers, np.flatnonzero(~np.isin(numbers, elsewhere)))
    return Pool(learned[0], groups[0], measured)


def _training(model: str, given: Help) -> Dataset:
    return sources.dataset_of(model, given.choices, match_length=given.match_length)


def _origins(dataset: Dataset) -> NDArray[np.str_]:
    # A data set of named sources has them.
    return np.array(dataset.source_names)[cast("Rows", dataset.origins)]


def _measured(part: Dataset, groups: Rows, kept: Rows) -> Measured:
    texts, labels = part.take(kept)
    if len(np.unique(labels)) < 2:
        raise ConfigurationError(
            f"{part.name}: without the near copies of what is trained on, one class is left, so "
            "nothing can be measured on it"
        )
    found = replace(part, texts=texts, labels=labels, origins=None, weights=None, families=None)
    return Measured(texts, labels, groups[kept], len(part.texts) - len(kept), found.content_sha256)

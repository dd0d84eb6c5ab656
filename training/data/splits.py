"""Training, validation and test folds, 80/10/10, under two protocols.

- ``paper``: random and stratified, as in the paper. Copies of a message fall on both sides.
- ``grouped``: near copies stay on one side, so figures are what a user can expect.
"""

import hashlib
import io
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypedDict

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from .. import cache
from ..errors import DatasetError
from . import near_copies
from .datasets import Dataset
from .near_copies import group_key, groups, sample

__all__ = [
    "Protocol",
    "Split",
    "SplitRecord",
    "group_key",
    "groups",
    "sample",
    "split",
    "strata",
    "subsample",
]


_FOLDS: Final = 10


class Protocol(StrEnum):
    """How a data set is split."""

    PAPER = "paper"
    GROUPED = "grouped"


class SplitRecord(TypedDict):
    """What an artifact's manifest has as its ``split``: rows per fold, and their SHA-256."""

    train: int
    validation: int
    test: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of each fold, int64, ascending; together every row once."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    def rows(self) -> dict[str, NDArray[np.int64]]:
        """Return each fold's rows by its name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def sizes(self) -> dict[str, int]:
        """Return the number of rows of each fold."""
        return {name: len(rows) for name, rows in self.rows().items()}

    def sha256(self) -> str:
        """Identify the assignment of rows to folds."""
        digest = hashlib.sha256()
        for fold in self.rows().values():
            digest.update(fold.astype("<i8").tobytes() + b"|")
        return digest.hexdigest()

    def record(self) -> SplitRecord:
        """Return what a manifest records about the split."""
        return SplitRecord(
            train=len(self.train),
            validation=len(self.validation),
            test=len(self.test),
            sha256=self.sha256(),
        )


def split(dataset: Dataset, protocol: Protocol, seed: int) -> Split:
    """Split a data set; equal arguments give equal folds.

    Folds are stratified by label and, if there are several sources, by source. For tens of
    thousands of texts that takes up to a minute, so they are cached. Weights do not change them.

    Raises:
        DatasetError: the data set is too small for every fold to have every class.
    """
    key = cache.key(
        replace(dataset, weights=None).content_sha256,
        protocol,
        seed,
        sklearn.__version__,
        cache.code(__name__, near_copies.__name__),
    )
    cached = cache.directory("splits", key) / "rows.npz"
    if not cached.exists():
        make = _paper if protocol is Protocol.PAPER else _grouped
        try:
            folds = make(dataset, seed)
        except ValueError as error:
            raise DatasetError(
                f"{dataset.name}: too small to split ({error}). Add texts that are not near copies "
                "of others."
            ) from error
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **folds.rows())
        cache.write_atomically(cached, buffer.getvalue())
    with np.load(cached, allow_pickle=False) as arrays:
        folds = Split(arrays["train"], arrays["validation"], arrays["test"])
    _require_every_class(dataset, folds, seed)
    return folds


def subsample(  # noqa: PLR0913
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    *,
    minority: int,
    share: float,
    seed: int,
    at_least: int = 20,
) -> NDArray[np.int64]:
    """Leave out rows of the minority class until it makes up ``share`` of the fold.

    Args:
        labels: int64[n] of the data set.
        rows: int64 of a fold.
        minority: the class that is subsampled.
        share: of the class in the fold that remains.
        seed: of the choice.
        at_least: rows of the class to keep, if there are as many.

    Returns:
        The rows that remain, int64, ascending.
    """
    is_minority = labels[rows] == minority
    wanted = max(at_least, round(share / (1 - share) * int((~is_minority).sum())))
    kept = np.random.default_rng(seed).permutation(rows[is_minority])[:wanted]
    return np.sort(np.concatenate([rows[~is_minority], kept]))


def _require_every_class(dataset: Dataset, folds: Split, seed: int) -> None:
    for fold, rows in folds.rows().items():
        present = set(dataset.labels[rows].tolist())
        missing = [name for label, name in enumerate(dataset.label_names) if label not in present]
        if missing:
            raise DatasetError(
                f"{dataset.name}: with seed {seed} the {fold} fold has no text of the class "
                f"{', '.join(missing)}; every fold needs every class. Add texts of it that are not "
                "near copies of each other, or try another seed."
            )


def strata(dataset: Dataset) -> NDArray[np.int64]:
    """Number what folds are stratified by, int64[n]: the label or, of sources, source and label.

    A label of which a source has fewer texts than there are folds goes with that label's texts in
    the source that has most of them.
    """
    if dataset.origins is None:
        return dataset.labels
    classes = len(dataset.label_names)
    sources = len(dataset.source_names)
    counts = np.bincount(dataset.origins * classes + dataset.labels, minlength=sources * classes)
    counts = counts.reshape(sources, classes)
    most = counts.argmax(axis=0)
    is_small = counts[dataset.origins, dataset.labels] < _FOLDS
    origins = np.where(is_small, most[dataset.labels], dataset.origins)
    pairs = origins * classes + dataset.labels
    numbers: NDArray[np.int64] = np.unique(pairs, return_inverse=True)[1]
    return numbers


def _paper(dataset: Dataset, seed: int) -> Split:
    rows, kinds = np.arange(len(dataset.texts)), strata(dataset)
    train, rest = train_test_split(rows, test_size=0.2, stratify=kinds, random_state=seed)
    validation, test = train_test_split(
        rest, test_size=0.5, stratify=kinds[rest], random_state=seed
    )
    return Split(np.sort(train), np.sort(validation), np.sort(test))


def _grouped(dataset: Dataset, seed: int) -> Split:
    found = groups(dataset)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed).split(
        np.zeros(len(found)), strata(dataset), found
    )
    test = next(folds)[1]
    validation = next(folds)[1]
    train = np.setdiff1d(np.arange(len(found)), np.concatenate([validation, test]))
    return Split(train, np.sort(validation), np.sort(test))

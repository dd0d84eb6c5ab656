"""Training, validation and test folds, 80/10/10, under two protocols.

- ``paper``: random and stratified, as in the paper. Copies of a message fall on both sides.
- ``grouped``: near copies stay on one side, so figures are what a user can expect.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from .. import cache
from ..errors import DatasetError
from .datasets import Dataset


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


def group_key(text: str) -> str:
    """Reduce a text to the form that its near copies share.

    Case-folded, each run of digits → ``0``, each run of non-word characters → one space, stripped.
    """
    return re.sub(r"\W+", " ", re.sub(r"\d+", "0", text.casefold())).strip()


def split(dataset: Dataset, protocol: Protocol, seed: int) -> Split:
    """Split a data set; equal arguments give equal folds.

    Grouping tens of thousands of texts takes seconds, so the folds are cached.

    Raises:
        DatasetError: the data set is too small for every fold to have every class.
    """
    key = cache.key(
        dataset.content_sha256, protocol, seed, sklearn.__version__, cache.code(__name__)
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


def sample(dataset: Dataset, rows: int, seed: int = 0) -> NDArray[np.int64]:
    """Choose at least ``rows`` rows of a data set by whole groups, int64, ascending; or all.

    Equal arguments choose equal rows.
    """
    groups = _groups(dataset)
    order = np.random.default_rng(seed).permutation(groups.max() + 1)
    reached = np.searchsorted(np.cumsum(np.bincount(groups)[order]), rows)
    return np.flatnonzero(np.isin(groups, order[: reached + 1]))


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


def _paper(dataset: Dataset, seed: int) -> Split:
    rows = np.arange(len(dataset.texts))
    train, rest = train_test_split(rows, test_size=0.2, stratify=dataset.labels, random_state=seed)
    validation, test = train_test_split(
        rest, test_size=0.5, stratify=dataset.labels[rest], random_state=seed
    )
    return Split(np.sort(train), np.sort(validation), np.sort(test))


def _grouped(dataset: Dataset, seed: int) -> Split:
    groups = _groups(dataset)
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=seed).split(
        np.zeros(len(groups)), dataset.labels, groups
    )
    test = next(folds)[1]
    validation = next(folds)[1]
    train = np.setdiff1d(np.arange(len(groups)), np.concatenate([validation, test]))
    return Split(train, np.sort(validation), np.sort(test))


def _groups(dataset: Dataset) -> NDArray[np.int64]:
    """Number the groups of near copies, int64[n]."""
    keys = [group_key(text) for text in dataset.texts]
    numbers: NDArray[np.int64] = np.unique(keys, return_inverse=True)[1]
    return numbers

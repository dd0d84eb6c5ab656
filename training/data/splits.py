"""Training, validation and test folds, 80/10/10, under two protocols.

- ``paper``: random and stratified, as the paper has it. Copies of a message fall on both sides.
- ``grouped``: near copies stay on one side. What a user can expect; the headline.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from ..cache import cache_directory, write_whole
from ..errors import DatasetError
from .datasets import Dataset


class Protocol(StrEnum):
    """How a data set is split."""

    PAPER = "paper"
    GROUPED = "grouped"


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of each fold, int64, ascending; together every row once."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    def rows(self) -> dict[str, NDArray[np.int64]]:
        """Name each fold's rows."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def sizes(self) -> dict[str, int]:
        """Count the rows of each fold."""
        return {name: len(rows) for name, rows in self.rows().items()}

    def sha256(self) -> str:
        """Identify the assignment of rows to folds."""
        digest = hashlib.sha256()
        for fold in self.rows().values():
            digest.update(fold.astype("<i8").tobytes() + b"|")
        return digest.hexdigest()


def group_key(text: str) -> str:
    """Reduce a text to the form that its near copies share.

    Case-folded, each run of digits → ``0``, each run of non-word characters → one space, stripped.
    """
    return re.sub(r"\W+", " ", re.sub(r"\d+", "0", text.casefold())).strip()


def split(dataset: Dataset, protocol: Protocol, seed: int) -> Split:
    """Split a data set; the same arguments give the same folds.

    Grouping tens of thousands of texts takes seconds, so the folds are cached.

    Raises:
        DatasetError: the data set is too small for every fold to have every class.
    """
    key = f"{dataset.sha256}:{len(dataset.texts)}:{protocol}:{seed}:{sklearn.__version__}"
    digest = hashlib.sha256(key.encode() + dataset.labels.tobytes() + Path(__file__).read_bytes())
    name = f"{digest.hexdigest()[:16]}.npz"
    cached = cache_directory() / "splits" / name
    if not cached.exists():
        make = _paper if protocol is Protocol.PAPER else _grouped
        try:
            folds = make(dataset, seed)
        except ValueError as error:
            raise DatasetError(
                f"{dataset.name}: too small to split ({error}). Add texts that are no near copies "
                "of those there."
            ) from error
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **folds.rows())
        write_whole(cached, buffer.getvalue())
    with np.load(cached, allow_pickle=False) as arrays:
        folds = Split(arrays["train"], arrays["validation"], arrays["test"])
    _require_every_class(dataset, folds, seed)
    return folds


def sample(dataset: Dataset, rows: int, seed: int = 0) -> NDArray[np.int64]:
    """Choose at least ``rows`` rows of a data set by whole groups, int64, ascending; or all.

    The same arguments choose the same rows.
    """
    groups = _groups(dataset)
    order = np.random.default_rng(seed).permutation(groups.max() + 1)
    reached = np.searchsorted(np.cumsum(np.bincount(groups)[order]), rows)
    return np.flatnonzero(np.isin(groups, order[: reached + 1]))


def thin(  # noqa: PLR0913
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    *,
    minority: int,
    share: float,
    seed: int,
    least: int = 20,
) -> NDArray[np.int64]:
    """Leave out rows of the minority class until it makes up ``share`` of the fold.

    Args:
        labels: int64[n] of the data set.
        rows: int64 of a fold.
        minority: the class that is thinned.
        share: of the fold that is left.
        seed: of the choice.
        least: rows of the class that are kept at least, if there are as many.

    Returns:
        The rows that are left, int64, ascending.
    """
    is_minority = labels[rows] == minority
    wanted = max(least, round(share / (1 - share) * int((~is_minority).sum())))
    kept = np.random.default_rng(seed).permutation(rows[is_minority])[:wanted]
    return np.sort(np.concatenate([rows[~is_minority], kept]))


def _require_every_class(dataset: Dataset, folds: Split, seed: int) -> None:
    for fold, rows in folds.rows().items():
        there = set(dataset.labels[rows].tolist())
        missing = [name for label, name in enumerate(dataset.label_names) if label not in there]
        if missing:
            raise DatasetError(
                f"{dataset.name}: with seed {seed} the {fold} fold has no text of the class "
                f"{', '.join(missing)}; every fold needs every class. Add texts of it that are no "
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

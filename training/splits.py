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

from .datasets import Dataset
from .storage import cache_directory, write_whole


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
    """
    key = f"{dataset.sha256}:{len(dataset.texts)}:{protocol}:{seed}:{sklearn.__version__}"
    digest = hashlib.sha256(key.encode() + Path(__file__).read_bytes())
    name = f"{digest.hexdigest()[:16]}.npz"
    cached = cache_directory() / "splits" / name
    if not cached.exists():
        make = _paper if protocol is Protocol.PAPER else _grouped
        folds = make(dataset, seed)
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **folds.rows())
        write_whole(cached, buffer.getvalue())
    with np.load(cached, allow_pickle=False) as arrays:
        return Split(arrays["train"], arrays["validation"], arrays["test"])


def _paper(dataset: Dataset, seed: int) -> Split:
    rows = np.arange(len(dataset.texts))
    train, rest = train_test_split(rows, test_size=0.2, stratify=dataset.labels, random_state=seed)
    validation, test = train_test_split(
        rest, test_size=0.5, stratify=dataset.labels[rest], random_state=seed
    )
    return Split(np.sort(train), np.sort(validation), np.sort(test))


def _grouped(dataset: Dataset, seed: int) -> Split:
    groups = np.unique([group_key(text) for text in dataset.texts], return_inverse=True)[1]
    folds = StratifiedGroupKFold(10, shuffle=True, random_state=seed).split(
        np.zeros(len(groups)), dataset.labels, groups
    )
    test = next(folds)[1]
    validation = next(folds)[1]
    train = np.setdiff1d(np.arange(len(groups)), np.concatenate([validation, test]))
    return Split(train, np.sort(validation), np.sort(test))

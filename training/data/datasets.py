"""Labelled texts, and the public benchmarks of the models."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetError
from . import readers
from .source_files import Content, Source, data_directory, read_source

__all__ = [
    "FINER",
    "SOURCES",
    "Dataset",
    "Source",
    "data_directory",
    "identify",
    "load",
    "source_of",
]


class SourceRecord(TypedDict):
    """What an artifact's manifest has of each of several sources, see `DatasetRecord`."""

    name: str
    sha256: str
    rows: int
    shares: list[float]


class DatasetRecord(TypedDict):
    """What an artifact's manifest has as its ``dataset``.

    Attributes:
        name: of the data set.
        sha256: of its file; of several sources, of theirs.
        rows: how many texts there are.
        shares: of each label.
        sources: the same of each source, if there are several.
    """

    name: str
    sha256: str
    rows: int
    shares: list[float]
    sources: NotRequired[list[SourceRecord]]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled texts. Compared by identity, so that what is computed from it can be cached.

    Attributes:
        name: of the data set.
        texts: as in the source, none dropped.
        labels: int64[n], each the index of its name, 0 … k − 1; of two, 1 is the positive class.
        label_names: of the k ≥ 2 classes; of two, the negative one's comes first.
        sha256: of the source file; of several, it identifies all of them.
        origins: int64[n], the position of each text's source in ``source_names``; None for a single
            source.
        source_names: of the sources; empty for a single one.
        weights: float64[n], how often training draws each text, relative to the others; None for
            equally often.
        families: int64[n]; texts of one number ≥ 0 stay in one fold, as near copies do, however
            they are written. None if there are none.
        source_sha256: of each source's file; empty for a single one.
        generated: names of those sources whose texts are made of templates, not collected.
    """

    name: str
    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    sha256: str
    origins: NDArray[np.int64] | None = None
    source_names: tuple[str, ...] = ()
    weights: NDArray[np.float64] | None = None
    families: NDArray[np.int64] | None = None
    source_sha256: tuple[str, ...] = ()
    generated: frozenset[str] = frozenset()

    @cached_property
    def content_sha256(self) -> str:
        """Identifies what training reads, from whatever file, column or sample it comes.

        That is texts and labels and, if there are any, origins, weights and families.
        """
        content = json.dumps([self.label_names, self.texts]).encode()
        hashed = hashlib.sha256(content + self.labels.astype("<i8").tobytes())
        if self.origins is not None:
            hashed.update(json.dumps(["origins", self.source_names]).encode())
            hashed.update(self.origins.astype("<i8").tobytes())
        if self.weights is not None:
            hashed.update(b"weights" + self.weights.astype("<f8").tobytes())
        if self.families is not None:
            hashed.update(b"families" + self.families.astype("<i8").tobytes())
        return hashed.hexdigest()

    def take(self, rows: NDArray[np.int64]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return the texts and labels of the given rows, int64[m], in their order."""
        return tuple(self.texts[row] for row in rows.tolist()), self.labels[rows]

    def record(self) -> DatasetRecord:
        """Return what a manifest records about the data set."""
        record = DatasetRecord(
            name=self.name,
            sha256=self.sha256,
            rows=len(self.texts),
            shares=self._shares(self.labels),
        )
        if self.origins is not None:
            record["sources"] = [
                SourceRecord(
                    name=name,
                    sha256=sha256,
                    rows=int((self.origins == origin).sum()),
                    shares=self._shares(self.labels[self.origins == origin]),
                )
                for origin, (name, sha256) in enumerate(
                    zip(self.source_names, self.source_sha256, strict=True)
                )
            ]
        return record

    def _shares(self, labels: NDArray[np.int64]) -> list[float]:
        counts = np.bincount(labels, minlength=len(self.label_names))
        shares: list[float] = (counts / max(1, len(labels))).tolist()
        return shares

    def subset(self, rows: NDArray[np.int64]) -> "Dataset":
        """Return the data set of the given rows, int64[m], in their order."""
        texts, labels = self.take(rows)
        return replace(
            self,
            texts=texts,
            labels=labels,
            origins=None if self.origins is None else self.origins[rows],
            weights=None if self.weights is None else self.weights[rows],
            families=None if self.families is None else self.families[rows],
        )

    @property
    def task(self) -> Literal["binary", "multiclass"]:
        """What is learnt: one of two labels, or one of more."""
        return "binary" if len(self.label_names) == 2 else "multiclass"


_CYBERBULLYING = Source(
    name="Cyberbullying Classification",
    title="Cyberbullying",
    file="cyberbullying-classification.zip",
    members=("cyberbullying_tweets.csv",),
    sha256="2e88deb41537cab09e9490f659c6c5d9e0ce9ebe9396f1329b7c5685cb3796b3",
    urls=(
        "https://www.kaggle.com/api/v1/datasets/download/andrewmvd/cyberbullying-classification",
    ),
    licence="CC BY 4.0, Wang, Fu & Lu (SOSNet, IEEE BigData 2020)",
    label_names=("not_cyberbullying", "cyberbullying"),
    read=readers.read_cyberbullying,
    topic="abuse",
)

# The benchmarks: one entry per model, the collection that its figures are compared on. What else
# models learn from is in `sources`. Entries of one file share its download.
SOURCES = {
    "spam": Source(
        name="SMS Spam Collection",
        title="SMS Spam",
        file="sms_spam_collection.zip",
        members=("SMSSpamCollection",),
        sha256="7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
        urls=("https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",),
        licence="CC BY 4.0, Almeida & Gómez Hidalgo, UCI id 228",
        label_names=("ham", "spam"),
        read=readers.read_sms,
        topic="spam",
    ),
    "cyberbullying": _CYBERBULLYING,
    "cyberbullying_type": replace(
        _CYBERBULLYING,
        title="Cyberbullying type",
        label_names=readers.TYPES,
        read=readers.read_cyberbullying_type,
    ),
}


# The same texts with finer classes, the first of which is the model's negative one.
FINER = {"cyberbullying": "cyberbullying_type"}


def identify(names: Sequence[str], digests: Sequence[str]) -> str:
    """Return the SHA-256 of several sources: of their names and theirs, in order."""
    pairs = list(zip(names, digests, strict=True))
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def source_of(model: str) -> Source:
    """Return the source of ``model``'s benchmark.

    Raises:
        DatasetError: there is no such model.
    """
    try:
        return SOURCES[model]
    except KeyError:
        raise DatasetError(
            f"unknown model {model!r}; available models: {', '.join(SOURCES)}"
        ) from None


def load(model: str, directory: Path | None = None) -> Dataset:
    """Return the data set of ``model``'s benchmark; an unchanged file is read once.

    Warns:
        UserWarning: the file is not the known one; figures then differ from the published ones.

    Raises:
        DatasetError: the file is missing, damaged or lacks a class.
    """
    source = source_of(model)
    return _as_dataset(source, read_source(source, directory, f"download --model {model}"))


@lru_cache(maxsize=8)
def _as_dataset(source: Source, content: Content) -> Dataset:
    return Dataset(source.name, content.texts, content.labels, source.label_names, content.sha256)

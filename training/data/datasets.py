"""Labelled texts: the public data sets, as read from disk."""

import hashlib
import io
import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetError, command


class DatasetRecord(TypedDict):
    """What an artifact's manifest has as its ``dataset``.

    Attributes:
        name: of the data set.
        sha256: of its file.
        rows: how many texts there are.
        shares: of each label.
    """

    name: str
    sha256: str
    rows: int
    shares: list[float]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled texts. Compared by identity, so that what is computed from it can be cached.

    Attributes:
        name: of the data set.
        texts: as in the source, none dropped.
        labels: int64[n], each the index of its name, 0 … k − 1; of two, 1 is the positive class.
        label_names: of the k ≥ 2 classes; of two, the negative one's comes first.
        sha256: of the source file.
        origins: int64[n], the position of each text's source in ``source_names``; None for a single
            source.
        source_names: of the sources; empty for a single one.
        weights: float64[n], how often training draws each text, relative to the others; None for
            equally often.
    """

    name: str
    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    sha256: str
    origins: NDArray[np.int64] | None = None
    source_names: tuple[str, ...] = ()
    weights: NDArray[np.float64] | None = None

    @cached_property
    def content_sha256(self) -> str:
        """Identifies texts and labels, from whatever file, column or sample they come."""
        content = json.dumps([self.label_names, self.texts]).encode()
        return hashlib.sha256(content + self.labels.astype("<i8").tobytes()).hexdigest()

    def take(self, rows: NDArray[np.int64]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return the texts and labels of the given rows, int64[m], in their order."""
        return tuple(self.texts[row] for row in rows.tolist()), self.labels[rows]

    def record(self) -> DatasetRecord:
        """Return what a manifest records about the data set."""
        shares: list[float] = (np.bincount(self.labels) / len(self.labels)).tolist()
        return DatasetRecord(
            name=self.name, sha256=self.sha256, rows=len(self.texts), shares=shares
        )

    @property
    def task(self) -> Literal["binary", "multiclass"]:
        """What is learnt: one of two labels, or one of more."""
        return "binary" if len(self.label_names) == 2 else "multiclass"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set comes from, and how to read it.

    Attributes:
        name: of the data set.
        title: its short name in tables and plots.
        archive: file name of the ZIP archive in ``DATA_DIR``.
        member: the file in the archive that contains the data.
        sha256: of the member.
        url: where the archive is published.
        licence: with whom to credit.
        label_names: of the k ≥ 2 classes; of two, the negative one's comes first.
        read: bytes of the member → texts and int64 labels, see `Dataset`.
    """

    name: str
    title: str
    archive: str
    member: str
    sha256: str
    url: str
    licence: str
    label_names: tuple[str, ...]
    read: Callable[[bytes], tuple[list[str], NDArray[np.int64]]]


def _read_sms(data: bytes) -> tuple[list[str], NDArray[np.int64]]:
    rows = [line.split("\t", 1) for line in data.decode().split("\n") if line]
    for number, row in enumerate(rows, start=1):
        if len(row) != 2 or row[0] not in ("ham", "spam"):
            raise ValueError(f"line {number} is not 'ham' or 'spam', a tab and a text")
    texts = [text.removesuffix("\r") for _, text in rows]
    return texts, np.array([label == "spam" for label, _ in rows], dtype=np.int64)


_TYPES = (
    "not_cyberbullying",
    "age",
    "ethnicity",
    "gender",
    "other_cyberbullying",
    "religion",
)


def _read_tweets(data: bytes) -> tuple[list[str], NDArray[np.str_]]:
    # Here, because custom data does without it.
    import pandas as pd  # noqa: PLC0415

    # Every text is a text: pandas must not read "null" or "nan" as a missing one.
    table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
    if list(table.columns) != ["tweet_text", "cyberbullying_type"]:
        raise ValueError(f"its columns are {list(table.columns)}")
    return table["tweet_text"].tolist(), table["cyberbullying_type"].to_numpy(dtype=str)


def _read_cyberbullying(data: bytes) -> tuple[list[str], NDArray[np.int64]]:
    texts, types = _read_tweets(data)
    return texts, (types != "not_cyberbullying").astype(np.int64)


def _read_cyberbullying_type(data: bytes) -> tuple[list[str], NDArray[np.int64]]:
    texts, types = _read_tweets(data)
    index = {name: label for label, name in enumerate(_TYPES)}
    labels = np.array([index.get(name, -1) for name in types.tolist()], dtype=np.int64)
    if labels.min(initial=0) < 0:
        number = int(labels.argmin()) + 1
        raise ValueError(f"the type of tweet {number} is none of {', '.join(_TYPES)}")
    return texts, labels


_CYBERBULLYING = Source(
    name="Cyberbullying Classification",
    title="Cyberbullying",
    archive="cyberbullying-classification.zip",
    member="cyberbullying_tweets.csv",
    sha256="2e88deb41537cab09e9490f659c6c5d9e0ce9ebe9396f1329b7c5685cb3796b3",
    url="https://www.kaggle.com/api/v1/datasets/download/andrewmvd/cyberbullying-classification",
    licence="CC BY 4.0, Wang, Fu & Lu (SOSNet, IEEE BigData 2020)",
    label_names=("not_cyberbullying", "cyberbullying"),
    read=_read_cyberbullying,
)

# One entry per model: the data set that it learns from. Those of one archive share its download.
SOURCES = {
    "spam": Source(
        name="SMS Spam Collection",
        title="SMS Spam",
        archive="sms_spam_collection.zip",
        member="SMSSpamCollection",
        sha256="7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
        url="https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
        licence="CC BY 4.0, Almeida & Gómez Hidalgo, UCI id 228",
        label_names=("ham", "spam"),
        read=_read_sms,
    ),
    "cyberbullying": _CYBERBULLYING,
    "cyberbullying_type": replace(
        _CYBERBULLYING,
        title="Cyberbullying type",
        label_names=_TYPES,
        read=_read_cyberbullying_type,
    ),
}


# The same texts with finer classes, the first of which is the model's negative one.
FINER = {"cyberbullying": "cyberbullying_type"}


def data_directory() -> Path:
    """Return the directory of the archives: ``DATA_DIR``, by default ``data``."""
    return Path(os.environ.get("DATA_DIR", "data"))


def source_of(model: str) -> Source:
    """Return the source of ``model``'s data set.

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
    """Return the data set that ``model`` learns from; an unchanged file is read once.

    Warns:
        UserWarning: the file is not the known one; figures then differ from the published ones.

    Raises:
        DatasetError: the file is missing, damaged or lacks a class.
    """
    source = source_of(model)
    path = (directory or data_directory()) / source.archive
    if not path.is_file():
        raise DatasetError(
            f"{path}: no such file ({source.name}). "
            f"Get it with: {command(f'download --model {model}')}, "
            "or set DATA_DIR to the directory that contains it."
        )
    stat = path.stat()
    return _read(source, path, (stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=4)
def _read(source: Source, path: Path, _version: tuple[int, int]) -> Dataset:
    data = read_member(path, source)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != source.sha256:
        warnings.warn(
            f"{path}: {source.member} is not the known file (SHA-256 {sha256}, known "
            f"{source.sha256}). Figures will differ from the published ones.",
            stacklevel=3,
        )
    try:
        texts, labels = source.read(data)
    except ValueError as error:
        raise DatasetError(f"{path}: {source.member} cannot be read: {error}") from error
    missing = [name for label, name in enumerate(source.label_names) if label not in labels]
    if missing:
        raise DatasetError(
            f"{path}: {source.member} contains no text of the class {', '.join(missing)}; every "
            f"class is needed. Delete the archive and get it again with: {command('download')}"
        )
    return Dataset(source.name, tuple(texts), labels, source.label_names, sha256)


def read_member(path: Path, source: Source) -> bytes:
    """Return the file of a source's archive that contains its texts.

    Raises:
        DatasetError: the archive cannot be read, or does not contain it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(source.member)
    except KeyError:
        raise DatasetError(f"{path}: does not contain {source.member!r}.") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
        raise DatasetError(
            f"{path}: not a readable ZIP archive ({error}). Delete it and get it again with: "
            f"{command('download')}"
        ) from error

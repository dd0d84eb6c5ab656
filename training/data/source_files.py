"""A source on disk: a file in ``DATA_DIR``, read with its checksum."""

import fnmatch
import hashlib
import json
import os
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetError, command

Reader = Callable[[Mapping[str, bytes]], tuple[list[str], NDArray[np.int64]]]
"""The contents of the members by name → n texts, and int64[n] labels."""

_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    tarfile.TarError,
    OSError,
    EOFError,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class Source:
    """One labelled collection: where it comes from, and how to read it.

    Attributes:
        name: of the collection.
        title: its short name in tables and plots.
        file: its file in ``DATA_DIR``: a ZIP archive or, if there is one member of the same name,
            the data itself.
        members: the files in it that contain the data, by name or pattern; in the archive they may
            lie in a folder.
        sha256: of the member; of several, see `combined`.
        urls: where it is published: one address of the file itself, or of an archive that contains
            the members; or one address for each member.
        licence: with whom to credit.
        label_names: of the k ≥ 2 classes; of two, the negative one's comes first.
        read: the reader; labels count from 0.
        use: whether it may be trained on.
        commit: of the public repository; empty if there is none.
        topic: what its positive class is; None if it has harmless texts alone.
        has: the classes that it has texts of; None for all.
        families: texts → n names; texts of one name stay in one fold, however they are written.
            None for near copies alone.
        repair: applied to a member's bytes first; None for nothing.
        generate: family → its texts, all of one class, for a source without a file, which has no
            members, checksum, addresses or reader either; None for one that is read.
    """

    name: str
    title: str
    licence: str
    label_names: tuple[str, ...]
    file: str = ""
    members: tuple[str, ...] = ()
    sha256: str = ""
    urls: tuple[str, ...] = ()
    read: Reader | None = None
    use: Literal["train", "measure"] = "train"
    commit: str = ""
    topic: Literal["spam", "abuse"] | None = None
    has: tuple[int, ...] | None = None
    families: Callable[[Sequence[str]], list[str]] | None = None
    repair: Callable[[bytes], bytes] | None = None
    generate: Callable[[], Mapping[str, Sequence[str]]] | None = None

    @property
    def is_archive(self) -> bool:
        """Whether the file is a ZIP archive."""
        return self.members != (self.file,)


@dataclass(frozen=True, eq=False, slots=True)
class Content:
    """What a source contains. Compared by identity.

    Attributes:
        texts: n texts.
        labels: int64[n].
        sha256: as of `Source`.
    """

    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    sha256: str


def combined(*digests: str) -> str:
    """Return the SHA-256 that stands for several members: that of theirs, in order, a line each."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(f"{one}\n" for one in digests).encode()).hexdigest()


def data_directory() -> Path:
    """Return the directory of the files: ``DATA_DIR``, by default ``data``."""
    return Path(os.environ.get("DATA_DIR", "data"))


def read_source(source: Source, directory: Path | None, download: str) -> Content:
    """Read a source; an unchanged file is read once.

    Args:
        source: what to read.
        directory: that contains its file; by default `data_directory`.
        download: the arguments of the command that downloads it, for messages.

    Warns:
        UserWarning: the file is not the known one; figures then differ from the published ones.

    Raises:
        DatasetError: the file is missing, damaged or lacks a class.
    """
    if source.generate is not None:
        return _generated(source)
    path = (directory or data_directory()) / source.file
    if not path.is_file():
        raise DatasetError(
            f"{path}: no such file ({source.name}). Get it with: {command(download)}, "
            "or set DATA_DIR to the directory that contains it."
        )
    stat = path.stat()
    return _read(source, path, (stat.st_size, stat.st_mtime_ns), download)


@lru_cache(maxsize=32)
def _generated(source: Source) -> Content:
    if source.generate is None or source.has is None or len(source.has) != 1:
        raise ValueError(f"{source.name} is not generated, or of more than one class")
    texts = [text for family in source.generate().values() for text in family]
    sha256 = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    return Content(tuple(texts), np.full(len(texts), source.has[0]), sha256)


@lru_cache(maxsize=32)
def _read(source: Source, path: Path, _version: tuple[int, int], download: str) -> Content:
    if source.read is None:
        raise ValueError(f"{source.name} has a file, but no reader")
    members = read_members(path, source, download)
    what = ", ".join(source.members)
    sha256 = digest(members)
    if sha256 != source.sha256:
        warnings.warn(
            f"{path}: {what} is not the known file (SHA-256 {sha256}, known {source.sha256}). "
            "Figures will differ from the published ones.",
            stacklevel=4,
        )
    try:
        texts, labels = source.read(members)
    except (ValueError, KeyError) as error:
        raise DatasetError(f"{path}: {what} cannot be read: {error}") from error
    expected = range(len(source.label_names)) if source.has is None else source.has
    missing = [source.label_names[label] for label in expected if label not in labels]
    if missing:
        raise DatasetError(
            f"{path}: {what} contains no text of the class {', '.join(missing)}; every class is "
            f"needed. Delete the file and get it again with: {command(download)}"
        )
    return Content(tuple(texts), labels, sha256)


def read_members(path: Path, source: Source, download: str = "download") -> dict[str, bytes]:
    """Read the members of a source, by their names in its archive, in the order of the source.

    Args:
        path: a ZIP archive, a tar archive, or the data itself.
        source: names the members.
        download: the arguments of the command that downloads it, for messages.

    Raises:
        DatasetError: the file cannot be read, or lacks a member.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = _chosen(source, archive.namelist(), archive.read)
        elif source.is_archive:
            raise zipfile.BadZipFile("File is not a zip file")
        else:
            members = {source.file: path.read_bytes()}
    except _UNREADABLE as error:
        raise DatasetError(
            f"{path}: not a readable {'ZIP archive' if source.is_archive else 'file'} ({error}). "
            f"Delete it and get it again with: {command(download)}"
        ) from error
    except LookupError as error:
        raise DatasetError(f"{path}: does not contain {error.args[0]!r}.") from None
    return repaired(source, members)


def repaired(source: Source, members: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the members as `Source.repair` leaves them."""
    return {
        name: data if source.repair is None else source.repair(data)
        for name, data in members.items()
    }


def pick(source: Source, names: Sequence[str]) -> list[str]:
    """Choose, among the names in an archive, those of a source's members, sorted for each pattern.

    Raises:
        LookupError: there is none for a pattern, which is the argument of the error.
    """
    found = []
    files = sorted(name for name in names if not name.startswith("__MACOSX/"))
    for pattern in source.members:
        matching = [name for name in files if fnmatch.fnmatchcase("/" + name, f"*/{pattern}")]
        if not matching:
            raise LookupError(pattern)
        found += matching
    return found


def _chosen(source: Source, names: Sequence[str], read: Callable[[str], bytes]) -> dict[str, bytes]:
    return {name: read(name) for name in pick(source, names)}


def digest(members: Mapping[str, bytes]) -> str:
    """Return the SHA-256 that identifies the members, whatever archive they are in."""
    return combined(*(hashlib.sha256(data).hexdigest() for data in members.values()))

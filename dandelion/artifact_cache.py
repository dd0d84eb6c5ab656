"""The local cache of artifacts that come from elsewhere.

The directory ``DANDELION_CACHE_DIR`` has::

    files/                  each file once, named by its SHA-256
    copies/<address>/       of an address, a directory for each different content:
        <hash>/             serving.toml, artifacts and policy files, linked from files/
            .files.json     the SHA-256 of each; its own is the name of the directory

Files are written aside and renamed, and so are copies: a copy is complete or absent, however many
processes fetch at the same time. Before a copy is returned each file in it has been compared with
its checksum; a damaged one is fetched again. What nothing has used for 30 days is removed.
"""

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .files import read_bounded
from .json_values import loads
from .manifest import ArtifactError, sha256
from .remote import shown

CACHE_VARIABLE: Final = "DANDELION_CACHE_DIR"
_XDG_VARIABLE: Final = "XDG_CACHE_HOME"

_LISTING: Final = ".files.json"
_MAX_LISTING_BYTES: Final = 2**20
_MAX_FILE_BYTES: Final = 2**32
_ATTEMPTS: Final = 5
_UNUSED_S: Final = 30 * 86_400
_ASIDE_S: Final = 86_400  # what a killed process left; far longer than a fetch may take
_ASIDE: Final = ".aside-"


@dataclass(frozen=True, slots=True)
class Copy:
    """A local copy of the artifacts at an address.

    Attributes:
        address: where they come from, without credentials.
        directory: of the copy; only to be read.
        digest: SHA-256 over the names and checksums of its files.
        damaged: ``model/variant`` → why this artifact is not complete; only where that was allowed.
    """

    address: str
    directory: Path
    digest: str
    damaged: Mapping[str, str] = field(default_factory=dict)


def cache_directory() -> Path:
    """Return ``DANDELION_CACHE_DIR``; by default ``dandelion`` in the user's directory for caches.

    That is ``$XDG_CACHE_HOME``, else ``~/.cache`` (XDG Base Directory Specification, version 0.8).

    Raises:
        ArtifactError: there is no home directory.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    base = Path(os.environ.get(_XDG_VARIABLE, ""))
    if base.is_absolute():  # the specification: a relative path is to be ignored
        return base / "dandelion"
    try:
        return Path.home() / ".cache" / "dandelion"
    except RuntimeError as error:
        raise ArtifactError(
            f"artifacts cannot be fetched: there is no home directory; set {CACHE_VARIABLE}"
        ) from error


def find(address: str, digest: str, cache: Path) -> Copy | None:
    """Return a copy that was fetched before; None if it is gone or damaged."""
    directory = _place(cache, address) / digest
    return Copy(shown(address), directory, digest) if _is_intact(directory) else None


def last_used(address: str, cache: Path) -> tuple[str, Path] | None:
    """Return when the latest copy of an address with all models was used, UTC; and its directory.

    None if there is no copy.
    """
    found = []
    for directory in _place(cache, address).glob("*"):
        with suppress(OSError, ValueError, KeyError):
            if _listing(directory)["model"] is None:
                found.append((directory.stat().st_mtime, directory))
    if not found:
        return None
    used, directory = max(found)
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(used)), directory


class Draft:
    """A copy that is being made, aside; a context manager, which removes what is not kept.

    Args:
        address: where the artifacts come from.
        cache: the directory of the cache.

    Raises:
        OSError: the cache cannot be written; so do all methods.
    """

    def __init__(self, address: str, cache: Path) -> None:
        self._address = address
        self._cache = cache
        self._place = _place(cache, address)
        self._listed: dict[str, str] = {}
        for directory in (cache / "files", self._place):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_unused(cache)
        self.directory = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=cache))

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    def add(self, name: str, obtain: Callable[[Path], str], digest: str | None = None) -> None:
        """Add a file, unless it is there.

        Args:
            name: its path below the directory, with slashes.
            obtain: writes it to a path and returns its SHA-256; not called if the cache has it.
            digest: its SHA-256, if it is known.
        """
        if name in self._listed:
            return
        files = self._cache / "files"
        if digest is None or not _is_intact_file(files / digest):
            descriptor, aside = tempfile.mkstemp(prefix=_ASIDE, dir=files)
            os.close(descriptor)
            try:
                digest = obtain(Path(aside))
                Path(aside).replace(files / digest)
            finally:
                Path(aside).unlink(missing_ok=True)
        target = self.directory.joinpath(*name.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        os.utime(files / digest)
        try:
            target.hardlink_to(files / digest)
        except OSError:  # a file system without links
            shutil.copyfile(files / digest, target)
        self._listed[name] = digest

    def keep(self, about: Mapping[str, Any]) -> tuple[Path, str]:
        """Put the copy in its place, unless it is there; returns its directory and its digest.

        Args:
            about: JSON values that are stored with it, and are part of the digest.
        """
        listing = json.dumps({"files": self._listed, **about}, sort_keys=True).encode()
        digest = sha256(listing)
        (self.directory / _LISTING).write_bytes(listing)
        directory = self._place / digest
        for attempt in range(_ATTEMPTS):
            if _is_intact(directory):
                break
            try:
                if directory.exists():
                    trash = tempfile.mkdtemp(prefix=_ASIDE, dir=self._cache)
                    directory.rename(Path(trash) / "damaged")
                    shutil.rmtree(trash, ignore_errors=True)
                self.directory.rename(directory)
            except OSError:  # most likely another process puts it there at the same time
                if attempt == _ATTEMPTS - 1:
                    raise
        os.utime(directory)
        return directory, digest


def _place(cache: Path, address: str) -> Path:
    """Return where the copies of an address are: readable, and different for each address."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", shown(address)).strip("-")
    return cache / "copies" / f"{readable[:120]}-{sha256(address.rstrip('/').encode())[:12]}"


def _listing(directory: Path) -> Any:
    return loads(read_bounded(directory / _LISTING, _MAX_LISTING_BYTES))


def _is_intact(directory: Path) -> bool:
    """Return whether a copy is what was fetched."""
    try:
        listing = read_bounded(directory / _LISTING, _MAX_LISTING_BYTES)
    except OSError:
        return False
    if sha256(listing) != directory.name:
        return False
    files: dict[str, str] = loads(listing)["files"]
    return all(_hash_of(directory / name) == digest for name, digest in files.items())


def _is_intact_file(path: Path) -> bool:
    return re.fullmatch("[0-9a-f]{64}", path.name) is not None and _hash_of(path) == path.name


def _hash_of(path: Path) -> str | None:
    try:
        return sha256(read_bounded(path, _MAX_FILE_BYTES))
    except OSError:
        return None


def _remove_unused(cache: Path) -> None:
    """Remove what nothing has used for long. Other processes may do the same meanwhile."""
    now = time.time()
    for pattern, limit in (
        ("copies/*/*", _UNUSED_S),
        ("files/*", _UNUSED_S),
        (f"{_ASIDE}*", _ASIDE_S),
        (f"files/{_ASIDE}*", _ASIDE_S),
    ):
        for path in cache.glob(pattern):
            with suppress(OSError):
                if path.stat().st_mtime > now - limit:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()

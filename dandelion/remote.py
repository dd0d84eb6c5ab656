"""Files at the addresses that fsspec knows, such as ``s3://bucket/file``.

The one module that imports fsspec, an extra, and only once an address is used. A name without a
scheme is no address: it is a path of this machine.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from .installation import install_command

CHUNK_BYTES: Final = 2**23

_WILDCARDS: Final = frozenset("*?[")
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://")


class RemoteError(Exception):
    """A file at an address cannot be read or written; the message has no credentials."""


class MissingError(RemoteError):
    """There is no such file, or nobody may know: S3 denies access where names may not be listed."""


def is_address(name: object) -> bool:
    """Return whether a name has a scheme.

    Example:
        >>> is_address("s3://bucket/artifacts"), is_address("artifacts"), is_address("C:/artifacts")
        (True, False, False)
    """
    return isinstance(name, str) and _ADDRESS.match(name) is not None


def shown(address: str) -> str:
    """Return an address without what may be secret in it: user, password and query.

    A path of this machine stays as it is.

    Example:
        >>> shown("sftp://me:secret@host/artifacts?token=1")
        'sftp://host/artifacts'
    """
    if not is_address(address):
        return address
    try:
        parts = urlsplit(address)
    except ValueError:  # brackets that are no IPv6 address
        return f"{address.partition('://')[0]}://…"
    host = parts.netloc.rpartition("@")[2]
    # Joined by hand where there is no host: `urlunsplit` would drop the slashes of memory://.
    path = urlunsplit(("", "", parts.path, "", ""))
    return f"{parts.scheme}://{host}{path}"


def join(address: str, *names: str) -> str:
    """Return the address of something below another address."""
    return "/".join((address.rstrip("/"), *names))


def read(address: str, max_bytes: int) -> bytes:
    """Return the content of a file.

    Args:
        address: of the file.
        max_bytes: its size at most.

    Raises:
        MissingError: it does not exist, or access to it is denied.
        RemoteError: it cannot be read, or is larger.
    """
    system, path = file_system(address)
    try:
        with system.open(path, "rb", cache_type="none") as file:
            data: bytes = file.read(max_bytes + 1)
    except Exception as error:
        raise _unreadable(address, error) from error
    if len(data) > max_bytes:
        raise RemoteError(f"{shown(address)}: larger than {max_bytes} bytes")
    return data


def copy(address: str, target: Path, max_bytes: int) -> str:
    """Copy a file to this machine, and return its SHA-256, hexadecimal.

    Args:
        address: of the file.
        target: an existing file or a new one; it is incomplete if an error is raised.
        max_bytes: its size at most.

    Raises:
        MissingError: it does not exist, or access to it is denied.
        RemoteError: it cannot be read, or is larger.
        OSError: ``target`` cannot be written.
    """
    system, path = file_system(address)
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as written:
        try:
            source = system.open(path, "rb", cache_type="none")
        except Exception as error:
            raise _unreadable(address, error) from error
        with source:
            while True:
                try:
                    chunk: bytes = source.read(CHUNK_BYTES)
                except Exception as error:
                    raise _unreadable(address, error) from error
                if not chunk:
                    return digest.hexdigest()
                size += len(chunk)
                if size > max_bytes:
                    raise RemoteError(f"{shown(address)}: larger than {max_bytes} bytes")
                digest.update(chunk)
                written.write(chunk)


def file_system(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and its path there.

    Credentials, regions and timeouts are those of its package: of s3fs, what botocore finds, and 5
    seconds to connect and 15 to read, tried 5 times. ``FSSPEC_S3`` and the like change them, see
    fsspec's documentation on configuration.

    Raises:
        RemoteError: fsspec or the package of the file system is not installed, nobody knows the
            scheme, or there is no connection.
    """
    scheme = address.partition("://")[0]
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra

        system, path = url_to_fs(address)
    except ImportError as error:
        if scheme != "s3" and (error.name or "").partition(".")[0] != "fsspec":
            raise RemoteError(
                f"{shown(address)}: needs the package of fsspec for {scheme}:// addresses, which "
                f"is not installed: {error.name or error}"
            ) from error
        extra = "s3" if scheme == "s3" else "remote"
        raise RemoteError(
            f"{shown(address)}: needs the extra `{extra}`, which is not installed. "
            f"Install it: {install_command(extra)}"
        ) from error
    except ValueError as error:
        raise RemoteError(
            f"{shown(address)}: {scheme}:// is no scheme that fsspec knows"
        ) from error
    except Exception as error:  # file systems such as ftp:// and sftp:// connect at once
        raise _unreadable(address, error) from error
    system.invalidate_cache()  # another process may have changed what is listed there
    return system, path


# Errors are named by their types: the messages of the libraries may have credentials.
def _unreadable(name: str, error: Exception) -> RemoteError:
    if isinstance(error, RemoteError):
        return error
    if isinstance(error, FileNotFoundError):
        return MissingError(f"{shown(name)}: does not exist")
    if isinstance(error, PermissionError):
        return MissingError(f"{shown(name)}: access is denied")
    return RemoteError(f"{shown(name)}: cannot be read ({type(error).__name__})")


def _unwritable(name: str, error: Exception) -> RemoteError:
    return RemoteError(f"{shown(name)}: cannot be written ({type(error).__name__})")


def canonical(name: str) -> str:
    """Return the one address of a file or a pattern; of a path of this machine, the absolute one.

    Raises:
        RemoteError: see `file_system`.
    """
    system, path = file_system(name)
    return str(system.unstrip_protocol(path) if is_address(name) else path)


def expand(pattern: str) -> dict[str, tuple[int, str]]:
    """Return the files that a name or a pattern with ``*``, ``?`` or ``[`` matches, sorted.

    Args:
        pattern: an address, or a path of this machine.

    Returns:
        Name → its size in bytes, and a mark that changes with its content. A name is an address, or
        an absolute path.

    Raises:
        MissingError: it does not exist, or access to it is denied.
        RemoteError: the file system cannot be read.
    """
    system, path = file_system(pattern)
    is_local = not is_address(pattern)
    try:
        is_pattern = has_wildcard(pattern)
        found = system.glob(path, detail=True) if is_pattern else {path: system.info(path)}
        return {
            (name if is_local else system.unstrip_protocol(name)): (
                int(found[name]["size"] or 0),
                str(system.ukey(name)),
            )
            for name in sorted(found)
            if found[name]["type"] == "file"
        }
    except Exception as error:
        raise _unreadable(pattern, error) from error


def has_wildcard(name: str) -> bool:
    """Return whether a name is a pattern; that of an existing file of this machine is none."""
    return not _WILDCARDS.isdisjoint(name) and (is_address(name) or not Path(name).exists())


def is_directory(name: str) -> bool:
    """Return whether a name is that of a directory, or of something that has files below it.

    Raises:
        RemoteError: the file system cannot be read.
    """
    system, path = file_system(name)
    try:
        return bool(system.isdir(path))
    except Exception as error:
        raise _unreadable(name, error) from error


@contextmanager
def reading(name: str) -> Iterator[BinaryIO]:
    """Open a file to read it from its beginning to its end.

    Raises:
        MissingError: it does not exist, or access to it is denied.
        RemoteError: it cannot be opened. While it is read, errors are those of its file system.
    """
    system, path = file_system(name)
    try:
        file = system.open(path, "rb", block_size=CHUNK_BYTES, cache_type="readahead")
    except Exception as error:
        raise _unreadable(name, error) from error
    with file:
        yield file


@contextmanager
def writing(name: str, run: str) -> Iterator[BinaryIO]:
    """Write a file that appears when the block ends without an error, whole; it replaces another.

    Where a process is killed meanwhile, an object store keeps parts that nobody sees, see its rules
    for incomplete uploads; and a directory keeps a hidden file, see `remove_aside`.

    Args:
        name: of the file; missing directories are created.
        run: letters and digits that name what is left of killed processes.

    Raises:
        RemoteError: it cannot be written. While it is written, errors are those of its file system.
    """
    system, path = file_system(name)
    if "file" in system.protocol:
        with _local_file(path, run) as file:
            yield file
        return
    try:
        file = system.open(path, "wb", block_size=CHUNK_BYTES, autocommit=False)
    except Exception as error:
        raise _unwritable(name, error) from error
    try:
        yield file
        file.close()
        file.commit()
    except BaseException:
        with suppress(Exception):  # its parts are then left to the rules of the store
            file.discard()
        raise


@contextmanager
def _local_file(name: str, run: str) -> Iterator[BinaryIO]:
    path = Path(name)
    aside = path.with_name(f".{path.name}.{run}-{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = aside.open("wb")
    except OSError as error:
        raise _unwritable(name, error) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def remove_aside(directory: str, run: str) -> None:
    """Remove what killed processes of a run have left in a directory of this machine.

    Args:
        directory: address or path; object stores have nothing to remove.
        run: see `writing`.
    """
    system, path = file_system(directory)
    if "file" in system.protocol:
        for left in Path(path).glob(f".*.{run}-*"):
            left.unlink(missing_ok=True)


def remove(names: Sequence[str]) -> None:
    """Remove files; those that do not exist are none.

    Raises:
        RemoteError: one cannot be removed.
    """
    if not names:
        return
    system, _ = file_system(names[0])
    paths = [file_system(name)[1] for name in names]
    try:
        if "file" in system.protocol:
            for path in paths:
                Path(path).unlink(missing_ok=True)
        else:
            with suppress(FileNotFoundError):
                system.rm(paths)  # one request for many
    except Exception as error:
        raise _unreadable(names[0], error) from error

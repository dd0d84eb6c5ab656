"""Files at the addresses that fsspec knows, such as ``s3://bucket/file``.

The one module that imports fsspec, an extra, and only once an address is used. A name without a
scheme is no address: it is a path of this machine.
"""

import hashlib
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from .installation import install_command

CHUNK_BYTES: Final = 2**23

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

    Example:
        >>> shown("sftp://me:secret@host/artifacts?token=1")
        'sftp://host/artifacts'
    """
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
        RemoteError: fsspec or the package of the file system is not installed, or nobody knows the
            scheme.
    """
    scheme = address.partition("://")[0]
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra

        system, path = url_to_fs(address)
    except ImportError as error:
        extra = "s3" if scheme == "s3" else "remote"
        needs = f"the extra `{extra}`"
        if scheme != "s3" and (error.name or "").partition(".")[0] != "fsspec":
            needs = f"the package of fsspec for {scheme}:// addresses ({error.name or error})"
        raise RemoteError(
            f"{shown(address)}: needs {needs}, which is not installed. "
            f"Install it: {install_command(extra)}"
        ) from error
    except ValueError as error:
        raise RemoteError(
            f"{shown(address)}: {scheme}:// is no scheme that fsspec knows"
        ) from error
    system.invalidate_cache()  # another process may have changed what is listed there
    return system, path


def _unreadable(address: str, error: Exception) -> RemoteError:
    """Return the error of a file. Not with the message of the library: it may have credentials."""
    if isinstance(error, RemoteError):
        return error
    if isinstance(error, FileNotFoundError):
        return MissingError(f"{shown(address)}: does not exist")
    if isinstance(error, PermissionError):
        return MissingError(f"{shown(address)}: access is denied")
    return RemoteError(f"{shown(address)}: cannot be read ({type(error).__name__})")

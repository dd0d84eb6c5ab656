"""API keys: how they are made, stored and read. The service and `dandelion keys` share the format.

A file of keys is TOML, one line a key::

    forum = { sha256 = "5f2c…", scopes = ["classify"], texts_per_second = 200 }
    prometheus = { sha256 = "90ab…", scopes = ["metrics"] }

It has no key in it, only digests. A key is 256 random bits, so nobody can find it by trying, and
one round of SHA-256 protects it as well as a slow function for passwords, at a microsecond a
request. ``sha256`` may be a list of two digests: the old and the new key, while one replaces the
other.
"""

import hashlib
import json
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from .files import read_bounded
from .writing import write_atomically

MAX_KEYS: Final = 64
"""Each of them is a label of metrics."""
MAX_TEXTS_PER_SECOND: Final = 1_000_000_000

# Lets scanners of repositories and logs recognise a key.
_PREFIX: Final = "dandelion_"
_RANDOM_BYTES: Final = 32
_MAX_DIGESTS: Final = 2
_MAX_BYTES: Final = 2**18
_NAME: Final = re.compile(r"[a-z0-9_-]{1,64}")
_HEX_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PLACE: Final = re.compile(r"\(at (line [0-9]+, column [0-9]+|end of document)\)")
_FIELDS: Final = ("sha256", "scopes", "texts_per_second")
_MODE: Final = 0o600


class Access(StrEnum):
    """What a key allows: its scopes."""

    CLASSIFY = "classify"
    """Every route that classifies or describes a model."""
    ADMIN = "admin"
    """Reload, roll back."""
    METRICS = "metrics"
    """Read the metrics."""


class KeysError(Exception):
    """Keys are not in the format; the message quotes nothing that could be a key."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is stored about a key.

    Attributes:
        name: for logs, metrics and records; no secret.
        scopes: what it allows.
        digests: SHA-256 of the key, or of two keys while one replaces the other.
        texts_per_second: that may be classified with it; None without a limit.
    """

    name: str
    scopes: frozenset[Access]
    digests: tuple[bytes, ...] = field(repr=False)
    texts_per_second: int | None = None


def generate() -> str:
    """Return a new key: 256 random bits, in characters that need no escape in a header or URL."""
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(key: bytes) -> bytes:
    """Return what is stored of a key: its SHA-256."""
    return hashlib.sha256(key).digest()


def is_name(value: str) -> bool:
    """Return whether a key may have this name: 1 to 64 of a to z, 0 to 9, ``_`` and ``-``."""
    return _NAME.fullmatch(value) is not None


def to_line(key: ApiKey) -> str:
    """Return the line of a key for the file, without a line feed.

    Example:
        >>> to_line(ApiKey("forum", frozenset({Access.METRICS}), (bytes(32),)))[:40]
        'forum = { sha256 = "00000000000000000000'
    """
    # JSON, which these are in TOML, too.
    digests = [one.hex() for one in key.digests]
    parts = [
        f"sha256 = {json.dumps(digests[0] if len(digests) == 1 else digests)}",
        f"scopes = {json.dumps([scope for scope in Access if scope in key.scopes])}",
    ]
    if key.texts_per_second is not None:
        parts.append(f"texts_per_second = {key.texts_per_second}")
    return f"{key.name} = {{ {', '.join(parts)} }}"


def parse(content: str) -> dict[str, ApiKey]:
    """Return the keys by name.

    Raises:
        KeysError: the content is not in the format, or has no key.
    """
    try:
        table = tomllib.loads(content)
    except (ValueError, RecursionError) as error:  # a number of 5000 digits is no TOMLDecodeError
        # Of the message only the place: it may quote what stands there.
        place = _PLACE.search(str(error))
        raise KeysError(f"not TOML{f' ({place[1]})' if place else ''}") from None
    if not table:
        raise KeysError("has no key")
    if len(table) > MAX_KEYS:
        raise KeysError(f"{len(table)} keys; at most {MAX_KEYS} are possible")
    keys = {
        name: _key(name, number, value) for number, (name, value) in enumerate(table.items(), 1)
    }
    check_distinct(keys.values())
    return keys


def check_distinct(keys: Iterable[ApiKey]) -> None:
    """Check that no two names have the same key, whose scopes and limit would be uncertain.

    Raises:
        KeysError: two have.
    """
    owners: dict[bytes, str] = {}
    for key in keys:
        for one in key.digests:
            if owners.setdefault(one, key.name) != key.name:
                raise KeysError(f"{owners[one]!r} and {key.name!r} have the same sha256")


def read(path: Path) -> dict[str, ApiKey]:
    """Return the keys in a file, by name.

    Raises:
        KeysError: the file cannot be read, or is not in the format.
    """
    try:
        return parse(read_bounded(path, _MAX_BYTES).decode())
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise KeysError(f"{path}: not UTF-8") from None
    except KeysError as error:
        raise KeysError(f"{path}: {error}") from None


def append(path: Path, key: ApiKey) -> None:
    """Add a key to a file, which is created if there is none; the file is replaced whole.

    Comments, the order of the lines, the file's owner, group and mode stay. A new file can be read
    by its owner alone.

    Raises:
        KeysError: the file is not in the format, is full, or has a key of this name; or this
            process may not write one with its owner and group.
        OSError: it cannot be written.
    """
    before, mode, owner = "", _MODE, None
    if path.exists():
        names = read(path)
        if key.name in names:
            raise KeysError(f"{path}: has a key {key.name!r} already; choose another name")
        if len(names) == MAX_KEYS:
            raise KeysError(f"{path}: has {MAX_KEYS} keys already, as many as are possible")
        before = read_bounded(path, _MAX_BYTES).decode()
        status = path.stat()
        mode, owner = status.st_mode & 0o777, (status.st_uid, status.st_gid)
        if before and not before.endswith("\n"):
            before += "\n"
    after = f"{before}{to_line(key)}\n"
    try:
        parse(after)
    except KeysError:  # the line would belong to the table above it
        raise KeysError(f"{path}: ends with a table; add the line above it by hand") from None
    try:
        write_atomically(path, after.encode(), mode, owner)
    except PermissionError as error:
        if owner is None:
            raise
        # With another owner or group, the service might not be able to read it.
        raise KeysError(
            f"{path}: cannot be replaced by a file with its owner and group "
            f"({error.strerror}); do this as root, or add the line by hand"
        ) from error


def _key(name: str, number: int, value: Any) -> ApiKey:
    """Return one key; an error quotes its name only if it can be none.

    Raises:
        KeysError: it is not in the format.
    """
    if not is_name(name):
        raise KeysError(
            f"key {number}: expected a name of 1 to 64 of the characters a to z, 0 to 9, _ and -"
        )
    if not isinstance(value, dict):
        raise KeysError(f"{name!r}: expected a table with sha256 and scopes")
    if unknown := value.keys() - set(_FIELDS):
        # Not quoted: who has put the key itself there should not find it in a log.
        raise KeysError(f"{name!r}: {len(unknown)} unknown field(s); expected {', '.join(_FIELDS)}")
    return ApiKey(name, _scopes(name, value), _digests(name, value), _limit(name, value))


def _digests(name: str, value: Mapping[str, Any]) -> tuple[bytes, ...]:
    given = value.get("sha256")
    found = given if isinstance(given, list) else [given]
    digests = tuple(
        bytes.fromhex(one) for one in found if isinstance(one, str) and _HEX_DIGEST.fullmatch(one)
    )
    if not 1 <= len(digests) == len(found) <= _MAX_DIGESTS:
        raise KeysError(
            f"{name!r}: sha256: expected 64 digits from 0 to 9 and a to f, or a list of two such: "
            "the digest that `dandelion keys new` prints, not the key"
        )
    return digests


def _scopes(name: str, value: Mapping[str, Any]) -> frozenset[Access]:
    given = value.get("scopes")
    if not isinstance(given, list) or not given or not all(one in [*Access] for one in given):
        raise KeysError(f"{name!r}: scopes: expected a list of {', '.join(Access)}")
    return frozenset(map(Access, given))


def _limit(name: str, value: Mapping[str, Any]) -> int | None:
    given = value.get("texts_per_second")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int):
        given = 0
    if not 1 <= given <= MAX_TEXTS_PER_SECOND:
        raise KeysError(
            f"{name!r}: texts_per_second: expected a whole number from 1 to {MAX_TEXTS_PER_SECOND}"
        )
    return int(given)

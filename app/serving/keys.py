"""The API keys of the service: read from its settings, found by what a client presents."""

import logging
import stat
from collections.abc import Mapping
from pathlib import Path

from dandelion import api_keys
from dandelion.api_keys import Access, ApiKey, KeysError

from .. import errors
from ..address import is_local
from ..settings import Settings, SettingsError, source, variable
from ..telemetry.metrics import Denial, Metrics
from .rates import Bucket, SharedRates

_log = logging.getLogger("dandelion")


class Key:
    """A configured key: the `Caller` of the requests that present it.

    Args:
        configured: what is stored about it.
        metrics: count its texts.
        bucket: of its limit, if it has one.
    """

    __slots__ = ("_bucket", "_metrics", "_texts", "name", "scopes")

    def __init__(self, configured: ApiKey, metrics: Metrics, bucket: Bucket | None) -> None:
        self.name = configured.name
        self.scopes = configured.scopes
        self._metrics = metrics
        self._texts = metrics.key_texts(configured.name)
        self._bucket = bucket

    def take(self, texts: int) -> None:
        """Count texts that are about to be classified, if the limit allows them.

        Raises:
            Problem: 429.
        """
        if self._bucket is not None and (wait_s := self._bucket.take(texts)):
            self._metrics.count_denial(Denial.RATE)
            raise errors.rate_exceeded(wait_s)
        self._texts.inc(texts)


class Keys:
    """Every configured key. They are found by digest.

    The time that a search takes depends on the digest of what was presented. It could reveal a part
    of a stored digest at most, and from a digest, even a whole one, nobody finds the 256 random
    bits of its key.

    Args:
        configured: what is stored about them; none where no key is needed.
        metrics: count their texts.
        rates: has the buckets of their limits.
        max_texts: in a request. A bucket holds as many, or those of one second if these are more:
            any valid request can be within the limit.
    """

    def __init__(
        self,
        configured: Mapping[str, ApiKey],
        metrics: Metrics,
        rates: SharedRates,
        max_texts: int,
    ) -> None:
        self._by_digest: dict[bytes, Key] = {}
        for one in configured.values():
            limit = one.texts_per_second
            bucket = rates.bucket(one.name, limit, max(limit, max_texts)) if limit else None
            key = Key(one, metrics, bucket)
            self._by_digest |= dict.fromkeys(one.digests, key)

    def __bool__(self) -> bool:
        """Whether any key is configured."""
        return bool(self._by_digest)

    def find(self, presented: bytes) -> Key | None:
        """Return the key that a client has presented; None if it is not configured."""
        return self._by_digest.get(api_keys.digest(presented))

    def allow(self, access: Access) -> bool:
        """Return whether any key has a scope."""
        return any(access in key.scopes for key in self._by_digest.values())


def load(settings: Settings) -> dict[str, ApiKey]:
    """Read the keys that the settings name; those of the file anew in each call.

    Logs a warning if others can read the file, or if no key is needed at an address that other
    machines may reach.

    Raises:
        SettingsError: the file, or the variable, is not in the format, or they share a name.
    """
    found: dict[str, ApiKey] = {}
    try:
        if path := settings.keys_file:
            where = source("keys_file")
            found = api_keys.read(path)
            _warn_if_readable(path)
        if content := settings.keys.get_secret_value():
            where = variable("keys")
            found = _merge(found, api_keys.parse(content))
    except KeysError as error:
        raise SettingsError(f"{where}: {error}") from None
    if not found and not is_local(settings.host, settings.uds):
        _log.warning(
            "no API keys: whoever reaches this address may classify and read the metrics",
            extra={"host": settings.host},
        )
    return found


def _merge(found: Mapping[str, ApiKey], more: Mapping[str, ApiKey]) -> dict[str, ApiKey]:
    """Return both.

    Raises:
        KeysError: a name or a key is in both, or there are too many.
    """
    if twice := found.keys() & more.keys():
        raise KeysError(f"{min(twice)!r} is also in {variable('keys_file')}")
    merged = {**found, **more}
    if len(merged) > api_keys.MAX_KEYS:
        raise KeysError(
            f"{len(merged)} keys together with {variable('keys_file')}; at most "
            f"{api_keys.MAX_KEYS} are possible"
        )
    api_keys.check_distinct(merged.values())
    return merged


def _warn_if_readable(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        facts = {"file": str(path), "mode": f"{stat.S_IMODE(mode):o}"}
        _log.warning("the file of API keys can be read or written by every user", extra=facts)


def admin_is_open(settings: Settings, keys: Keys) -> bool:
    """Return whether the admin routes exist: a key allows them, or, without keys, a local address.

    Args:
        settings: of the service.
        keys: that are configured; if there are any, `AccessMiddleware` requires one of them.
    """
    return keys.allow(Access.ADMIN) if keys else is_local(settings.host, settings.uds)

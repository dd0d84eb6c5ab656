"""The directory that a generation loads from: the configured one, or a copy of an address."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dandelion import artifact_cache
from dandelion.artifact_cache import Copy, cache_directory
from dandelion.fetching import fetch_apart
from dandelion.remote import is_address, shown
from dandelion.remote_artifacts import Wanted

from ..settings import Settings

_log = logging.getLogger("dandelion")


class Local(NamedTuple):
    """Where artifacts are on this machine.

    Attributes:
        settings: whose ``artifacts`` are a directory.
        copy: which it is, if they come from an address.
    """

    settings: Settings
    copy: Copy | None = None

    def contents(self, loaded: Mapping[str, str]) -> Mapping[str, str]:
        """Return what was loaded, by names that stay the same from copy to copy.

        Args:
            loaded: path of each artifact and policy file → hash of its content.
        """
        if self.copy is None:
            return loaded
        copy, here = self.copy, str(self.copy.directory)
        named = {name.replace(here, copy.address): digest for name, digest in loaded.items()}
        return named | {copy.address: copy.digest}


def locate(
    settings: Settings,
    serving_file: str | None = None,
    served: Mapping[str, str] | None = None,
) -> Local:
    """Fetch the artifacts, if they are at an address.

    Args:
        settings: of the service.
        serving_file: content that replaces ``serving.toml``; None for what is there now.
        served: `Local.contents` of what is restored: if its copy is in the cache, no network is
            needed.

    Raises:
        ArtifactError, ServingError: see `dandelion.remote_artifacts.fetch`.
    """
    address = settings.artifacts
    if not is_address(address):
        return Local(settings)
    address = str(address)
    started = time.monotonic()
    cache = settings.cache_dir or cache_directory()
    digest = (served or {}).get(shown(address))
    copy = None if digest is None else artifact_cache.find(address, digest, cache)
    if copy is None:
        wanted = Wanted(
            settings.models, serving_file=serving_file, skip_damaged=settings.skip_damaged
        )
        copy = fetch_apart(address, wanted, cache, settings.reload_timeout_s)
    for name, reason in copy.damaged.items():
        _log.error("artifact damaged", extra={"artifact": name, "reason": reason})
    facts = {"address": copy.address, "directory": str(copy.directory)}
    _log.info("artifacts fetched", extra=facts | {"seconds": round(time.monotonic() - started, 3)})
    return Local(settings.model_copy(update={"artifacts": Path(copy.directory)}), copy)

"""A running service, as commands of this package ask it: through an entry point of the service's.

`dandelion` imports no web framework, so it does not know the service's package.
"""

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer

from ..gate import ShadowCounts
from .errors import UsageError

GROUP: Final = "dandelion.service"
_MAX_BYTES: Final = 2**20

UrlOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Address of the service, such as https://host/prefix. Default: the one on this "
        "machine, at DANDELION_HOST and DANDELION_PORT, or DANDELION_UDS.",
    ),
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File with an API key of the scopes admin and metrics; - is standard input.",
    ),
]


class RunningService(Protocol):
    """What the entry point returns for a URL (None for the service here) and a key."""

    def reload(self) -> int:
        """Do what ``dandelion reload`` does; returns its exit code."""

    def get(self, path: str) -> bytes:
        """Return the body of a response with status 200.

        Raises:
            ConnectionError: there is none.
        """


def running_service(url: str | None, key_file: Path | None) -> RunningService:
    """Return the service that the options name; nothing is sent yet.

    Raises:
        UsageError: the key cannot be read, or the package of the service is not installed.
    """
    found = [*entry_points(group=GROUP)]
    if not found:
        raise UsageError(
            "the service's package is not installed here, so it cannot be asked to reload; "
            "use --no-reload"
        )
    service: RunningService = found[0].load()(url, _key(key_file))
    return service


def _key(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        if str(path) == "-":
            key = sys.stdin.read(_MAX_BYTES).strip()
        else:
            key = path.read_text(encoding="utf-8").strip()
        key.encode("ascii")
    except (OSError, ValueError):
        # Without the cause, which may quote the key.
        raise UsageError(f"--key-file {path}: cannot be read") from None
    return key


def shadow_counts(service: RunningService, model: str, variant: str) -> ShadowCounts:
    """Return what a running service has counted of a shadow, from its metrics.

    Raises:
        ConnectionError: it cannot be asked.
    """
    labels = f'{{model="{_escaped(model)}",shadow="{_escaped(variant)}"'
    texts = disagreements = 0.0
    for line in service.get("/metrics").decode().splitlines():
        series, _, value = line.rpartition(" ")
        if series.startswith(f"dandelion_shadow_texts_total{labels}"):
            texts += float(value)
        elif series.startswith(f"dandelion_shadow_disagreements_total{labels}"):
            disagreements += float(value)
    return ShadowCounts(round(texts), round(disagreements))


def _escaped(value: str) -> str:
    """Escape the value of a label, as Prometheus' text format does."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

"""What ``docs/reliability.json`` holds, as types.

Reading checks every key and value, so a page is never rendered from a file of another layout.
"""

import json
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from ..figures import Machine

FILE: Final = "reliability.json"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(_Stored):
    """Latency of the probes of one kind, milliseconds from the moment at which each was due.

    Attributes:
        p99_ms: 99th percentile.
        max_ms: of the slowest.
        probes: number of them.
        failed: how many got no response with status 200.
    """

    p99_ms: float
    max_ms: float
    probes: int
    failed: int


class Probes(_Stored):
    """The probes that were sent while the scenario ran.

    Attributes:
        kept: ``/livez`` over one connection that is kept alive.
        new: ``/livez``, each over a new connection.
        metrics: ``/metrics``, each over a new connection.
    """

    kept: Latency
    new: Latency
    metrics: Latency


class Memory(_Stored):
    """Memory of all processes of the service, pages that they share counted once (PSS), MB.

    Attributes:
        before: the scenario.
        peak: while it ran, sampled.
        after: once it had ended and the service was idle.
    """

    before: float
    peak: float
    after: float


class Outcome(_Stored):
    """What one scenario did to a service with a given number of workers.

    Attributes:
        workers: worker processes.
        sent: requests, or connections where no whole request is sent.
        seconds: duration.
        answers: status or other end → number of requests.
        lost: requests that arrived whole on an accepted connection and got no response.
        left_open: connections that the service still held open at the end.
        cpu_s: processor time of the service, all processes; None where it is restarted.
        memory: likewise.
        probes: likewise.
        extra: figures of this scenario alone: name → value.
        killed: why the service was killed; None if it was not.
    """

    workers: int
    sent: int
    seconds: float
    answers: dict[str, int]
    lost: int
    left_open: int = 0
    cpu_s: float | None = None
    memory: Memory | None = None
    probes: Probes | None = None
    extra: dict[str, float] = {}
    killed: str | None = None


class Run(_Stored):
    """Everything that was measured of one release.

    Attributes:
        date: in ISO format, UTC.
        commit: of the measured code, with ``-dirty`` if it had uncommitted changes.
        machine: where it ran.
        minutes: duration.
        settings: of the service, where they differ from the defaults.
        outcomes: scenario → outcome for each number of workers.
        other_runs: scenario → the other run that it was measured in, in words.
    """

    date: str
    commit: str
    machine: Machine
    minutes: float
    settings: dict[str, str]
    outcomes: dict[str, list[Outcome]]
    other_runs: dict[str, str] = {}


class Figures(_Stored):
    """The releases that were measured, in order; the last one is the page's subject."""

    releases: dict[str, Run]

    def to_json(self) -> bytes:
        """Return the content of ``reliability.json``."""
        stored = self.model_dump(mode="json", exclude_none=True)
        return (json.dumps(stored, indent=1) + "\n").encode()


def read(directory: Path) -> Figures:
    """Read ``reliability.json`` of a directory.

    Raises:
        OSError: it cannot be read.
        ValueError: it has another layout.
    """
    return Figures.model_validate_json((directory / FILE).read_bytes())

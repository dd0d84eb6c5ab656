"""Running a scenario: a service of its own, probes, memory and processor time."""

import asyncio
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from .. import servers
from ..machine import ROOT
from ..servers import Launch, Server
from . import observe
from .client import Tally
from .figures import Latency, Memory, Outcome, Probes
from .observe import MemoryWatch
from .prober import Found
from .scenarios import Scenario
from .sending import SETTINGS, Scale

_IDLE_S: Final = 1.0  # what the probes alone cost is measured for that long, and subtracted
_LONG_S: Final = 60.0  # beyond that, the difference would be too uncertain
_LEAST_S: Final = 1.0  # the probes of that time count, however soon everything is refused
_SETTLE_S: Final = 2.0


def run(scenario: Scenario, workers: int, scale: Scale) -> Outcome:
    """Run a scenario against a service with a given number of workers.

    Raises:
        BenchmarkError: the service does not start, or a program is missing.
    """
    if scenario.alone is not None:
        started = time.monotonic()
        return _outcome(asyncio.run(scenario.alone(workers, scale)), workers, started)
    if scenario.restarts:
        return _restarted(scenario, workers, scale)
    with servers.running(_launch(scenario, workers), _cores()) as server:
        if scenario.is_probed:
            return _probed(scenario, server, workers, scale)
        started = time.monotonic()
        tally = asyncio.run(scenario.run(server, scale))
        return _outcome(tally, workers, started)


def _launch(scenario: Scenario, workers: int) -> Launch:
    launch = servers.ours(workers=workers)
    command = launch.command
    if scenario.open_files is not None:
        limit = f"--nofile={scenario.open_files}:{scenario.open_files}"
        command = ("prlimit", limit, *command)
    return replace(launch, command=command, environment={**launch.environment, **SETTINGS})


def _cores() -> list[int]:
    """Return every core: the service, the load and the probes share them."""
    return sorted(os.sched_getaffinity(0))


def _restarted(scenario: Scenario, workers: int, scale: Scale) -> Outcome:
    total = Tally(extra={"times": scale.rounds})
    started = time.monotonic()
    for _ in range(scale.rounds):
        with servers.running(_launch(scenario, workers), _cores()) as server:
            tally = asyncio.run(scenario.run(server, scale))
        total.sent += tally.sent
        total.answers += tally.answers
        total.lost += tally.lost
        for name, value in tally.extra.items():
            total.extra[name] = total.extra.get(name, 0) + value
    return _outcome(total, workers, started)


def _probed(scenario: Scenario, server: Server, workers: int, scale: Scale) -> Outcome:
    pids = server.pids()
    watch = MemoryWatch(server)
    with _probing(server.port) as found:
        idle, idle_s = time.monotonic(), observe.cpu_s(pids)
        time.sleep(_IDLE_S)
        before_mb, before_s = observe.pss_mb(pids), observe.cpu_s(pids)
        with watch.running():
            started = time.monotonic()
            tally = asyncio.run(scenario.run(server, scale))
            ended = time.monotonic()
            seconds = ended - started
            used_s = observe.cpu_s(server.pids()) - before_s
            time.sleep(_SETTLE_S)
            after_mb = observe.pss_mb(server.pids())
    probes_s = (before_s - idle_s) / max(_answered(found, idle, started), 1)
    used_s -= probes_s * _answered(found, started, ended)
    tally.still_open += _left_open(server.port)
    return _outcome(tally, workers, started).model_copy(
        update={
            "seconds": round(seconds, 2),
            "cpu_s": round(max(used_s, 0), 2) if seconds < _LONG_S else None,
            "memory": Memory(
                before=round(before_mb, 1),
                peak=round(max(watch.peak_mb, after_mb), 1),
                after=round(after_mb, 1),
            ),
            "probes": summarize(found, started, max(ended, started + _LEAST_S)),
            "killed": f"above {observe.MEMORY_LIMIT_MB:,} MB" if watch.killed else None,
        }
    )


def _answered(found: dict[str, Found], begin: float, end: float) -> int:
    """Return the number of probes that began after ``begin`` and were answered before ``end``."""
    return sum(
        succeeded and begin <= due and due + ms / 1e3 <= end
        for probes in found.values()
        for due, ms, succeeded in probes
    )


def _left_open(port: int) -> int:
    """Return the number of connections that are open once those of the probes are closed."""
    deadline = time.monotonic() + _IDLE_S
    while (found := observe.open_connections(port)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _outcome(tally: Tally, workers: int, started: float) -> Outcome:
    return Outcome(
        workers=workers,
        sent=tally.sent,
        seconds=round(time.monotonic() - started, 2),
        answers=dict(tally.answers.most_common()),
        lost=tally.lost,
        left_open=tally.still_open,
        extra={name: round(value, 2) for name, value in tally.extra.items()},
    )


@contextmanager
def _probing(port: int) -> Iterator[dict[str, Found]]:
    """Probe inside a ``with`` block; the dictionary is filled at its end."""
    found: dict[str, Found] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak.prober", str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        process.stdout.readline()
        try:
            yield found
        finally:
            output, _ = process.communicate()
        found |= json.loads(output)


def summarize(found: dict[str, Found], begin: float, end: float) -> Probes:
    """Return the percentiles of the probes of each kind.

    Args:
        found: kind → probes.
        begin: of those that count, which are due between these times of the monotonic clock.
        end: likewise.
    """
    within = {
        kind: [probe for probe in probes if begin <= probe[0] <= end] or probes[-1:]
        for kind, probes in found.items()
    }
    return Probes(**{kind: _latency(probes) for kind, probes in within.items()})


def _latency(probes: Found) -> Latency:
    latencies = sorted(ms for _, ms, _ in probes)
    return Latency(
        p99_ms=round(percentile(latencies, 99), 2),
        max_ms=round(latencies[-1], 2),
        probes=len(latencies),
        failed=sum(not succeeded for *_, succeeded in probes),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of sorted values.

    Example:
        >>> percentile([1.0, 2.0, 3.0, 4.0], 50)
        2.0
    """
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]

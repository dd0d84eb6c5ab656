"""What the service needs besides time per text: start, memory, a second worker, fairness."""

import json
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

from . import load, samples, servers
from .figures import Fairness, Latency, Memory, Resources, Scrape, WorkerFigures
from .load import Load
from .machine import BenchmarkError, cores
from .measure import Scale, Spread, interleaved, spreads
from .over_http import OURS
from .servers import ECHO, Launch, Server

# Each on a connection of its own, so that every worker gets some.
_LARGE_BATCHES: Final = 8


def measure(scale: Scale) -> Resources:
    """Return the figures."""
    return Resources(
        start_s=_starts(scale),
        memory={ECHO: _memory(servers.echo()), OURS: _memory(servers.ours())},
        memory_of_two=_memory(servers.ours(workers=2)),
        two_workers=_two_workers(scale),
        fairness=_fairness(scale),
        scrape=_scrape(scale),
    )


def _starts(scale: Scale) -> dict[str, Spread]:
    launches = {ECHO: servers.echo(), "make serve": servers.make_serve()}
    measurements = {
        name: partial(servers.seconds_to_first_response, launch, cores())
        for name, launch in launches.items()
    }
    interleaved(measurements, 1)  # the first start fills the page cache
    return spreads(interleaved(measurements, scale.rounds))


def _memory(launch: Launch) -> Memory:
    """Measure a server after single texts and batches of 4,096."""
    body = json.dumps({"texts": samples.texts("spam", 4096)}).encode()
    with servers.running(launch, cores()) as server:
        for _ in range(_LARGE_BATCHES):
            headers = {"Content-Type": "application/json"}
            request = Request(server.url, body, headers)  # noqa: S310 - a server of ours
            with urlopen(request) as response:  # noqa: S310
                response.read()
        return memory_of(server)


def memory_of(server: Server) -> Memory:
    """Measure the memory of a running server."""
    pids = server.pids()
    pss = (_megabytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss") for pid in pids)
    return Memory(
        rss_mb=_megabytes(Path(f"/proc/{pids[0]}/status"), "VmRSS"),
        pss_mb=sorted(pss, reverse=True),
    )


def _megabytes(path: Path, name: str) -> float:
    """Read a figure that the kernel reports in kibibytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise BenchmarkError(f"{path}: no line {name!r}")
    return round(int(found[1]) * 1.024 / 1e3, 1)


def _two_workers(scale: Scale) -> dict[str, WorkerFigures]:
    """Compare one worker with two, in batches of 256; servers and load share both cores."""
    launches = {
        (OURS, 1): servers.ours(),
        (OURS, 2): servers.ours(workers=2),
        (ECHO, 1): servers.echo(),
        (ECHO, 2): servers.echo(workers=2),
    }
    # Not frozen between measurements: a supervisor would take frozen workers for dead.
    with ExitStack() as stack:
        running = {
            key: stack.enter_context(servers.running(launch, cores()))
            for key, launch in launches.items()
        }
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bodies = samples.write_bodies(home / "bodies", samples.texts("spam", 2048), 256)
        found = interleaved(
            {
                key: partial(
                    load.run,
                    server.url,
                    bodies,
                    connections=16,
                    seconds=scale.load_s,
                    cores=cores(),
                )
                for key, server in running.items()
            },
            scale.rounds,
        )
    return {name: _compare_workers(found[name, 1], found[name, 2]) for name in (ECHO, OURS)}


def _compare_workers(one: Sequence[Load], two: Sequence[Load]) -> WorkerFigures:
    pairs = zip(one, two, strict=True)
    return WorkerFigures(
        one=Spread.of(load.requests_per_s * 256 for load in one),
        two=Spread.of(load.requests_per_s * 256 for load in two),
        load_share=Spread.of(load.load_share for load in two),
        two_to_one=Spread.of(b.requests_per_s / a.requests_per_s for a, b in pairs),
    )


def _fairness(scale: Scale) -> dict[str, Fairness]:
    """Measure one text's latency, alone and while another connection keeps sending batches."""
    server_core, load_core = cores()[:1], cores()[1:]
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(servers.running(launch, server_core))
            for name, launch in ((ECHO, servers.echo()), (OURS, servers.ours()))
        }
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        single = samples.write_bodies(home / "single", samples.texts("spam", 64), 1)
        batches = samples.write_bodies(home / "batches", samples.texts("spam", 4096), 4096)

        def alone(url: str) -> Load:
            return load.run(url, single, connections=1, seconds=scale.load_s, cores=load_core)

        def under_load(url: str) -> Load:
            with load.in_background(url, batches, seconds=scale.load_s, cores=load_core):
                return alone(url)

        found = interleaved(
            {
                (name, measure_once): partial(measure_once, server.url)
                for name, server in running.items()
                for measure_once in (alone, under_load)
            },
            scale.rounds,
        )
    return {name: _compare_latency(found[name, alone], found[name, under_load]) for name in running}


def _compare_latency(alone: Sequence[Load], under_load: Sequence[Load]) -> Fairness:
    pairs = zip(alone, under_load, strict=True)
    return Fairness(
        alone=_latency(alone),
        under_load=_latency(under_load),
        p99_ratio=Spread.of(b.p99_us / a.p99_us for a, b in pairs),
    )


def _latency(loads: Sequence[Load]) -> Latency:
    return Latency(
        p50_us=Spread.of(load.p50_us for load in loads),
        p99_us=Spread.of(load.p99_us for load in loads),
    )


def _scrape(scale: Scale) -> Scrape:
    """Measure one read of ``/metrics``."""
    with servers.running(servers.ours(), cores()) as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        seconds = []
        for _ in range(scale.rounds):
            started = time.perf_counter()
            with urlopen(url) as response:
                size = len(response.read())
            seconds.append(time.perf_counter() - started)
    return Scrape(ms=Spread.of(one * 1e3 for one in seconds), bytes=size)

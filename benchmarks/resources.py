"""What the service needs beside time a text: its start, its memory, a second worker, fairness."""

import json
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

from . import load, samples, servers
from .load import Load
from .machine import BenchmarkError, cores
from .measure import Scale, Spread, interleaved, spreads
from .over_http import OURS
from .servers import ECHO, Kind, Server

# Each on a connection of its own, so that every worker gets some.
_LARGE_BATCHES: Final = 8

ALONE: Final = "alone"
BESIDE: Final = "beside batches of 4,096"


def measure(scale: Scale) -> dict[str, Any]:
    """Return the figures."""
    return {
        "start_s": _starts(scale),
        "memory": {ECHO: _memory(servers.echo()), OURS: _memory(servers.ours())},
        "memory_of_two": _memory(servers.ours(workers=2)),
        "two_workers": _two_workers(scale),
        "fairness": _fairness(scale),
        "scrape": _scrape(scale),
    }


def _starts(scale: Scale) -> dict[str, Any]:
    kinds = {ECHO: servers.echo(), "make serve": servers.made()}
    turns = {
        name: partial(servers.seconds_to_first_answer, kind, cores())
        for name, kind in kinds.items()
    }
    interleaved(turns, 1)  # the first start fills the page cache
    return spreads(interleaved(turns, scale.rounds))


def _memory(kind: Kind) -> dict[str, float]:
    """Measure a server that has answered single texts and batches of 4,096.

    RSS of its first process, PSS of each, MB.
    """
    body = json.dumps({"texts": samples.texts("spam", 4096)}).encode()
    with servers.running(kind, cores()) as server:
        for _ in range(_LARGE_BATCHES):
            headers = {"Content-Type": "application/json"}
            request = Request(server.url, body, headers)  # noqa: S310 - our own
            with urlopen(request) as answer:  # noqa: S310
                answer.read()
        return memory_of(server)


def memory_of(server: Server) -> dict[str, Any]:
    """Return RSS of a server's first process and PSS of each, the largest first, MB."""
    pids = server.pids()
    return {
        "rss_mb": _megabytes(Path(f"/proc/{pids[0]}/status"), "VmRSS"),
        "pss_mb": sorted(
            (_megabytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss") for pid in pids),
            reverse=True,
        ),
    }


def _megabytes(path: Path, name: str) -> float:
    """Read a line of kibibytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise BenchmarkError(f"{path.name}: no line {name!r}")
    return round(int(found[1]) * 1.024 / 1e3, 1)


def _two_workers(scale: Scale) -> dict[str, Any]:
    """Compare one worker with two, everything on both cores, in batches of 256."""
    kinds = {
        (OURS, "one"): servers.ours(),
        (OURS, "two"): servers.ours(workers=2),
        (ECHO, "one"): servers.echo(),
        (ECHO, "two"): servers.echo(workers=2),
    }
    # None is frozen: who watches workers would take them for dead.
    with ExitStack() as stack:
        running = {
            key: stack.enter_context(servers.running(kind, cores())) for key, kind in kinds.items()
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
    return {who: _one_and_two(found[who, "one"], found[who, "two"]) for who in (ECHO, OURS)}


def _one_and_two(one: Sequence[Load], two: Sequence[Load]) -> dict[str, Any]:
    return {
        "texts_per_s": {
            name: Spread.of(it.requests_per_s * 256 for it in loads).to_json()
            for name, loads in (("one", one), ("two", two))
        },
        "load_share": Spread.of(it.load_share for it in two).to_json(),
        "two_to_one": Spread.of(
            b.requests_per_s / a.requests_per_s for a, b in zip(one, two, strict=True)
        ).to_json(),
    }


def _fairness(scale: Scale) -> dict[str, Any]:
    """Measure one text's latency alone, and while another connection keeps sending batches."""
    of_server, of_load = cores()[:1], cores()[1:]
    with ExitStack() as stack:
        running = {
            who: stack.enter_context(servers.running(kind, of_server))
            for who, kind in ((ECHO, servers.echo()), (OURS, servers.ours()))
        }
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        one = samples.write_bodies(home / "one", samples.texts("spam", 64), 1)
        many = samples.write_bodies(home / "many", samples.texts("spam", 4096), 4096)

        def alone(url: str) -> Load:
            return load.run(url, one, connections=1, seconds=scale.load_s, cores=of_load)

        def beside(url: str) -> Load:
            with load.beside(url, many, seconds=scale.load_s, cores=of_load):
                return alone(url)

        turns: dict[tuple[str, str], Callable[[], Load]] = {}
        for who, server in running.items():
            turns[who, ALONE] = partial(alone, server.url)
            turns[who, BESIDE] = partial(beside, server.url)
        found = interleaved(turns, scale.rounds)
    return {who: _alone_and_beside(found[who, ALONE], found[who, BESIDE]) for who in running}


def _alone_and_beside(alone: Sequence[Load], beside: Sequence[Load]) -> dict[str, Any]:
    return {
        name: {
            ALONE: Spread.of(getattr(it, name) for it in alone).to_json(),
            BESIDE: Spread.of(getattr(it, name) for it in beside).to_json(),
        }
        for name in ("p50_us", "p99_us")
    } | {
        "beside_to_alone": Spread.of(
            b.p99_us / a.p99_us for a, b in zip(alone, beside, strict=True)
        ).to_json()
    }


def _scrape(scale: Scale) -> dict[str, Any]:
    """Measure what one reading of ``/metrics`` costs: milliseconds and bytes."""
    with servers.running(servers.ours(), cores()) as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        seconds = []
        for _ in range(scale.rounds):
            started = time.perf_counter()
            with urlopen(url) as answer:
                size = len(answer.read())
            seconds.append(time.perf_counter() - started)
    return {"ms": Spread.of(one * 1e3 for one in seconds).to_json(), "bytes": size}

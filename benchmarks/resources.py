"""What the service needs beside time a text: its start, its memory, a second worker, fairness."""

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from . import load, samples, servers
from .load import Load
from .machine import BenchmarkError, cores
from .measure import Scale, Spread, interleaved, spreads
from .over_http import OURS
from .servers import ECHO, Kind, Server

ALONE: Final = "alone"
BESIDE: Final = "beside batches of 4,096"


def measure(scale: Scale) -> dict[str, Any]:
    """Return the figures; those of several workers are null where the service knows none."""
    echo = servers.peers({})[ECHO]
    return {
        "start_s": _starts(echo, scale),
        "memory": {ECHO: _memory(echo), OURS: _memory(servers.ours())},
        "memory_of_two": _memory_of_two(),
        "two_workers": _two_workers(scale),
        "fairness": _fairness(scale),
        "scrape": _scrape(scale),
    }


def _starts(echo: Kind, scale: Scale) -> dict[str, Any]:
    kinds = {ECHO: echo, "make serve": servers.made()}
    turns = {
        name: partial(servers.seconds_to_first_answer, kind, cores())
        for name, kind in kinds.items()
    }
    interleaved(turns, 1)  # the first start fills the page cache
    return spreads(interleaved(turns, scale.rounds))


def _memory(kind: Kind) -> dict[str, float]:
    """Measure a server that has answered: RSS of its first process, PSS of each, MB."""
    with servers.running(kind, cores()) as server:
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


def _memory_of_two() -> dict[str, float] | None:
    try:
        return _memory(servers.ours(workers=2))
    except BenchmarkError:
        return None  # a service of before WORKERS refuses the setting


def _two_workers(scale: Scale) -> dict[str, Any] | None:
    """Compare one worker with two, both on both cores, in batches of 256."""
    try:
        with (
            _frozen(servers.ours()) as one,
            _frozen(servers.ours(workers=2)) as two,
            tempfile.TemporaryDirectory() as directory,
        ):
            bodies = samples.write_bodies(
                Path(directory) / "bodies", samples.texts("spam", 2048), 256
            )
            found = interleaved(
                {
                    name: _turn(server, bodies, scale.load_s)
                    for name, server in {"one": one, "two": two}.items()
                },
                scale.rounds,
            )
    except BenchmarkError:
        return None
    pairs = list(zip(found["two"], found["one"], strict=True))
    return {
        "texts_per_s": spreads(
            {name: [one.requests_per_s * 256 for one in loads] for name, loads in found.items()}
        ),
        "load_share": spreads(
            {name: [one.load_share for one in loads] for name, loads in found.items()}
        ),
        "two_to_one": Spread.of(a.requests_per_s / b.requests_per_s for a, b in pairs).to_json(),
    }


@contextmanager
def _frozen(kind: Kind) -> Iterator[Server]:
    with servers.running(kind, cores()) as server:
        server.freeze()
        yield server


def _turn(server: Server, bodies: Path, seconds: int) -> Callable[[], Load]:
    def turn() -> Load:
        with server.awake():
            return load.run(server.url, bodies, connections=16, seconds=seconds, cores=cores())

    return turn


def _fairness(scale: Scale) -> dict[str, Any]:
    """Measure one text's latency alone, and while another connection keeps sending batches."""
    server_core, load_core = cores()
    with (
        servers.running(servers.ours(), (server_core,)) as server,
        tempfile.TemporaryDirectory() as directory,
    ):
        home = Path(directory)
        one = samples.write_bodies(home / "one", samples.texts("spam", 64), 1)
        many = samples.write_bodies(home / "many", samples.texts("spam", 4096), 4096)

        def alone() -> Load:
            return load.run(
                server.url, one, connections=1, seconds=scale.load_s, cores=(load_core,)
            )

        def beside() -> Load:
            with load.beside(server.url, many, seconds=scale.load_s, cores=(load_core,)):
                return alone()

        found = interleaved({ALONE: alone, BESIDE: beside}, scale.rounds)
    pairs = list(zip(found[BESIDE], found[ALONE], strict=True))
    return {
        "p50_us": _column(found, "p50_us"),
        "p99_us": _column(found, "p99_us"),
        "beside_to_alone": Spread.of(a.p99_us / b.p99_us for a, b in pairs).to_json(),
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


def _column(found: Mapping[str, list[Load]], name: str) -> dict[str, Any]:
    return spreads({who: [getattr(one, name) for one in loads] for who, loads in found.items()})

"""HTTP requests to the service and to the baselines: servers on one core, the load on another."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import baseline_fits, load, samples, servers
from .figures import Ratios, ServerFigures
from .load import Load
from .machine import ROOT, baselines_python, cores
from .measure import FULL, Scale, Spread, interleaved
from .servers import ECHO, RAW, Launch, Server

OURS: Final = "Dandelion"
SUBWORDS: Final = "fastText subwords behind FastAPI"
_TEXTS: Final = 2048
_SINGLE_TEXTS: Final = 64


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests of one size, from a number of connections.

    Attributes:
        model: whose texts are sent.
        texts: per request.
        connections: number of keep-alive connections.
        servers: names of the servers to measure; None for all.
    """

    model: str
    texts: int
    connections: int
    servers: tuple[str, ...] | None = None


WORKLOADS: Final = {
    "1 text, 16 connections": Workload("spam", 1, 16),
    "1 text, 1 connection": Workload("spam", 1, 1),
    "256 texts, 16 connections": Workload("spam", 256, 16),
    # fastText behind FastAPI serves the SMS model only.
    "256 tweets, 16 connections": Workload("cyberbullying", 256, 16, (RAW, ECHO, OURS)),
}


def measure(scale: Scale) -> dict[str, dict[str, ServerFigures]]:
    """Return workload → server → figures, with ratios of ours to each, taken round by round."""
    chosen = launches()
    if scale.is_quick:
        chosen = {name: chosen[name] for name in (RAW, ECHO, SUBWORDS, OURS)}
    with all_running(chosen) as running:
        return {
            title: measure_workload(running, workload, scale)
            for title, workload in WORKLOADS.items()
            if not (scale.is_quick and workload.servers)
        }


def launches() -> dict[str, Launch]:
    """Return how to start each server: the raw echo first, ours last."""
    names = ("fastText default", "fastText subwords")
    fasttext = baseline_fits.files("spam", names)
    return servers.baselines(fasttext) | {OURS: servers.ours()}


@contextmanager
def all_running(chosen: Mapping[str, Launch]) -> Iterator[dict[str, Server]]:
    """Start servers on the first core; each is frozen except while it is measured."""
    with ExitStack() as stack:
        running = {}
        for name, launch in chosen.items():
            running[name] = stack.enter_context(servers.running(launch, cores()[:1]))
            running[name].freeze()
        yield running


def measure_workload(
    running: Mapping[str, Server], workload: Workload, scale: Scale
) -> dict[str, ServerFigures]:
    """Return server → figures under one workload."""
    with tempfile.TemporaryDirectory() as directory:
        count = _SINGLE_TEXTS if workload.texts == 1 else max(_TEXTS, workload.texts)
        bodies = samples.write_bodies(
            Path(directory) / "bodies", samples.texts(workload.model, count), workload.texts
        )
        found = interleaved(
            {
                name: _measurement(server, workload, bodies, scale.load_s)
                for name, server in running.items()
                if workload.servers is None or name in workload.servers
            },
            scale.rounds,
        )
        request_bytes = bodies.stat().st_size * workload.texts / count
    ours = found.get(OURS)
    return {
        name: _figures(
            loads, workload.texts, request_bytes, _ratios(ours, loads) if name != OURS else None
        )
        for name, loads in found.items()
    }


def _measurement(
    server: Server, workload: Workload, bodies: Path, seconds: int
) -> Callable[[], Load]:
    # Ours has the model in its path; the baselines serve a single one.
    url = server.url.replace("/classify/spam", f"/classify/{workload.model}")

    def measure_once() -> Load:
        with server.awake():
            return load.run(
                url, bodies, connections=workload.connections, seconds=seconds, cores=cores()[1:2]
            )

    return measure_once


def _figures(
    loads: Sequence[Load], texts: int, request_bytes: float, ratios: Ratios | None
) -> ServerFigures:
    return ServerFigures(
        requests_per_s=Spread.of(one.requests_per_s for one in loads),
        texts_per_s=Spread.of(one.requests_per_s * texts for one in loads),
        p50_us=Spread.of(one.p50_us for one in loads),
        p99_us=Spread.of(one.p99_us for one in loads),
        bytes_per_request=Spread.of(one.bytes_per_request for one in loads),
        request_bytes=request_bytes,
        load_share=Spread.of(one.load_share for one in loads),
        ours_to_it=ratios,
    )


def _ratios(ours: Sequence[Load] | None, theirs: Sequence[Load]) -> Ratios | None:
    if ours is None:
        return None
    pairs = list(zip(ours, theirs, strict=True))
    return Ratios(
        requests_per_s=Spread.of(a.requests_per_s / b.requests_per_s for a, b in pairs),
        p50_us=Spread.of(a.p50_us / b.p50_us for a, b in pairs),
        p99_us=Spread.of(a.p99_us / b.p99_us for a, b in pairs),
    )


def commands() -> list[str]:
    """Return the commands that start servers and load, without paths of this machine."""
    server_core, load_core = cores()
    # The two fastText servers have the same command: the model is in the environment.
    lines = list(dict.fromkeys(" ".join(launch.command) for launch in launches().values()))
    lines.append(
        " ".join(
            load.command(
                "http://127.0.0.1:PORT/PATH",
                Path("BODIES"),
                connections=16,
                seconds=FULL.load_s,
                cores=(load_core,),
            )
        )
    )
    replacements = {baselines_python(): "python", sys.executable: "python", f"{ROOT}/": ""}
    for path, name in replacements.items():
        lines = [line.replace(path, name) for line in lines]
    pinned = f"taskset --cpu-list {server_core} "
    return [line if line.startswith("taskset") else pinned + line for line in lines]

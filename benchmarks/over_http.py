"""Requests over HTTP: ours beside the peers, each server on one core, the load on the other."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from . import load, peer_fits, samples, servers
from .load import Load
from .machine import ROOT, cores, peers_python
from .measure import FULL, Scale, Spread, interleaved
from .servers import ECHO, RAW, Kind, Server

OURS: Final = "Dandelion"
SUBWORDS: Final = "fastText subwords behind FastAPI"
_TEXTS: Final = 2048
_ONES: Final = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked for, and by how many at once.

    Attributes:
        model: whose texts.
        texts: in a request.
        connections: kept alive.
        who: has a turn; None for everyone.
    """

    model: str
    texts: int
    connections: int
    who: tuple[str, ...] | None = None


SHAPES: Final = {
    "1 text, 16 connections": Shape("spam", 1, 16),
    "1 text, 1 connection": Shape("spam", 1, 1),
    "256 texts, 16 connections": Shape("spam", 256, 16),
    # fastText's route is that of SMS.
    "256 tweets, 16 connections": Shape("cyberbullying", 256, 16, (RAW, ECHO, OURS)),
}


def measure(scale: Scale) -> dict[str, Any]:
    """Return shape → who → figures, and ours as a ratio to everyone, round by round."""
    kinds = contestants()
    if scale.is_quick:
        kinds = {name: kinds[name] for name in (RAW, ECHO, SUBWORDS, OURS)}
    with all_running(kinds) as running:
        return {
            title: measure_shape(running, shape, scale)
            for title, shape in SHAPES.items()
            if not (scale.is_quick and shape.who)
        }


def contestants() -> dict[str, Kind]:
    """Return everyone, the bare floor first, ours last."""
    files = peer_fits.files("spam")
    fasttext = {name: files[name] for name in ("fastText default", "fastText subwords")}
    return servers.peers(fasttext) | {OURS: servers.ours()}


@contextmanager
def all_running(kinds: Mapping[str, Kind]) -> Iterator[dict[str, Server]]:
    """Start servers on the first core, each frozen until it has a turn."""
    with ExitStack() as stack:
        running = {}
        for name, kind in kinds.items():
            running[name] = stack.enter_context(servers.running(kind, cores()[:1]))
            running[name].freeze()
        yield running


def measure_shape(running: Mapping[str, Server], shape: Shape, scale: Scale) -> dict[str, Any]:
    """Return who → figures for one shape."""
    with tempfile.TemporaryDirectory() as directory:
        some = samples.texts(shape.model, _ONES if shape.texts == 1 else max(_TEXTS, shape.texts))
        bodies = samples.write_bodies(Path(directory) / "bodies", some, shape.texts)
        found = interleaved(
            {
                name: _turn(server, shape, bodies, scale.load_s)
                for name, server in running.items()
                if shape.who is None or name in shape.who
            },
            scale.rounds,
        )
        request_bytes = bodies.stat().st_size * shape.texts / len(some)
    return {
        name: _figures(loads, found.get(OURS), shape.texts) | {"request_bytes": request_bytes}
        for name, loads in found.items()
    }


def _turn(server: Server, shape: Shape, bodies: Path, seconds: int) -> Callable[[], Load]:
    # Ours names the model in the path; the peers serve one.
    url = server.url.replace("/classify/spam", f"/classify/{shape.model}")

    def turn() -> Load:
        with server.awake():
            return load.run(
                url, bodies, connections=shape.connections, seconds=seconds, cores=cores()[1:2]
            )

    return turn


def _figures(loads: Sequence[Load], ours: Sequence[Load] | None, texts: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: Spread.of(getattr(one, name) for one in loads).to_json()
        for name in ("requests_per_s", "p50_us", "p99_us", "bytes_per_request", "load_share")
    }
    found["texts_per_s"] = Spread.of(one.requests_per_s * texts for one in loads).to_json()
    if ours is not None and ours is not loads:
        pairs = list(zip(ours, loads, strict=True))
        found["ours_to_it"] = {
            name: Spread.of(getattr(a, name) / getattr(b, name) for a, b in pairs).to_json()
            for name in ("requests_per_s", "p50_us", "p99_us")
        }
    return found


def commands() -> list[str]:
    """Return how servers and load are started, without any path of this machine."""
    server, of_load = cores()
    # fastText's two differ in the model alone.
    lines = list(dict.fromkeys(" ".join(kind.command) for kind in contestants().values()))
    lines.append(
        " ".join(
            load.command(
                "http://127.0.0.1:PORT/PATH",
                Path("BODIES"),
                connections=16,
                seconds=FULL.load_s,
                cores=(of_load,),
            )
        )
    )
    for path, name in {peers_python(): "python", sys.executable: "python", f"{ROOT}/": ""}.items():
        lines = [line.replace(path, name) for line in lines]
    pinned = f"taskset --cpu-list {server} "
    return [line if line.startswith("taskset") else pinned + line for line in lines]

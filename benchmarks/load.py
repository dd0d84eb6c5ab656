"""Load over HTTP: wrk."""

import json
import resource
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .machine import BenchmarkError

_SCRIPT: Final = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What came of some seconds of load.

    Attributes:
        requests_per_s: answered with success.
        p50_us: median latency, microseconds.
        p99_us: 99th percentile of the latency, microseconds.
        bytes_per_request: of an answer, its head included.
        load_share: the processor time of wrk itself, as a share of one core.
    """

    requests_per_s: float
    p50_us: float
    p99_us: float
    bytes_per_request: float
    load_share: float


def run(url: str, bodies: Path, *, connections: int, seconds: int, cores: Sequence[int]) -> Load:
    """Post the lines of a file in turn, each connection as fast as it is answered.

    Args:
        url: where to.
        bodies: the file, a JSON object a line.
        connections: kept alive.
        seconds: how long.
        cores: that wrk may use.

    Raises:
        BenchmarkError: a request was answered otherwise than with 200, or not at all.
    """
    before, started = _children_s(), time.perf_counter()
    done = subprocess.run(
        command(url, bodies, connections=connections, seconds=seconds, cores=cores),
        capture_output=True,
        text=True,
        check=False,
    )
    used, elapsed = _children_s() - before, time.perf_counter() - started
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise BenchmarkError(f"wrk failed on {url}: {done.stderr or done.stdout}")
    found = json.loads(lines[-1])
    if found["errors"]:
        raise BenchmarkError(
            f"{url}: {found['errors']} errors beside {found['requests']} answers; "
            "the figures would not be those of the work"
        )
    if not found["requests"]:  # none was answered before the end
        return run(url, bodies, connections=connections, seconds=seconds * 2, cores=cores)
    return Load(
        found["requests"] / found["seconds"],
        found["p50_us"],
        found["p99_us"],
        found["bytes"] / found["requests"],
        used / elapsed,
    )


def command(
    url: str, bodies: Path, *, connections: int, seconds: int, cores: Sequence[int]
) -> list[str]:
    """Return wrk's command line."""
    return [
        *("taskset", "--cpu-list", ",".join(map(str, cores))),
        *("wrk", "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{seconds}s", "--timeout", "60s"),
        *("--script", str(_SCRIPT), url, "--", str(bodies)),
    ]


@contextmanager
def beside(url: str, bodies: Path, *, seconds: int, cores: Sequence[int]) -> Iterator[None]:
    """Keep one connection busy while something else is measured."""
    with subprocess.Popen(
        command(url, bodies, connections=1, seconds=seconds + 2, cores=cores),
        stdout=subprocess.DEVNULL,
    ) as other:
        time.sleep(0.5)  # it has begun
        try:
            yield
            if other.poll() is not None:
                raise BenchmarkError("the other load ended before what it was to disturb")
        finally:
            other.terminate()


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime

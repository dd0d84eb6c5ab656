"""What a service takes and holds, read from ``/proc``: processor time, memory, connections."""

import asyncio
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from ..servers import Server

# A service that takes more is killed, and this is recorded: the machine has other users.
MEMORY_LIMIT_MB: Final = 6000

_COUNTED: Final = re.compile(
    r'^dandelion_requests_total\{.*status="200".*\} ([0-9.e+]+)$', re.MULTILINE
)
_QUIET_S: Final = 1.0
_PATIENCE_S: Final = 20

_SAMPLE_S: Final = 0.1
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_OPEN: Final = frozenset({"01", "08"})  # ESTABLISHED, CLOSE_WAIT: the service has not closed it


def cpu_s(pids: Sequence[int]) -> float:
    """Return the processor time of processes, and of those of their children that have ended."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):  # it has ended since
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return ticks / _TICKS_PER_S


def pss_mb(pids: Sequence[int]) -> float:
    """Return the memory of processes, a page that several share divided between them; MB."""
    kb = 0
    for pid in pids:
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            kb += next(int(line.split()[1]) for line in rollup.splitlines() if line[:4] == "Pss:")
    return kb * 1024 / 1e6


def open_connections(port: int) -> int:
    """Return the number of connections at a port of this machine that its owner holds open."""
    table = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows = (line.split() for line in table)
    return sum(
        int(local.rpartition(":")[2], 16) == port and state in _OPEN
        for _, local, _, state, *_ in rows
    )


async def settled_count(port: int) -> float:
    """Return how many requests to classify got 200, once this number no longer grows."""
    deadline = time.monotonic() + _PATIENCE_S
    previous, since = -1.0, time.monotonic()
    while time.monotonic() < deadline:
        found = await asyncio.to_thread(counted, port)
        if found != previous:
            previous, since = found, time.monotonic()
        if time.monotonic() - since > _QUIET_S:
            break
        await asyncio.sleep(0.1)
    return previous


def counted(port: int) -> float:
    """Return how many requests to classify got 200; -1 if the service does not respond."""
    try:
        return sum(map(float, _COUNTED.findall(_get(port, "/metrics"))))
    except OSError:
        return -1


async def seconds_to_livez(port: int) -> float:
    """Return after how long ``/livez`` responds on a new connection."""
    started = time.monotonic()
    while time.monotonic() < started + _PATIENCE_S:
        try:
            await asyncio.to_thread(_get, port, "/livez")
            break
        except OSError:
            await asyncio.sleep(0.05)
    return time.monotonic() - started


def _get(port: int, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        content: bytes = response.read()
    return content.decode()


class MemoryWatch:
    """Samples the memory of a service, and kills it above `MEMORY_LIMIT_MB`.

    Attributes:
        peak_mb: of the samples.
        killed: whether it was killed.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self.peak_mb = 0.0
        self.killed = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sample inside a ``with`` block."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        while True:
            started = time.monotonic()
            found = pss_mb(self._server.pids())
            self.peak_mb = max(self.peak_mb, found)
            if found > MEMORY_LIMIT_MB and not self.killed:
                self.killed = True
                self._server.kill()
            # Reading takes the process's memory lock, the longer the more it holds.
            if self._stop.wait(max(_SAMPLE_S, 9 * (time.monotonic() - started))):
                return

"""Faults under load: processes that are killed, generations that are replaced, and many texts."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.data import datasets

from ..machine import BenchmarkError
from ..servers import Server
from . import admin, observe
from .client import Tally, keep_alive_load
from .payloads import post, short_texts
from .sending import SETTINGS, Run, Scale

LANES: Final = 8
_PATIENCE_S: Final = 30
_BETWEEN_S: Final = 0.1
_DATASETS: Final = ("spam", "cyberbullying")
_BATCH: Final = 256
_SAMPLES: Final = 20  # of the memory
_POSITIVE: Final = b'"label":"spam"'
_LABEL: Final = b'"label":"'

Act = Callable[[Server, int], Coroutine[None, None, None]]


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return [*map(int, found.split())]
    return []


def under_load(act: Act, times: Callable[[Scale], int]) -> Run:
    """Act again and again under the load of connections that are kept alive, and of new ones.

    ``extra`` has the number of times, and ``miscounted``: by how much the counter of requests that
    got 200 is off, where each lost request may have been counted or not.
    """

    async def run(server: Server, scale: Scale) -> Tally:
        count = times(scale)
        before = observe.counted(server.port)

        async def ends() -> None:
            for _ in range(count):
                await asyncio.sleep(_BETWEEN_S)
                await act(server, len(_children(_children(server.pids()[0])[-1])))

        request = post(short_texts(1))
        tally = await keep_alive_load(server.port, request, lanes=LANES, new_lanes=1, ends=ends)
        counted = observe.counted(server.port) - before
        least = tally.answers["200"]
        most = least + tally.lost + tally.answers["new connection closed"]
        tally.extra["times"] = count
        tally.extra["miscounted"] = max(least - counted, counted - most, 0)
        return tally

    return run


async def reload(server: Server, _: int) -> None:
    """Reload.

    Raises:
        BenchmarkError: it fails.
    """
    found = await admin.reload(server.port)
    if found["state"] not in {"serving", "superseded"}:
        raise BenchmarkError(f"a reload failed: {found['reason']}")


async def kill_worker(server: Server, workers: int) -> None:
    """Kill a worker, and wait for its successor."""
    (parent,) = _children(server.pids()[0])
    victim = _children(parent)[0]
    os.kill(victim, signal.SIGKILL)
    await _until(lambda: len({*_children(parent)} - {victim}) == workers)


async def kill_generation(server: Server, workers: int) -> None:
    """Kill the process that has loaded what is served, and wait until another one serves."""
    (parent,) = _children(server.pids()[0])
    os.kill(parent, signal.SIGKILL)
    await _until(lambda: not Path(f"/proc/{parent}").exists())
    await one_generation(server, workers)


async def kill_loading(server: Server, workers: int) -> None:
    """Kill the process that loads for a reload, which must fail."""
    generation = await admin.begin(server.port)
    await _until(lambda: len(_children(server.pids()[0])) > 1)
    os.kill(_children(server.pids()[0])[-1], signal.SIGKILL)
    found = await admin.outcome(server.port, generation)
    if found["state"] != "failed":
        raise BenchmarkError("the process that loads was killed too late")
    await one_generation(server, workers)


async def kill_generation_in_reload(server: Server, workers: int) -> None:
    """Kill the process of the current generation while another one loads."""
    (parent,) = _children(server.pids()[0])
    generation = await admin.begin(server.port)
    await _until(lambda: len(_children(server.pids()[0])) > 1)
    os.kill(parent, signal.SIGKILL)
    found = await admin.outcome(server.port, generation)
    if found["state"] not in {"serving", "superseded"}:
        raise BenchmarkError(f"a reload failed: {found['reason']}")
    await one_generation(server, workers)


async def kill_supervisor(server: Server, _: Scale) -> Tally:
    """Kill the supervisor under load; ``left`` is how many of its processes do not end."""
    everyone = server.pids()[1:]
    limit = float(SETTINGS["DANDELION_DRAIN_S"]) + float(SETTINGS["DANDELION_SHUTDOWN_GRACE_S"]) + 4

    def left() -> int:
        return sum(Path(f"/proc/{pid}").exists() for pid in everyone)

    async def ends() -> None:
        await asyncio.sleep(0.2)
        os.kill(server.pids()[0], signal.SIGKILL)
        deadline = time.monotonic() + limit
        while left() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    request = post(short_texts(1))
    tally = await keep_alive_load(server.port, request, lanes=LANES, new_lanes=1, ends=ends)
    tally.extra["left"] = left()
    return tally


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"still waiting after {_PATIENCE_S} seconds")
        await asyncio.sleep(0.01)


async def one_generation(server: Server, workers: int) -> None:
    """Wait until one generation is left, with all its workers."""
    await _until(lambda: len(_children(server.pids()[0])) == 1)
    await admin.settled(server.port, workers)


# Many texts.


async def many_texts(server: Server, scale: Scale) -> Tally:
    """Classify real texts; are the counters exact, and does the memory grow?

    ``extra`` has the number of texts, of those that a counter is off by (``miscounted``), the slope
    of the memory in MB per 100,000 texts, and texts per second.
    """
    bodies = _bodies()
    numbers = iter(range(-(-scale.texts // _BATCH)))
    tally, found, memory = Tally(), {"labels": 0, "positive": 0, "texts": 0}, list[Any]()
    before = admin.metrics(server.port)
    every = scale.texts // _SAMPLES
    started = time.monotonic()

    async def lane() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for number in numbers:
            count, request = bodies[number % len(bodies)]
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            content = await reader.readexactly(length)
            tally.add([head[9:12].decode()])
            found["texts"] += count
            found["labels"] += content.count(_LABEL)
            found["positive"] += content.count(_POSITIVE)
            if found["texts"] // every > len(memory) - 1:
                memory.append((found["texts"], observe.pss_mb(server.pids())))
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(LANES):
            group.create_task(lane())
    seconds = time.monotonic() - started
    after = admin.metrics(server.port)

    def grown(name: str) -> float:
        return admin.total(after, name) - admin.total(before, name)

    labels = grown(r"dandelion_texts_total")
    texts = grown("dandelion_batch_size_sum")
    requests = admin.total(after, "dandelion_requests_total") - admin.total(
        before, "dandelion_requests_total"
    )
    positive = _positive(after) - _positive(before)
    tally.extra |= {
        "texts": found["texts"],
        "miscounted": abs(labels - found["labels"])
        + abs(texts - found["texts"])
        + abs(positive - found["positive"])
        + abs(requests - tally.sent),
        "slope_mb": _slope(memory[len(memory) // 5 :]),
        "texts_per_s": found["texts"] / seconds,
    }
    return tally


def _positive(text: str) -> float:
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith('dandelion_texts_total{label="spam"')
    )


def _bodies() -> list[tuple[int, bytes]]:
    texts = [text[:2000] for name in _DATASETS for text in datasets.load(name).texts]
    return [
        (len(part), post(json.dumps({"texts": part}).encode()))
        for start in range(0, len(texts) - _BATCH, _BATCH)
        for part in [texts[start : start + _BATCH]]
    ]


def _slope(samples: list[tuple[int, float]]) -> float:
    """Return by how many MB the memory grows per 100,000 texts, by least squares."""
    if len(samples) < 2:
        return 0.0
    texts, megabytes = np.array(samples).T
    return float(np.polyfit(texts / 1e5, megabytes, 1)[0])

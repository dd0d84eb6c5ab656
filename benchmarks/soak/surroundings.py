"""Faults of what a service stands on: damaged artifacts, full disks, a closed log, clock steps.

Each function starts a service of its own, in surroundings that it makes.
"""

import asyncio
import hashlib
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from .. import artifacts, servers
from ..machine import BenchmarkError
from ..servers import Server
from . import admin, faults
from .client import Tally, keep_alive_load
from .payloads import of_texts, post, short_texts
from .sending import SETTINGS, Scale

Alone = Callable[[int, Scale], Coroutine[None, None, Tally]]

_SEED: Final = 15
_RECORD_BYTES: Final = 4_000_000  # about 8,000 texts
_RECORDED: Final = 16_384
_STEPS_S: Final = (86_400, -86_400, -3_650 * 86_400, 0)  # of the clock, from the true time
_STEP_S: Final = 2.0
_RATE: Final = 200  # texts per second of the key, and its burst
_AT_ONCE: Final = 10
_KEY: Final = "dandelion-soak"
_FAKETIME: Final = "faketime/libfaketimeMT.so.1"

_TEXTS: Final = (
    "WINNER!! Claim your free prize of 1000 pounds now, call 09061701461",
    "Are we still meeting for lunch tomorrow at 12?",
    "Ok, see you then",
    "Reply YES to get your free ringtone, 150p per message",
)


@contextmanager
def _started(
    workers: int,
    settings: Mapping[str, str],
    before: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start a service with settings, its command line behind ``before``; stop it at exit."""
    launch = servers.ours("spam", workers=workers)
    launch = replace(
        launch,
        command=(*before, *launch.command),
        environment={**launch.environment, **SETTINGS, **settings},
        headers=headers or {},
    )
    with servers.running(launch, sorted(os.sched_getaffinity(0))) as server:
        yield server


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dandelion-soak-") as name:
        yield Path(name)


# Damaged artifacts.


def _copied(directory: Path) -> Path:
    """Copy the served artifact of spam alone; returns its directory."""
    served = artifacts.served()["spam"]
    copy = directory / "spam" / served.name
    shutil.copytree(served, copy)
    (directory / "serving.toml").write_text(f'[models]\nspam = "{served.name}"\n')
    return copy


def _damages(files: Sequence[Path], count: int) -> Iterator[tuple[Path, bytes | None]]:
    """Yield a file and its damaged content, None for no file: each file, then random bytes."""
    for file in files:
        content = file.read_bytes()
        yield from ((file, None), (file, b""), (file, content[: len(content) // 2]))
    draw = random.Random(_SEED)  # noqa: S311 - no secret
    for number in range(count):
        file = files[number % len(files)]
        changed = bytearray(file.read_bytes())
        changed[draw.randrange(len(changed))] ^= draw.randrange(1, 256)
        yield file, bytes(changed)


async def damaged(workers: int, scale: Scale) -> Tally:
    """Damage the files of an artifact one after another, each time reload, and restore them.

    ``extra``: ``refused`` reloads, ``harmless`` ones that serve with the same version and scores,
    and ``wrong`` ones, after which a version or a score differs or nothing responds.
    """
    tally = Tally(extra={"refused": 0, "harmless": 0, "wrong": 0})
    with _directory() as directory:
        copy = _copied(directory)
        with _started(workers, {"DANDELION_ARTIFACTS": str(directory)}) as server:
            models, scores = await admin.models(server.port), _scores(server.port)
            for file, content in _damages(sorted(copy.iterdir()), scale.bytes):
                whole = file.read_bytes()
                file.unlink()
                if content is not None:
                    file.write_bytes(content)
                report = await admin.reload(server.port)
                file.write_bytes(whole)
                is_same = _scores(server.port) == scores
                is_same &= [*map(_identity, await admin.models(server.port))] == [
                    *map(_identity, models)
                ]
                refused = report["state"] == "failed" and bool(report["reason"])
                outcome = "refused" if refused else "harmless"
                tally.extra[outcome if is_same else "wrong"] += 1
                tally.add(["refused" if refused else "reloaded"])
    return tally


def _identity(model: Mapping[str, object]) -> tuple[object, ...]:
    return model["model"], model["variant"], model["version"], model["threshold"]


def _scores(port: int) -> bytes:
    """Return what the service says of a few texts."""
    status, body = admin.ask(port, "POST", "/classify/spam", of_texts(*_TEXTS))
    if status != 200:
        raise BenchmarkError(f"POST /classify/spam: {status}")
    return body


# Full disks, and a log that nobody reads.


async def record_full(workers: int, scale: Scale) -> Tally:
    """Record decisions to a file that may have a few megabytes; ``broken`` lines are no JSON."""
    batch, count = 16, scale.of(_RECORDED) // 16
    with _directory() as directory:
        file = directory / "decisions.jsonl"
        limit = round(_RECORD_BYTES * scale.share)
        settings = {"DANDELION_RECORD_FILE": str(file)}
        with _started(workers, settings, ("prlimit", f"--fsize={limit}:{limit}")) as server:
            before = admin.metrics(server.port)
            tally = await _requests(server, post(short_texts(batch)), count)
            after = admin.metrics(server.port)
        lines = file.read_bytes().splitlines(keepends=True)
        broken = sum(not _is_json(line) for line in lines)

    def grown(name: str) -> float:
        return admin.total(after, name) - admin.total(before, name)

    recorded, dropped = (
        grown(f"dandelion_{name}") for name in ("recorded_decisions_total", "record_dropped_total")
    )
    kept = len(lines) - admin.total(before, "dandelion_recorded_decisions_total")
    tally.extra |= {
        "recorded": recorded,
        "dropped": dropped,
        "broken": broken,
        "miscounted": abs(recorded + dropped - batch * count) + abs(kept - recorded),
    }
    return tally


def _is_json(line: bytes) -> bool:
    try:
        return bool(json.loads(line)) and line.endswith(b"\n")
    except ValueError:
        return False


def log_to(redirection: str) -> Alone:
    """Log a line for each request to where it cannot be written."""

    async def run(workers: int, scale: Scale) -> Tally:
        wrapped = ("bash", "-c", f'exec "$@" {redirection}', "bash")
        with _started(workers, {"DANDELION_ACCESS_LOG": "true"}, wrapped) as server:
            tally = await _requests(server, post(short_texts(1)), scale.of(20_000))
            await faults.reload(server, workers)
            await faults.one_generation(server, workers)
            await faults.kill_worker(server, workers)
            more = await _requests(server, post(short_texts(1)), scale.of(20_000))
        tally.sent += more.sent
        tally.lost += more.lost
        tally.answers += more.answers
        return tally

    return run


async def _requests(server: Server, request: bytes, count: int) -> Tally:
    """Send about ``count`` requests over connections that are kept alive."""
    left = iter(range(count))
    tally = Tally()

    async def lane() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            tally.add([head[9:12].decode()])
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(faults.LANES):
            group.create_task(lane())
    return tally


# The clock.


def _faketime() -> str:
    found = sorted(Path("/usr/lib").glob(f"*/{_FAKETIME}"))
    if not found:
        raise BenchmarkError("libfaketime is not installed. On Debian: apt-get install faketime")
    return str(found[0])


async def clock(workers: int, _: Scale) -> Tally:
    """Step the clock of the service, forwards and back, under load and over a key's limit.

    The monotonic clock goes on, as it does when a system's clock is set. ``extra``:
    ``seen`` steps by the service's own times, ``rate_off``: by how many texts more or fewer than
    its limit allows a key got through in any step, and ``retry_s``: the longest ``Retry-After``.
    """
    digest = hashlib.sha256(_KEY.encode()).hexdigest()
    with _directory() as directory:
        offset = directory / "offset"
        offset.write_text("+0")
        keys = directory / "keys.toml"
        scopes = '["classify", "metrics", "admin"]'
        keys.write_text(
            f'soak = {{ sha256 = "{digest}", scopes = {scopes}, texts_per_second = {_RATE} }}\n'
            f'fast = {{ sha256 = "{hashlib.sha256(b"fast").hexdigest()}", scopes = {scopes} }}\n'
        )
        settings = {
            "DANDELION_KEYS_FILE": str(keys),
            "DANDELION_MAX_TEXTS": str(_RATE),
            "LD_PRELOAD": _faketime(),
            "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        with _started(workers, settings, headers={"X-API-Key": "fast"}) as server:
            return await _stepped(server, offset)


async def _stepped(server: Server, offset: Path) -> Tally:
    extra = {"times": 0.0, "seen": 0.0, "rate_off": 0.0, "retry_s": 0.0}

    async def ends() -> None:
        *_, began = await _limited(server.port, _STEP_S)  # takes the burst
        for step in _STEPS_S:
            aside = offset.with_suffix(".new")
            aside.write_text(f"{step:+d}")
            aside.rename(offset)
            passed, retry_s, ended = await _limited(server.port, _STEP_S)
            extra["times"] += 1
            extra["rate_off"] = max(extra["rate_off"], abs(passed - _RATE * (ended - began)))
            extra["retry_s"] = max(extra["retry_s"], retry_s)
            extra["seen"] += abs(await asyncio.to_thread(_ahead_s, server.port) - step) < _STEP_S
            began = ended

    request = post(short_texts(1), "X-API-Key: fast")
    tally = await keep_alive_load(server.port, request, lanes=faults.LANES, new_lanes=1, ends=ends)
    tally.extra |= extra
    return tally


async def _limited(port: int, seconds: float) -> tuple[int, float, float]:
    """Send texts with the limited key for some time.

    Returns:
        The number of those that it let through, the longest ``Retry-After``, and the time of the
        last one, by the monotonic clock.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = post(short_texts(_AT_ONCE), f"X-API-Key: {_KEY}")
    passed, retry_s, last = 0, 0.0, time.monotonic()
    deadline = last + seconds
    while time.monotonic() < deadline:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        if head[9:12] == b"200":
            passed, last = passed + _AT_ONCE, time.monotonic()
        elif b"retry-after: " in head:
            waits = float(head.partition(b"retry-after: ")[2].split(b"\r\n")[0])
            retry_s = max(retry_s, waits)
        await asyncio.sleep(0.002)
    writer.close()
    return passed, retry_s, last


def _ahead_s(port: int) -> float:
    """Return by how much the service's clock is ahead of this process's."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/livez")
        response = connection.getresponse()
        response.read()
        then = parsedate_to_datetime(response.getheader("Date", ""))
    finally:
        connection.close()
    return then.timestamp() - time.time()

"""How requests are sent: functions that take a running service and a scale, and send."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Final

from ..machine import BenchmarkError
from ..servers import Server
from . import observe, payloads
from .client import Exchange, Tally, keep_alive_load, repeatedly, together
from .payloads import head, post, short_texts

# Shorter than the defaults, so that a run takes minutes. All other settings are the defaults.
SETTINGS: Final = {
    "DANDELION_HEADER_TIMEOUT_S": "2",
    "DANDELION_BODY_TIMEOUT_S": "4",
    "DANDELION_KEEP_ALIVE_S": "4",
    "DANDELION_DRAIN_S": "0.3",
    "DANDELION_SHUTDOWN_GRACE_S": "3",
}

_AT_LEAST: Final = 3
_AT_MOST_S: Final = 20  # no further request begins later than that, at full scale
_CLOSED_WITHIN_S: Final = 8  # twice the longest of the timeouts above
_ALL_HELD_S: Final = 1.0
_EXIT_WITHIN_S: Final = 20


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to send.

    Attributes:
        seconds: duration of what is sent again and again.
        share: of the numbers of connections and requests.
        rounds: how often a service is stopped under load.
        cases: of Schemathesis, at least.
        texts: real ones, of `many-texts`.
        reloads: under load.
        kills: of processes, under load.
        bytes: of artifacts that are changed at random.
    """

    seconds: float
    share: float
    rounds: int
    cases: int
    texts: int
    reloads: int
    kills: int
    bytes: int

    def of(self, count: int) -> int:
        """Return the part of a number that this scale takes."""
        return max(round(count * self.share), 1)

    def repeated(self, times: int | None) -> "Scale":
        """Return the scale at which what is repeated is done ``times``; None for no change."""
        if times is None:
            return self
        return replace(self, rounds=times, reloads=times, kills=times, bytes=times)


FULL: Final = Scale(
    seconds=3,
    share=1,
    rounds=100,
    cases=20_000,
    texts=1_000_000,
    reloads=100,
    kills=20,
    bytes=500,
)
QUICK: Final = Scale(
    seconds=0.3,
    share=0.05,
    rounds=2,
    cases=1000,
    texts=20_000,
    reloads=2,
    kills=2,
    bytes=8,
)

Run = Callable[[Server, Scale], Coroutine[None, None, Tally]]


# The builders: each returns a function that sends.


def again(build: Callable[[], bytes]) -> Run:
    """Send a request again and again, each on a connection of its own."""

    async def run(server: Server, scale: Scale) -> Tally:
        exchange = Exchange([build()])
        return await repeatedly(
            server.port,
            exchange,
            at_least=_AT_LEAST,
            seconds=scale.seconds,
            at_most_s=_AT_MOST_S * scale.share,
        )

    return run


def at_once(count: int, build: Callable[[], Exchange]) -> Run:
    """Send ``count`` requests at once, each on a connection of its own."""

    async def run(server: Server, scale: Scale) -> Tally:
        exchange = build()
        number = scale.of(count)
        return await together(server.port, number, lambda: exchange, number)

    return run


def whole(build: Callable[[], bytes]) -> Callable[[], Exchange]:
    """Send a whole request, and wait for its response."""
    return lambda: Exchange([build()])


def refused(
    build: Callable[[], Iterable[bytes]], *, is_whole: bool = True
) -> Callable[[], Exchange]:
    """Send what must be refused, and the connection closed."""
    return lambda: Exchange(
        list(build()), is_whole=is_whole, until_closed=True, patience_s=_CLOSED_WITHIN_S
    )


def held(*parts: bytes, pause_s: float = 0) -> Callable[[], Exchange]:
    """Hold a connection until the service closes it."""
    return lambda: Exchange(
        parts, pause_s=pause_s, is_whole=False, until_closed=True, patience_s=_CLOSED_WITHIN_S
    )


def upgrade(body: bytes, *headers: str) -> Run:
    """Send ten requests with ``headers``, and wait for more than one response to each.

    The body comes later than the headers: what takes them for the end reads a new request in it.
    """
    parts = [head(*headers, f"Content-Length: {len(body)}"), body]
    exchange = Exchange(parts, pause_s=0.05, linger_s=1)
    return at_once(10, lambda: exchange)


# The scenarios that need more than one kind of exchange.


async def nothing(_: Server, scale: Scale) -> Tally:
    """Send nothing."""
    await asyncio.sleep(scale.seconds)
    return Tally()


async def abandoned(server: Server, scale: Scale) -> Tally:
    """Send batches and leave; ``counted_200`` is how many of them were classified all the same."""
    request = post(short_texts(payloads.MAX_TEXTS))
    exchange = Exchange([request], abandons=True)
    count = scale.of(200)
    before = await observe.settled_count(server.port)
    tally = await together(server.port, count, lambda: exchange, count)
    tally.extra["counted_200"] = await observe.settled_count(server.port) - before
    return tally


async def half_sent(server: Server, scale: Scale) -> Tally:
    """Stop sending in the headers, or in the body."""
    kinds = [
        held(b"POST /classify/spam HTTP/1.1\r\nHost: soak\r\nContent-")(),
        held(head("Content-Length: 100") + b'{"te')(),
    ]
    number = scale.of(1000)
    turns = cycle(kinds)
    return await together(server.port, number, lambda: next(turns), number)


async def few_files(server: Server, _: Scale) -> Tally:
    """Hold more connections than there are file descriptors, and wait for ``/livez`` meanwhile."""

    async def recovery_s() -> float:
        await asyncio.sleep(_ALL_HELD_S)
        return _ALL_HELD_S + await observe.seconds_to_livez(server.port)

    exchange = held()()
    tally, seconds = await asyncio.gather(
        together(server.port, 200, lambda: exchange, 200), recovery_s()
    )
    tally.still_open = 0  # the system accepted what the service could not
    tally.extra["recovered_s"] = seconds
    return tally


async def terminated(server: Server, _: Scale) -> Tally:
    """Send SIGTERM under load, and go on until the service has ended."""

    async def ends() -> None:
        await asyncio.sleep(0.2)
        server.send(signal.SIGTERM)
        if not await asyncio.to_thread(server.ends, _EXIT_WITHIN_S):
            server.kill()

    return await keep_alive_load(server.port, post(short_texts(1)), lanes=8, new_lanes=1, ends=ends)


async def stopped_worker(server: Server, _: Scale) -> Tally:
    """Stop a worker, then send SIGTERM to the service; ``exit_s`` is how long it takes to end."""
    os.kill(server.pids()[-1], signal.SIGSTOP)
    started = time.monotonic()
    server.send(signal.SIGTERM)
    ended = await asyncio.to_thread(server.ends, _EXIT_WITHIN_S)
    seconds = time.monotonic() - started
    if not ended:
        server.kill()
    return Tally(sent=1, extra={"exit_s": seconds, "ended": float(ended)})


async def curl_http2(server: Server, scale: Scale) -> Tally:
    """Send requests by ``curl --http2``, which offers an upgrade.

    Raises:
        BenchmarkError: curl is not installed.
    """
    if shutil.which("curl") is None:
        raise BenchmarkError("curl is not installed. On Debian: apt-get install curl")
    tally = Tally()
    for _ in range(scale.of(10)):
        process = await asyncio.create_subprocess_exec(
            *("curl", "--http2", "--silent", "--max-time", "10", "--output", "/dev/null"),
            *("--write-out", "%{http_code}", "--header", "Content-Type: application/json"),
            *("--data", '{"texts":["lunch?"]}', f"http://127.0.0.1:{server.port}/classify/spam"),
            stdout=asyncio.subprocess.PIPE,
        )
        written, _ = await process.communicate()
        tally.add([written.decode()])
    return tally

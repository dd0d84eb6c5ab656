"""A client that sends any bytes, and notes everything that comes back."""

import asyncio
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

_RECEIVED: Final = 1 << 18
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)

# The ends of an exchange without a response. The first two are lost requests.
UNANSWERED: Final = "no response in time"
DROPPED: Final = "closed without a response"
CUT_OFF: Final = "closed while sending"
REFUSED: Final = "not connected"
ABANDONED: Final = "abandoned"
HELD: Final = "held open"

_LOST: Final = frozenset({UNANSWERED, DROPPED})


@dataclass
class Tally:
    """What was sent, and how it ended.

    Attributes:
        sent: requests, or connections where no whole request was sent.
        answers: status or other end → number.
        lost: requests that arrived whole on an accepted connection and got no response.
        still_open: connections that the service had not closed, though it should have.
        extra: further figures.
    """

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    still_open: int = 0
    extra: dict[str, float] = field(default_factory=dict)

    def add(self, answers: Sequence[str], *, is_open: bool = False) -> None:
        """Count one request with all responses that came for it, or with its other end."""
        self.sent += 1
        self.answers.update(answers)
        self.lost += bool(_LOST.intersection(answers))
        self.still_open += is_open


def statuses(received: bytes) -> tuple[list[str], int]:
    """Return the status of each whole response, and the number of bytes that they take.

    Example:
        >>> statuses(b"HTTP/1.1 204 No Content\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\nContent-Le")
        (['204'], 27)
    """
    found: list[str] = []
    start = 0
    while (end := received.find(b"\r\n\r\n", start)) >= 0:
        head = received[start : end + 2]
        length = _LENGTH.search(head)
        after = end + 4 + (int(length[1]) if length else 0)
        if after > len(received):
            break
        status = head[9:12].decode("ascii", "replace")
        if not status.startswith("1"):  # an interim response
            found.append(status)
        start = after
    return found, start


@dataclass(frozen=True)
class Exchange:
    """How to send one request over a connection of its own.

    Attributes:
        parts: sent in turn.
        pause_s: between two parts.
        is_whole: whether they are a whole request, which must get a response.
        until_closed: whether to wait until the service closes the connection.
        patience_s: duration at most, from when the connection is open.
        linger_s: how long to wait for further responses after the first.
        abandons: whether to close the connection when all is sent.
        reads: whether to receive anything.
    """

    parts: Iterable[bytes]
    pause_s: float = 0
    is_whole: bool = True
    until_closed: bool = False
    patience_s: float = 30
    linger_s: float = 0
    abandons: bool = False
    reads: bool = True

    async def run(self, port: int, tally: Tally) -> None:
        """Send it, and add what came of it to a tally."""
        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            connection.setblocking(False)
            if not self.reads:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                async with asyncio.timeout(self.patience_s):
                    await loop.sock_connect(connection, ("127.0.0.1", port))
            except OSError:  # TimeoutError is one
                tally.add([REFUSED])
                return
            sending = asyncio.create_task(self._send(loop, connection))
            try:
                await self._finish(loop, connection, sending, tally)
            finally:
                sending.cancel()
                with suppress(asyncio.CancelledError):
                    await sending

    async def _send(self, loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bool:
        """Return whether everything was sent."""
        try:
            for part in self.parts:
                await loop.sock_sendall(connection, part)
                await asyncio.sleep(self.pause_s)
        except OSError:  # the other side has closed it
            return False
        return True

    async def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        sending: "asyncio.Task[bool]",
        tally: Tally,
    ) -> None:
        if self.abandons or not self.reads:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.patience_s):
                    await sending
                    if not self.reads:
                        await asyncio.sleep(self.patience_s)
            tally.add([ABANDONED if self.abandons else HELD])
            return
        received, closed = bytearray(), False
        deadline = loop.time() + self.patience_s
        try:
            async with asyncio.timeout_at(deadline) as limit:
                while data := await loop.sock_recv(connection, _RECEIVED):
                    received += data
                    if not self.until_closed and statuses(bytes(received))[0]:
                        limit.reschedule(min(deadline, loop.time() + self.linger_s))
                closed = True
        except TimeoutError:
            pass
        except OSError:
            closed = True
        self._note(tally, statuses(bytes(received))[0], sending, closed=closed)

    def _note(
        self, tally: Tally, found: list[str], sending: "asyncio.Task[bool]", *, closed: bool
    ) -> None:
        all_sent = sending.done() and sending.result()
        if found:
            answers = found
        elif not closed:
            answers = [UNANSWERED if self.is_whole else HELD]
        else:
            answers = [DROPPED if all_sent and self.is_whole else CUT_OFF]
        tally.add(answers, is_open=self.until_closed and not closed)


async def together(port: int, count: int, exchange: Callable[[], Exchange], at_once: int) -> Tally:
    """Run ``count`` exchanges, ``at_once`` at a time."""
    tally, slots = Tally(), asyncio.Semaphore(at_once)

    async def one() -> None:
        async with slots:
            await exchange().run(port, tally)

    await asyncio.gather(*(one() for _ in range(count)))
    return tally


async def repeatedly(
    port: int, exchange: Exchange, *, at_least: int, seconds: float, at_most_s: float
) -> Tally:
    """Run an exchange again and again.

    Args:
        port: of the service.
        exchange: its parts must be iterable more than once.
        at_least: how often.
        seconds: how long to go on after that.
        at_most_s: no exchange begins later than that.
    """
    tally, started = Tally(), time.monotonic()
    while True:
        elapsed = time.monotonic() - started
        if (tally.sent >= at_least and elapsed >= seconds) or elapsed >= at_most_s:
            return tally
        await exchange.run(port, tally)


async def keep_alive_load(
    port: int,
    request: bytes,
    *,
    lanes: int,
    new_lanes: int,
    ends: Callable[[], Coroutine[None, None, None]],
) -> Tally:
    """Send requests without a pause, from before ``ends`` until the service is gone.

    Args:
        port: of the service.
        request: sent again and again.
        lanes: connections that are kept alive; each is replaced when the service announces its end.
        new_lanes: that send each request over a new connection. What these lose is no lost request:
            nothing shows that the service, not the kernel alone, had accepted the connection.
        ends: stops the service; the load goes on until it returns.
    """
    tally = Tally()
    stopped = asyncio.Event()

    async def lane(*, keeps: bool) -> None:
        while not stopped.is_set():
            await _one_connection(port, request, tally, stopped, keeps=keeps)

    async with asyncio.TaskGroup() as group:
        for number in range(lanes + new_lanes):
            group.create_task(lane(keeps=number < lanes))
        await ends()
        stopped.set()
    return tally


async def _one_connection(
    port: int, request: bytes, tally: Tally, stopped: asyncio.Event, *, keeps: bool
) -> None:
    """Send requests over one connection until it ends."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:  # it no longer listens
        await asyncio.sleep(0.01)
        return
    responses = 0
    try:
        while not stopped.is_set():
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            tally.add([head[9:12].decode("ascii", "replace")])
            responses += 1
            if not keeps or _CLOSES.search(head):
                return
    except (OSError, asyncio.IncompleteReadError):
        if responses:
            tally.add([DROPPED])
        else:
            tally.add(["new connection closed"])
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

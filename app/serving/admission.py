"""Admission: bounds what one worker reads and classifies at a time, and how much waits for it.

Two quantities are shared: bytes of bodies, which a request reserves before it reads its body, and
texts, which it takes before they are decoded. A request always takes them in this order and each of
them once, so those that wait never wait for each other.

**Discipline.** Each quantity is given out in order of arrival: while a request waits, none that
came later overtakes it. A large request is therefore not starved by small ones, nor the reverse.
What is too small to matter takes no part: a body of up to `SMALL_BODY` bytes, which the server
buffers anyway, and a batch that is classified at once in the event loop. Such requests never wait.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from starlette.types import Receive

from .. import errors
from ..telemetry.metrics import Load, Shed
from .turn import Turn

# uvicorn stops reading a connection that has this many unread bytes: no body holds less.
SMALL_BODY: Final = 65_536

# A string object with its place in a list, and its result.
_TEXT_BYTES: Final = 200


class _Waiter(NamedTuple):
    """A request that waits for an amount; its future gets True, or False after too long."""

    amount: int
    admitted: "asyncio.Future[bool]"


class Queue:
    """What the queues of several capacities have in common.

    Args:
        load: counts the requests that wait and those that are shed.
        max_waiting: requests that wait at a time.
        max_wait_s: seconds that a request waits.
    """

    def __init__(self, load: Load, *, max_waiting: int, max_wait_s: float) -> None:
        self.load = load
        self.max_waiting = max_waiting
        self.max_wait_s = max_wait_s
        self.waiting = 0

    def add(self, change: int) -> None:
        """Change the number of requests that wait."""
        self.waiting += change
        self.load.waiting.set(self.waiting)


class Capacity:
    """A limited quantity, given out in order of arrival.

    For one event loop. Without contention `take` costs a comparison and an addition.

    Args:
        limit: the most that is given out at a time.
        queue: of the requests that wait.
        show: reports the amount that is given out, after each change.
        show_waiting: reports the amount that is waited for, after each change.
    """

    def __init__(
        self,
        limit: int,
        queue: Queue,
        show: Callable[[int], None] = lambda _: None,
        show_waiting: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.limit = limit
        self.used = 0
        self.awaited = 0
        self._queue = queue
        self._show = show
        self._show_waiting = show_waiting
        self._waiters: deque[_Waiter] = deque()

    async def take(self, amount: int) -> None:
        """Take an amount, which is at most the limit; wait for it if need be.

        Raises:
            Problem: 429, too many requests wait already, or this one has waited for too long.
            ValueError: the amount exceeds the limit.
        """
        if amount > self.limit:
            raise ValueError(f"{amount} exceeds the limit of {self.limit}")
        if not self._waiters and self.used + amount <= self.limit:
            self._use(amount)
            return
        await self._wait(amount)

    def give_back(self, amount: int) -> None:
        """Give back an amount that was taken, or a part of it."""
        self._use(-amount)
        self._admit()

    async def _wait(self, amount: int) -> None:
        queue = self._queue
        if queue.waiting >= queue.max_waiting:
            queue.load.shed(Shed.QUEUE_FULL)
            raise errors.overloaded()
        loop = asyncio.get_running_loop()
        waiter = _Waiter(amount, loop.create_future())
        timer = loop.call_later(queue.max_wait_s, self._expire, waiter)
        self._waiters.append(waiter)
        self._count(1, amount)
        try:
            is_admitted = await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.cancelled():
                self._leave(waiter)
            elif waiter.admitted.result():  # cancelled just after it was admitted
                self.give_back(amount)
            raise
        finally:
            timer.cancel()
        if not is_admitted:
            queue.load.shed(Shed.WAIT)
            raise errors.overloaded()

    def _expire(self, waiter: _Waiter) -> None:
        if not waiter.admitted.done():
            waiter.admitted.set_result(False)
            self._leave(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        """Take a waiter out of the queue; those behind it may fit now."""
        self._waiters.remove(waiter)
        self._count(-1, -waiter.amount)
        self._admit()

    def _admit(self) -> None:
        """Admit those that have waited longest, up to the first that does not fit."""
        while self._waiters and self.used + self._waiters[0].amount <= self.limit:
            waiter = self._waiters[0]
            if waiter.admitted.cancelled():  # leaves by itself
                return
            self._waiters.popleft()
            self._count(-1, -waiter.amount)
            self._use(waiter.amount)
            waiter.admitted.set_result(True)

    def _use(self, change: int) -> None:
        self.used += change
        self._show(self.used)

    def _count(self, waiters: int, amount: int) -> None:
        self._queue.add(waiters)
        self.awaited += amount
        self._show_waiting(self.awaited)


class Admission:
    """Admits the requests of one worker.

    Args:
        load: shows what is in flight.
        max_bytes: of bodies that are read or classified at a time.
        max_texts: of batches that are classified, or wait for a thread, at a time.
        max_waiting: requests that wait at a time.
        max_wait_ms: milliseconds that a request waits for bytes, and for texts.
        turn: of requests that begin with a large body.
        on_idle: called when no bytes and no texts are in flight any more, with an estimate of the
            memory in bytes that was used since the last time.
    """

    def __init__(  # noqa: PLR0913
        self,
        load: Load,
        *,
        max_bytes: int,
        max_texts: int,
        max_waiting: int,
        max_wait_ms: int,
        turn: Turn | None = None,
        on_idle: Callable[[int], None] = lambda _: None,
    ) -> None:
        queue = Queue(load, max_waiting=max_waiting, max_wait_s=max_wait_ms / 1e3)
        self._queue = queue
        self.bytes = Capacity(max_bytes, queue, load.bytes.set, load.waiting_bytes.set)
        self.texts = Capacity(max_texts, queue, load.texts.set)
        self.requests = 0
        self._show = load.requests.set
        self.turn = turn or Turn()
        self._on_idle = on_idle
        self._used_since_idle = 0

    @property
    def is_busy(self) -> bool:
        """Whether requests wait, or large batches have taken more than half of the texts."""
        return self._queue.waiting > 0 or self.texts.used > self.texts.limit // 2

    def enter(self, receive: Receive) -> "Admitted":
        """Count a request as in flight until it calls `Admitted.leave`.

        Args:
            receive: ASGI's, of the request.
        """
        self.requests += 1
        self._show(self.requests)
        return Admitted(self, receive)

    def leave(self, bytes_: int, texts: int) -> None:
        """Count a request as answered, and give back what it has taken."""
        self.requests -= 1
        self._show(self.requests)
        if not bytes_ and not texts:
            return
        self._used_since_idle += bytes_ + _TEXT_BYTES * texts
        self.bytes.give_back(bytes_)
        self.texts.give_back(texts)
        if not self.bytes.used and not self.texts.used:
            used, self._used_since_idle = self._used_since_idle, 0
            self._on_idle(used)


class Admitted:
    """A request in flight, and what it has taken.

    Attributes:
        receive: ASGI's; once the body is read, it returns when the client is gone.
        arrived: when the body had arrived, in `time.monotonic`'s seconds.
    """

    __slots__ = ("_admission", "_bytes", "_texts", "arrived", "receive")

    def __init__(self, admission: Admission, receive: Receive) -> None:
        self._admission = admission
        self._bytes = 0
        self._texts = 0
        self.receive = receive
        self.arrived = 0.0

    async def take_bytes(self, amount: int) -> None:
        """Reserve bytes for the body; called once, before more than `SMALL_BODY` bytes are read.

        Raises:
            Problem: 429.
        """
        await self._admission.turn.wait()
        await self._admission.bytes.take(amount)
        self._bytes = amount

    def has_body(self, size: int) -> None:
        """The body has arrived: its time limit begins. What it did not need is given back."""
        self.arrived = time.monotonic()
        if self._bytes > size:
            excess, self._bytes = self._bytes - size, size
            self._admission.bytes.give_back(excess)

    async def take_texts(self, amount: int) -> None:
        """Take the texts of a large batch; called after the body was read, once for each batch.

        Raises:
            Problem: 429.
        """
        await self._admission.texts.take(amount)
        self._texts = amount

    def give_back_texts(self) -> None:
        """Give back the texts of a batch that was classified; another one may follow."""
        texts, self._texts = self._texts, 0
        self._admission.texts.give_back(texts)

    def leave(self) -> None:
        """Give everything back: the response is ready."""
        self._admission.leave(self._bytes, self._texts)

"""Threads for large batches. Work whose result nobody waits for any more ends.

The queue of an executor cannot be searched, and keeps the arguments of work that was cancelled. So
work waits for a free thread in the event loop, from which it leaves at once.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from .. import errors
from ..telemetry.metrics import Load, Shed
from .admission import Admitted
from .turn import Turn

T = TypeVar("T")

# Called often by work in a thread: raises once nobody waits for the result. Then the work must end.
Check = Callable[[], None]
Work = Callable[[Check], T]

_THREADS: Final = 2


class _AbandonedError(Exception):
    """Ends work in a thread whose result nobody waits for."""


class _Job:
    """Work, and whether somebody still waits for its result."""

    __slots__ = ("deadline", "is_abandoned", "is_in_thread")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.is_abandoned = False
        self.is_in_thread = False

    def check(self) -> None:
        """End the work in this thread if nobody waits for its result.

        Raises:
            _AbandonedError: the client is gone, the deadline has passed, or the service stops.
        """
        if self.is_abandoned or time.monotonic() > self.deadline:
            raise _AbandonedError


class Pool:
    """Runs work in two threads, each piece until its deadline or until its client is gone.

    Args:
        load: counts what was abandoned.
        timeout_ms: milliseconds from the arrival of a request's body to its response.
        turn: of requests that keep the event loop busy.
    """

    def __init__(self, load: Load, timeout_ms: int, turn: Turn | None = None) -> None:
        self._load = load
        self._timeout_ms = timeout_ms
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="classify")
        self._free = asyncio.Semaphore(_THREADS)
        self._turn = turn or Turn()

    def close(self) -> None:
        """Stop the threads; no work may be in flight."""
        self._threads.shutdown()

    async def run(self, start: Callable[[], Work[T]], texts: int, admitted: Admitted) -> T:
        """Run work in a thread.

        Args:
            start: called in the event loop as soon as a thread is free; returns the work. If it
                takes long, it delays all else; so the loop has a turn before each.
            texts: taken from the capacity before.
            admitted: the request.

        Raises:
            ClientDisconnect: the client is gone.
            Problem: 429 or 504; or what ``start`` or the work raises.
        """
        job = _Job(admitted.arrived + self._timeout_ms / 1e3)
        working = asyncio.create_task(self._in_turn(job, start, texts, admitted))
        gone = asyncio.create_task(_wait_for_disconnect(admitted.receive))
        try:
            await asyncio.wait(
                {working, gone},
                timeout=job.deadline - time.monotonic(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            is_gone, is_late = gone.done(), not working.done()
        finally:
            if not gone.cancel() and not gone.cancelled():
                gone.exception()  # seen
            await _end(job, working)
        try:
            if is_gone:
                self._load.shed(Shed.CLIENT_GONE)
                raise ClientDisconnect
            if not is_late:
                with suppress(_AbandonedError):  # it may have noticed the deadline itself
                    return working.result()
            self._load.shed(Shed.DEADLINE)
            raise errors.deadline_exceeded(self._timeout_ms)
        finally:
            # An error refers to this frame, and its task to the error: without this cycle, the
            # texts are freed at once.
            del working, gone

    async def wait_for_turn(self, admitted: Admitted) -> None:
        """Wait for a turn in the event loop, where a small batch is classified.

        Raises:
            Problem: 504.
        """
        await self._turn.wait()
        if time.monotonic() > admitted.arrived + self._timeout_ms / 1e3:
            self._load.shed(Shed.DEADLINE)
            raise errors.deadline_exceeded(self._timeout_ms)

    async def _in_turn(
        self, job: _Job, start: Callable[[], Work[T]], texts: int, admitted: Admitted
    ) -> T:
        await admitted.take_texts(texts)
        async with self._free:
            await self._turn.wait()
            work = start()
            job.is_in_thread = True
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, work, job.check)


async def _wait_for_disconnect(receive: Receive) -> None:
    """Return once the client is gone. After the body, ASGI has no other message."""
    message = await receive()
    if message["type"] != "http.disconnect":
        await asyncio.get_running_loop().create_future()


async def _end(job: _Job, working: "asyncio.Task[T]") -> None:
    """Wait for the end of work, which comes soon.

    Work in a thread cannot be cancelled: it ends at its next check, and its thread is free then.
    """
    if not working.done():
        job.is_abandoned = True
        if not job.is_in_thread:
            working.cancel()
        await asyncio.wait({working})
    if not working.cancelled():
        working.exception()  # seen, whether or not it is raised

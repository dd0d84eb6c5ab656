"""Large batches in threads: until when, for whom, and what is left behind."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.errors import Problem
from app.serving.admission import Admission
from app.serving.pool import Check, Pool
from app.telemetry.metrics import Metrics

from ...conftest import PATIENCE_S
from ..contract import never

MAX_TEXTS = 100
PATIENCE_MS = PATIENCE_S * 1000


class Threads:
    """A pool, the requests that use it, and what it has counted."""

    def __init__(self, timeout_ms: int = PATIENCE_MS) -> None:
        self.metrics = Metrics()
        self.pool = Pool(self.metrics.load, timeout_ms)
        self.admission = Admission(
            self.metrics.load, max_bytes=1, max_texts=MAX_TEXTS, max_waiting=9, max_wait_ms=60_000
        )
        self.ended = threading.Semaphore(0)
        self.runner = asyncio.Runner()  # always one event loop, like a server
        self.run = self.runner.run

    async def request(
        self,
        work: Callable[[Check], Any],
        receive: Callable[[], Coroutine[Any, Any, Message]] = never,
    ) -> Any:
        admitted = self.admission.enter(receive)
        admitted.has_body(0)
        try:
            return await self.pool.run(lambda: work, 10, admitted)
        finally:
            admitted.leave()

    def until_abandoned(self, check: Check) -> None:
        """Work that ends only by its check."""
        started = time.monotonic()
        try:
            while time.monotonic() < started + PATIENCE_S:
                check()
                time.sleep(0.001)
        finally:
            self.ended.release()

    def shed(self, reason: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "dandelion_shed_requests_total", {"reason": reason}
        )

    def assert_empty(self) -> None:
        """Nothing is in flight, and both threads are free."""
        assert (self.admission.requests, self.admission.texts.used) == (0, 0)
        both = threading.Barrier(2)

        async def two() -> None:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(2):
                    tasks.create_task(self.request(lambda _: both.wait(PATIENCE_S)))

        self.run(two())
        self.pool.close()
        self.runner.close()


async def gone() -> Message:
    return {"type": "http.disconnect"}


def test_the_result_of_work_is_returned_and_its_error_raised() -> None:
    threads = Threads()
    assert threads.run(threads.request(lambda _: threading.get_ident())) != threading.get_ident()

    def failing(check: Check) -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        threads.run(threads.request(failing))
    threads.assert_empty()


def test_work_ends_at_its_deadline() -> None:
    threads = Threads(timeout_ms=30)
    with pytest.raises(Problem, match="limit of 30 ms") as caught:
        threads.run(threads.request(threads.until_abandoned))
    assert caught.value.status == 504
    assert threads.ended.acquire(blocking=False)  # before the response
    assert threads.shed("deadline") == 1
    threads.pool = Pool(threads.metrics.load, PATIENCE_MS)
    threads.assert_empty()


def test_work_ends_when_its_client_is_gone() -> None:
    threads = Threads()
    leaves = asyncio.Event()

    async def receive() -> Message:
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def scenario() -> None:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work(check: Check) -> None:
            loop.call_soon_threadsafe(started.set)
            threads.until_abandoned(check)

        request = asyncio.create_task(threads.request(work, receive))
        await started.wait()
        leaves.set()
        with pytest.raises(ClientDisconnect):
            await request

    threads.run(scenario())
    assert threads.ended.acquire(blocking=False)
    assert threads.shed("client_gone") == 1
    threads.assert_empty()


def test_work_that_waits_for_a_thread_leaves_without_being_started() -> None:
    threads = Threads(timeout_ms=PATIENCE_MS)
    release = threading.Event()
    started: list[str] = []

    def work(name: str) -> Callable[[Check], None]:
        def run(check: Check) -> None:
            started.append(name)
            release.wait(PATIENCE_S)

        return run

    async def scenario() -> None:
        holding = [asyncio.create_task(threads.request(work(name))) for name in "ab"]
        while len(started) < 2:
            await asyncio.sleep(0.001)
        with pytest.raises(ClientDisconnect):
            await threads.request(work("c"), gone)
        assert threads.admission.texts.used == 20
        release.set()
        await asyncio.gather(*holding)

    threads.run(scenario())
    assert sorted(started) == ["a", "b"]
    threads.assert_empty()


def test_work_ends_when_the_server_stops_it() -> None:
    threads = Threads()

    async def scenario() -> None:
        started = threading.Event()

        def work(check: Check) -> None:
            started.set()
            threads.until_abandoned(check)

        request = asyncio.create_task(threads.request(work))
        while not started.is_set():
            await asyncio.sleep(0.001)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    threads.run(scenario())
    assert threads.ended.acquire(blocking=False)
    threads.assert_empty()


def test_a_server_that_sends_another_message_does_not_end_work() -> None:
    threads = Threads()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    assert threads.run(threads.request(lambda _: "done", receive)) == "done"
    threads.assert_empty()


def test_a_turn_that_comes_after_the_deadline_is_not_taken() -> None:
    threads = Threads(timeout_ms=1)

    async def late() -> None:
        admitted = threads.admission.enter(never)
        admitted.arrived = time.monotonic() - 1
        with pytest.raises(Problem) as refused:
            await threads.pool.wait_for_turn(admitted)
        assert refused.value.status == 504

    threads.run(late())
    threads.pool.close()
    threads.runner.close()
    assert threads.shed("deadline") == 1

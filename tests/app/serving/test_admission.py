"""Admission against a model of it: limits, order, and what becomes of those that wait."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from prometheus_client import CollectorRegistry

from app.errors import Problem
from app.serving.admission import Admission, Capacity, Queue
from app.telemetry.metrics import Load, Metrics

from ..contract import never

LIMIT = 10
MAX_WAITING = 4


def shown(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"dandelion_{name}", labels)


def admission(
    load: Load, max_wait_ms: int = 60_000, on_idle: Callable[[int], None] = print
) -> Admission:
    return Admission(
        load,
        max_bytes=LIMIT,
        max_texts=LIMIT,
        max_waiting=MAX_WAITING,
        max_wait_ms=max_wait_ms,
        on_idle=on_idle,
    )


class Machine(RuleBasedStateMachine):
    """Requests arrive, end, give up and wait too long, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.metrics = Metrics()
        self.queue = Queue(self.metrics.load, max_waiting=MAX_WAITING, max_wait_s=3600)
        self.capacity = Capacity(LIMIT, self.queue)
        # The model: every request that has arrived and not ended, in order of arrival.
        self.holding: list[tuple[int, asyncio.Task[None]]] = []
        self.waiting: list[tuple[int, asyncio.Task[None]]] = []

    def teardown(self) -> None:
        for _, task in self.waiting:
            task.cancel()
        self.settle()
        self.waiting.clear()
        for amount, _ in self.holding:
            self.capacity.give_back(amount)
        self.settle()
        assert (self.capacity.used, self.capacity.awaited) == (0, 0)
        assert shown(self.metrics.registry, "waiting_requests") == 0
        self.loop.close()

    def settle(self) -> None:
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))

    def admit(self) -> None:
        """Move to `holding` those that the model admits now: in order, up to one that cannot be."""
        used = sum(amount for amount, _ in self.holding)
        while self.waiting and used + self.waiting[0][0] <= LIMIT:
            used += self.waiting[0][0]
            self.holding.append(self.waiting.pop(0))

    @rule(amount=st.integers(1, LIMIT))
    def arrive(self, amount: int) -> None:
        task = self.loop.create_task(self.capacity.take(amount))
        was_full = len(self.waiting) == MAX_WAITING
        self.waiting.append((amount, task))
        self.admit()
        self.settle()
        if was_full:
            self.waiting.pop()
            assert isinstance(task.exception(), Problem)

    @precondition(lambda self: self.holding)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.holding) - 1))
        amount, _ = self.holding.pop(index)
        self.capacity.give_back(amount)
        self.admit()
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.waiting) - 1))
        _, task = self.waiting.pop(index)
        task.cancel()
        self.admit()
        self.settle()
        assert task.cancelled()

    @precondition(lambda self: self.holding and self.waiting)
    @rule()
    def give_up_just_when_admitted(self) -> None:
        """The first one that waits is cancelled in the same turn of the loop in which it fits."""
        amount, task = self.waiting[0]
        used = sum(one for one, _ in self.holding)
        while used + amount > LIMIT:
            given, _ = self.holding.pop(0)
            used -= given
            self.capacity.give_back(given)
        task.cancel()
        self.waiting.pop(0)
        self.admit()
        self.settle()
        assert task.cancelled()

    @invariant()
    def never_more_than_the_limit(self) -> None:
        assert self.capacity.used <= LIMIT

    @invariant()
    def the_model_agrees(self) -> None:
        assert self.capacity.used == sum(amount for amount, _ in self.holding)
        assert self.capacity.awaited == sum(amount for amount, _ in self.waiting)
        assert all(task.done() for _, task in self.holding)
        assert not any(task.done() for _, task in self.waiting)
        assert self.queue.waiting == len(self.waiting)


TestAnyOrder = Machine.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_request_that_waited_for_too_long_is_refused_and_leaves_nothing() -> None:
    metrics = Metrics()
    found = admission(metrics.load, max_wait_ms=200)

    async def arrive() -> None:
        first, second, third = (found.enter(never) for _ in range(3))
        await first.take_bytes(6)
        waiting = [
            asyncio.create_task(second.take_bytes(9)),
            asyncio.create_task(third.take_bytes(4)),
        ]
        for _ in range(10):  # each has its turn
            await asyncio.sleep(0)
        assert shown(metrics.registry, "waiting_body_bytes") == 13
        with pytest.raises(Problem, match="at its capacity") as caught:
            await waiting[0]
        assert caught.value.status == 429
        assert caught.value.headers == {"Retry-After": "1"}
        # It was the first in the queue, and the next one fits.
        await asyncio.wait({waiting[1]})
        second.leave()
        first.leave()
        if not waiting[1].exception():
            third.leave()

    asyncio.run(arrive())
    assert shown(metrics.registry, "shed_requests_total", reason="wait") in (1, 2)
    assert shown(metrics.registry, "waiting_body_bytes") == 0


def test_a_small_request_does_not_overtake_a_large_one() -> None:
    found = admission(Metrics().load)
    order: list[str] = []

    async def request(name: str, amount: int, end: Awaitable[object]) -> None:
        admitted = found.enter(never)
        await admitted.take_bytes(amount)
        order.append(name)
        await end
        admitted.leave()

    async def arrive() -> None:
        end = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for name, amount in (("first", 6), ("large", 10), ("small", 1)):
                tasks.create_task(request(name, amount, end.wait()))
            for _ in range(3):
                await asyncio.sleep(0)
            assert order == ["first"]
            end.set()

    asyncio.run(arrive())
    assert order == ["first", "large", "small"]


def test_what_a_body_did_not_need_admits_others() -> None:
    found = admission(Metrics().load)

    async def arrive() -> None:
        chunked, other = found.enter(never), found.enter(never)
        await chunked.take_bytes(10)
        waiting = asyncio.create_task(other.take_bytes(7))
        await asyncio.sleep(0)
        chunked.has_body(3)
        await waiting
        assert found.bytes.used == 10
        chunked.leave()
        other.leave()
        assert found.bytes.used == 0

    asyncio.run(arrive())


def test_an_amount_over_the_limit_could_never_be_admitted() -> None:
    found = admission(Metrics().load)
    with pytest.raises(ValueError, match="exceeds the limit of 10"):
        asyncio.run(found.enter(never).take_texts(11))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=4))
@settings(max_examples=20)
def test_in_flight_is_what_has_not_left(amounts: list[tuple[int, int]]) -> None:
    metrics = Metrics()
    idle: list[int] = []
    found = admission(metrics.load, on_idle=idle.append)

    def in_flight() -> dict[str, float]:
        """Return what the metrics show, which takes a while to collect."""
        start = "dandelion_in_flight_"
        return {
            family.name.removeprefix(start): family.samples[0].value
            for family in metrics.registry.collect()
            if family.name.startswith(start)
        }

    async def arrive() -> None:
        for bytes_, texts in amounts:
            admitted = found.enter(never)
            if bytes_:
                await admitted.take_bytes(bytes_)
            if texts:
                await admitted.take_texts(texts)
            assert in_flight() == {"requests": 1, "body_bytes": bytes_, "texts": texts}
            admitted.leave()

    asyncio.run(arrive())
    assert in_flight() == {"requests": 0, "body_bytes": 0, "texts": 0}
    assert len(idle) == sum(bytes_ + texts > 0 for bytes_, texts in amounts)

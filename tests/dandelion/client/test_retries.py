"""When a request is sent again, and what a call has left of its time."""

import time
from email.utils import formatdate
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.client import DeadlineError, ResponseError, Retries, UnreachableError
from dandelion.client.batching import Batch, Limits
from dandelion.client.calls import Calls, Classifying, Failure, Outcome, Reply, Send, Sleep
from dandelion.client.retries import asked_s


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@given(attempts=st.integers(1, 5000), asked=st.floats(0, 60))
def test_waits_grow_up_to_a_bound_and_add_what_is_asked(attempts: int, asked: float) -> None:
    retries = Retries(attempts=10_000, first_wait_s=0.5, max_wait_s=6)
    wait = retries.wait_s(attempts, asked)
    assert wait is not None
    assert asked <= wait <= asked + min(6, 0.5 * 2.0 ** min(attempts - 1, 10))
    assert Retries(attempts=attempts).wait_s(attempts, asked) is None


def test_waits_differ() -> None:
    retries = Retries()
    assert len({retries.wait_s(3) for _ in range(20)}) > 10
    assert retries.wait_s(1, 61) is None  # more than ten times the longest wait


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 0 ", 0),
        ("", 0),
        ("-1", 0),
        ("1.5", 0),
        ("soon", 0),
        ("9" * 400, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 99999 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00", 0),
    ],
)
def test_retry_after(value: str, seconds: float) -> None:
    assert asked_s({"retry-after": value}) == seconds


def test_retry_after_as_a_date() -> None:
    found = asked_s({"retry-after": formatdate(time.time() + 100, usegmt=True)})
    assert 90 < found <= 100
    assert asked_s({}) == 0


@given(st.text(max_size=40))
def test_any_retry_after_is_a_time(value: str) -> None:
    assert 0 <= asked_s({"retry-after": value}) < inf


def run(
    clock: Clock, outcomes: list[tuple[float, Outcome]], deadline_s: float | None
) -> list[Send | Sleep]:
    """Drive a call for one text; each outcome comes after some seconds. Return its steps."""
    calls = Calls(Retries(first_wait_s=0), Limits(10, 1000), 30, clock)
    call = Classifying(calls, "spam", {}, deadline_s).classify(Batch(0, (b'"a"',)))
    steps = [next(call)]
    try:
        while True:
            if isinstance(steps[-1], Sleep):
                clock.seconds += steps[-1].seconds
                outcome: Outcome = None
            else:
                seconds, outcome = outcomes.pop(0)
                clock.seconds += seconds
            steps.append(call.send(outcome))
    except StopIteration:
        return steps


OK = Reply(
    200,
    {},
    b'{"model":"spam","variant":"a","version":"1","threshold":0.5,"results":[{"label":"ham","score":0}]}',
)
BUSY = Reply(429, {"retry-after": "7"}, b"")


def test_an_attempt_has_what_the_call_has_left() -> None:
    steps = run(Clock(), [(5, BUSY), (10, Failure("reset")), (1, OK)], deadline_s=25)
    sent = [step for step in steps if isinstance(step, Send)]
    assert [step.timeout_s for step in sent] == [25, 13, 3]
    assert [step.left_s for step in sent] == [25, 13, 3]
    assert [step.seconds for step in steps if isinstance(step, Sleep)] == [7, 0]


def test_without_a_deadline_an_attempt_has_its_own_time() -> None:
    steps = run(Clock(), [(500, Failure("reset")), (1, OK)], deadline_s=None)
    assert [(s.timeout_s, s.left_s) for s in steps if isinstance(s, Send)] == [(30, inf)] * 2


def test_no_attempt_begins_that_could_not_end_in_time() -> None:
    clock = Clock()
    with pytest.raises(DeadlineError, match="the last status was 429"):
        run(clock, [(5, BUSY)], deadline_s=12)
    assert clock.seconds == 1005  # it did not wait
    with pytest.raises(DeadlineError, match="the last attempt: too slow"):
        run(clock, [(12, Failure("too slow"))], deadline_s=12)


def test_the_last_failure_is_reported() -> None:
    with pytest.raises(UnreachableError, match="no response after 5 attempts: reset"):
        run(Clock(), [(1, Failure("reset"))] * 5, deadline_s=None)
    with pytest.raises(UnreachableError, match="no response after 1 attempt: no"):
        run(Clock(), [(1, Failure("no", is_final=True))], deadline_s=None)
    with pytest.raises(ResponseError, match="429 Too Many Requests"):
        run(Clock(), [(1, BUSY)] * 5, deadline_s=None)

"""Token buckets: what passes in any window, when more does, and several processes at once."""

import errno
import json
import mmap
import os
import subprocess
import sys
import time
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.process_lock import SharingError
from app.serving.rates import SharedRates
from dandelion.api_keys import MAX_KEYS

from ...conftest import PATIENCE_S, ROOT
from . import rate_processes

SECOND = 10**9


class Clock:
    """A stopped clock, in place of `time.monotonic_ns`."""

    def __init__(self, now: int = 10**15) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic_ns", clock)
    return clock


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3 * SECOND) | st.integers(0, 1000),  # ns since the step before
        st.integers(0, 60),
    ),
    max_size=30,
)


@example(rate=7, burst=60, steps=[(0, 60), (0, 1)])
@example(rate=600_000_000, burst=60, steps=[(0, 60), *[(1, 1)] * 20])
@given(st.integers(1, 200) | st.integers(10**8, 10**9), st.integers(60, 300), STEPS)
def test_in_any_window_at_most_rate_times_its_length_and_the_burst(
    clock: Clock, rate: int, burst: int, steps: list[tuple[int, int]]
) -> None:
    bucket = SharedRates().bucket("forum", rate, burst)
    taken: list[tuple[int, int]] = []
    for pause, texts in steps:
        clock.now += pause
        wait_s = bucket.take(texts)
        assert wait_s >= 0
        if not wait_s:
            taken.append((clock.now, texts))
        else:
            assert texts
            assert wait_s <= Fraction(texts, rate) + Fraction(1, 10**6)
    sums = [0, *accumulate(texts for _, texts in taken)]
    for first, (begin, _) in enumerate(taken):
        for last in range(first, len(taken)):
            # A clock of whole nanoseconds may show one less.
            window = Fraction(taken[last][0] - begin + 1, SECOND)
            assert sums[last + 1] - sums[first] <= rate * window + burst


@given(st.integers(1, 200), st.integers(60, 300), STEPS, st.integers(1, 60))
def test_after_the_wait_it_holds_enough_and_not_before(
    clock: Clock, rate: int, burst: int, steps: list[tuple[int, int]], texts: int
) -> None:
    bucket = SharedRates().bucket("forum", rate, burst)
    for pause, amount in steps:
        clock.now += pause
        bucket.take(amount)
    if wait_s := bucket.take(texts):
        wait = round(wait_s * SECOND)
        clock.now += wait - 1
        assert bucket.take(texts)
        clock.now += 1
        assert not bucket.take(texts)


def test_a_new_bucket_is_full_and_refills(clock: Clock) -> None:
    bucket = SharedRates().bucket("forum", 10, 30)
    assert not bucket.take(30)
    assert bucket.take(1) == pytest.approx(0.1)
    clock.now += SECOND
    assert not bucket.take(10)
    assert bucket.take(30) == pytest.approx(3)
    clock.now += 100 * SECOND
    assert not bucket.take(30)
    assert bucket.take(1)


def test_buckets_are_found_by_name(clock: Clock) -> None:
    rates = SharedRates()
    assert not rates.bucket("forum", 10, 30).take(30)
    assert rates.bucket("forum", 10, 30).take(1)  # as after a reload
    assert not rates.bucket("foru", 10, 30).take(30)
    assert not rates.bucket("a" * 64, 10, 30).take(30)
    assert rates.bucket("a" * 64, 10, 30).take(1)


def test_a_changed_limit_counts_at_once(clock: Clock) -> None:
    rates = SharedRates()
    assert not rates.bucket("forum", 1, 1000).take(1000)
    bucket = rates.bucket("forum", 100, 100)
    assert bucket.take(1) == pytest.approx(0.01)  # not the 901 seconds of the old limit
    clock.now += SECOND
    assert not bucket.take(100)


def test_names_beyond_the_memory_take_the_place_of_full_buckets(clock: Clock) -> None:
    rates = SharedRates()
    busy = [rates.bucket(f"busy-{number}", 1, 10) for number in range(MAX_KEYS)]
    for bucket in busy:
        assert not bucket.take(10)
    for number in range(20 * MAX_KEYS):
        assert not rates.bucket(f"other-{number}", 10**9, 10).take(1)
        clock.now += 10
    assert all(bucket.take(1) for bucket in busy)


def test_a_bucket_whose_place_was_taken_gets_another_one(clock: Clock) -> None:
    rates = SharedRates()
    idle = rates.bucket("idle", 1, 10)
    assert not idle.take(1)
    clock.now += 100 * SECOND
    for number in range(4 * MAX_KEYS):  # as many as there are places
        assert not rates.bucket(f"busy-{number}", 1, 10).take(10)
    assert not idle.take(10)
    assert idle.take(1)


def test_processes_that_are_killed_take_no_more_than_the_limit() -> None:
    done = subprocess.run(
        [sys.executable, "-m", rate_processes.__name__],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    found = json.loads(done.stdout)
    limit = rate_processes.PER_SECOND * found["seconds"] + rate_processes.BURST
    # A process may be killed between taking a text and reporting it.
    assert rate_processes.BURST <= found["taken"] <= limit


def test_what_the_system_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "memfd_create", refuse)
    with pytest.raises(SharingError, match=r"^cannot share the limits .*: Too many open files$"):
        SharedRates(is_shared=True)
    SharedRates()  # needs no lock
    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(SharingError, match=r"^cannot share the limits .*: Too many open files$"):
        SharedRates()

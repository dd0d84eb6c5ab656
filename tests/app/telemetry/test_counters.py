"""What several processes count together, against a plain model of it."""

import json
import logging
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.telemetry.counters import Histogram, SharedCounters
from app.telemetry.shared_map import Layout

from ...conftest import ROOT
from .forks import LEVEL, SIZES, THINGS, WORKERS, Samples, Step, samples

BOUNDS = SIZES.bounds
KINDS = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("inc"), KINDS, st.integers(1, 5)),
    st.tuples(st.just("observe"), KINDS, st.lists(st.integers(0, 9), max_size=4)),
    st.tuples(st.just("set"), KINDS, st.integers(0, 9)),
    st.tuples(st.just("scrape")),
    st.tuples(st.just("kill")),
)
SCRIPTS = st.lists(st.tuples(st.integers(0, WORKERS), STEPS), max_size=25)


@contextmanager
def forks(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.app.telemetry.forks", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[[Any], list[Samples]]]:
    """Run a script in forked processes; returns what its scrapes have found."""
    with forks("script") as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(script: Any) -> list[Samples]:
            print(json.dumps(script), file=process.stdin, flush=True)
            found: list[Samples] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            return found

        yield run


class Model:
    """What the processes should show: one dictionary of counts, and the gauges of each process."""

    def __init__(self) -> None:
        self.things: dict[str, int] = defaultdict(int)
        self.sizes: dict[str, list[int]] = defaultdict(list)
        self.kinds_of_level: set[str] = set()
        self.levels: dict[int, dict[str, int]] = defaultdict(dict)

    def do(self, process: int, step: Step) -> None:
        match step:
            case ("inc", kind, amount):
                self.things[kind] += amount
            case ("observe", kind, values):
                self.sizes[kind] += values
            case ("set", kind, value):
                self.kinds_of_level.add(kind)
                self.levels[process][kind] = value
            case ("kill",) if process:
                self.levels.pop(process, None)

    def shown(self) -> Samples:
        found: Samples = {f"things_total{{kind={kind}}}": n for kind, n in self.things.items()}
        for kind, sizes in self.sizes.items():
            for le in (*BOUNDS, float("inf")):
                shown = "+Inf" if le == float("inf") else le
                count = sum(size <= le for size in sizes)
                found[f"sizes_bucket{{kind={kind},le={shown}}}"] = count
            found[f"sizes_count{{kind={kind}}}"] = len(sizes)
            found[f"sizes_sum{{kind={kind}}}"] = sum(sizes)
        for kind in self.kinds_of_level:
            set_to = [levels.get(kind, 0) for levels in self.levels.values()]
            found[f"level{{kind={kind}}}"] = max(set_to, default=0)
            found[f"load{{kind={kind}}}"] = sum(set_to)
        return found


@given(SCRIPTS)
@settings(max_examples=30)
def test_any_interleaving_equals_one_counter(
    run: Callable[[Any], list[Samples]], script: list[tuple[int, Step]]
) -> None:
    model = Model()
    expected = []
    script = [*script, *((process, ("scrape",)) for process in range(WORKERS + 1))]
    for process, step in script:
        model.do(process, step)
        if step[0] == "scrape":
            expected.append(model.shown())
    assert run(script) == expected


def test_the_share_of_a_process_that_has_ended_disappears_from_a_gauge(
    run: Callable[[Any], list[Samples]],
) -> None:
    both, one = run(
        [
            (1, ("set", "shared", 5)),
            (2, ("set", "shared", 3)),
            (0, ("scrape",)),
            (1, ("kill",)),
            (2, ("scrape",)),
        ]
    )
    assert (both["level{kind=shared}"], both["load{kind=shared}"]) == (5, 8)
    assert (one["level{kind=shared}"], one["load{kind=shared}"]) == (3, 3)


def test_a_process_finds_a_series_that_a_younger_one_has_added(
    run: Callable[[Any], list[Samples]],
) -> None:
    before, after, same = run(
        [
            (1, ("scrape",)),
            (2, ("kill",)),  # 2 is now younger than 1
            (2, ("inc", "new", 3)),
            (1, ("scrape",)),
            (2, ("kill",)),
            (1, ("inc", "new", 4)),
            (3, ("scrape",)),
        ]
    )
    assert before == {}
    assert after == {"things_total{kind=new}": 3}
    assert same == {"things_total{kind=new}": 7}


def test_processes_that_add_the_same_series_at_once_count_one() -> None:
    with forks("add", "150") as process:
        assert process.stdout is not None
        found = json.load(process.stdout)
    assert {found[f"things_total{{kind=kind {number}}}"] for number in range(150)} == {WORKERS}
    assert {found[f"sizes_count{{kind=kind {number}}}"] for number in range(150)} == {WORKERS}


def test_nothing_is_lost_however_often_a_counting_process_is_killed() -> None:
    rounds = 40  # of four rows
    with forks("kills", str(rounds)) as process:
        assert process.stdout is not None
        found = json.load(process.stdout)
    # A process killed between counting and reporting has counted one more than it reported.
    assert found["counted"] <= found["shown"] <= found["counted"] + rounds + 2
    assert found["counted"] > 1000
    assert found["series"] > 10
    assert found["new_at_most"] <= 500
    assert isinstance(found["scrapes"], int), f"counters fell: {found['scrapes']}"
    assert found["scrapes"] > 5


def test_a_row_is_free_again_once_it_is_retired() -> None:
    counters = SharedCounters([THINGS], Layout(rows=3))
    first, second = counters.open_row(), counters.open_row()
    assert {first, second} == {1, 2}
    with pytest.raises(RuntimeError, match="all 3 rows"):
        counters.open_row()
    counters.retire(first)
    assert counters.open_row() == first


@pytest.mark.parametrize(
    "layout", [Layout(cells=9), Layout(directory_bytes=50)], ids=["cells", "directory"]
)
def test_a_full_map_is_logged_once_and_counts_nothing_wrong(
    layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    counters = SharedCounters([THINGS, SIZES, LEVEL], layout)
    counters.counter(THINGS, "a").inc(2)
    counters.histogram(SIZES, "a").observe(3)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            counters.histogram(SIZES, "left out").observe_many([1, 2, 3])
            counters.counter(THINGS, "long name, for the directory " * 2).inc()
    series = {str(vars(record)["labels"]) for record in caplog.records}
    assert len(caplog.records) == len(series)
    assert "left out" in series
    found = samples(counters)
    assert found["things_total{kind=a}"] == 2
    assert found["sizes_count{kind=a}"] == 1
    assert found["sizes_sum{kind=a}"] == 3
    assert "left out" not in str(found)


@given(st.lists(st.floats(0, 9, width=32), max_size=200))
def test_observe_many_equals_repeated_observe(values: list[float]) -> None:
    counters = SharedCounters([SIZES])
    counters.histogram(SIZES, "at once").observe_many(values)
    one_by_one: Histogram = counters.histogram(SIZES, "one by one")
    for value in values:
        one_by_one.observe(value)
    found = samples(counters)
    for name, value in found.items():
        if "at once" in name:
            assert found[name.replace("at once", "one by one")] == pytest.approx(value)
    assert found["sizes_count{kind=at once}"] == len(values)


def test_threads_of_one_process_lose_nothing() -> None:
    from threading import Thread

    counters = SharedCounters([THINGS, SIZES])
    thing, size = counters.counter(THINGS, "a"), counters.histogram(SIZES, "a")

    def work(repeat: int) -> None:
        for _ in range(repeat):
            thing.inc()
            size.observe(1)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=partial(work, 5000)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    found = samples(counters)
    assert found["things_total{kind=a}"] == found["sizes_count{kind=a}"] == 20_000

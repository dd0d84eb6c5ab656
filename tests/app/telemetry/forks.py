"""Processes that count together: a program for the tests of `app.telemetry.counters`.

Each process ends when its parent has ended, and after some minutes at the latest.

A test must not fork the process that runs it, which has threads. ``python -m`` with this module's
name forks instead, and writes JSON to standard output. Its arguments:

script
    reads a script per line, a list of steps, and writes what its scrapes have returned.
add SERIES
    adds series in several processes at once, and writes what a scrape returns then.
kills ROUNDS
    kills counting processes, one after the other, while another one scrapes.
"""

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse

from app.telemetry.counters import Family, Kind, SharedCounters
from app.telemetry.shared_map import Layout

THINGS = Family(Kind.COUNTER, "things", "Things.", ("kind",))
SIZES = Family(Kind.HISTOGRAM, "sizes", "Sizes.", ("kind",), (1.0, 2.0, 5.0))
LEVEL = Family(Kind.GAUGE, "level", "Level.", ("kind",))
LOAD = Family(Kind.SUMMED_GAUGE, "load", "Load.", ("kind",))
WORKERS = 3

LIMIT_S = 600
CHECK_S = 0.5

Step = list[Any]
Samples = dict[str, float]


def samples(counters: SharedCounters) -> Samples:
    """Scrape: ``name{label="value"}`` → value."""
    registry = CollectorRegistry()
    registry.register(counters)
    return {
        sample.name
        + "{"
        + ",".join(f"{key}={value}" for key, value in sample.labels.items())
        + "}": sample.value
        for family in parse(generate_latest(registry).decode())
        for sample in family.samples
    }


def do(counters: SharedCounters, what: str, kind: str, value: Any) -> None:
    if what == "inc":
        counters.counter(THINGS, kind).inc(value)
    elif what == "observe":
        counters.histogram(SIZES, kind).observe_many(value)
    else:
        counters.gauge(LEVEL, kind).set(value)
        counters.gauge(LOAD, kind).set(value)


def end_with(parent: int) -> None:
    """End this process, whatever it does, soon after its parent has ended or after its limit."""
    deadline = time.monotonic() + LIMIT_S

    def check(*_: object) -> None:
        if os.getppid() != parent or time.monotonic() > deadline:
            os._exit(1)

    signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, CHECK_S, CHECK_S)


def fork(child: Callable[[], object]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        end_with(parent)
        os.close(1)  # else the test would wait for what this process might write
        child()
    finally:
        os._exit(0)


class Process:
    """A forked process that does one step at a time."""

    def __init__(self, counters: SharedCounters) -> None:
        self.row = counters.open_row()
        steps, self._steps = os.pipe()
        self._results, results = os.pipe()

        def child() -> NoReturn:
            counters.write_to(self.row)
            while True:
                step = json.loads(os.read(steps, 65536))
                result = samples(counters) if step[0] == "scrape" else do(counters, *step)
                os.write(results, json.dumps(result).encode())

        self.pid = fork(child)
        os.close(steps)
        os.close(results)

    def do(self, step: Step) -> Any:
        os.write(self._steps, json.dumps(step).encode())
        return json.loads(os.read(self._results, 65536))

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._steps)
        os.close(self._results)


def run(script: list[tuple[int, Step]]) -> list[Samples]:
    """Run steps of the parent (0) and of processes 1 …; returns what each scrape has returned."""
    counters = SharedCounters([THINGS, SIZES, LEVEL, LOAD], Layout(rows=1 + WORKERS))
    processes = [Process(counters) for _ in range(WORKERS)]
    found = []
    try:
        for number, step in script:
            if step[0] == "kill" and number:
                processes[number - 1].kill()
                counters.retire(processes[number - 1].row)
                processes[number - 1] = Process(counters)
            elif step[0] == "scrape":
                result = processes[number - 1].do(step) if number else samples(counters)
                found.append(result)
            elif step[0] != "kill":
                processes[number - 1].do(step) if number else do(counters, *step)
    finally:
        for process in processes:
            process.kill()
    return found


def add_at_once(series: int) -> Samples:
    """Let processes add the same series at the same time, and count each of them once."""
    counters = SharedCounters([THINGS, SIZES], Layout(rows=1 + WORKERS))
    start, closes = os.pipe()

    def child(row: int) -> None:
        os.close(closes)
        counters.write_to(row)
        os.read(start, 1)
        for number in range(series):
            counters.histogram(SIZES, f"kind {number}").observe(1)
            counters.counter(THINGS, f"kind {number}").inc()

    children = [fork(partial(child, counters.open_row())) for _ in range(WORKERS)]
    os.close(closes)
    for pid in children:
        os.waitpid(pid, 0)
    return samples(counters)


def count_until_killed(counters: SharedCounters, row: int, done: int) -> None:
    """Count in old and in new series; a byte into the pipe for each thing that was counted."""
    counters.write_to(row)
    size = counters.histogram(SIZES, "old")
    thing = counters.counter(THINGS, "old")
    for number in itertools.count():
        if number % 500 == 499:
            thing = counters.counter(THINGS, f"new-{os.getpid()}-{number}")
        thing.inc()
        os.write(done, b".")
        size.observe(number % 7)


def scrape_until_closed(counters: SharedCounters, stop: int) -> int:
    """Scrape until the pipe is closed; returns the scrapes.

    Raises:
        AssertionError: a value has fallen, or an exposition does not agree with itself.
    """
    os.set_blocking(stop, False)
    earlier: Samples = {}
    for number in itertools.count(1):
        later = samples(counters)
        for name, value in earlier.items():
            assert later[name] >= value, (name, value, later[name])
        buckets = [
            later.get(f"sizes_bucket{{kind=old,le={le}}}", 0) for le in (1.0, 2.0, 5.0, "+Inf")
        ]
        assert buckets == sorted(buckets)
        assert buckets[-1] == later.get("sizes_count{kind=old}", 0)
        earlier = later
        try:
            if not os.read(stop, 1):
                return number
        except BlockingIOError:
            pass
    raise AssertionError


def kills(rounds: int) -> dict[str, Any]:
    """Kill a counting process in each round, while two count and one scrapes."""
    counters = SharedCounters([THINGS, SIZES], Layout(rows=1 + WORKERS, cells=2**14))
    scraped, result = os.pipe()
    stop, closes = os.pipe()

    def scrape() -> None:
        os.close(closes)
        try:
            os.write(result, json.dumps(scrape_until_closed(counters, stop)).encode())
        except AssertionError as error:
            os.write(result, json.dumps(str(error)).encode())

    scraper = fork(scrape)
    counted = 0
    running: list[tuple[int, int, int]] = []
    for _ in range(rounds + 2):
        row = counters.open_row()
        done, write = os.pipe()
        pid = fork(partial(count_until_killed, counters, row, write))
        os.close(write)
        running.append((pid, row, done))
        if len(running) == 2:
            time.sleep(0.002)
            counted += end(counters, *running.pop(0))
    while running:
        counted += end(counters, *running.pop(0))
    os.close(closes)
    os.waitpid(scraper, 0)
    found = samples(counters)
    things = {name: value for name, value in found.items() if name.startswith("things_total")}
    return {
        "counted": counted,
        "shown": sum(things.values()),
        "series": len(things),
        "new_at_most": max(value for name, value in things.items() if "new" in name),
        "scrapes": json.loads(os.read(scraped, 65536)),
    }


def end(counters: SharedCounters, pid: int, row: int, done: int) -> int:
    """Kill a process; returns what it reported."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    counters.retire(row)
    with os.fdopen(done, "rb") as read:
        return len(read.read())


if __name__ == "__main__":
    end_with(os.getppid())
    if sys.argv[1] == "kills":
        sys.stdout.write(json.dumps(kills(int(sys.argv[2]))) + "\n")
    elif sys.argv[1] == "add":
        sys.stdout.write(json.dumps(add_at_once(int(sys.argv[2]))) + "\n")
    else:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
            sys.stdout.flush()

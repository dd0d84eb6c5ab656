"""Processes that append to one file: a program for the tests of `app.telemetry.record_file`.

A test must not fork the process that runs it, which has threads, nor limit its files. ``python -m``
with this module's name does so instead, and writes JSON to standard output. Its arguments:

kills PATH MAX_BYTES ROUNDS
    four processes append batches; in each round one is killed and replaced. The batches that were
    reported as appended, as ``[process, batch, lines]``.
full PATH BYTES
    no file may be larger: appends until that fails, then once more without the limit. Each
    result, and the size of the file after it.
denied PATH
    appends as a user without rights. The result, and what was counted.
"""

import json
import os
import random
import resource
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse

from app.telemetry.metrics import Metrics
from app.telemetry.record_file import RecordFile

from .forks import end_with, fork

PROCESSES = 4
SIZES = (1, 1, 3, 256, 4096)
FILES = 1000  # none is deleted


def batch(process: int, number: int, lines: int) -> bytes:
    shared = {"process": process, "batch": number, "lines": lines, "filler": "x" * 200}
    return b"".join(json.dumps(shared | {"line": at}).encode() + b"\n" for at in range(lines))


def counted(metrics: Metrics) -> dict[str, float]:
    """Every value of the record's series that is not 0, by name and reason."""
    return {
        f"{sample.name}{sample.labels.get('reason', '')}": sample.value
        for family in parse(generate_latest(metrics.registry).decode())
        for sample in family.samples
        if "record" in sample.name and sample.value
    }


def append_until_killed(file: RecordFile, process: int, done: int) -> None:
    chosen = random.Random(process)
    number = 0
    while True:
        lines = chosen.choice(SIZES)
        if file.append(batch(process, number, lines), lines):
            os.write(done, f"{process} {number} {lines}\n".encode())
        number += 1


def kills(path: str, max_bytes: str, rounds: str) -> list[list[int]]:
    file = RecordFile(Path(path), Metrics().record, int(max_bytes), FILES)
    done, write = os.pipe()
    running = []
    for process in range(PROCESSES + int(rounds)):
        running.append(fork(partial(append_until_killed, file, process, write)))
        if len(running) == PROCESSES:
            # What was reported, before the pipe is full.
            time.sleep(0.02 * random.random())
            pid = running.pop(0)
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    for pid in running:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    os.close(write)
    file.append(batch(-1, 0, 1), 1)  # what the last one has left is cut off
    with os.fdopen(done) as read:
        return [list(map(int, line.split())) for line in read]


def full(path: str, size: str) -> list[Any]:
    metrics = Metrics()
    file = RecordFile(Path(path), metrics.record)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), hard))

    def append(number: int) -> list[int]:
        return [file.append(batch(0, number, 10), 10), Path(path).stat().st_size]

    found = list(map(append, range(3)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    return [[*found, append(3)], counted(metrics)]


def denied(path: str) -> list[Any]:
    if os.geteuid() == 0:
        os.seteuid(65534)
    metrics = Metrics()
    return [RecordFile(Path(path), metrics.record).append(b"{}\n", 1), counted(metrics)]


if __name__ == "__main__":
    end_with(os.getppid())
    program = {"kills": kills, "full": full, "denied": denied}[sys.argv[1]]
    sys.stdout.write(json.dumps(program(*sys.argv[2:])) + "\n")  # type: ignore[operator]
    sys.stdout.flush()
    os._exit(0)  # the alarm would kill an interpreter that ends

"""Processes that share limits: a program for `test_rates`, since a test must not fork itself.

``python -m`` with this module's name forks processes that take from one bucket, kills one after the
other, and writes JSON to standard output: what was taken, and the seconds that it took.
"""

import json
import os
import signal
import sys
import time

from app.serving.rates import SharedRates

PER_SECOND = 2000
BURST = 500
PROCESSES = 3
ROUNDS = 25
LIFE_S = 0.02


def take_until_killed(rates: SharedRates, taken: int) -> None:
    """Write a byte into the pipe for each text that was taken."""
    bucket = rates.bucket("forum", PER_SECOND, BURST)
    while True:
        if not bucket.take(1):
            os.write(taken, b".")


def start(rates: SharedRates) -> tuple[int, int]:
    """Return the id of a new process, and the pipe that it writes to."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            signal.alarm(60)
            take_until_killed(rates, write)
        finally:
            os._exit(1)
    os.close(write)
    return pid, read


def kill(pid: int, taken: int) -> int:
    """Kill a process; returns what it reported."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with os.fdopen(taken, "rb") as pipe:
        return len(pipe.read())


def main() -> None:
    """Take texts with some processes at a time, each of which is killed."""
    rates = SharedRates(is_shared=True)
    began = time.monotonic()
    running = [start(rates) for _ in range(PROCESSES)]
    taken = 0
    for _ in range(ROUNDS):
        time.sleep(LIFE_S)
        taken += kill(*running.pop(0))
        running.append(start(rates))
    taken += sum(kill(*process) for process in running)
    seconds = time.monotonic() - began
    # None of them holds the lock any more: this one gets it.
    rates.bucket("forum", PER_SECOND, BURST).take(1)
    json.dump({"taken": taken, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()

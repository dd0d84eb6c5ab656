"""Jobs in separate processes, and the report of their progress."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

J = TypeVar("J")
R = TypeVar("R")


def run_parallel(  # noqa: PLR0913
    job: Callable[[J], R],
    jobs: Sequence[J],
    title: str,
    name_of: Callable[[J], str] | None = None,
    *,
    workers: int | None = None,
    done: int = 0,
    announce: bool = False,
) -> list[R]:
    """Carry out jobs in separate processes, and report progress.

    After a failure no further job is started. On Ctrl-C the processes end silently.

    Args:
        job: a function of a module.
        jobs: its arguments.
        title: of the series.
        name_of: names a job; by default jobs have no names.
        workers: processes; by default one per processor.
        done: jobs that count as done already.
        announce: whether a line is printed when a job starts, too.

    Returns:
        What ``job`` returned, in the order of ``jobs``.
    """
    size = workers or os.cpu_count() or 1
    name = name_of or (lambda _: "")
    pool = ProcessPoolExecutor(
        max_workers=size,
        mp_context=get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),
    )
    waiting = iter(enumerate(jobs))
    running: dict[Future[R], int] = {}
    results: dict[int, R] = {}
    with progress(title, done + len(jobs), done) as advance, pool:
        try:
            while True:
                # No more than run at once, so that a job starts when it is announced.
                for number, one in islice(waiting, size - len(running)):
                    if announce:
                        _print(f"{title}: {name(one)} started")
                    running[pool.submit(job, one)] = number
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number = running.pop(future)
                    results[number] = future.result()
                    advance(name(jobs[number]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[number] for number in range(len(jobs))]


def _print(line: str) -> None:
    # Above the bar, if there is one: it takes over standard output.
    Console().print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """Report the progress of a series: a bar in a terminal, elsewhere a line per finished job.

    Args:
        title: of the series.
        total: its jobs.
        done: those that are done already.

    Yields:
        What to call with the name of each job that is finished.
    """
    console = Console()
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task(title, total=total, completed=done)
            yield lambda _: bar.advance(task)
        return
    started = time.monotonic()
    count = done

    def advance(name: str) -> None:
        nonlocal count
        count += 1
        seconds = time.monotonic() - started
        named = f", {name}" if name else ""
        _print(f"{title}: {count} of {total}{named} ({seconds:.0f} s)")

    yield advance

"""Jobs in separate processes, and the report of their progress."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
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
) -> list[R]:
    """Carry out jobs in separate processes, and report progress.

    After a failure no further job is started.

    Args:
        job: a function of a module.
        jobs: its arguments.
        title: of the series.
        name_of: names a finished job where there is no terminal; by default jobs have no names.
        workers: processes; by default one per processor.
        done: jobs that count as done already.

    Returns:
        What ``job`` returned, in the order of ``jobs``.
    """
    pool = ProcessPoolExecutor(
        max_workers=workers or os.cpu_count(), mp_context=get_context("spawn")
    )
    with progress(title, done + len(jobs), done) as advance, pool:
        futures = {pool.submit(job, one): one for one in jobs}
        try:
            for future in as_completed(futures):
                future.result()
                advance("" if name_of is None else name_of(futures[future]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


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
        console.print(
            f"{title}: {count} of {total}{named} ({seconds:.0f} s)",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    yield advance

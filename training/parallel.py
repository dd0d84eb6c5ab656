"""Jobs in processes of their own, with a progress bar."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

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


def side_by_side(
    job: Callable[[J], R],
    jobs: Sequence[J],
    title: str,
    *,
    workers: int | None = None,
    done: int = 0,
) -> list[R]:
    """Do jobs in processes of their own, with a progress bar.

    After a failure none is begun any more.

    Args:
        job: a function of a module.
        jobs: its arguments.
        title: beside the bar.
        workers: processes; by default one a processor.
        done: jobs that the bar counts as done already.

    Returns:
        What ``job`` returned, in the order of ``jobs``.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn()) as progress,
        ProcessPoolExecutor(
            max_workers=workers or os.cpu_count(), mp_context=get_context("spawn")
        ) as pool,
    ):
        task = progress.add_task(title, total=done + len(jobs), completed=done)
        futures = [pool.submit(job, one) for one in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                progress.advance(task)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]

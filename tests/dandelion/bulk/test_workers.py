"""Workers: results in order, and deaths that are noticed."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dandelion.bulk import Scorer
from dandelion.bulk.errors import BulkError
from dandelion.bulk.workers import Workers
from dandelion.manifest import ArtifactError

from .reference import job_of


def test_a_worker_that_dies_is_reported(artifact: Path) -> None:
    with Workers(job_of(artifact), 2) as workers:
        os.kill(workers.process_ids[0], signal.SIGKILL)
        with pytest.raises(BulkError, match=r"worker \d+ died \(signal 9\)"):
            list(workers.each(same, zip(range(100), range(100), strict=True)))


def same(_: Scorer, message: int) -> int:
    return message


def test_results_come_in_order(artifact: Path) -> None:
    with Workers(job_of(artifact), 2) as workers:
        tasks = [(n, n) for n in range(50)]
        assert list(workers.each(late_if_even, tasks)) == tasks
        with pytest.raises(ZeroDivisionError):
            list(workers.each(divide, tasks))
    with pytest.raises(ArtifactError, match="has changed since the job began"):
        Workers(replace(job_of(artifact), content_hash="other"), 2)


def late_if_even(_: Scorer, message: int) -> int:
    time.sleep(0.005 * (message % 2 == 0))
    return message


def divide(_: Scorer, message: int) -> float:
    return 1 / message

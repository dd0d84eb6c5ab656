"""The fixtures of training, on which the study builds."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from training import runs

from ..training.conftest import cache, quick_folds, tiny, tiny_type

__all__ = ["cache", "in_this_process", "quick_folds", "tiny", "tiny_type"]

J = TypeVar("J")
R = TypeVar("R")


def one_by_one(
    job: Callable[[J], R],
    jobs: Sequence[J],
    title: str,
    name_of: Callable[[J], str] | None = None,
    *,
    workers: int | None = None,
    done: int = 0,
    announce: bool = False,
) -> list[R]:
    """Do jobs in this process: another one would not know the tiny data set."""
    return [job(one) for one in jobs]


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "run_parallel", one_by_one)

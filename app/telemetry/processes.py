"""The memory of the service's processes, and their ``process_*`` series as totals."""

import ctypes
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from prometheus_client import Metric, ProcessCollector
from prometheus_client.registry import Collector

_MEMORY: Final = "process_resident_memory_bytes"
_PROCESSOR: Final = "process_cpu_seconds"
_SUMMED: Final = (
    _MEMORY,
    "process_virtual_memory_bytes",
    _PROCESSOR,
    "process_open_fds",
)

# Fields of /proc/PID/stat after the name (proc(5): cutime, cstime).
_ENDED_TICKS: Final = slice(13, 15)


def return_freed_memory() -> None:
    """Return to the system what was freed, which glibc and Python would keep; takes milliseconds.

    Python frees an arena of a megabyte only once it is empty, and the objects that it keeps for
    reuse (small lists, dictionaries, tuples) hold many. A full collection releases them.
    """
    gc.collect()
    with suppress(AttributeError, OSError, TypeError):  # not glibc
        _c_library().malloc_trim(0)


@lru_cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


class Processes(Collector):
    """The sums over all processes; start time and limit of open files are the supervisor's.

    Memory that processes share is counted once. Processor time includes that of processes which
    have ended, so it never falls.

    Args:
        process_ids: returns the supervisor's process id, then those of the others that run now.
    """

    def __init__(self, process_ids: Callable[[], Sequence[int]]) -> None:
        self._process_ids = process_ids

    def collect(self) -> Iterator[Metric]:
        """Read every process, and again if one ended meanwhile: its time would be missed."""
        ended_s = -1.0
        while ended_s != (ended_s := self._ended_seconds()):
            first, *rest = map(_read, self._process_ids())
        for name, metric in first.items():
            (sample,) = metric.samples
            value = sample.value
            if name in _SUMMED:
                others = (each[name].samples[0].value for each in rest if name in each)
                value += sum(others)
            if name == _PROCESSOR:
                value += ended_s
            metric.samples = [sample._replace(value=value)]
            yield metric

    def _ended_seconds(self) -> float:
        """Return the processor time of processes that have ended."""
        ticks = sum(map(_ended_ticks, self._process_ids()))
        return ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0


def _ended_ticks(pid: int) -> int:
    """Return the processor time of a process's children that have ended, and of theirs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:  # not Linux, or it has just ended itself
        return 0
    return sum(map(int, stat.rpartition(")")[2].split()[_ENDED_TICKS]))


def _read(pid: int) -> dict[str, Metric]:
    """Read a process's metrics, by name; none if it has ended."""
    metrics = {
        metric.name: metric for metric in ProcessCollector(pid=lambda: pid, registry=None).collect()
    }
    if _MEMORY in metrics:
        (sample,) = metrics[_MEMORY].samples
        size = _proportional_bytes(pid)
        if size is not None:
            metrics[_MEMORY].samples = [sample._replace(value=size)]
    return metrics


def _proportional_bytes(pid: int) -> float | None:
    """Return a process's proportional share of memory; None where the kernel does not report it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))

"""How many processors this service may use."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")  # Linux, cgroup-v2.rst


def available(quota_file: Path = QUOTA) -> float:
    """Return the processors that the process may run on, or the container's quota if it is less.

    Args:
        quota_file: "max 100000" for none, or "50000 100000" for half a processor; may not exist.
    """
    if hasattr(os, "sched_getaffinity"):
        count: float = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no cgroup, or no quota
        quota, period = map(int, quota_file.read_text(encoding="ascii").split())
        count = min(count, quota / period)
    return count

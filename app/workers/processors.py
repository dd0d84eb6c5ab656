"""How many processors this service may use."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")  # Linux, cgroup-v2.rst: "max 100000", "50000 100000"


def available() -> float:
    """Return the processors that the process may run on, or the container's quota if it is less."""
    if hasattr(os, "sched_getaffinity"):
        count: float = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no cgroup, or no quota
        quota, period = map(int, _QUOTA.read_text(encoding="ascii").split())
        count = min(count, quota / period)
    return count

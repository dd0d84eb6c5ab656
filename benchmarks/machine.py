"""The machine: its facts, its two cores, the versions of all that is measured."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
PEERS: Final = Path(f"{sys.prefix}-peers/bin")

_OURS = ("dandelion-text", "numpy", "fastapi", "pydantic", "uvicorn", "uvloop", "scikit-learn")
_PEERS = ("fastapi", "pydantic", "uvicorn", "uvloop", "granian", "litserve", "fasttext-community")
_PEERS_IN_PROCESS = ("tokenizers", "model2vec")


class BenchmarkError(Exception):
    """Something that a measurement needs is missing or does not work."""


def cores() -> tuple[int, int]:
    """Return the core of what is measured and the core of the load.

    Raises:
        BenchmarkError: there is only one.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise BenchmarkError(
            "one processor core; the load needs another one than what it measures: "
            "run on a machine with two"
        )
    return allowed[0], allowed[1]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this process on one core for a while."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def facts() -> dict[str, Any]:
    """Tell what the figures depend on, and nothing that names the machine."""
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.*)$", processor, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Name the version of every program and library that is measured."""
    ours = {name: metadata.version(name) for name in _OURS}
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"wrk \S*?(\d\S*)", wrk.stdout + wrk.stderr)
    return (
        ours
        | {f"{name} (peers)": version for name, version in _peer_versions().items()}
        | {"wrk": found[1] if found else "unknown"}
    )


def _peer_versions() -> dict[str, str]:
    names = [*_PEERS, *_PEERS_IN_PROCESS]
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    found = subprocess.run(
        [peers_python(), "-c", code, *names], capture_output=True, text=True, check=True
    )
    return dict(zip(names, found.stdout.split(), strict=True))


def peers_python() -> str:
    """Return the interpreter of the peers' environment.

    Raises:
        BenchmarkError: there is none.
    """
    python = PEERS / "python"
    if not python.exists():
        raise BenchmarkError("the peers are not installed: make bench")
    return str(python)

"""The machine: its properties, its two cores, and the versions of everything measured."""

import datetime
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Final

from .figures import Machine

ROOT: Final = Path(__file__).parent.parent
# `make bench` creates the environment of the baselines next to ours.
BASELINES_ENVIRONMENT: Final = Path(f"{sys.prefix}-baselines")

_OURS = (
    *("dandelion-text", "numpy", "msgspec", "fastapi", "pydantic", "uvicorn", "uvloop"),
    "scikit-learn",
)
_BASELINES = (
    *("fastapi", "pydantic", "uvicorn", "uvloop", "granian", "litserve", "fasttext-community"),
    *("tokenizers", "model2vec"),
)


class BenchmarkError(Exception):
    """Something that a measurement needs is missing or does not work."""


def cores() -> tuple[int, int]:
    """Return the core of what is measured and the core of the load generator.

    Raises:
        BenchmarkError: this process may use only one core.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise BenchmarkError(
            "only one processor core: the load generator needs a core of its own; "
            "run on a machine with at least two"
        )
    return allowed[0], allowed[1]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Pin this process to one core inside a ``with`` block."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe() -> Machine:
    """Return the properties that the figures depend on, and none that identifies the machine."""
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.*)$", processor, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        processor=model[1] if model else platform.processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(memory / 1e9),
        kernel=platform.release(),
        python=platform.python_version(),
        load_before=round(os.getloadavg()[0], 2),
    )


def versions() -> dict[str, str]:
    """Return the version of every program and library that is measured."""
    ours = {name: metadata.version(name) for name in _OURS}
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"wrk \S*?(\d\S*)", wrk.stdout + wrk.stderr)
    return (
        ours
        | {f"{name} (baselines)": version for name, version in _baseline_versions().items()}
        | {"wrk": found[1] if found else "unknown"}
    )


def _baseline_versions() -> dict[str, str]:
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    found = subprocess.run(
        [baselines_python(), "-c", code, *_BASELINES], capture_output=True, text=True, check=True
    )
    return dict(zip(_BASELINES, found.stdout.split(), strict=True))


def today() -> str:
    """Return the date in ISO format, UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def commit() -> str:
    """Return the commit of this code, with ``-dirty`` if it has uncommitted changes."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def environment_without_settings() -> dict[str, str]:
    """Return this process's environment without settings of the service and make's variables."""
    excluded = ("DANDELION_", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(excluded)}


def baselines_python() -> str:
    """Return the interpreter of the baselines' environment.

    Raises:
        BenchmarkError: the environment does not exist.
    """
    python = BASELINES_ENVIRONMENT / "bin" / "python"
    if not python.exists():
        raise BenchmarkError(
            f"the baselines are not installed: make {BASELINES_ENVIRONMENT.name}/.baselines"
        )
    return str(python)

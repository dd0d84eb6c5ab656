"""Wheels built from a copy of the sources, and environments with nothing else in them.

An environment takes some 15 seconds: parallel test processes share one.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..conftest import ROOT

SOURCES = (
    *("app", "artifacts", "dandelion", "training"),
    *("hatch_alias.py", "hatch_build.py", "pyproject.toml"),
    *("CHANGELOG.md", "LICENSE", "NOTICE", "README.md"),
)


def copy_sources(target: Path) -> Path:
    """Copy what a build reads, so that it compiles nothing into the checkout."""
    target.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "_kernel*.so")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy(source, target)
    return target


def build(source: Path, target: str = "wheel", **variables: str) -> Path:
    """Build ``wheel``, ``wheel:editable`` or ``sdist`` and return the file."""
    found = source / "dist" / target
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", found],
        cwd=source,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = found.iterdir()
    return file


class Environment:
    """A virtual environment, with nothing of this process's environment variables in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.python = directory / "bin" / "python"
        (self.packages,) = (directory / "lib").glob("python*/site-packages")

    def install(self, *arguments: str | Path) -> None:
        command = [self.python, "-m", "pip", "install", "--quiet", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run(
        self, *arguments: str | Path, cwd: Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments,
            cwd=cwd,
            env={"PATH": os.environ["PATH"]} | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def dandelion(
        self, *arguments: str, cwd: Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        command = self.directory / "bin" / "dandelion"
        return self.run(command, *arguments, cwd=cwd, **variables)

    def evaluate(self, code: str, *, cwd: Path, **variables: str) -> str:
        done = self.run(self.python, "-W", "error", "-c", code, cwd=cwd, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def made_once(directory: Path) -> Iterator[bool]:
    """Yield whether this process is the one that creates the directory; the others wait for it."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    done = directory.with_name(f"{directory.name}.done")
    with directory.with_name(f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not done.exists()
        done.touch()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that parallel test processes have in common."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packaging"


@pytest.fixture(scope="session")
def wheel(shared: Path) -> Path:
    """A wheel as a user gets it, with the compiled engine."""
    source = shared / "source"
    with made_once(source) as is_mine:
        if is_mine:
            build(copy_sources(source))
    (file,) = (source / "dist" / "wheel").iterdir()
    return file


@pytest.fixture(scope="session")
def installed(shared: Path, wheel: Path) -> Environment:
    """An environment with the wheel, its base dependencies and nothing else."""
    directory = shared / "installed"
    with made_once(directory) as is_mine:
        if is_mine:
            subprocess.run([sys.executable, "-m", "venv", directory], check=True)
            Environment(directory).install(wheel)
    return Environment(directory)


@pytest.fixture(scope="session")
def editable(shared: Path, installed: Environment) -> Environment:
    """An environment that had a wheel before the sources in ``editable-source`` replaced it."""
    directory = shared / "editable"
    with made_once(directory) as is_mine:
        if is_mine:
            shutil.copytree(installed.directory, directory, symlinks=True)
            file = build(copy_sources(shared / "editable-source"), "wheel:editable")
            Environment(directory).install("--no-deps", "--force-reinstall", file)
    return Environment(directory)


@pytest.fixture(scope="session")
def checkout(shared: Path, editable: Environment) -> Path:
    """The sources of the editable installation."""
    return shared / "editable-source"

"""When ``make`` installs, and that it announces it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ..conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
SOURCES = ("pyproject.toml", "hatch_build.py", "hatch_alias.py", "dandelion/engines/kernel.c")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose service was installed after its last edit, as far as make can see."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (*SOURCES, "app/main.py", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000, 1000))
    for stamp in (".service", ".training", ".study", ".dev"):
        (tmp_path / ".venv" / stamp).touch()
        os.utime(tmp_path / ".venv" / stamp, (2000, 2000))
    return tmp_path


def commands(checkout: Path, target: str) -> str:
    """Return what make would run."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--dry-run", target],
        cwd=checkout,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_an_edited_module_is_not_installed_again(checkout: Path) -> None:
    (checkout / "app" / "main.py").touch()
    assert "pip install" not in commands(checkout, "serve")


@pytest.mark.parametrize("changed", SOURCES)
@pytest.mark.parametrize("target", ["serve", "install-training", "report", "test"])
def test_what_an_installation_is_built_from_is(checkout: Path, changed: str, target: str) -> None:
    assert "pip install" not in commands(checkout, target)
    (checkout / changed).touch()
    assert "pip install" in commands(checkout, target)


def test_every_silent_installation_is_announced() -> None:
    recipes = re.findall(r"^\S.*:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    silent = [text for text in recipes if "$(PIP_INSTALL)" in text or "install --quiet" in text]
    assert len(silent) == 7
    for recipe in silent:
        assert recipe.startswith("\t@echo 'Installing ")
        assert re.search("minute|MINUTES", recipe.partition("\n")[0])

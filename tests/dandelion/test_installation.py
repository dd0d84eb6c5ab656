"""What is installed with Dandelion, and how to add to it."""

import shlex
import sys
from pathlib import Path

import pytest

from dandelion import installation
from dandelion.installation import ADVICE, advice_for, default_artifacts, install_command


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The directory of an installed package `dandelion`."""
    package = tmp_path / "site packages" / "dandelion"
    package.mkdir(parents=True)
    return package


@pytest.fixture(autouse=True)
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    return current


def serve_from(directory: Path) -> Path:
    directory.mkdir(parents=True)
    (directory / "serving.toml").touch()
    return directory


def test_artifacts_are_looked_for_in_order(package: Path, current: Path) -> None:
    assert default_artifacts(package) == Path("artifacts")
    checkout = serve_from(package.parent / "artifacts")
    assert default_artifacts(package) == checkout
    shipped = serve_from(package / "_artifacts")
    assert default_artifacts(package) == shipped
    (current / "artifacts").mkdir()
    assert default_artifacts(package) == shipped  # no serving.toml in it
    serve_from(current / "artifacts" / "x").joinpath("serving.toml").rename(
        current / "artifacts" / "serving.toml"
    )
    assert default_artifacts(package) == Path("artifacts")


def test_an_extra_is_installed_as_dandelion_was(package: Path) -> None:
    pip = f"{sys.executable} -m pip install"
    assert install_command("training", package) == f"{pip} 'dandelion-text[training]'"
    assert install_command(package=package) == f"{pip} dandelion-text"
    (package.parent / "Makefile").touch()
    assert install_command("training", package) == f"{pip} --editable '{package.parent}[training]'"


def test_a_checkout_has_make(package: Path) -> None:
    (package.parent / "Makefile").touch()
    advice = advice_for(package)
    assert advice.train == "make train-all"
    assert advice.restore.endswith("make train-all")
    command = shlex.split(advice.build_engine)
    assert command == [sys.executable, "-m", "pip", "install", "--editable", str(package.parent)]


def test_a_wheel_has_no_make(package: Path) -> None:
    advice = advice_for(package)
    assert advice.train == "dandelion train"
    assert not any("make" in one or "git" in one for one in (advice.restore, advice.build_engine))
    assert shlex.split(advice.build_engine)[-1] == "dandelion-text"


def test_the_tests_run_in_a_checkout() -> None:
    assert advice_for(Path(installation.__file__).parent) == ADVICE

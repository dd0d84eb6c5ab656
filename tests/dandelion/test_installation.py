"""What an installation brought, and how to add to it."""

import sys
from pathlib import Path

import pytest

from dandelion.installation import default_artifacts, install_command


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
    (package.parent / "pyproject.toml").touch()
    assert install_command("training", package) == f"{pip} --editable '{package.parent}[training]'"

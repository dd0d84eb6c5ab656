"""What `make sbom` writes is valid, complete, and the same each time."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ..conftest import ROOT
from .conftest import Environment

pytestmark = pytest.mark.slow

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def normalized(name: str) -> str:
    """Return a package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def described(environment: Environment, file: Path) -> str:
    """Run the Makefile's command on another environment than its own."""
    shown = subprocess.run(
        ["make", "--dry-run", "sbom"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    (command,) = (line for line in shown.splitlines() if "cyclonedx-py environment" in line)
    _, *arguments = shlex.split(command)
    assert arguments.pop().endswith("/bin/python")
    arguments[arguments.index("--output-file") + 1] = str(file)
    program = Path(sys.executable).parent / "cyclonedx-py"
    done = subprocess.run(
        [program, *arguments, environment.python],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return file.read_text()


@pytest.fixture(scope="module")
def sbom(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> str:
    return described(installed, tmp_path_factory.mktemp("sbom") / "sbom.json")


def test_it_is_valid(sbom: str) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(sbom) is None
    assert validator.validate_str(sbom.replace('"components"', '"component"')) is not None


def test_it_names_every_dependency(sbom: str, installed: Environment) -> None:
    content: dict[str, Any] = json.loads(sbom)
    root = content["metadata"]["component"]
    assert (root["name"], root["version"]) == (PROJECT["name"], PROJECT["version"])
    versions = {normalized(part["name"]): part["version"] for part in content["components"]}
    declared = [re.match(r"[\w.-]+", line) for line in PROJECT["dependencies"]]
    names = {normalized(found[0]) for found in declared if found}
    assert len(names) == len(PROJECT["dependencies"])
    assert names <= set(versions)
    found = metadata.distributions(path=[str(installed.packages)])
    packages = {normalized(each.name): each.version for each in found}
    assert packages.pop(normalized(PROJECT["name"])) == PROJECT["version"]
    assert versions == packages
    assert "torch" not in versions


def test_it_is_reproducible(sbom: str, installed: Environment, tmp_path: Path) -> None:
    assert described(installed, tmp_path / "again.json") == sbom

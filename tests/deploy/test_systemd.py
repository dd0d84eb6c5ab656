"""The unit for systemd is valid, confines the service, and fits its settings."""

import configparser
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from app.settings import Settings

from ..conftest import ROOT

UNIT: Final = ROOT / "deploy" / "systemd" / "dandelion.service"
PROGRAM: Final = "/opt/dandelion/bin/dandelion"
# systemd's scale ends at 10, for a service that is not confined at all; below 2 it reads "OK".
MAX_EXPOSURE: Final = 1.5

Analyze = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def analyze(tmp_path: Path) -> Analyze:
    """Return a function that analyzes the unit, after a change, without the service's program."""

    def run(*command: str, right: str = "", wrong: str = "") -> subprocess.CompletedProcess[str]:
        text = UNIT.read_text()
        assert right in text
        unit = tmp_path / UNIT.name
        unit.write_text(text.replace(right, wrong).replace(PROGRAM, sys.executable))
        return subprocess.run(
            ["systemd-analyze", *command, unit], capture_output=True, text=True, check=False
        )

    return run


def test_unit_is_valid(analyze: Analyze) -> None:
    done = analyze("verify")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ProtectClock=yes", "ProtectClok=yes"),
        ("KillMode=mixed", "KillMode=some"),
        ("@system-service", "@system-services"),
    ],
)
def test_a_typo_is_found(analyze: Analyze, right: str, wrong: str) -> None:
    assert analyze("verify", right=right, wrong=wrong).stderr


def test_service_is_confined(analyze: Analyze) -> None:
    limit = f"--threshold={MAX_EXPOSURE * 10:.0f}"
    command = ("security", "--no-pager", "--offline=yes", limit)
    done = analyze(*command)
    assert done.returncode == 0, done.stdout
    assert analyze(*command, right="SystemCallFilter=", wrong="# ").returncode != 0


def test_unit_fits_the_settings() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as documented
    parser.read(UNIT)
    unit = parser["Service"]
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    # 3 s: docs/guide/operating.md#shutdown.
    assert int(unit["TimeoutStopSec"]) > defaults["drain_s"] + defaults["shutdown_grace_s"] + 3
    assert unit["ExecStart"] == f"{PROGRAM} serve"
    assert unit["ExecReload"].endswith(" -HUP $MAINPID")
    assert unit["RestartPreventExitStatus"] == "2"
    for variable in unit["Environment"].split():
        name, _, value = variable.partition("=")
        assert name.startswith("DANDELION_")
        Settings(**{name.removeprefix("DANDELION_").lower(): value})

"""The options of the command line."""

import subprocess
import sys

import pytest

from app import options, settings
from app.settings import Settings, SettingsError, option

from ..conftest import ROOT


def load(*arguments: str) -> Settings:
    return settings.load(options.parse(arguments, "serve"))


def test_every_setting_has_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        options.parse(["--help"], "serve")
    written = " ".join(capsys.readouterr().out.split())
    for name, field in Settings.model_fields.items():
        if settings.is_secret(name):  # a command line is no place for them
            assert f" {option(name)} " not in written
            continue
        assert f" {option(name)}" in written
        assert name == "models" or " ".join(field.description.split()) in written
    assert "(Linux). Default: 1. From 1 to 1000." in written
    assert "overriding `serving.toml`: `--models spam=mse`" in written
    assert written.lower().count("./artifacts`") == written.lower().count("default: `./artifacts`")
    assert "Default: artifacts" not in written


def test_options_take_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_PORT", "1")
    monkeypatch.setenv("DANDELION_WORKERS", "3")
    monkeypatch.setenv("DANDELION_MODELS__SPAM", "dice")
    monkeypatch.setenv("DANDELION_MODELS__MOOD", "tiny")
    found = load("--port=7", "--models", "spam=mse", "--access-log", "--log-level", "debug")
    assert (found.port, found.workers, found.access_log) == (7, 3, True)
    assert found.models == {"spam": "mse", "mood": "tiny"}
    assert found.log_level == "debug"
    assert not load("--no-access-log").access_log


def test_an_error_names_where_the_value_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_WORKERS", "0")
    with pytest.raises(SettingsError, match=r"--port: .*; DANDELION_WORKERS: ") as caught:
        load("--port", "99999")
    assert "DANDELION_PORT" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prt=1"], "unrecognized arguments: --prt=1"),
        (["--por=1"], "unrecognized arguments: --por=1"),  # no abbreviation: options may be added
        (["spam"], "unrecognized arguments: spam"),
        (["--models", "spam"], "--models spam: expected MODEL=VARIANT"),
    ],
)
def test_what_does_not_exist_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        options.parse(arguments, "serve")
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("--no-such-option", 2)])
def test_no_service_is_started_by_it(argument: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", argument],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert (done.stdout or done.stderr).startswith("usage: python -m app [OPTIONS]\n")

"""The command: what is measured, what is kept, what is rendered."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from benchmarks import cli, machine, over_http, report
from benchmarks import figures as stored_format
from benchmarks.figures import Part

from ..conftest import ROOT
from .examples import figures, run, stored_figures

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in place of docs/, with the committed figures."""
    monkeypatch.setattr(cli, "DOCS", tmp_path)
    (tmp_path / stored_format.FILE).write_bytes((DOCS / stored_format.FILE).read_bytes())
    return tmp_path


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    """The parts that were measured, each with made-up figures."""
    found: list[Part] = []

    def pretend(part: Part) -> object:
        found.append(part)
        return getattr(figures(), part)

    for part in Part:
        monkeypatch.setitem(cli.PARTS, part, lambda _, part=part: pretend(part))
    monkeypatch.setattr(machine, "versions", lambda: {"numpy": "9.9"})
    monkeypatch.setattr(over_http, "commands", lambda: ["python -m app"])
    return found


def test_rendering_measures_nothing_and_gives_the_committed_pages(
    home: Path, measured: list[Part]
) -> None:
    result = bench("--render")
    assert result.exit_code == 0, result.output
    assert measured == []
    for name in (report.PAGE, report.SCALING, stored_format.FILE):
        assert (home / name).read_bytes() == (DOCS / name).read_bytes()
    plots = {path.name for path in (DOCS / report.PLOTS).iterdir()}
    assert {path.name for path in (home / report.PLOTS).iterdir()} == plots


def test_one_part_is_replaced_and_the_others_are_kept(home: Path, measured: list[Part]) -> None:
    before = stored_format.read(home)
    result = bench("--only", "http")
    assert result.exit_code == 0, result.output
    assert measured == [Part.HTTP]
    after = stored_format.read(home)
    assert after.http == figures().http
    assert after.commands == ["python -m app"]
    assert after.remeasured[Part.HTTP].versions == {"numpy": "9.9"}
    unchanged = {"http": before.http, "commands": before.commands, "remeasured": before.remeasured}
    assert after.model_copy(update=unchanged) == before
    assert "*This section is from a later run:" in (home / report.PAGE).read_text(encoding="utf-8")


def test_a_whole_run_measures_everything_once_and_has_no_later_parts(
    home: Path, measured: list[Part]
) -> None:
    later = figures(stored_figures() | {"remeasured": {"bulk": run()}})
    (home / stored_format.FILE).write_bytes(later.to_json())
    result = bench()
    assert result.exit_code == 0, result.output
    assert measured == list(Part)
    found = stored_format.read(home)
    assert found.remeasured == {}
    assert found.extra == later.extra
    assert found.run.versions == {"numpy": "9.9"}


@pytest.mark.parametrize("other", [["--only", "http"], ["--train"], ["--image"]])
def test_rendering_cannot_be_combined_with_measuring(
    home: Path, measured: list[Part], other: list[str]
) -> None:
    result = bench("--render", *other)
    assert result.exit_code == 2
    assert "measures nothing" in result.output
    assert measured == []


def test_an_unknown_part_is_refused(home: Path) -> None:
    result = bench("--only", "htp")
    assert result.exit_code == 2
    assert "http" in result.output


def test_missing_figures_are_an_error(home: Path) -> None:
    (home / stored_format.FILE).unlink()
    result = bench("--render")
    assert result.exit_code == 1
    assert re.search(
        r"error: .*benchmarks\.json does not exist: measure everything first", result.output
    )


def test_figures_of_another_layout_are_an_error_and_are_kept(home: Path) -> None:
    stored = json.dumps(stored_figures() | {"unknown": 1}).encode()
    (home / stored_format.FILE).write_bytes(stored)
    result = bench("--only", "http")
    assert result.exit_code == 1
    assert "has another layout" in result.output
    assert (home / stored_format.FILE).read_bytes() == stored

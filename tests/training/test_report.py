"""The long commands, shortened: a tiny data set, one or two seeds, fits of an epoch."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from training import ablations, cli, collapse, datasets, pages, report, runs, tuning
from training.configuration import load
from training.datasets import Source
from training.losses import LOSSES

SHORT = "epochs = 1\nhidden = 8\nbatch_size = 64\nextra_words = 20\n"


@pytest.fixture
def project(tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one model, ``tiny``, and short runs."""

    def in_this_process(
        job: Callable[[Any], Any], jobs: Sequence[Any], *_: object, **__: object
    ) -> list[Any]:
        return [job(one) for one in jobs]  # one of its own would not know the tiny data set

    for loss in LOSSES:
        path = tmp_path / "configs" / "tiny" / f"{loss}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'loss = "{loss}"\n{SHORT}')
    (tmp_path / "README.md").write_text(f"{pages.README_START}{pages.README_END}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "SOURCES", {"tiny": tiny})
    monkeypatch.setattr(runs, "side_by_side", in_this_process)
    monkeypatch.setattr(cli, "side_by_side", in_this_process)
    monkeypatch.setattr(report, "reported_seeds", lambda *_: range(2))
    naive = collapse.naive
    monkeypatch.setattr(
        collapse, "naive", lambda rate: naive(rate).model_copy(update={"model": "tiny"})
    )
    monkeypatch.setattr(collapse, "MODEL", "tiny")
    monkeypatch.setattr(collapse, "RATES", (0.01, 1.0))
    monkeypatch.setattr(collapse, "SEARCH_SEEDS", (100,))
    monkeypatch.setattr(tuning, "GRID", {"layer_rate": (1e-3, 1e-2), "word_dropout": (0.3,)})
    monkeypatch.setattr(tuning, "_BASE", {"epochs": 1, "hidden": 8})
    monkeypatch.setattr(tuning, "_SEEDS", (100,))
    monkeypatch.setattr(ablations, "_VARIANTS", (("tiny", "dice"),))
    monkeypatch.setattr(ablations, "_SEEDS", (100,))
    return tmp_path


def invoke(*arguments: str) -> str:
    done = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_report_writes_results_page_figures_and_readme(project: Path) -> None:
    invoke("report")
    output = project / "docs" / "results"
    written = json.loads((output / "results.json").read_text())
    kinds = {(row["kind"], row["protocol"], row["name"]) for row in written["rows"]}
    assert {("majority", "grouped", "majority"), ("dan", "paper", "mse")} <= kinds
    pairs = {(one["a"], one["b"]) for one in written["comparisons"]}
    assert pairs == {("dice", "mse"), ("dice", "weighted_bce"), ("mse", "weighted_bce")}
    page = (output / "README.md").read_text()
    assert "| Tiny | weighted BCE" in page
    assert "| 0.01 |" in page
    assert all((output / f"learning-curves-{loss}.svg").exists() for loss in LOSSES)
    assert pages.readme_tables(written) in (project / "README.md").read_text()
    first = (output / "README.md").read_bytes()
    figure = (output / "learning-curves-dice.svg").read_bytes()
    invoke("report")
    assert (output / "learning-curves-dice.svg").read_bytes() == figure
    assert (output / "README.md").read_bytes().count(b"|") == first.count(b"|")


def test_train_all_prints_every_artifact_and_the_majority(project: Path) -> None:
    output = invoke("train-all")
    for name in ("tiny: majority", "tiny/dice", "tiny/mse", "tiny/weighted_bce", "3 artifacts"):
        assert name in output
    assert len(list((project / "artifacts" / "tiny").iterdir())) == 3


def test_tune_writes_configurations_that_load(project: Path) -> None:
    invoke("tune", "--model", "tiny")
    page = (project / "docs" / "results" / "tuning-tiny.md").read_text()
    for loss in LOSSES:
        assert f"## {loss}" in page
        assert load("tiny", loss, project / "configs").layer_rate in (1e-3, 1e-2)


def test_collapse_prints_every_rate(project: Path) -> None:
    output = invoke("collapse")
    assert "| 0.01 |" in output
    assert "| 1 |" in output
    assert "Lowest rate" in output


def test_ablate_answers_every_question(project: Path) -> None:
    invoke("ablate")
    page = (project / "docs" / "results" / "ablations.md").read_text()
    for line in ("| tiny, dice | float16 |", "| tiny, dice | 50000 |", "| tiny, dice | False |"):
        assert line in page

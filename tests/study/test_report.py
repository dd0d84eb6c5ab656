"""The long commands, shortened: a tiny data set, one or two seeds, fits of an epoch."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from study import (
    ablations,
    finer_labels,
    imbalance,
    report,
    results,
    sensitivity,
    storage,
)
from study import cli as study_cli
from study.baselines import BASELINES, timing
from study.baselines import runs as baseline_runs
from study.pages import readme
from study.robustness import run as robustness
from study.schema.results import LearningCurves, PaperFigures, Results
from study.schema.robustness import CorpusRecord, Robustness
from study.schema.studies import Ablations, Imbalance, Sensitivity
from study.storage import read
from training import actions, cache, cli
from training.data import datasets
from training.data.datasets import Source

from .conftest import one_by_one

pytestmark = pytest.mark.slow

LOSSES = ("dice", "mse", "weighted_bce")
SHORT = "epochs = 1\nhidden = 8\nbatch_size = 64\nextra_words = 20\n"
WIDE = "[wide]\nbits = 10\nsurface_dimensions = 2\n"


def at_scale(write: Callable[..., Any], scale: Any) -> Callable[..., Any]:
    """Return a study's command at a scale of its own, whatever the report asks for."""
    return lambda directory, _=None: write(directory, scale)


@pytest.fixture
def one_baseline() -> Iterator[None]:
    whole = dict(BASELINES)
    for name in list(whole)[1:]:
        del BASELINES[name]
    yield
    BASELINES.clear()
    BASELINES.update(whole)  # in their order, which other tests read


@pytest.fixture
def project(
    tiny: Source,
    in_this_process: None,
    one_baseline: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A project with one model, ``tiny``, and short runs."""
    directory = tmp_path / "configs" / "tiny"
    directory.mkdir(parents=True)
    for loss in LOSSES:
        (directory / f"{loss}.toml").write_text(f'loss = "{loss}"\n{SHORT}')
    (directory / "bce-wide.toml").write_text(f'loss = "bce"\nshipped = false\n{SHORT}{WIDE}')
    (tmp_path / "README.md").write_text(f"{readme.START}{readme.END}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "SOURCES", {"tiny": tiny})
    monkeypatch.setattr(actions, "run_parallel", one_by_one)
    monkeypatch.setattr(baseline_runs, "run_parallel", one_by_one)
    monkeypatch.setattr(report.Scale, "seeds", lambda scale, *_: range(1 if scale.quick else 2))
    paper = {("tiny", loss): PaperFigures(0.5, 0.5) for loss in LOSSES}
    monkeypatch.setattr(results, "PAPER", paper)
    monkeypatch.setattr(timing, "TIMED_TEXTS", 20)
    maps = replace(sensitivity.QUICK, models=("tiny",), model="tiny", rates=(1e-4, 1e-1))
    monkeypatch.setattr(sensitivity, "write", at_scale(sensitivity.write, maps))
    sweep = imbalance.Scale(models=("tiny",), shares=(0.13,), seeds=(0, 1), epochs=1)
    monkeypatch.setattr(imbalance, "write", at_scale(imbalance.write, sweep))
    # These two are about the real artifacts and data sets; they have tests of their own.
    monkeypatch.setattr(finer_labels, "write", lambda _: None)
    corpus = CorpusRecord("speeches", "speeches", "a package", "CC0", "0")
    nothing = Robustness(0, [corpus], [], (0, 0), [], [])
    monkeypatch.setattr(
        robustness, "write", lambda place: storage.write(nothing, place / "robustness.json")
    )
    return tmp_path


def invoke(*arguments: str) -> str:
    app = cli.app if arguments[0] == "train-all" else study_cli.app
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_report_writes_figures_pages_plots_and_tables(project: Path) -> None:
    invoke("report")
    output = project / "docs" / "results"
    stored = read(Results, output / "results.json")
    rows = {(row.kind, row.protocol, row.name, row.shipped) for row in stored.rows}
    (baseline,) = BASELINES
    assert {
        ("majority", "grouped", "majority", False),
        ("dan", "paper", "mse", False),
        ("dan", "grouped", "mse", True),
        ("dan", "grouped", "bce-wide", False),
        ("peer", "grouped", baseline, False),
    } <= rows
    assert ("dan", "paper", "bce-wide", False) not in rows
    pairs = {frozenset((one.a, one.b)) for one in stored.comparisons}
    assert {frozenset(("dice", "mse")), frozenset(("bce-wide", baseline))} <= pairs
    assert stored.chosen["tiny"].variant in LOSSES
    curves = read(LearningCurves, output / "learning-curves.json")
    assert {(one.variant, len(one.history)) for one in curves.curves} == {
        (loss, 1) for loss in LOSSES
    }
    assert all((output / f"learning-curves-{loss}.svg").exists() for loss in LOSSES)
    assert {read(Sensitivity, output / "sensitivity.json").model} == {"tiny"}
    assert read(Imbalance, output / "imbalance.json").shares == [0.13]
    assert "weighted BCE" in (output / "README.md").read_text()
    assert f"| Tiny | {baseline} |" in (project / "README.md").read_text()


def test_a_second_report_fits_nothing_again(project: Path) -> None:
    invoke("report")
    output = project / "docs" / "results"
    first = read(Results, output / "results.json")
    figure = (output / "learning-curves-dice.svg").read_bytes()
    invoke("report")
    assert (output / "learning-curves-dice.svg").read_bytes() == figure
    second = read(Results, output / "results.json")
    assert [row.metrics for row in second.rows] == [row.metrics for row in first.rows]
    assert [row.train_seconds for row in second.rows] == [row.train_seconds for row in first.rows]


def test_the_quick_report_leaves_the_whole_one_alone(project: Path) -> None:
    before = (project / "README.md").read_text()
    output = invoke("report", "--quick")
    assert not (project / "docs").exists()
    assert (project / "README.md").read_text() == before
    (page,) = Path(cache.cache_directory()).glob("report-quick/README.md")
    assert "report-quick" in output.replace("\n", "")
    assert "Tiny" in page.read_text()


def test_pages_are_built_again_without_a_fit(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ablations.write(project / "docs" / "results", {"tiny": "bce-wide"})
    invoke("report")
    output = project / "docs" / "results"
    invoke("pages")
    pages = {path: path.read_bytes() for path in output.iterdir() if path.suffix != ".json"}
    for path in pages:
        path.unlink()
    monkeypatch.setenv("DATA_DIR", str(project / "no data"))
    monkeypatch.setenv("TRAINING_CACHE", str(project / "no cache"))
    invoke("pages")
    assert {path: path.read_bytes() for path in pages} == pages


def test_train_all_prints_every_artifact_and_the_majority(project: Path) -> None:
    output = invoke("train-all")
    for name in ("tiny: majority", "tiny/dice", "tiny/mse", "tiny/weighted_bce", "3 artifacts"):
        assert name in output
    assert len(list((project / "artifacts" / "tiny").iterdir())) == 3


def test_ablations_cover_every_question(project: Path) -> None:
    ablations.write(project, {"tiny": "bce-wide"})
    page = (project / "ablations.md").read_text()
    for change in ("nothing", "precision = float16", "wide.chars = None", "wide = None"):
        assert f"| tiny/bce-wide | {change} |" in page
    assert "types_weight" not in page  # there are no finer classes
    stored = read(Ablations, project / "ablations.json")
    assert [one.title for one in stored.questions] == [one.title for one in ablations.QUESTIONS]
    assert all(0 <= line.auroc <= 1 for one in stored.questions for line in one.lines)

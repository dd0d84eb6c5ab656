"""The long commands, shortened: a tiny data set, one or two seeds, fits of an epoch."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from study import ablations, baselines, imbalance, pages, report, results, sensitivity
from study import cli as study_cli
from study.baselines import PEERS
from training import cli, runs
from training.data import datasets
from training.data.datasets import Source

LOSSES = ("dice", "mse", "weighted_bce")
SHORT = "epochs = 1\nhidden = 8\nbatch_size = 64\nextra_words = 20\n"
WIDE = "[wide]\nbits = 10\nsurface_dimensions = 2\n"


@pytest.fixture
def project(tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one model, ``tiny``, and short runs."""

    def in_this_process(
        job: Callable[[Any], Any], jobs: Sequence[Any], *_: object, **__: object
    ) -> list[Any]:
        return [job(one) for one in jobs]  # one of its own would not know the tiny data set

    directory = tmp_path / "configs" / "tiny"
    directory.mkdir(parents=True)
    for loss in LOSSES:
        (directory / f"{loss}.toml").write_text(f'loss = "{loss}"\n{SHORT}')
    (directory / "bce-wide.toml").write_text(f'loss = "bce"\nshipped = false\n{SHORT}{WIDE}')
    (tmp_path / "README.md").write_text(f"{pages.README_START}{pages.README_END}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "SOURCES", {"tiny": tiny})
    monkeypatch.setattr(runs, "side_by_side", in_this_process)
    monkeypatch.setattr(cli, "side_by_side", in_this_process)
    monkeypatch.setattr(baselines, "side_by_side", in_this_process)
    monkeypatch.setattr(report.Scale, "seeds", lambda scale, *_: range(1 if scale.quick else 2))
    monkeypatch.setattr(results, "PAPER", {("tiny", loss): (0.5, 0.5) for loss in LOSSES})
    first = next(iter(PEERS))
    monkeypatch.setattr(baselines, "PEERS", {first: PEERS[first]})
    monkeypatch.setattr(baselines, "TIMED_TEXTS", 20)
    # The studies have tests of their own.
    monkeypatch.setattr(sensitivity, "search", dict)
    for study in (sensitivity, imbalance):
        monkeypatch.setattr(study, "write", lambda *_, **__: "What it found.")
    monkeypatch.setattr(ablations, "_VARIANTS", (("tiny", "bce-wide"),))
    monkeypatch.setattr(ablations, "seeds_of", lambda _: (100,))
    return tmp_path


def invoke(*arguments: str) -> str:
    app = cli.app if arguments[0] == "train-all" else study_cli.app
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_report_writes_results_page_figures_and_readme(project: Path) -> None:
    invoke("report")
    output = project / "docs" / "results"
    written = json.loads((output / "results.json").read_text())
    kinds = {(row["kind"], row["protocol"], row["name"], row["shipped"]) for row in written["rows"]}
    peer = next(iter(baselines.PEERS))
    assert {
        ("majority", "grouped", "majority", False),
        ("dan", "paper", "mse", False),
        ("dan", "grouped", "mse", True),
        ("dan", "grouped", "bce-wide", False),
        ("peer", "grouped", peer, False),
    } <= kinds
    assert ("dan", "paper", "bce-wide", False) not in kinds
    pairs = {frozenset((one["a"], one["b"])) for one in written["comparisons"]}
    assert {frozenset(("dice", "mse")), frozenset(("bce-wide", peer))} <= pairs
    assert written["chosen"]["tiny"]["variant"] in LOSSES
    page = (output / "README.md").read_text()
    assert "weighted BCE" in page
    assert page.count("What it found.") == 2
    assert all((output / f"learning-curves-{loss}.svg").exists() for loss in LOSSES)
    assert pages.readme_tables(written) in (project / "README.md").read_text()
    first = page
    figure = (output / "learning-curves-dice.svg").read_bytes()
    invoke("report")
    assert (output / "learning-curves-dice.svg").read_bytes() == figure
    assert (output / "README.md").read_text().count("|") == first.count("|")


def test_the_quick_report_leaves_the_whole_one_alone(project: Path) -> None:
    readme = (project / "README.md").read_text()
    output = invoke("report", "--quick")
    assert not (project / "docs").exists()
    assert (project / "README.md").read_text() == readme
    (page,) = Path(runs.cache_directory()).glob("report-quick/README.md")
    assert "report-quick" in output.replace("\n", "")
    assert "Tiny" in page.read_text()


def test_train_all_prints_every_artifact_and_the_majority(project: Path) -> None:
    output = invoke("train-all")
    for name in ("tiny: majority", "tiny/dice", "tiny/mse", "tiny/weighted_bce", "3 artifacts"):
        assert name in output
    assert len(list((project / "artifacts" / "tiny").iterdir())) == 3


def test_ablate_answers_every_question(project: Path) -> None:
    invoke("ablate")
    page = (project / "docs" / "results" / "ablations.md").read_text()
    for change in ("nothing", "precision = float16", "wide.chars = None", "wide = None"):
        assert f"| tiny/bce-wide | {change} |" in page
    assert "types_weight" not in page  # there are no finer classes

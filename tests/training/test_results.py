"""Rows, tables and pages of the report, and what of it is committed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scipy import stats

from dandelion import Classifier
from dandelion.artifact import load_manifest
from training import collapse, configuration, experiment, pages, plots, results, tuning
from training.configuration import Configuration
from training.evaluation import METRICS, evaluate
from training.experiment import Result
from training.results import Row, Summary, compare, summarize
from training.runs import Kept
from training.tuning import Candidate

ROOT = Path(__file__).parent.parent.parent
ARTIFACTS = ROOT / "artifacts"
RESULTS = json.loads((ROOT / "docs" / "results" / "results.json").read_text())
DIRECTORIES = [
    ARTIFACTS / one.model / one.variant for one in configuration.load_all(ROOT / "configs")
]


def kept(*, accuracy: float, collapsed: bool = False) -> Kept:
    values = dict.fromkeys(METRICS, accuracy)
    at = {"0.5": values, "fitted": values, "fitted to accuracy": values}
    return Kept(
        Result(
            metrics={"validation": at, "test": at},
            threshold=0.5,
            collapsed=collapsed,
            history=[],
            kept_epoch=1,
            train_seconds=1.0,
            bytes=1000,
        ),
        Path("nowhere"),
    )


def row(name: str, values: list[float]) -> Row:
    return Row(
        protocol="grouped",
        model="spam",
        kind="dan",
        name=name,
        loss="dice",
        threshold="fitted",
        seeds=list(range(len(values))),
        shipped=True,
        metrics=dict.fromkeys(METRICS) | {"mcc": summarize(values)},
        collapsed=False,
    )


def test_summary() -> None:
    found = summarize([1.0, 2.0, 3.0])
    assert (found.mean, found.std, found.per_seed) == (2.0, 1.0, [1.0, 2.0, 3.0])
    assert summarize([1.0]).std is None


def test_comparison_by_hand() -> None:
    (found,) = compare(row("a", [0.9, 0.8, 0.85]), row("b", [0.8, 0.8, 0.8]))
    assert (found["a"], found["b"], found["metric"]) == ("a", "b", "mcc")
    assert found["diff"] == pytest.approx(0.05)
    # variance of .1, 0, .05 is .0025; times (1/3 + 1/8); t of 2 degrees of freedom
    half = stats.t.ppf(0.975, 2) * (0.0025 * (1 / 3 + 1 / 8)) ** 0.5
    assert found["ci95"] == pytest.approx([0.05 - half, 0.05 + half])


def test_table1_says_beaten_only_where_both_figures_are() -> None:
    cells = {
        ("spam", "dice"): [kept(accuracy=0.95)] * 2,
        ("spam", "mse"): [kept(accuracy=0.99)] * 2,
    }
    table = pages._table1({"table1": results.table1(cells, [])}, ["fitted"])
    lines = table.splitlines()[2:]
    assert "| no |" in lines[0]  # accuracy .95 is under the paper's .9677, F1 .95 over its .8676
    assert "| yes |" in lines[1]


def test_naive_row_is_marked() -> None:
    rows = results.table1({}, [kept(accuracy=0.83, collapsed=True)] * 2)
    assert [(one["name"], one["collapsed"]) for one in rows] == [("dice, naive recipe", True)]
    assert "| collapsed |" in pages._table1({"table1": rows}, ["fitted"])


def test_lowest_collapsing_rate() -> None:
    good, bad = kept(accuracy=0.9), kept(accuracy=0.8, collapsed=True)
    assert collapse.lowest_collapsing_rate({0.1: [good, bad], 0.2: [bad, bad]}) == 0.2
    assert collapse.lowest_collapsing_rate({0.1: [bad], 0.2: [good], 0.3: [bad]}) == 0.3
    assert collapse.lowest_collapsing_rate({0.1: [good]}) is None


def test_tuning_writes_the_winner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "CONFIGS", tmp_path / "configs")
    base = Configuration(model="spam", variant="mse", loss="mse", layer_rate=0.003)
    best = Candidate(base, 0.98, 0.99, 3.0, 2.0)
    worse = Candidate(base.model_copy(update={"layer_rate": 0.001}), 0.9, 0.9, 3.0, 2.0)
    tuning.write("spam", {"mse": [best, worse]}, tmp_path)
    assert configuration.load("spam", "mse", tmp_path / "configs") == base.model_copy(
        update={"epochs": 30, "patience": 5}
    )
    assert "| 0.003 | 0.001 | 64 | 0.3 | 0.9800 |" in (tmp_path / "tuning-spam.md").read_text()


def test_readme_is_changed_between_the_marks_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before {pages.README_START}old{pages.README_END} after")
    pages.update_readme(readme, "new\n")
    text = readme.read_text()
    assert text == f"before {pages.README_START}\n\nnew\n\n{pages.README_END} after"
    readme.write_text("no marks")
    with pytest.raises(ValueError, match=r"marks .* are missing"):
        pages.update_readme(readme, "new")


def test_learning_curves_are_reproducible() -> None:
    curves = {"loss": 0.5, "accuracy": 0.9, "f1": 0.8}
    history = [{"train": curves, "validation": curves}] * 3
    histories = {"SMS Spam": history, "Cyberbullying": history}
    first, second = (plots.learning_curves("Title", histories, numbered=True) for _ in range(2))
    assert first == second
    for number in range(1, 7):
        assert f"Figure {number}:".encode() in first


# What is committed.


def test_committed_results_follow_the_schema() -> None:
    assert set(RESULTS) == {"rows", "comparisons", "table1"}
    names = set(Row.__dataclass_fields__)
    for one in RESULTS["rows"]:
        assert set(one) == names
        assert set(one["metrics"]) == set(METRICS)
        for metric in one["metrics"].values():
            assert metric is None or set(metric) == set(Summary.__dataclass_fields__)
    for one in RESULTS["comparisons"]:
        assert one["ci95"][0] <= one["diff"] <= one["ci95"][1]


def test_committed_results_have_every_row() -> None:
    found = {
        (one["protocol"], one["model"], one["name"], one["threshold"]): one
        for one in RESULTS["rows"]
    }
    for model in ("spam", "cyberbullying"):
        for protocol in ("paper", "grouped"):
            assert (protocol, model, "majority", "0.5") in found
            for loss in ("dice", "weighted_bce", "mse"):
                for threshold in ("0.5", "fitted"):
                    one = found[protocol, model, loss, threshold]
                    seeds = 5 if (protocol, model) == ("grouped", "cyberbullying") else 10
                    assert one["seeds"] == list(range(seeds))
                    assert one["shipped"] is (protocol == "grouped")
                    assert not one["collapsed"]
    naive = found["paper", "cyberbullying", "dice, naive recipe", "0.5"]
    assert naive["collapsed"]
    assert not naive["shipped"]


def test_readme_shows_the_committed_results() -> None:
    assert pages.readme_tables(RESULTS) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_results_page_shows_the_committed_results() -> None:
    page = (ROOT / "docs" / "results" / "README.md").read_text(encoding="utf-8")
    assert pages._table1(RESULTS, ["fitted to accuracy", "fitted", "0.5"]) in page
    for loss in pages.LOSS_TITLES:
        assert (ROOT / "docs" / "results" / f"learning-curves-{loss}.svg").exists()


def test_six_artifacts_are_small_and_nothing_in_them_can_run() -> None:
    assert len(DIRECTORIES) == 6
    files = [file for path in DIRECTORIES for file in path.iterdir()]
    assert sum(file.stat().st_size for file in files) < 20e6
    assert {file.suffix for file in files} == {".json", ".safetensors", ".txt"}


@pytest.mark.parametrize(
    "directory", DIRECTORIES, ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_committed_artifact(directory: Path, data_dir: Path) -> None:
    classifier = Classifier.load(directory)
    classifier.check_golden()
    manifest = classifier.manifest
    assert (manifest.protocol, manifest.seed) == ("grouped", 0)
    config = configuration.load(manifest.model, manifest.variant, ROOT / "configs")
    assert manifest.config == config.model_dump() | {"embeddings": manifest.config["embeddings"]}
    texts, labels = experiment.test_fold(manifest)
    found = evaluate(labels, classifier.scores(texts), manifest.threshold)
    assert found == pytest.approx(manifest.metrics["test"]["fitted"], abs=1e-6)


@pytest.mark.timeout(900)
def test_train_all_makes_the_committed_artifacts_again(data_dir: Path, tmp_path: Path) -> None:
    """Where machine and libraries are the same, the same content; else about as good."""
    subprocess.run(
        [sys.executable, "-m", "training", "train-all", "--output", tmp_path], cwd=ROOT, check=True
    )
    for directory in DIRECTORIES:
        committed = load_manifest(directory)
        again = load_manifest(tmp_path / directory.relative_to(ARTIFACTS))
        assert again.split == committed.split
        for metric in ("accuracy", "auroc", "average_precision"):
            found = again.metrics["test"]["fitted"][metric]
            assert found == pytest.approx(committed.metrics["test"]["fitted"][metric], abs=0.005)

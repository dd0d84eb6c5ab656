"""Rows, tables and pages of the report, and what of it is committed."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dandelion import Classifier
from dandelion.manifest import load_manifest
from study import pages, results
from study.baselines import PEERS
from study.results import Row, Summary, compare, summarize
from training import configuration, experiment
from training.experiment import Result
from training.quality.metrics import ARGMAX, FITTED, METRICS, OF_CLASSES, evaluate, evaluate_classes
from training.runs import Kept

from ..conftest import ROOT

ARTIFACTS = ROOT / "artifacts"
RESULTS = json.loads((ROOT / "docs" / "results" / "results.json").read_text())
CONFIGS = configuration.load_all(ROOT / "configs")
DIRECTORIES = [ARTIFACTS / one.model / one.variant for one in CONFIGS if one.shipped]


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
            rows={},
            slices=None,
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
        metrics=dict.fromkeys(METRICS + OF_CLASSES) | {"mcc": summarize(values)},
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


def test_readme_is_changed_between_the_marks_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before {pages.README_START}old{pages.README_END} after")
    pages.update_readme(readme, "new\n")
    text = readme.read_text()
    assert text == f"before {pages.README_START}\n\nnew\n\n{pages.README_END} after"
    readme.write_text("no marks")
    with pytest.raises(ValueError, match=r"marks .* are missing"):
        pages.update_readme(readme, "new")


def test_served_is_the_best_on_validation() -> None:
    figures = results.validation_figures([kept(accuracy=0.9), kept(accuracy=0.8)])
    assert figures["mean"] == pytest.approx(0.85)
    assert set(figures) == {"macro_f1", "mcc", "auroc", "average_precision", "mean"}


def test_over_seeds_of_classes() -> None:
    labels = np.array([0, 1, 2, 2])
    per_seed = [
        evaluate_classes(labels, np.eye(3, dtype=np.float32)[answers])
        for answers in ([0, 1, 2, 2], [0, 1, 2, 0])
    ]
    found = results.over_seeds(per_seed, ("a", "b", "c"))
    assert found["accuracy"].per_seed == [1.0, 0.75]
    assert found["per_class_f1"]["c"].mean == pytest.approx((1 + 2 / 3) / 2)
    assert found["confusion_matrix"] == [[2, 0, 0], [0, 2, 0], [1, 0, 3]]
    assert found["f1"] is None
    assert found["auroc"] is None


def test_an_interval_is_turned_round_with_its_difference() -> None:
    one = {
        "model": "spam",
        "a": "dice",
        "b": "bce-wide",
        "metric": "mcc",
        "diff": -0.2,
        "ci95": [-0.3, -0.1],
    }
    (line,) = pages._differences({"comparisons": [one]}, "spam", "bce-wide", "dice", ("mcc",))
    assert line[1:] == ["BCE, wide − Dice", "MCC", "+0.2000", "+0.1000 … +0.3000", "BCE, wide"]


# What is committed.


def test_committed_results_follow_the_schema() -> None:
    assert set(RESULTS) == {"rows", "comparisons", "table1", "chosen", "slices"}
    names = set(Row.__dataclass_fields__)
    for one in RESULTS["rows"]:
        assert set(one) == names
        assert set(one["metrics"]) == set(METRICS + OF_CLASSES)
        for name in METRICS:
            metric = one["metrics"][name]
            assert metric is None or set(metric) == set(Summary.__dataclass_fields__)
    for one in RESULTS["comparisons"]:
        assert one["ci95"][0] <= one["diff"] <= one["ci95"][1]


def found_rows() -> dict[tuple[str, str, str, str | None], dict[str, Any]]:
    return {
        (one["protocol"], one["model"], one["name"], one["threshold"]): one
        for one in RESULTS["rows"]
    }


def test_committed_results_have_every_row() -> None:
    found = found_rows()
    for model in ("spam", "cyberbullying"):
        for protocol in ("paper", "grouped"):
            assert (protocol, model, "majority", "0.5") in found
    for config in CONFIGS:
        in_paper = (config.model, config.variant) in results.PAPER
        thresholds = (None,) if config.model == "cyberbullying_type" else ("0.5", "fitted")
        for protocol in ("paper", "grouped") if in_paper else ("grouped",):
            for threshold in thresholds:
                one = found[protocol, config.model, config.variant, threshold]
                few = protocol == "grouped" and config.model != "spam"
                assert one["seeds"] == list(range(5 if few else 10))
                assert one["shipped"] is (protocol == "grouped" and config.shipped)
                assert not one["collapsed"]
    naive = found["paper", "cyberbullying", "dice, naive recipe", "0.5"]
    assert naive["collapsed"]
    assert not naive["shipped"]


@pytest.mark.parametrize("model", ["spam", "cyberbullying", "cyberbullying_type"])
def test_peers_stand_in_the_same_folds(model: str) -> None:
    found = found_rows()
    for name in PEERS:
        one = found["grouped", model, name, None if model == "cyberbullying_type" else "fitted"]
        assert one["kind"] == "peer"
        assert one["seeds"] == list(range(10 if model == "spam" else 5))
        assert None not in (one["train_seconds"], one["bytes"], one["us_per_text_1"])


@pytest.mark.parametrize("model", ["spam", "cyberbullying"])
def test_what_is_served_is_ahead_of_every_peer_in_all_four_figures(model: str) -> None:
    found = found_rows()
    served = found["grouped", model, RESULTS["chosen"][model]["variant"], "fitted"]
    fourth = "average_precision" if model == "spam" else "accuracy"
    for metric in ("macro_f1", "mcc", "auroc", fourth):
        for name in PEERS:
            peer = found["grouped", model, name, "fitted"]
            assert served["metrics"][metric]["mean"] > peer["metrics"][metric]["mean"], name


@pytest.mark.parametrize("model", ["spam", "cyberbullying"])
def test_the_best_dice_is_not_behind_the_best_bce(model: str) -> None:
    (one,) = (
        one
        for one in RESULTS["comparisons"]
        if one["model"] == model
        and one["metric"] == "macro_f1"
        and {one["a"], one["b"]} == {"dice-wide", "bce-wide"}
    )
    low, high = one["ci95"]
    assert (high if one["a"] == "dice-wide" else -low) > 0


def test_serving_follows_the_reports_own_criterion() -> None:
    serving = tomllib.loads((ARTIFACTS / "serving.toml").read_text())["models"]
    assert serving == {model: chosen["variant"] for model, chosen in RESULTS["chosen"].items()}
    for chosen in RESULTS["chosen"].values():
        means = {name: figures["mean"] for name, figures in chosen["validation"].items()}
        assert means[chosen["variant"]] == max(means.values())


def test_readme_shows_the_committed_results() -> None:
    assert pages.readme_tables(RESULTS) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_results_page_shows_the_committed_results() -> None:
    page = (ROOT / "docs" / "results" / "README.md").read_text(encoding="utf-8")
    assert pages._table1(RESULTS, ["fitted to accuracy", "fitted", "0.5"]) in page
    assert pages._aims(RESULTS) in page
    for image in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page):
        assert (ROOT / "docs" / "results" / image).exists()


def test_artifacts_are_small_and_nothing_in_them_can_run() -> None:
    assert {path.parent.name for path in DIRECTORIES} == {
        "spam",
        "cyberbullying",
        "cyberbullying_type",
    }
    files = [file for path in DIRECTORIES for file in path.iterdir()]
    assert sum(file.stat().st_size for file in files) < 20e6
    assert {file.suffix for file in files} == {".json", ".safetensors", ".txt"}


@pytest.mark.parametrize(
    "directory", DIRECTORIES, ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_committed_artifact(
    directory: Path, data_dir: Path, request: pytest.FixtureRequest
) -> None:
    if directory.parent.name != "spam":  # the slow ones
        request.getfixturevalue("quick_folds")
    classifier = Classifier.load(directory, engine="numpy")
    classifier.check_golden()
    manifest = classifier.manifest
    assert (manifest.protocol, manifest.seed) == ("grouped", 0)
    config = configuration.load(manifest.model, manifest.variant, ROOT / "configs")
    assert manifest.config == config.model_dump(mode="json", exclude={"shipped"}) | {
        "embeddings": manifest.config["embeddings"]
    }
    texts, labels = experiment.read_test_fold(manifest)
    scores = classifier.scores(texts)
    if manifest.threshold is None:
        found, recorded = evaluate_classes(labels, scores), manifest.metrics["test"][ARGMAX]
    else:
        found = evaluate(labels, scores, manifest.threshold, score_kind=manifest.score_kind)
        recorded = manifest.metrics["test"][FITTED]
    assert set(found) == set(recorded)
    for metric, value in found.items():
        if value is None:
            assert recorded[metric] is None, metric
        else:
            np.testing.assert_allclose(recorded[metric], value, atol=1e-6, err_msg=metric)


@pytest.mark.timeout(300)
def test_train_all_makes_the_committed_artifacts_again(data_dir: Path, tmp_path: Path) -> None:
    """Where machine and libraries are the same, the same content; else about as good."""
    command = [sys.executable, "-m", "training", "train-all", "--model=spam", "--output", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True)
    directories = [path for path in DIRECTORIES if path.parent.name == "spam"]
    assert len(directories) == len(list((tmp_path / "spam").iterdir())) == 4
    for directory in directories:
        committed = load_manifest(directory)
        again = load_manifest(tmp_path / directory.relative_to(ARTIFACTS))
        assert again.split == committed.split
        for metric in ("accuracy", "auroc", "average_precision"):
            found = again.metrics["test"][FITTED][metric]
            assert found == pytest.approx(committed.metrics["test"][FITTED][metric], abs=0.005)

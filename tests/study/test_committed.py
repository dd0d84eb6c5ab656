"""What is committed: stored figures, the pages made of them, and the artifacts they are about."""

import re
import subprocess
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from dandelion import Classifier, serving
from dandelion import artifact as artifacts
from dandelion.evaluation_file import CARD_FILE, EVALUATION_FILE
from dandelion.manifest import load_manifest, to_json
from study import cards, rendering, results, storage, tuning_pages
from study.baselines import BASELINES
from study.evaluation import evaluation_of
from study.pages import card, readme
from study.schema.decisions import CalibrationReport, Decisions
from study.schema.drift import Drift
from study.schema.results import LearningCurves, Results, Row
from study.schema.robustness import Robustness
from study.schema.studies import Ablations, FinerLabels, Imbalance, Sensitivity
from study.schema.transfer import Transfer
from study.transfer import recipes
from study.transfer.measure import EVERY_SOURCE
from study.transfer.units import PLANS
from training import configuration
from training.data import datasets
from training.evaluation import read_test_fold
from training.quality.metrics import FITTED, evaluate, evaluate_classes

from ..conftest import ROOT

pytestmark = pytest.mark.slow

ARTIFACTS = ROOT / "artifacts"
DIRECTORY = ROOT / "docs" / "results"
STORED: dict[str, type] = {
    "results.json": Results,
    "learning-curves.json": LearningCurves,
    "sensitivity.json": Sensitivity,
    "imbalance.json": Imbalance,
    "ablations.json": Ablations,
    "finer-labels.json": FinerLabels,
    "robustness.json": Robustness,
}
STORED |= {
    name: kind
    for name, kind in (("decisions.json", Decisions), ("calibration.json", CalibrationReport))
    if (DIRECTORY / name).exists()
}
if (DIRECTORY / "drift.json").exists():
    STORED["drift.json"] = Drift
if (DIRECTORY / "transfer.json").exists():
    STORED["transfer.json"] = Transfer
    TRANSFER = storage.read(Transfer, DIRECTORY / "transfer.json").studies
else:
    TRANSFER = []
RESULTS = storage.read(Results, DIRECTORY / "results.json")
SERVING = tomllib.loads((ARTIFACTS / "serving.toml").read_text(encoding="utf-8"))["models"]
CONFIGS = configuration.load_all(ROOT / "configs")
DIRECTORIES = [ARTIFACTS / one.model / one.variant for one in CONFIGS if one.shipped]


@pytest.mark.parametrize(("name", "kind"), STORED.items())
def test_stored_figures_follow_the_schema(name: str, kind: type, tmp_path: Path) -> None:
    storage.write(storage.read(kind, DIRECTORY / name), tmp_path / name)
    # No key is missing, none is left over, no value changes its type.
    assert (tmp_path / name).read_bytes() == (DIRECTORY / name).read_bytes()


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the stored figures alone, its pages built; there are no data sets."""
    root = tmp_path_factory.mktemp("project")
    directory = root / "docs" / "results"
    directory.mkdir(parents=True)
    for file in DIRECTORY.glob("*.json"):
        (directory / file.name).write_bytes(file.read_bytes())
    for page in readme.find(ROOT):
        text = page.read_text(encoding="utf-8")
        copy = root / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(
            re.sub(f"(?s){readme.START}.*{readme.END}", readme.START + readme.END, text)
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("DATA_DIR", str(root / "no data"))
        tuning_pages.write(directory)
        rendering.everything(directory, root)
    return root


def test_committed_pages_are_those_of_the_stored_figures(rebuilt: Path) -> None:
    files = [file for file in rebuilt.rglob("*") if file.suffix in {".md", ".svg"}]
    committed = {
        *(path for path in DIRECTORY.iterdir() if path.suffix in {".md", ".svg"}),
        *readme.find(ROOT),
    }
    assert {ROOT / file.relative_to(rebuilt) for file in files} == committed
    for file in files:
        if file.suffix == ".svg":
            continue
        expected = (ROOT / file.relative_to(rebuilt)).read_text(encoding="utf-8")
        assert file.read_text(encoding="utf-8") == expected, f"{file.name}: python -m study pages"


def test_committed_plots_are_those_of_the_stored_figures(rebuilt: Path) -> None:
    plots = sorted((rebuilt / "docs" / "results").glob("*.svg"))
    assert {one.name for one in plots} == {one.name for one in DIRECTORY.glob("*.svg")}
    for plot in plots:
        found, committed = plot.read_text(), (DIRECTORY / plot.name).read_text()
        version = re.findall("Matplotlib v[0-9.]+", committed)
        if re.findall("Matplotlib v[0-9.]+", found) == version:
            assert found == committed, f"{plot.name}: python -m study pages"
        else:  # another version draws other paths, but writes the same words
            words = r">([^<>\n]+)</t(?:ext|span)>"
            assert re.findall(words, found) == re.findall(words, committed)


def found_rows() -> dict[tuple[str, str, str, str | None], Row]:
    return {(one.protocol, one.model, one.name, one.threshold): one for one in RESULTS.rows}


def test_committed_results_have_every_row() -> None:
    found = found_rows()
    for model in ("spam", "cyberbullying"):
        for protocol in ("paper", "grouped"):
            assert (protocol, model, "majority", "0.5") in found
    for config in (one for one in CONFIGS if one.model in datasets.SOURCES):
        in_paper = (config.model, config.variant) in results.PAPER
        thresholds = (None,) if config.model == "cyberbullying_type" else ("0.5", "fitted")
        for protocol in ("paper", "grouped") if in_paper else ("grouped",):
            for threshold in thresholds:
                one = found[protocol, config.model, config.variant, threshold]
                few = protocol == "grouped" and config.model != "spam"
                assert one.seeds == list(range(5 if few else 10))
                assert one.shipped is (protocol == "grouped" and config.shipped)


@pytest.mark.parametrize("model", ["spam", "cyberbullying", "cyberbullying_type"])
def test_baselines_use_the_same_folds(model: str) -> None:
    found = found_rows()
    for name in BASELINES:
        one = found["grouped", model, name, None if model == "cyberbullying_type" else "fitted"]
        assert one.kind == "peer"
        assert one.seeds == list(range(10 if model == "spam" else 5))
        assert None not in (one.train_seconds, one.bytes, one.us_per_text_1)


def test_intervals_contain_their_differences() -> None:
    for one in RESULTS.comparisons:
        low, high = one.ci95
        assert low <= one.diff <= high


def test_the_reports_choice_is_the_best_on_validation() -> None:
    for chosen in RESULTS.chosen.values():
        means = {name: figures["mean"] for name, figures in chosen.validation.items()}
        assert means[chosen.variant] == max(means.values())


def test_what_is_served_is_what_transfer_chooses() -> None:
    assert SERVING.keys() == {one.model for one in CONFIGS if one.shipped}
    for model in SERVING.keys() - PLANS.keys():  # no other source can judge these
        shipped = [one.variant for one in CONFIGS if (one.model, one.shipped) == (model, True)]
        assert [SERVING[model]] == [name for name in shipped if name.endswith("-wide")]
    studies = {one.model: one for one in TRANSFER if one.variant is None}
    for model in SERVING.keys() & studies.keys():
        study = studies[model]
        assert study.candidates == [one.variant for one in recipes.candidates(model)]
        (ours,) = [one for one in study.trials if one.recipe == recipes.OURS]
        assert SERVING[model] == ours.chosen[EVERY_SOURCE]


def test_robustness_is_that_of_the_served_artifacts() -> None:
    stored = storage.read(Robustness, DIRECTORY / "robustness.json")
    served = {one.model: one for one in stored.variants if one.served}
    two_labels = {path.parent.name for path in DIRECTORIES if load_manifest(path).threshold}
    assert served.keys() == two_labels & SERVING.keys()
    for one in served.values():
        assert one.variant == SERVING[one.model]
        assert one.version == load_manifest(ARTIFACTS / one.model / one.variant).version


def test_the_finer_labels_page_repeats_the_reported_runs() -> None:
    stored = storage.read(FinerLabels, DIRECTORY / "finer-labels.json")
    found = found_rows()
    for one in stored.rows:
        reported = found["grouped", stored.model, one.name, "fitted"].metrics
        if (one.labels == 2) == (one.kind == "peer"):  # as in the report
            for metric in results.COMPARED:
                expected = [reported.per_seed(metric)[seed] for seed in stored.seeds]
                assert one.metrics.per_seed(metric) == pytest.approx(expected, abs=1e-3), one.name


def test_artifacts_are_small_and_nothing_in_them_can_run() -> None:
    assert {path.parent.name for path in DIRECTORIES} == {
        "abuse",
        "spam",
        "cyberbullying",
        "cyberbullying_type",
    }
    files = [file for path in DIRECTORIES for file in path.iterdir()]
    assert sum(file.stat().st_size for file in files) < 30e6
    assert {file.suffix for file in files} == {".json", ".safetensors", ".txt", ".md"}


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
    texts, labels = read_test_fold(manifest)
    scores = classifier.scores(texts)
    if manifest.threshold is None:
        found = evaluate_classes(labels, scores)
    else:
        found = evaluate(
            labels,
            scores,
            manifest.threshold,
            score_kind=manifest.score_kind,
            calibrated=manifest.calibration is not None,
        )
    recorded = manifest.metrics["test"][manifest.default_cut]
    assert set(found) == set(recorded)
    for metric, value in found.items():
        if value is None:
            assert recorded[metric] is None, metric
        else:
            np.testing.assert_allclose(recorded[metric], value, atol=1e-6, err_msg=metric)


def test_training_makes_a_committed_artifact_again(data_dir: Path, tmp_path: Path) -> None:
    """Where machine and libraries are the same, the same content; else about as good."""
    names = ["--model=spam", "--variant=mse", "--output", tmp_path]
    subprocess.run([sys.executable, "-m", "training", "train", *names], cwd=ROOT, check=True)
    committed = load_manifest(ARTIFACTS / "spam" / "mse")
    again = load_manifest(tmp_path / "spam" / "mse")
    assert again.split == committed.split
    for metric in ("accuracy", "auroc", "average_precision"):
        found = again.metrics["test"][FITTED][metric]
        assert found == pytest.approx(committed.metrics["test"][FITTED][metric], abs=0.005)


def test_cards_are_those_of_the_served_artifacts_and_the_stored_figures() -> None:
    studies = cards.stored(DIRECTORY)
    for place in serving.read(ARTIFACTS, {}).values():
        artifact = artifacts.load(place)
        evaluation = evaluation_of(artifact, studies)
        assert (place / EVALUATION_FILE).read_bytes() == to_json(asdict(evaluation))
        page = card.page(evaluation, artifact.manifest)
        assert (place / CARD_FILE).read_text(encoding="utf-8") == page

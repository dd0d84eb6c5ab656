"""A run from data to artifact, on a tiny made-up data set."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dandelion import Classifier, artifact
from dandelion.decision import operating_points
from dandelion.decision.threshold import fit_threshold
from dandelion.engines.choice import NumPyScorer
from dandelion.engines.network import sigmoid
from training import evaluation, experiment
from training.configuration import Configuration, Sampling, SourceChoice, Wide, wide_recipe
from training.data import datasets
from training.data.custom_data import CustomData
from training.data.custom_data import read as read_custom
from training.data.datasets import Dataset, Source
from training.data.splits import Protocol, groups, split
from training.errors import ConfigurationError, DatasetError
from training.experiment import Result, Run, fits_of_folds, train
from training.learning import learn
from training.out_of_fold import out_of_fold
from training.quality import slices
from training.quality.metrics import evaluate, evaluate_classes, prevalence_weights

from .conftest import tiny_lines, write_archive

pytestmark = pytest.mark.usefixtures("tiny")

CONFIG = Configuration(
    model="tiny", variant="dice", loss="dice", hidden=8, epochs=4, batch_size=16, extra_words=50
)
WIDE = CONFIG.model_copy(update={"wide": Wide(bits=10, surface_dimensions=2)})
EAGER = {"layer_rate": 0.02, "embedding_rate": 0.02}
CLASSES = CONFIG.model_copy(update={"model": "tiny_type", "loss": "cross_entropy"} | EAGER)
STILL = {"layer_rate": 1e-9, "embedding_rate": 1e-9, "epochs": 1}


def changed(config: Configuration = CONFIG, **changes: Any) -> Configuration:
    return Configuration.model_validate(config.model_dump() | changes)


def carry_out(run: Run, directory: Path) -> tuple[Classifier, Result]:
    """Train, and load what was written."""
    manifest, result = train(run, directory / "artifact")
    classifier = Classifier.load(directory / "artifact", engine="numpy")
    classifier.check_golden()
    assert classifier.manifest.content_hash == manifest.content_hash
    assert result.metrics == {fold: manifest.metrics[fold] for fold in result.metrics}
    assert result.threshold == manifest.threshold
    return classifier, result


def logits_of(directory: Path, texts: Sequence[str]) -> np.ndarray:
    """Return the uncalibrated logits of what was written."""
    stored = artifact.load(directory / "artifact")
    manifest = stored.manifest
    engine = NumPyScorer(
        stored.vocabulary,
        manifest.wide_features,
        stored.network,
        manifest.text_windows,
        is_binary=True,
    )
    return engine.logits(engine.encode(texts))


@pytest.mark.parametrize("config", [CONFIG, WIDE, changed(loss="squared_hinge")])
def test_what_is_measured_is_what_is_shipped(tmp_path: Path, config: Configuration) -> None:
    classifier, result = carry_out(Run(config, Protocol.GROUPED, seed=0), tmp_path)
    manifest = classifier.manifest
    assert manifest.threshold is not None
    texts, labels = evaluation.read_test_fold(manifest)
    scores = classifier.scores(texts)
    kind = manifest.score_kind
    found = evaluate(labels, scores, manifest.threshold, score_kind=kind, calibrated=True)
    assert found == pytest.approx(result.metrics["test"]["fitted"])
    assert manifest.split["train"] == 240
    assert result.rows == {"train": [192, 48], "validation": [24, 6], "test": [24, 6]}
    assert manifest.dataset["rows"] == 300
    assert manifest.dataset["shares"] == [0.8, 0.2]
    assert manifest.labels == ("ham", "spam")
    assert manifest.config["loss"] == config.loss
    size = sum(file.stat().st_size for file in (tmp_path / "artifact").iterdir())
    assert result.bytes == size


def test_a_calibrated_margin_is_a_probability(tmp_path: Path) -> None:
    run = Run(changed(loss="squared_hinge"), Protocol.GROUPED, seed=0)
    classifier, result = carry_out(run, tmp_path)
    assert classifier.manifest.score_kind == "margin"
    assert classifier.manifest.calibration is not None
    for metrics in result.metrics["test"].values():
        assert metrics["brier"] is not None
        assert metrics["ece"] is not None


@pytest.mark.parametrize("idf", [True, False])
def test_training_and_serving_read_a_wide_text_alike(tmp_path: Path, idf: bool) -> None:
    """Curves are of the torch network on counted grams, metrics of the artifact on raw texts."""
    wide = Wide(bits=10, surface_dimensions=2, idf=idf)
    config = changed(wide=wide, restore="last", precision="float32", loss="bce")
    _, result = carry_out(Run(config, Protocol.GROUPED, seed=0), tmp_path)
    shipped = artifact.load(tmp_path / "artifact")
    assert shipped.manifest.wide_features == wide.features()
    assert shipped.network.grams is not None
    assert shipped.network.grams.shape == (2**10, 1)
    dataset = datasets.load("tiny")
    rows = split(dataset, Protocol.GROUPED, 0).validation
    texts, _ = dataset.take(rows)
    logits = logits_of(tmp_path, texts).astype(np.float64)
    losses = np.logaddexp(0, np.where(dataset.labels[rows] == 1, -logits, logits))
    expected = result.history[-1]["validation"]["loss"]
    assert losses.mean() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("config", [CONFIG, WIDE])
def test_equal_runs_give_equal_bytes_but_for_timings(tmp_path: Path, config: Configuration) -> None:
    run = Run(config, Protocol.PAPER, seed=3)
    manifests = [train(run, tmp_path / name)[0] for name in ("a", "b")]
    assert manifests[0].content_hash == manifests[1].content_hash
    for file in (tmp_path / "a").iterdir():
        other = tmp_path / "b" / file.name
        if file.name == "model.json":
            first, second = (json.loads(path.read_text()) for path in (file, other))
            assert first | {"timings": None} == second | {"timings": None}
        else:
            assert file.read_bytes() == other.read_bytes()


def test_choosing_never_reads_the_test_fold(tmp_path: Path) -> None:
    run = Run(CONFIG, Protocol.GROUPED, seed=0, read_test=False)
    manifest, result = train(run, tmp_path / "artifact")
    assert set(manifest.metrics) == set(result.metrics) == {"validation"}
    assert result.slices is None


def test_thresholds_are_fitted_on_validation_alone(tmp_path: Path) -> None:
    # Texts that contain their label in seven of eight cases: the folds' best thresholds differ.
    run = custom_run(write_custom(tmp_path, {"fine": 260, "rude": 140}), changed(**EAGER), "rude")
    classifier, result = carry_out(run, tmp_path)
    dataset = run.dataset
    assert dataset is not None
    folds = split(dataset, Protocol.GROUPED, 0).rows()
    fitted: dict[str, list[float]] = {"macro_f1": [], "accuracy": []}
    for name in ("validation", "test"):
        scores = classifier.scores([dataset.texts[row] for row in folds[name]])
        for criterion, thresholds in fitted.items():
            labels = dataset.labels[folds[name]]
            thresholds.append(fit_threshold(labels, scores, criterion)[0])  # type: ignore[arg-type]
    assert result.threshold == fitted["macro_f1"][0] != fitted["macro_f1"][1]
    # Whoever fits on the test fold is better there, at both kinds of thresholds.
    labels = dataset.labels[folds["test"]]
    scores = classifier.scores([dataset.texts[row] for row in folds["test"]])
    for cut, criterion in (("fitted", "macro_f1"), ("fitted to accuracy", "accuracy")):
        expected, leaked = (
            evaluate(labels, scores, one, calibrated=True) for one in fitted[criterion]
        )
        assert result.metrics["test"][cut] == pytest.approx(expected)
        assert leaked[criterion] > expected[criterion]


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Run(CONFIG, Protocol.PAPER, seed=0), tmp_path / "out" / "artifact", interrupt)
    assert not (tmp_path / "out").exists()


def test_slices_are_of_the_test_fold(tmp_path: Path) -> None:
    classifier, result = carry_out(Run(CONFIG, Protocol.GROUPED, seed=0), tmp_path)
    manifest = classifier.manifest
    assert manifest.threshold is not None
    texts, labels = evaluation.read_test_fold(manifest)
    scores = classifier.scores(texts)
    assert result.slices == slices.slices(texts, labels, scores, manifest.threshold)
    assert manifest.metrics["slices"] == result.slices


# Classes, and finer ones


@pytest.mark.usefixtures("tiny_type")
def test_a_multiclass_run(tmp_path: Path) -> None:
    classifier, result = carry_out(Run(CLASSES, Protocol.GROUPED, seed=0), tmp_path)
    manifest = classifier.manifest
    assert (manifest.task, manifest.threshold, manifest.score_kind) == (
        "multiclass",
        None,
        "softmax",
    )
    assert manifest.labels == ("ham", "prize", "other spam")
    texts, labels = evaluation.read_test_fold(manifest)
    scores = classifier.scores(texts)
    assert scores.shape == (len(texts), 3)
    assert set(result.metrics["test"]) == {"argmax"}
    assert result.metrics["test"]["argmax"] == evaluate_classes(labels, scores)
    assert result.slices is None
    assert not result.collapsed
    largest = evaluation.majority_metrics(manifest)
    assert largest["accuracy"] == pytest.approx((labels == 0).mean())
    assert largest["confusion_matrix"][1] == [(labels == 1).sum(), 0, 0]


@pytest.mark.usefixtures("tiny_type")
def test_predicting_one_class_only_is_a_collapse(tmp_path: Path) -> None:
    config = changed(CLASSES, prior_bias=True, **STILL)
    _, result = carry_out(Run(config, Protocol.GROUPED, seed=0), tmp_path)
    assert result.metrics["test"]["argmax"]["accuracy"] == pytest.approx(0.8, abs=0.05)
    assert result.collapsed


@pytest.mark.usefixtures("tiny_type")
def test_types_give_more_logits_and_still_one_score(tmp_path: Path) -> None:
    config = changed(WIDE, types_weight=1.0, **EAGER)
    classifier, result = carry_out(Run(config, Protocol.GROUPED, seed=0), tmp_path)
    manifest = classifier.manifest
    assert (manifest.task, manifest.labels) == ("binary", ("ham", "spam"))
    network = artifact.load(tmp_path / "artifact").network
    assert len(network.output_bias) == 3
    texts, _ = evaluation.read_test_fold(manifest)
    scores = classifier.scores(texts)
    assert scores.shape == (len(texts),)
    logits = network.logits(classifier.encode(texts)).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    log_odds = np.log(1 - shares[:, 0]) - np.log(shares[:, 0])
    np.testing.assert_allclose(logits_of(tmp_path, texts), log_odds, atol=1e-4)
    assert manifest.score_map is not None
    expected = sigmoid(manifest.score_map.logits(log_odds))
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert result.metrics["test"]["fitted"]["auroc"] > 0.9
    kinds = datasets.load("tiny_type")
    learnt = network.logits(classifier.encode(kinds.texts)).argmax(axis=1)
    assert (learnt == kinds.labels).mean() > 0.9


@pytest.mark.usefixtures("tiny_type")
def test_types_of_a_sample_are_those_of_its_texts(tmp_path: Path) -> None:
    config = changed(types_weight=1.0, prior_bias=True, **STILL)
    carry_out(Run(config, Protocol.GROUPED, seed=0, sample_rows=200), tmp_path)
    bias = artifact.load(tmp_path / "artifact").network.output_bias
    shares = np.exp(bias) / np.exp(bias).sum()
    # `prior_bias` sets the classes' shares of the training fold.
    assert shares == pytest.approx([240 / 300, 35 / 300, 25 / 300], abs=0.05)


@pytest.mark.usefixtures("tiny_type")
@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            changed(CLASSES, loss="dice"),
            r"'dice' is for a binary task, but Tiny has 3 labels; choose softmax_dice, cross_",
        ),
        (
            changed(loss="softmax_dice"),
            r"'softmax_dice' is for a multiclass task, but Tiny has 2 labels; choose bce, .*mcc",
        ),
        (
            changed(CLASSES, types_weight=0.5),
            r"types_weight is 0.5, but Tiny has no finer classes; set it to 0",
        ),
        (
            changed(CLASSES, windows={"words": 10, "stride": 5}),
            r"windows: Tiny has 3 labels, and windows are for two; remove the windows",
        ),
    ],
)
def test_a_configuration_that_does_not_fit_the_data(
    tmp_path: Path, config: Configuration, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        train(Run(config, Protocol.GROUPED, seed=0), tmp_path / "artifact")
    choice = str(caught.value).partition("; choose ")[2].split(", ")
    assert not {"dice", "softmax_dice"} <= set(choice)
    assert not (tmp_path / "artifact").exists()


# Sampling and samples


@pytest.mark.parametrize("sampling", list(Sampling))
def test_sampling_is_recorded(tmp_path: Path, sampling: Sampling) -> None:
    config = changed(sampling=sampling, epochs=1)
    classifier, _ = carry_out(Run(config, Protocol.GROUPED, seed=0), tmp_path)
    recorded = classifier.manifest.sampling
    effective = [192 / (1 - 0.999**192), 48 / (1 - 0.999**48)]
    expected = {
        Sampling.NONE: None,
        Sampling.OVERSAMPLE: [0.5, 0.5],
        Sampling.UNDERSAMPLE: [0.5, 0.5],
        Sampling.EFFECTIVE_NUMBER: [one / sum(effective) for one in effective],
    }[sampling]
    if expected is None:
        assert recorded is None
    else:
        assert recorded is not None
        assert set(recorded) == {"method", "prior", "sampled_prior"}
        assert recorded["method"] == sampling
        assert recorded["prior"] == [0.8, 0.2]
        assert recorded["sampled_prior"] == pytest.approx(expected)


def test_a_sample_is_less_of_the_same(tmp_path: Path) -> None:
    run = Run(changed(epochs=1), Protocol.GROUPED, seed=0, sample_rows=200)
    _, result = carry_out(run, tmp_path)
    rows = sum(sum(counts) for counts in result.rows.values())
    assert 200 <= rows < 220
    whole = replace(run, sample_rows=10**6)
    _, result = carry_out(whole, tmp_path)
    assert sum(sum(counts) for counts in result.rows.values()) == 300


def write_custom(directory: Path, counts: dict[str, int]) -> Path:
    """Write texts, most of which contain their label."""
    rng = np.random.default_rng(0)
    words = np.array(["river", "stone", "cloud", "apple", "train", "green", "seven", "music"])
    path = directory / "mine.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["body", "label"])
        for label, count in counts.items():
            for number in range(count):
                first = label if number % 8 else "hm"
                text = " ".join([first, *rng.choice(words, 4), "x" * (number % 40)])
                writer.writerow([text, label])
    return path


def read(path: Path, positive: str | None) -> Dataset:
    return read_custom(CustomData("mine", path, positive=positive)).dataset


def custom_run(path: Path, config: Configuration, positive: str | None, **options: Any) -> Run:
    dataset = read(path, positive)
    return Run(changed(config, model="mine"), Protocol.GROUPED, seed=0, dataset=dataset, **options)


SUBSAMPLED = {"fine": 600, "rude": 400}


def test_a_subsampled_run_weights_the_test_fold(tmp_path: Path) -> None:
    path = write_custom(tmp_path, SUBSAMPLED)
    run = custom_run(path, changed(epochs=2, batch_size=64), "rude", minority_share=0.3)
    classifier, result = carry_out(run, tmp_path)
    train_rows, validation_rows = result.rows["train"], result.rows["validation"]
    assert train_rows[1] == round(0.3 / 0.7 * train_rows[0])
    assert validation_rows[1] == round(0.3 / 0.7 * validation_rows[0])
    assert result.rows["test"][1] / sum(result.rows["test"]) == pytest.approx(0.4, abs=0.03)

    dataset = run.dataset
    assert dataset is not None
    rows = split(dataset, Protocol.GROUPED, 0).test
    labels = dataset.labels[rows]
    scores = classifier.scores([dataset.texts[row] for row in rows])
    weights = prevalence_weights(labels, validation_rows[1] / sum(validation_rows))
    threshold = classifier.manifest.threshold
    assert threshold is not None
    found = result.metrics["test"]["fitted"]
    expected = evaluate(labels, scores, threshold, calibrated=True, weights=weights)
    assert found == pytest.approx(expected)
    assert found != pytest.approx(evaluate(labels, scores, threshold, calibrated=True))


def test_few_texts_are_not_subsampled(tmp_path: Path) -> None:
    run = Run(changed(epochs=1), Protocol.GROUPED, seed=0, minority_share=0.001)
    _, result = carry_out(run, tmp_path)
    assert result.rows == {"train": [192, 20], "validation": [24, 6], "test": [24, 6]}


@pytest.mark.parametrize("share", [None, 0.3])
def test_a_subsampled_run_that_collapses_is_detected(tmp_path: Path, share: float | None) -> None:
    path = write_custom(tmp_path, SUBSAMPLED)
    config = changed(prior_bias=True, batch_size=800, **STILL)
    _, result = carry_out(custom_run(path, config, "rude", minority_share=share), tmp_path)
    assert result.metrics["test"]["0.5"]["g_mean"] == 0
    counts = result.rows["test" if share is None else "validation"]
    found = result.metrics["test"]["0.5"]["accuracy"]
    assert found == pytest.approx(counts[0] / sum(counts))
    assert result.collapsed


# Custom data


def test_custom_data_of_two_labels(tmp_path: Path) -> None:
    path = write_custom(tmp_path, {"fine": 140, "rude": 60})
    classifier, result = carry_out(custom_run(path, changed(WIDE, epochs=6), "rude"), tmp_path)
    manifest = classifier.manifest
    assert (manifest.model, manifest.labels) == ("mine", ("fine", "rude"))
    assert manifest.dataset["name"] == "mine"
    assert manifest.dataset["rows"] == 200
    assert result.metrics["test"]["fitted"]["auroc"] > 0.8
    assert [one.label for one in classifier.classify(["rude stone", "fine apple"])] == [
        "rude",
        "fine",
    ]
    dataset = read(path, "rude")
    texts, labels = evaluation.read_test_fold(manifest, dataset)
    assert len(texts) == len(labels) == sum(result.rows["test"])
    constant = evaluation.majority_metrics(manifest, dataset)
    assert constant["accuracy"] == pytest.approx((labels == 0).mean())


def test_custom_data_of_three_labels(tmp_path: Path) -> None:
    path = write_custom(tmp_path, {"calm": 100, "glad": 60, "sad": 40})
    recipe = wide_recipe("mine", "wide", "cross_entropy")
    config = changed(recipe, hidden=8, batch_size=16, wide=Wide(bits=10, rate=0.05))
    classifier, result = carry_out(custom_run(path, config, None), tmp_path)
    assert classifier.manifest.labels == ("calm", "glad", "sad")
    found = result.metrics["test"]["argmax"]
    assert found["macro_f1"] > 0.7
    assert len(found["per_class_f1"]) == 3
    best = classifier.classify(["sad music"])[0]
    assert best.label == "sad"
    assert best.scores is not None
    assert math.fsum(best.scores.values()) == pytest.approx(1)


def test_custom_data_has_no_finer_classes(tmp_path: Path, tiny_type: Source) -> None:
    dataset = read(write_custom(tmp_path, {"fine": 30, "rude": 30}), "rude")
    run = Run(changed(types_weight=1.0), Protocol.GROUPED, seed=0, dataset=dataset)
    with pytest.raises(ConfigurationError, match="mine has no finer classes"):
        train(run, tmp_path / "artifact")


def test_several_sources_make_an_artifact(tmp_path: Path, tiny_sources: list[SourceChoice]) -> None:
    config = changed(model="mixed", epochs=1, sources=tuple(tiny_sources), match_length=True)
    run = Run(config, Protocol.GROUPED, seed=0)
    classifier, result = carry_out(run, tmp_path)
    manifest = classifier.manifest
    assert [one["name"] for one in manifest.dataset["sources"]] == ["tiny", "tiny_ham"]
    assert [one["rows"] for one in manifest.dataset["sources"]] == [300, 240]
    assert manifest.dataset["sources"][1]["shares"] == [1.0, 0.0]
    assert manifest.dataset["rows"] == 540
    assert manifest.sampling is not None
    assert manifest.sampling["method"] == "weights"
    assert manifest.sampling["prior"] == pytest.approx([480 / 540, 60 / 540], abs=0.01)
    assert manifest.sampling["sampled_prior"] == pytest.approx([0.5, 0.5], abs=0.05)
    texts, _ = evaluation.read_test_fold(manifest)
    assert len(texts) == sum(result.rows["test"])


def test_weights_and_sampling_are_not_combined(tmp_path: Path, tiny: Source) -> None:
    config = changed(match_length=True, sampling=Sampling.OVERSAMPLE)
    with pytest.raises(ConfigurationError, match='set sampling = "none"'):
        train(Run(config, Protocol.GROUPED, seed=0), tmp_path / "artifact")
    assert tiny.label_names == ("ham", "spam")


def test_an_artifact_of_another_file_is_refused(tmp_path: Path, tiny: Source) -> None:
    classifier, _ = carry_out(Run(changed(epochs=1), Protocol.GROUPED, seed=0), tmp_path)
    write_archive(tmp_path / "data" / tiny.file, tiny.members[0], tiny_lines()[:-1])
    with (
        pytest.warns(UserWarning, match="not the known file"),
        pytest.raises(DatasetError, match=r"its data set has SHA-256 .* may contain texts that it"),
    ):
        evaluation.read_test_fold(classifier.manifest)


@pytest.mark.parametrize("read", [evaluation.read_test_fold, evaluation.majority_metrics])
def test_an_artifact_of_another_split_is_refused(tmp_path: Path, read: Any) -> None:
    run = Run(changed(epochs=1), Protocol.GROUPED, seed=0, sample_rows=250)
    manifest, _ = train(run, tmp_path / "artifact")
    with pytest.raises(DatasetError, match="its split has SHA-256"):
        read(manifest)


# Thresholds fitted out of fold

FOLDED = changed(WIDE, restore="last", loss="bce", out_of_fold=True, **EAGER)


def test_a_threshold_fitted_out_of_fold(tmp_path: Path) -> None:
    run = Run(FOLDED, Protocol.GROUPED, seed=0)
    classifier, result = carry_out(run, tmp_path)
    manifest = classifier.manifest
    assert set(result.metrics) == {"out_of_fold", "test"}
    assert set(manifest.metrics) == {"out_of_fold", "test", "slices"}
    assert result.held_out == result.metrics["out_of_fold"]
    dataset = datasets.load("tiny")
    folds = split(dataset, Protocol.GROUPED, 0)
    rows = np.sort(np.concatenate([folds.train, folds.validation]))
    evidence = artifact.load(tmp_path / "artifact").evidence
    assert evidence is not None
    fitted = operating_points.fit("macro_f1", evidence)
    rule = manifest.threshold_rule
    assert rule is not None
    assert rule["logit"] == fitted.logit
    assert (rule["criterion"], rule["fitted_on"]) == ("macro_f1", "out_of_fold")
    assert (rule["folds"], rule["epochs"]) == (5, [4] * 5)
    assert evidence.total().sum() == len(np.unique(groups(dataset)[rows])) < len(rows)
    assert manifest.operating_point == "macro_f1"
    assert manifest.score_map is not None
    assert manifest.threshold is not None
    score = sigmoid(manifest.score_map.logits(np.array([fitted.logit])))[0]
    assert manifest.threshold == pytest.approx(score)
    assert manifest.calibration_fit is not None
    assert manifest.calibration_fit["fitted_on"] == "out_of_fold"
    assert manifest.default_cut == "fitted"
    assert manifest.by_source is not None
    negatives = {fold: rates["Tiny"]["negatives"] for fold, rates in manifest.by_source.items()}
    assert negatives == {"out_of_fold": 216, "test": 24}
    # The network is that of training and validation, for as many epochs as the folds.
    learned = learn(FOLDED, dataset, rows, folds.validation, seed=0)
    texts, _ = dataset.take(folds.test)
    np.testing.assert_allclose(logits_of(tmp_path, texts), learned.logits(texts), atol=1e-5)
    calibrated = sigmoid(manifest.score_map.logits(learned.logits(texts)))
    np.testing.assert_allclose(classifier.scores(texts), calibrated, atol=1e-6)


def test_a_network_is_fitted_for_the_median_of_the_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_epochs(*arguments: Any, **options: Any) -> Any:
        return replace(out_of_fold(*arguments, **options), epochs=(3, 1, 2, 4, 1))

    monkeypatch.setattr(experiment, "out_of_fold", with_epochs)
    config = changed(FOLDED, restore="best")
    _, result = carry_out(Run(config, Protocol.GROUPED, seed=0), tmp_path)
    assert len(result.history) == result.kept_epoch == 2


def test_a_point_decides_and_the_test_fold_is_read_at_its_threshold(tmp_path: Path) -> None:
    path = write_custom(tmp_path, {"fine": 260, "rude": 140})
    point = {"operating_point": "fpr<=0.03[texts]", "groups": {"texts": ["mine"]}, "windows": {}}
    run = custom_run(path, changed(FOLDED, **point), "rude")
    classifier, result = carry_out(run, tmp_path)
    manifest = classifier.manifest
    assert manifest.operating_point == "fpr<=0.03[texts]"
    assert manifest.default_cut == "operating point"
    assert manifest.threshold_rule is not None
    (constraint,) = manifest.threshold_rule["constraints"]
    assert constraint["source"] == "mine"
    assert constraint["value"] <= 0.03
    assert manifest.by_source is not None
    assert manifest.by_source["out_of_fold"]["mine"]["negatives"] >= constraint["texts"]
    cuts = {"0.5", "fitted", "fitted to accuracy", "operating point"}
    assert set(result.metrics["test"]) == cuts
    evidence = artifact.load(tmp_path / "artifact").evidence
    assert evidence is not None
    assert evidence.groups == {"texts": ("mine",)}
    texts, labels = evaluation.read_test_fold(manifest, run.dataset)
    scores = classifier.scores(texts)
    assert manifest.threshold is not None
    found = evaluate(labels, scores, manifest.threshold, calibrated=True)
    assert result.metrics["test"]["operating point"] == pytest.approx(found)
    test = manifest.by_source["test"]["mine"]
    assert test["recall"] == pytest.approx((scores[labels == 1] >= manifest.threshold).mean())
    assert test["positives"] == (labels == 1).sum()
    assert manifest.windows is not None
    assert {one["words"] for one in manifest.threshold_rule["long_texts"]} <= {60, 150, 300}


def test_a_wrong_point_is_reported_before_any_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(experiment, "out_of_fold")
    config = changed(FOLDED, operating_point="fpr<=0.1[mail]")
    for act in (fits_of_folds, lambda run: train(run, tmp_path / "artifact")):
        with pytest.raises(ConfigurationError, match="'mail' is neither a group nor"):
            act(Run(config, Protocol.GROUPED, seed=0))


@pytest.mark.usefixtures("tiny_type")
def test_more_than_two_labels_out_of_fold(tmp_path: Path) -> None:
    config = changed(CLASSES, out_of_fold=True, restore="last")
    classifier, result = carry_out(Run(config, Protocol.GROUPED, seed=0), tmp_path)
    assert set(result.metrics) == {"out_of_fold", "test"}
    assert classifier.manifest.threshold_rule is classifier.manifest.by_source is None
    assert result.held_out["argmax"]["macro_f1"] > 0.5


def test_the_fits_of_folds_are_those_that_training_needs(tmp_path: Path) -> None:
    config = changed(FOLDED, epochs=1, layer_rate=0.0123)
    run = Run(config, Protocol.PAPER, seed=4)
    fits = fits_of_folds(run)
    assert [fit.path().exists() for fit in fits] == [False] * 5
    carry_out(run, tmp_path)
    assert [fit.path().exists() for fit in fits] == [True] * 5
    assert fits_of_folds(replace(run, config=changed(config, out_of_fold=False))) == []


def test_a_rule_on_validation_is_recorded_too(tmp_path: Path) -> None:
    classifier, _ = carry_out(Run(changed(epochs=1), Protocol.GROUPED, seed=0), tmp_path)
    manifest = classifier.manifest
    assert manifest.threshold_rule == {"criterion": "macro_f1", "fitted_on": "validation"}
    assert manifest.by_source is not None
    assert set(manifest.by_source) == {"validation", "test"}

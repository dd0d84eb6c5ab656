"""A whole run: data set → folds → fit → artifact → metrics of what the artifact says."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dandelion import artifact as artifacts
from dandelion.artifact import Artifact, Golden
from dandelion.classifier import Classifier
from dandelion.decision.threshold import fit_threshold
from dandelion.manifest import Manifest
from dandelion.quantization import quantize
from dandelion.text.grams import Features
from dandelion.text.tokenizer import tokenize

from .configuration import Configuration, Sampling
from .data import custom_data, datasets
from .data.custom_data import CustomData
from .data.datasets import Dataset
from .data.splits import Protocol, Split, sample, split, thin
from .errors import ConfigurationError, DatasetError
from .fitting.trainer import Fold, OnEpoch, fit, ignore_epoch, sampled_priors
from .losses.registry import LOSSES
from .model import bags, embeddings, vocabulary
from .quality import slices
from .quality.metrics import (
    ARGMAX,
    FITTED,
    FITTED_TO_ACCURACY,
    HALF,
    Labels,
    Metrics,
    Scores,
    evaluate,
    evaluate_classes,
    is_collapsed,
    majority,
    majority_of_classes,
    prevalence_weights,
)

# Made up, harmless; an empty text and unknown words are among them on purpose.
GOLDEN_TEXTS = (
    "",
    "Are we still meeting for lunch tomorrow at 12?",
    "WINNER!! Claim your free £1000 prize now, call 09012345678",
    "The garden looks lovely this spring 🌼",
    "@alex check https://example.org for the recipe",
    "Nobody wants you on this team, just leave",
    "zzxqj qqwv",
)

T = TypeVar("T")

_LIBRARIES = ("numpy", "safetensors", "scikit-learn", "torch")

_read_dataset = lru_cache(maxsize=4)(datasets.load)
_load_vectors = lru_cache(maxsize=1)(embeddings.load)


@dataclass(frozen=True, slots=True)
class Run:
    """What to train: a configuration, on which texts and folds, from which seed.

    Attributes:
        config: the variant.
        protocol: how the data set is split.
        seed: of split and initialisation.
        read_test: whether the test fold is looked at; choosing anything must not.
        glove: a file of word vectors; by default the pip package's.
        custom: a file to learn from; by default the data set of the configuration's model.
        sample_rows: learn from so many rows alone, chosen by whole groups; None for all.
        minority_share: leave out texts of the smaller class until it has this share of training
            and validation; the test fold stays whole, its texts weighted to the same share.
        keep_artifact: whether the artifact is kept beside the figures.
    """

    config: Configuration
    protocol: Protocol
    seed: int
    read_test: bool = True
    glove: Path | None = None
    custom: CustomData | None = None
    sample_rows: int | None = None
    minority_share: float | None = None
    keep_artifact: bool = True


@lru_cache(maxsize=4)
def _load_dataset(model: str, custom: CustomData | None, sample_rows: int | None) -> Dataset:
    dataset = _read_dataset(model) if custom is None else custom_data.read(custom).dataset
    if sample_rows is None:
        return dataset
    rows = sample(dataset, sample_rows)
    return replace(dataset, texts=_pick(dataset.texts, rows), labels=dataset.labels[rows])


@lru_cache(maxsize=2)
def _tokens(
    model: str, custom: CustomData | None, sample_rows: int | None
) -> tuple[list[str], ...]:
    return tuple(map(tokenize, _load_dataset(model, custom, sample_rows).texts))


@lru_cache(maxsize=2)
def _bags(
    model: str, custom: CustomData | None, sample_rows: int | None, features: Features
) -> bags.Bags:
    return bags.count(_load_dataset(model, custom, sample_rows).texts, features)


def _types(run: Run, dataset: Dataset) -> Labels:
    """Return the finer classes of a data set's texts, int64[n].

    Raises:
        ConfigurationError: the data set has none.
    """
    finer = datasets.FINER.get(run.config.model)
    if finer is None or run.custom is not None:
        raise ConfigurationError(
            f"types_weight is {run.config.types_weight}, but {dataset.name} has no finer classes; "
            "set it to 0"
        )
    return _load_dataset(finer, None, run.sample_rows).labels


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave, all of it JSON.

    Attributes:
        metrics: fold → threshold (``0.5``, ``fitted``, ``fitted to accuracy``) → metric → value.
            Beyond two labels there is one, ``argmax``.
        threshold: fitted on validation; None beyond two labels.
        collapsed: whether it answers like a constant at 0.5, on the last fold that was read.
        history: an entry an epoch, see `Epoch`.
        kept_epoch: counted from 1.
        train_seconds: of wall time, for the fit.
        bytes: of the artifact.
        rows: fold → how many texts it has of each class.
        slices: error rates on the test fold, see `training.quality.slices`; None where it was not
            read, and beyond two labels.
    """

    metrics: dict[str, dict[str, Metrics]]
    threshold: float | None
    collapsed: bool
    history: list[dict[str, Any]]
    kept_epoch: int
    train_seconds: float
    bytes: int
    rows: dict[str, list[int]]
    slices: dict[str, dict[str, Any]] | None


def train(run: Run, directory: Path, on_epoch: OnEpoch = ignore_epoch) -> tuple[Manifest, Result]:
    """Carry a run out and write its artifact to ``directory``.

    Metrics, threshold and golden scores are those of the network as stored, not as fitted.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    config = run.config
    source = (config.model, run.custom, run.sample_rows)
    dataset = _load_dataset(*source)
    if LOSSES[config.loss].task != dataset.task:
        fitting = [name for name, loss in LOSSES.items() if loss.task == dataset.task]
        raise ConfigurationError(
            f"the loss {config.loss!r} is for a {LOSSES[config.loss].task} task, but "
            f"{dataset.name} has {len(dataset.label_names)} labels; choose {', '.join(fitting)}"
        )
    vectors = _load_vectors(run.glove, config.dimensions)
    folds = _thinned(run, dataset, split(dataset, run.protocol, run.seed))
    features = None if config.wide is None else config.wide.features()
    types = _types(run, dataset) if config.types_weight else None
    tokenized = _tokens(*source)
    train_tokens = _pick(tokenized, folds.train)
    words, embedding = vocabulary.build(train_tokens, vectors, config)
    fitting_folds = {
        name: Fold(
            words.look_up(_pick(tokenized, rows)),
            dataset.labels[rows],
            None if features is None else _bags(*source, features).take(rows),
            None if types is None else types[rows],
        )
        for name, rows in (("train", folds.train), ("validation", folds.validation))
    }
    fitted = fit(
        config,
        fitting_folds["train"],
        fitting_folds["validation"],
        embedding=embedding,
        classes=len(dataset.label_names),
        seed=run.seed,
        on_epoch=on_epoch,
    )

    network = quantize(fitted.network, config.precision)
    manifest = Manifest(
        model=config.model,
        variant=config.variant,
        task=dataset.task,
        labels=dataset.label_names,
        loss=config.loss,
        threshold=0.5 if dataset.task == "binary" else None,
        score_kind=LOSSES[config.loss].score_kind,
        precision=config.precision,
        config=config.model_dump(mode="json", exclude={"shipped"}) | {"embeddings": vectors.name},
        dataset={
            "name": dataset.name,
            "sha256": dataset.sha256,
            "rows": len(dataset.texts),
            "shares": (np.bincount(dataset.labels) / len(dataset.labels)).tolist(),
        },
        protocol=str(run.protocol),
        split=folds.sizes() | {"sha256": folds.sha256()},
        seed=run.seed,
        metrics={},
        library_versions=library_versions(),
        features=None if features is None else asdict(features),
        sampling=_sampling(config, dataset.labels[folds.train]),
        timings={
            "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "train_seconds": round(fitted.seconds, 2),
        },
    )
    # As it will be served: what is measured is the artifact, from raw text.
    # The same engine on every machine, whether it has a compiler or not: to the last digit.
    classifier = Classifier(Artifact(manifest, words, network, Golden((), ())), engine="numpy")
    read = ("validation", "test") if run.read_test else ("validation",)
    labels = {name: dataset.labels[folds.rows()[name]] for name in read}
    scores = {name: classifier.scores(_pick(dataset.texts, folds.rows()[name])) for name in read}
    threshold, metrics = _metrics(run, manifest.score_kind, labels, scores)
    found_slices = None
    if run.read_test and threshold is not None:
        texts = _pick(dataset.texts, folds.test)
        found_slices = slices.slices(texts, labels["test"], scores["test"], threshold)
    golden = Golden(GOLDEN_TEXTS, tuple(classifier.scores(GOLDEN_TEXTS).tolist()))
    described = metrics if found_slices is None else metrics | {"slices": found_slices}
    manifest = replace(manifest, threshold=threshold, metrics=described)
    manifest = artifacts.save(Artifact(manifest, words, network, golden), directory)
    return manifest, Result(
        metrics=metrics,
        threshold=threshold,
        # Weighted to validation's shares, a thinned run's test fold has that fold's constants.
        collapsed=_is_collapsed(
            labels[read[-1] if run.minority_share is None else "validation"], metrics[read[-1]]
        ),
        history=[asdict(epoch) for epoch in fitted.history],
        kept_epoch=fitted.kept_epoch,
        train_seconds=fitted.seconds,
        bytes=sum(file.stat().st_size for file in directory.iterdir()),
        rows={
            name: np.bincount(dataset.labels[rows]).tolist() for name, rows in folds.rows().items()
        },
        slices=found_slices,
    )


def _thinned(run: Run, dataset: Dataset, folds: Split) -> Split:
    """Leave texts of the smaller class out of training and validation, if the run asks for it."""
    if run.minority_share is None:
        return folds
    minority = int(np.bincount(dataset.labels).argmin())
    rows = {
        name: thin(dataset.labels, fold, minority=minority, share=run.minority_share, seed=run.seed)
        for name, fold in (("train", folds.train), ("validation", folds.validation))
    }
    return replace(folds, **rows)


def _metrics(
    run: Run, score_kind: str, labels: dict[str, Labels], scores: dict[str, Scores]
) -> tuple[float | None, dict[str, dict[str, Metrics]]]:
    """Fit the threshold on validation, and compute every metric of every fold that was read."""
    if score_kind == "softmax":
        return None, {
            name: {ARGMAX: evaluate_classes(labels[name], scores[name])} for name in scores
        }
    threshold, _ = fit_threshold(labels["validation"], scores["validation"])
    accurate, _ = fit_threshold(labels["validation"], scores["validation"], "accuracy")
    metrics = {}
    for name, fold in labels.items():
        weights = None
        if name == "test" and run.minority_share is not None:
            weights = prevalence_weights(fold, float(labels["validation"].mean()))
        metrics[name] = {
            cut: evaluate(fold, scores[name], value, score_kind=score_kind, weights=weights)
            for cut, value in (
                (HALF, 0.5),
                (FITTED, threshold),
                (FITTED_TO_ACCURACY, accurate),
            )
        }
    return threshold, metrics


def _is_collapsed(labels: Labels, metrics: dict[str, Metrics]) -> bool:
    if HALF in metrics:
        return is_collapsed(labels, metrics[HALF])
    return sum(map(any, zip(*metrics[ARGMAX]["confusion_matrix"], strict=True))) == 1


def _sampling(config: Configuration, labels: Labels) -> dict[str, Any] | None:
    """Tell how training changed the classes' shares, for whoever calibrates scores."""
    if config.sampling is Sampling.NONE:
        return None
    return {
        "method": str(config.sampling),
        "prior": (np.bincount(labels) / len(labels)).tolist(),
        "sampled_prior": sampled_priors(labels, config).tolist(),
    }


def read_test_fold(
    manifest: Manifest, custom: CustomData | None = None
) -> tuple[tuple[str, ...], Labels]:
    """Return the texts and labels that an artifact's test metrics were computed on.

    Raises:
        TrainingError: the data set is missing, or another one than the artifact learnt from.
    """
    dataset, folds = _split_of(manifest, custom)
    return _pick(dataset.texts, folds.test), dataset.labels[folds.test]


def majority_metrics(manifest: Manifest, custom: CustomData | None = None) -> Metrics:
    """Compute the metrics of the majority class on an artifact's test fold.

    Raises:
        TrainingError: the data set is missing, or another one than the artifact learnt from.
    """
    dataset, folds = _split_of(manifest, custom)
    train, test = dataset.labels[folds.train], dataset.labels[folds.test]
    if dataset.task == "binary":
        return majority(train, test)
    return majority_of_classes(train, test, len(dataset.label_names))


def _split_of(manifest: Manifest, custom: CustomData | None) -> tuple[Dataset, Split]:
    dataset = _load_dataset(manifest.model, custom, None)
    folds = split(dataset, Protocol(manifest.protocol), manifest.seed)
    for what, found, expected in (
        ("data set", dataset.sha256, manifest.dataset["sha256"]),
        ("split", folds.sha256(), manifest.split["sha256"]),
    ):
        if found != expected:
            raise DatasetError(
                f"{manifest.model}/{manifest.variant}: its {what} has SHA-256 {expected}, the one "
                f"here {found}, so its test fold may hold texts it was trained on. "
                "Restore the file (and scikit-learn's version), or train the artifact again."
            )
    return dataset, folds


def library_versions() -> dict[str, str]:
    """Name the versions of what a run's numbers depend on."""
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version()} | versions


def _pick(items: Sequence[T], rows: Labels) -> tuple[T, ...]:
    return tuple(items[row] for row in rows.tolist())

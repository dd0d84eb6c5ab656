"""A whole run: data set → folds → fit → artifact → metrics of what the artifact says."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from dandelion import artifact as artifacts
from dandelion.artifact import Artifact, Golden, Manifest
from dandelion.tokenizer import tokenize

from . import datasets, embeddings, vocabulary
from .configuration import Configuration
from .datasets import Dataset
from .errors import DatasetError
from .evaluation import (
    FITTED,
    FITTED_TO_ACCURACY,
    HALF,
    Labels,
    evaluate_at,
    fit_threshold,
    is_collapsed,
    majority,
)
from .splits import Protocol, Split, split
from .trainer import Fold, OnEpoch, fit, ignore_epoch

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

_load_dataset = lru_cache(maxsize=4)(datasets.load)
_load_vectors = lru_cache(maxsize=1)(embeddings.load)


@lru_cache(maxsize=4)
def _tokens(model: str) -> tuple[list[str], ...]:
    return tuple(map(tokenize, _load_dataset(model).texts))


@dataclass(frozen=True, slots=True)
class Run:
    """What to train: a configuration, on which folds, from which seed.

    Attributes:
        config: the variant.
        protocol: how the data set is split.
        seed: of split and initialisation.
        read_test: whether the test fold is looked at; choosing anything must not.
        glove: a file of word vectors; by default the pip package's.
    """

    config: Configuration
    protocol: Protocol
    seed: int
    read_test: bool = True
    glove: Path | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave, all of it JSON.

    Attributes:
        metrics: fold → threshold (``0.5``, ``fitted``, ``fitted to accuracy``) → metric → value.
        threshold: fitted on validation.
        collapsed: whether it answers like a constant at 0.5, on the last fold that was read.
        history: an entry an epoch, see `Epoch`.
        kept_epoch: counted from 1.
        train_seconds: of wall time, for the fit.
        bytes: of the artifact.
    """

    metrics: dict[str, dict[str, dict[str, float]]]
    threshold: float
    collapsed: bool
    history: list[dict[str, Any]]
    kept_epoch: int
    train_seconds: float
    bytes: int


def train(run: Run, directory: Path, on_epoch: OnEpoch = ignore_epoch) -> tuple[Manifest, Result]:
    """Carry a run out and write its artifact to ``directory``.

    Metrics, threshold and golden scores are those of the network as stored, not as fitted.

    Raises:
        TrainingError: data set or word vectors are missing or wrong.
    """
    config = run.config
    dataset = _load_dataset(config.model)
    vectors = _load_vectors(run.glove, config.dimensions)
    folds = split(dataset, run.protocol, run.seed)
    texts = {name: _pick(_tokens(config.model), rows) for name, rows in folds.rows().items()}
    words, embedding = vocabulary.build(texts["train"], vectors, config)
    tokens = {name: words.look_up(tokenized) for name, tokenized in texts.items()}
    labels = {name: dataset.labels[rows] for name, rows in folds.rows().items()}

    fitted = fit(
        config,
        Fold(tokens["train"], labels["train"]),
        Fold(tokens["validation"], labels["validation"]),
        embedding=embedding,
        seed=run.seed,
        on_epoch=on_epoch,
    )

    network = artifacts.quantize(fitted.network, config.precision)
    read = ("validation", "test") if run.read_test else ("validation",)
    scores = {name: network.scores(tokens[name]) for name in read}
    threshold, _ = fit_threshold(labels["validation"], scores["validation"])
    accurate, _ = fit_threshold(labels["validation"], scores["validation"], "accuracy")
    thresholds = {HALF: 0.5, FITTED: threshold, FITTED_TO_ACCURACY: accurate}
    metrics = {name: evaluate_at(labels[name], scores[name], thresholds) for name in read}
    golden_scores = network.scores(words.encode(GOLDEN_TEXTS)).tolist()
    manifest = Manifest(
        model=config.model,
        variant=config.variant,
        task="binary",
        labels=dataset.label_names,
        loss=config.loss,
        threshold=threshold,
        score_kind="sigmoid",
        precision=config.precision,
        config=config.model_dump() | {"embeddings": vectors.name},
        dataset={
            "name": dataset.name,
            "sha256": dataset.sha256,
            "rows": len(dataset.texts),
            "positive_share": float(dataset.labels.mean()),
        },
        protocol=str(run.protocol),
        split=folds.sizes() | {"sha256": folds.sha256()},
        seed=run.seed,
        metrics=metrics,
        library_versions=library_versions(),
        timings={
            "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "train_seconds": round(fitted.seconds, 2),
        },
    )
    artifact = Artifact(manifest, words, network, Golden(GOLDEN_TEXTS, tuple(golden_scores)))
    manifest = artifacts.save(artifact, directory)
    return manifest, Result(
        metrics=metrics,
        threshold=threshold,
        collapsed=is_collapsed(labels[read[-1]], metrics[read[-1]][HALF]),
        history=[asdict(epoch) for epoch in fitted.history],
        kept_epoch=fitted.kept_epoch,
        train_seconds=fitted.seconds,
        bytes=sum(file.stat().st_size for file in directory.iterdir()),
    )


def test_fold(manifest: Manifest) -> tuple[tuple[str, ...], Labels]:
    """Return the texts and labels that an artifact's test metrics were computed on.

    Raises:
        TrainingError: the data set is missing, or another one than the artifact learnt from.
    """
    dataset, folds = _split_of(manifest)
    return _pick(dataset.texts, folds.test), dataset.labels[folds.test]


def majority_metrics(manifest: Manifest) -> dict[str, float]:
    """Compute the metrics of the majority class on an artifact's test fold.

    Raises:
        TrainingError: the data set is missing, or another one than the artifact learnt from.
    """
    dataset, folds = _split_of(manifest)
    return majority(dataset.labels[folds.train], dataset.labels[folds.test])


def _split_of(manifest: Manifest) -> tuple[Dataset, Split]:
    dataset = _load_dataset(manifest.model)
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

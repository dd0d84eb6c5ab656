"""An experiment: prepare → fit → judge → describe, and the artifact is written.

`train` carries out a `Run`. What is judged is the network as it is stored, not as it was fitted.
"""

import platform
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Final, NotRequired, TypedDict, TypeVar

import numpy as np

from dandelion import artifact as artifacts
from dandelion.artifact import Artifact, Golden
from dandelion.manifest import Manifest

from .configuration import Configuration, Sampling
from .data import datasets, sources
from .data.datasets import Dataset
from .data.near_copies import sample
from .data.splits import Protocol, Split, split, subsample
from .errors import ConfigurationError
from .fitting.batches import sampling_record
from .fitting.trainer import Epoch, OnEpoch, ignore_epoch
from .learning import Encoded, Learned, encode, fit_encoded
from .losses.registry import LOSSES
from .model import embeddings
from .quality.judgement import FoldName, Judgement, Scored, judge
from .quality.metrics import ByCut, Labels
from .quality.slices import Rates, Slice, slices

# Made up and harmless; an empty text and unknown words are among them on purpose.
GOLDEN_TEXTS: Final = (
    "",
    "Are we still meeting for lunch tomorrow at 12?",
    "WINNER!! Claim your free £1000 prize now, call 09012345678",
    "The garden looks lovely this spring 🌼",
    "@alex check https://example.org for the recipe",
    "Nobody wants you on this team, just leave",
    "zzxqj qqwv",
)

_LIBRARIES = ("numpy", "safetensors", "scikit-learn", "torch")

T = TypeVar("T")

_load_vectors = lru_cache(maxsize=1)(embeddings.load)


@dataclass(frozen=True, slots=True)
class Run:
    """What to train: a configuration, on which texts and folds, from which seed.

    Attributes:
        config: the variant.
        protocol: how the data set is split.
        seed: of split and initialisation.
        read_test: whether the test fold is read; a run that serves to choose something must not.
        glove: a file of word vectors; by default the pip package's.
        dataset: custom data to learn from; by default the configuration's sources.
        sample_rows: how many rows to learn from, chosen by whole groups; None for all.
        minority_share: leave out texts of the smaller class until it has this share of training
            and validation; the test fold stays whole, its texts weighted to the same share.
        keep_artifact: whether the artifact is kept along with the figures.
    """

    config: Configuration
    protocol: Protocol
    seed: int
    read_test: bool = True
    glove: Path | None = None
    dataset: Dataset | None = None
    sample_rows: int | None = None
    minority_share: float | None = None
    keep_artifact: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a fit of a run needs.

    Attributes:
        dataset: the run's texts and labels.
        split: its folds.
        encoded: training and validation fold.
    """

    dataset: Dataset
    split: Split
    encoded: Encoded


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of a run, all of them JSON.

    Attributes:
        metrics: fold → cut → metrics, of the folds that were read.
        threshold: fitted on validation; None with more than two labels.
        collapsed: whether it decides like a constant, on the last fold that was read.
        history: an entry per epoch.
        kept_epoch: counted from 1.
        train_seconds: of wall time, for the fit.
        bytes: of the artifact.
        rows: fold → the number of texts of each label.
        slices: error rates on the test fold; None if it was not read, and with more than two
            labels.
    """

    metrics: dict[FoldName, ByCut]
    threshold: float | None
    collapsed: bool
    history: list[Epoch]
    kept_epoch: int
    train_seconds: float
    bytes: int
    rows: dict[FoldName, list[int]]
    slices: dict[Slice, Rates] | None


class MetricsRecord(TypedDict):
    """What an artifact's manifest has as its ``metrics``."""

    validation: ByCut
    test: NotRequired[ByCut]
    slices: NotRequired[dict[Slice, Rates]]


class Timings(TypedDict):
    """What an artifact's manifest has as its ``timings``."""

    trained_at: str
    train_seconds: float


def train(run: Run, directory: Path, on_epoch: OnEpoch = ignore_epoch) -> tuple[Manifest, Result]:
    """Carry out a run and write its artifact to ``directory``.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    prepared = prepare(run)
    learned = fit_encoded(
        run.config, prepared.dataset, prepared.encoded, seed=run.seed, on_epoch=on_epoch
    )
    judgement, found_slices = judge_network(run, prepared, learned)
    manifest = describe(run, prepared, learned, judgement, found_slices)
    golden = Golden(GOLDEN_TEXTS, tuple(learned.scores(GOLDEN_TEXTS).tolist()))
    artifact = Artifact(manifest, learned.vocabulary, learned.network, golden)
    return artifacts.save(artifact, directory), Result(
        metrics=judgement.metrics,
        threshold=judgement.threshold,
        collapsed=judgement.collapsed,
        history=list(learned.fit.history),
        kept_epoch=learned.fit.kept_epoch,
        train_seconds=learned.fit.seconds,
        bytes=sum(file.stat().st_size for file in directory.iterdir()),
        rows=_rows(prepared),
        slices=found_slices,
    )


def texts_of(run: Run) -> Dataset:
    """Return the texts of a run, before any are sampled.

    Raises:
        DatasetError: a file is missing or damaged, or the configuration's sources do not fit.
    """
    if run.dataset is not None:
        return run.dataset
    config = run.config
    return sources.dataset_of(config.model, config.sources, match_length=config.match_length)


def prepare(run: Run) -> Prepared:
    """Read, split and encode the texts of a run.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    config = run.config
    dataset = _dataset(run)
    _require_fitting_loss(config, dataset)
    _require_one_draw(config, dataset)
    types = _types(run, dataset) if config.types_weight else None
    folds = _subsampled(run, dataset, split(dataset, run.protocol, run.seed))
    encoded = encode(config, dataset, folds.train, folds.validation, types=types, glove=run.glove)
    return Prepared(dataset, folds, encoded)


def judge_network(
    run: Run, prepared: Prepared, learned: Learned
) -> tuple[Judgement, dict[Slice, Rates] | None]:
    """Score the folds that a run may read, from raw text, as they will be served.

    Returns:
        The judgement; and the error rates on slices of the test fold, if it was read and there are
        two labels.
    """
    dataset, folds = prepared.dataset, prepared.split

    def scored(rows: Labels) -> Scored:
        texts, labels = dataset.take(rows)
        return Scored(labels, learned.scores(texts))

    test = scored(folds.test) if run.read_test else None
    judgement = judge(
        LOSSES[run.config.loss].score_kind,
        scored(folds.validation),
        test,
        reweight_test=run.minority_share is not None,
    )
    if test is None or judgement.threshold is None:
        return judgement, None
    texts, _ = dataset.take(folds.test)
    return judgement, slices(texts, test.labels, test.scores, judgement.threshold)


def describe(
    run: Run,
    prepared: Prepared,
    learned: Learned,
    judgement: Judgement,
    found_slices: dict[Slice, Rates] | None,
) -> Manifest:
    """Write down what there is to know about a run's artifact."""
    config, dataset = run.config, prepared.dataset
    metrics = MetricsRecord(validation=judgement.metrics["validation"])
    if "test" in judgement.metrics:
        metrics["test"] = judgement.metrics["test"]
    if found_slices is not None:
        metrics["slices"] = found_slices
    return Manifest(
        model=config.model,
        variant=config.variant,
        task=dataset.task,
        labels=dataset.label_names,
        loss=config.loss,
        threshold=judgement.threshold,
        score_kind=LOSSES[config.loss].score_kind,
        precision=config.precision,
        config=config.model_dump(mode="json", exclude={"shipped"})
        | {"embeddings": prepared.encoded.embeddings},
        dataset=dataset.record(),
        protocol=str(run.protocol),
        split=prepared.split.record(),
        seed=run.seed,
        metrics=metrics,
        library_versions=library_versions(),
        features=None if learned.features is None else asdict(learned.features),
        sampling=sampling_record(prepared.encoded.train, config),
        windows=None if learned.windows is None else asdict(learned.windows),
        timings=Timings(
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
            train_seconds=round(learned.fit.seconds, 2),
        ),
    )


def library_versions() -> dict[str, str]:
    """Return the versions of what a run's numbers depend on."""
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version()} | versions


def _dataset(run: Run) -> Dataset:
    dataset = texts_of(run)
    return dataset if run.sample_rows is None else _sampled(dataset, run.sample_rows)


@lru_cache(maxsize=4)
def _sampled(dataset: Dataset, sample_rows: int) -> Dataset:
    return dataset.subset(sample(dataset, sample_rows))


def _require_fitting_loss(config: Configuration, dataset: Dataset) -> None:
    """Refuse a loss for another kind of task than the data set's.

    Raises:
        ConfigurationError: it is.
    """
    task = LOSSES[config.loss].task
    if task != dataset.task:
        fitting = [name for name, loss in LOSSES.items() if loss.task == dataset.task]
        raise ConfigurationError(
            f"the loss {config.loss!r} is for a {task} task, but {dataset.name} has "
            f"{len(dataset.label_names)} labels; choose {', '.join(fitting)}"
        )


def _require_one_draw(config: Configuration, dataset: Dataset) -> None:
    """Refuse to draw texts by weights and by classes at once.

    Raises:
        ConfigurationError: that is asked for.
    """
    if dataset.weights is not None and config.sampling is not Sampling.NONE:
        raise ConfigurationError(
            f"sampling is {str(config.sampling)!r}, but weights, of sources or of lengths, decide "
            'how often a text is drawn; set sampling = "none"'
        )


def _types(run: Run, dataset: Dataset) -> Labels:
    """Return the finer classes of a data set's texts, int64[n].

    Raises:
        ConfigurationError: the data set has none.
    """
    finer = datasets.FINER.get(run.config.model)
    if finer is None or run.dataset is not None or run.config.sources:
        raise ConfigurationError(
            f"types_weight is {run.config.types_weight}, but {dataset.name} has no finer classes; "
            "set it to 0"
        )
    types = datasets.load(finer)
    return types.labels if run.sample_rows is None else _sampled(types, run.sample_rows).labels


def _subsampled(run: Run, dataset: Dataset, folds: Split) -> Split:
    """Leave texts of the smaller class out of training and validation, if the run asks for it."""
    if run.minority_share is None:
        return folds
    minority = int(np.bincount(dataset.labels).argmin())
    train_rows, validation_rows = (
        subsample(dataset.labels, rows, minority=minority, share=run.minority_share, seed=run.seed)
        for rows in (folds.train, folds.validation)
    )
    return replace(folds, train=train_rows, validation=validation_rows)


def _rows(prepared: Prepared) -> dict[FoldName, list[int]]:
    labels, folds = prepared.dataset.labels, prepared.split
    return {
        "train": np.bincount(labels[folds.train]).tolist(),
        "validation": np.bincount(labels[folds.validation]).tolist(),
        "test": np.bincount(labels[folds.test]).tolist(),
    }

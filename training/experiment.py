"""An experiment: prepare → fit → judge → describe, and the artifact is written.

`train` carries out a `Run`. What is judged is the network as it is stored, not as it was fitted.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, NotRequired, TypedDict

import numpy as np

from dandelion import artifact as artifacts
from dandelion.artifact import Artifact, Golden
from dandelion.decision.calibration import IDENTITY
from dandelion.manifest import Manifest

from .calibration import calibrated
from .configuration import MACRO_F1, Configuration
from .data import datasets, sources
from .data.datasets import Dataset
from .data.near_copies import groups, sample
from .data.splits import Protocol, Split, split, subsample
from .decisions import Decided, decide
from .errors import ConfigurationError
from .fitting.batches import sampling_record
from .fitting.trainer import Epoch, OnEpoch, ignore_epoch
from .learning import Encoded, encode, fit_encoded
from .losses.registry import LOSSES
from .out_of_fold import FoldFit, OutOfFold, fold_fits, origins_of, out_of_fold
from .preconditions import (
    require_fitting_loss,
    require_one_draw,
    require_possible_point,
)
from .provenance import library_versions
from .quality.by_source import SourceRates, by_source
from .quality.judgement import FoldName, HeldOut, Judgement, Scored, judge
from .quality.metrics import FITTED, OPERATING_POINT, ByCut, Cut, Labels
from .quality.slices import Rates, Slice, slices
from .thresholds import ThresholdRule

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
        config: of the fit; the run's, but with the epochs that were found out of fold.
        encoded: training and validation fold; the former contains the latter if out-of-fold logits
            take its place.
        out_of_fold: logits of both; None if the run's configuration asks for none.
    """

    dataset: Dataset
    split: Split
    config: Configuration
    encoded: Encoded
    out_of_fold: OutOfFold | None


@dataclass(frozen=True, slots=True)
class Judged:
    """How good a network is, and at which threshold.

    Attributes:
        judgement: the metrics of every fold that was read.
        slices: error rates on slices of the test fold; None if it was not read, and with more than
            two labels.
        threshold_rule: how the threshold was chosen; None with more than two labels.
        by_source: fold → source → rates at the threshold; None with more than two labels.
    """

    judgement: Judgement
    slices: dict[Slice, Rates] | None
    threshold_rule: ThresholdRule | None
    by_source: dict[str, dict[str, SourceRates]] | None


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of a run, all of them JSON.

    Attributes:
        metrics: fold → cut → metrics, of the folds that were read; ``out_of_fold`` stands in for
            ``validation`` where the threshold was fitted out of fold.
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

    @property
    def held_out(self) -> ByCut:
        """The metrics on the texts that thresholds were fitted on."""
        return self.metrics["out_of_fold" if "out_of_fold" in self.metrics else "validation"]


class MetricsRecord(TypedDict):
    """What an artifact's manifest has as its ``metrics``: one of the first two, and the others."""

    validation: NotRequired[ByCut]
    out_of_fold: NotRequired[ByCut]
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
        prepared.config, prepared.dataset, prepared.encoded, seed=run.seed, on_epoch=on_epoch
    )
    decided = decide(
        run.config,
        learned,
        prepared.dataset,
        prepared.split.validation,
        prepared.out_of_fold,
        _groups(run, prepared.dataset),
    )
    learned = decided.learned
    judged = judge_network(run, prepared, decided)
    judgement = judged.judgement
    manifest = describe(run, prepared, decided, judged)
    golden = Golden(GOLDEN_TEXTS, tuple(learned.scores(GOLDEN_TEXTS).tolist()))
    evidence = None if decided.choice is None else decided.choice.evidence
    artifact = Artifact(manifest, learned.vocabulary, learned.network, golden, evidence)
    return artifacts.save(artifact, directory), Result(
        metrics=judgement.metrics,
        threshold=judgement.threshold,
        collapsed=judgement.collapsed,
        history=list(learned.fit.history),
        kept_epoch=learned.fit.kept_epoch,
        train_seconds=learned.fit.seconds,
        bytes=sum(file.stat().st_size for file in directory.iterdir()),
        rows=_rows(prepared),
        slices=judged.slices,
    )


def fits_of_folds(run: Run) -> list[FoldFit]:
    """Return the fits whose logits a run's threshold is fitted on; none if it needs none.

    `train` carries them out one after the other, unless they are in the cache.

    Raises:
        TrainingError: data set or configuration are missing or wrong.
    """
    if not run.config.folded:
        return []
    dataset = _dataset(run)
    require_fitting_loss(run.config, dataset)
    require_one_draw(run.config, dataset)
    rows = _learnt(_subsampled(run, dataset, split(dataset, run.protocol, run.seed)))
    require_possible_point(run.config, dataset, rows)
    return fold_fits(
        run.config,
        dataset,
        rows,
        _groups(run, dataset),
        seed=run.seed,
        types=_types(run, dataset) if run.config.types_weight else None,
        glove=run.glove,
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
    """Read, split and encode the texts of a run, and find its out-of-fold logits.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    config = run.config
    dataset = _dataset(run)
    require_fitting_loss(config, dataset)
    require_one_draw(config, dataset)
    types = _types(run, dataset) if config.types_weight else None
    folds = _subsampled(run, dataset, split(dataset, run.protocol, run.seed))
    found, rows = None, folds.train
    if config.folded:
        rows = _learnt(folds)
        require_possible_point(config, dataset, rows)
        found = out_of_fold(
            config,
            dataset,
            rows,
            _groups(run, dataset),
            seed=run.seed,
            types=types,
            glove=run.glove,
        )
        # Nothing is left to stop early by.
        config = config.model_copy(update={"epochs": found.median_epochs, "restore": "last"})
    encoded = encode(config, dataset, rows, folds.validation, types=types, glove=run.glove)
    return Prepared(dataset, folds, config, encoded, found)


def judge_network(run: Run, prepared: Prepared, decided: Decided) -> Judged:
    """Score the folds that a run may read, from raw text, as they will be served."""
    dataset, folds = prepared.dataset, prepared.split
    learned, choice = decided.learned, decided.choice
    calibration = learned.calibration or IDENTITY

    def scored(rows: Labels) -> Scored:
        texts, labels = dataset.take(rows)
        return Scored(labels, learned.scores(texts))

    test = scored(folds.test) if run.read_test else None
    found = prepared.out_of_fold
    name: HeldOut = "validation" if found is None else "out_of_fold"
    if found is None:
        rows, held_out = folds.validation, scored(folds.validation)
    else:
        rows = found.rows
        scores = calibrated(found.logits, calibration) if choice is None else choice.scores
        held_out = Scored(found.labels, scores)
    chosen: tuple[Cut, float] | None = None
    if choice is not None:
        is_default = run.config.operating_point == MACRO_F1
        chosen = FITTED if is_default else OPERATING_POINT, choice.threshold
    judgement = judge(
        LOSSES[run.config.loss].score_kind,
        held_out,
        test,
        held_out=name,
        calibrated=True,
        half=float(calibrated(np.zeros(1, dtype=np.float32), calibration)[0]),
        chosen=chosen,
        reweight_test=run.minority_share is not None,
    )
    threshold = judgement.threshold
    if threshold is None:
        return Judged(judgement, None, None, None)
    origins, names = origins_of(dataset)
    measured: list[tuple[FoldName, Labels, Scored | None]] = [
        (name, rows, held_out),
        ("test", folds.test, test),
    ]
    texts, _ = dataset.take(folds.test)
    return Judged(
        judgement,
        None if test is None else slices(texts, test.labels, test.scores, threshold),
        ThresholdRule(criterion="macro_f1", fitted_on=name) if choice is None else choice.rule,
        {
            fold: by_source(one.labels, origins[its], names, one.scores, threshold)
            for fold, its, one in measured
            if one is not None
        },
    )


def describe(run: Run, prepared: Prepared, decided: Decided, judged: Judged) -> Manifest:
    """Write down what there is to know about a run's artifact."""
    config, dataset, judgement = run.config, prepared.dataset, judged.judgement
    learned = decided.learned
    metrics = MetricsRecord()
    for fold in ("validation", "out_of_fold", "test"):
        if fold in judgement.metrics:
            metrics[fold] = judgement.metrics[fold]
    if judged.slices is not None:
        metrics["slices"] = judged.slices
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
        threshold_rule=judged.threshold_rule,
        by_source=judged.by_source,
        calibration=None if learned.calibration is None else asdict(learned.calibration),
        calibration_fit=decided.calibration_fit,
        operating_point=None if judgement.threshold is None else config.operating_point,
        timings=Timings(
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
            train_seconds=round(learned.fit.seconds, 2),
        ),
    )


def _learnt(folds: Split) -> Labels:
    """Return the rows that the final network learns from if its threshold is fitted out of fold."""
    return np.sort(np.concatenate([folds.train, folds.validation]))


def _groups(run: Run, dataset: Dataset) -> Labels:
    """Number what must stay in one fold, int64[n]: near copies; under ``paper`` single texts."""
    if run.protocol is Protocol.PAPER:
        return np.arange(len(dataset.texts))
    return groups(dataset)


def _dataset(run: Run) -> Dataset:
    dataset = texts_of(run)
    return dataset if run.sample_rows is None else _sampled(dataset, run.sample_rows)


@lru_cache(maxsize=4)
def _sampled(dataset: Dataset, sample_rows: int) -> Dataset:
    return dataset.subset(sample(dataset, sample_rows))


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

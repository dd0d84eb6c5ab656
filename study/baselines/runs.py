"""Fits of the baselines on the folds of a protocol, each kept once it is finished.

A finished fit is found again by what its numbers depend on: texts, labels, folds, seed, library
versions and the code of `models`.
"""

import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from training.cache import code, directory, key, write_whole
from training.data import datasets
from training.data.datasets import Dataset
from training.data.splits import Protocol, split
from training.parallel import side_by_side

from . import models, timing
from .models import BASELINES, BaselineScores, Fitted, ScoreKind

# The seed whose fits are kept as files and timed.
TIMED_SEED: Final = 0

_LIBRARIES = ("numpy", "scikit-learn", "fasttext-community")


@dataclass(frozen=True, slots=True)
class BaselineRun:
    """One baseline fitted on one split.

    Attributes:
        validation_scores: float64[n] of the positive class, or float64[n, k] for k > 2 labels.
        test_scores: the same of the test fold.
        score_kind: see `Fitted.score_kind`.
        train_seconds: wall time from raw texts to the fitted baseline, other fits running at the
            same time.
        bytes: of the uncompressed file that holds everything needed for scoring.
        us_per_text_1: microseconds for a single text, from raw text; null except for `TIMED_SEED`.
        us_per_text_256: microseconds per text in a batch of 256, from raw text; null likewise.
    """

    validation_scores: BaselineScores
    test_scores: BaselineScores
    score_kind: ScoreKind
    train_seconds: float
    bytes: int
    us_per_text_1: float | None
    us_per_text_256: float | None


@dataclass(frozen=True, slots=True)
class _Job:
    """Baselines of one family to fit on one split, and where each fit is kept."""

    model: str
    labels_of: str
    protocol: Protocol
    seed: int
    homes: Mapping[str, Path]


def run_baselines(  # noqa: PLR0913
    model: str,
    seeds: Sequence[int],
    protocol: Protocol,
    *,
    names: Iterable[str] | None = None,
    labels_of: str | None = None,
    workers: int | None = None,
) -> dict[str, list[BaselineRun]]:
    """Fit baselines on every seed's split, in parallel, with a progress bar.

    Finished fits are kept, so that an interrupted series resumes where it stopped.

    Args:
        model: the task, a key of `datasets.SOURCES`; its data set is split.
        seeds: of split and fit.
        protocol: how the data set is split.
        names: of the baselines; by default all.
        labels_of: the task whose labels are learned; by default the same. Its data set must hold
            the same texts, see `datasets.FINER`.
        workers: processes, one thread each; by default one per processor.

    Returns:
        Name of a baseline → one run per seed, in the order of ``seeds``.

    Raises:
        TrainingError: the data set is missing, damaged or too small.
    """
    names = tuple(BASELINES if names is None else names)
    labels_of = labels_of or model
    homes = {seed: _homes(model, labels_of, protocol, seed, names) for seed in seeds}
    jobs = [
        _Job(model, labels_of, protocol, seed, group)
        for seed in homes
        for group in _families(homes[seed])
    ]
    # A seed's last family takes longest; started first, it leaves no processor idle at the end.
    jobs.reverse()
    missing = [job for job in map(_without_kept, jobs) if job.homes]
    title = f"Baselines, {model}, {protocol}"
    done = len(jobs) - len(missing)
    side_by_side(_carry_out, missing, title, _name_of, workers=workers, done=done)
    return {name: [_read(homes[seed][name]) for seed in seeds] for name in names}


def time_baselines(model: str) -> dict[str, tuple[float, float]]:
    """Time the kept fits of `TIMED_SEED`, grouped protocol; fit only what is missing.

    Returns:
        Name of a baseline → microseconds for a single text, and per text in a batch of 256, see
        `timing.microseconds_per_text`.

    Raises:
        TrainingError: the data set is missing, damaged or too small.
    """
    texts = _timed_texts(_dataset(model, datasets.data_directory()))
    return {
        name: timing.microseconds_per_text(BASELINES[name].load(file).scores, texts)
        for name, file in model_files(model).items()
    }


def model_files(model: str) -> dict[str, Path]:
    """Return the files of the fits of `TIMED_SEED`, grouped protocol; fit only what is missing.

    Returns:
        Name of a baseline → a file for its `models.Baseline.load`.

    Raises:
        TrainingError: the data set is missing, damaged or too small.
    """
    run_baselines(model, (TIMED_SEED,), Protocol.GROUPED)
    homes = _homes(model, model, Protocol.GROUPED, TIMED_SEED, tuple(BASELINES))
    return {name: _model_file(home) for name, home in homes.items()}


def _timed_texts(dataset: Dataset) -> tuple[str, ...]:
    return dataset.texts[: timing.TIMED_TEXTS]


def _homes(
    model: str, labels_of: str, protocol: Protocol, seed: int, names: Sequence[str]
) -> dict[str, Path]:
    """Name where each baseline's fit is kept; its files add a suffix."""
    dataset = _dataset(model, datasets.data_directory())
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    folds = split(dataset, protocol, seed).sha256()
    common = (labels_of, protocol, seed, folds, dataset.sha256, versions, code(models.__name__))
    return {name: directory("baselines", key(name, *common)) for name in names}


def _families(homes: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    families: dict[object, dict[str, Path]] = {}
    for name, home in homes.items():
        families.setdefault(BASELINES[name].family, {})[name] = home
    yield from families.values()


def _without_kept(job: _Job) -> _Job:
    homes = {
        name: home
        for name, home in job.homes.items()
        if not _figures_file(home).exists()
        or (job.seed == TIMED_SEED and not _model_file(home).exists())
    }
    return _Job(job.model, job.labels_of, job.protocol, job.seed, homes)


def _name_of(job: _Job) -> str:
    return f"{', '.join(job.homes)}: {job.labels_of}, {job.protocol}, seed {job.seed}"


def _carry_out(job: _Job) -> None:
    place = datasets.data_directory()
    dataset = _dataset(job.model, place)
    labels = _dataset(job.labels_of, place).labels
    rows = split(dataset, job.protocol, job.seed).rows()
    texts = {
        fold: tuple(dataset.texts[row] for row in numbers.tolist())
        for fold, numbers in rows.items()
    }
    for name, home in job.homes.items():
        with threadpool_limits(1):
            fitted, seconds = BASELINES[name].fit(texts["train"], labels[rows["train"]], job.seed)
            scores = {fold: fitted.scores(texts[fold]) for fold in ("validation", "test")}
        timed = job.seed == TIMED_SEED
        alone, batch = (
            timing.microseconds_per_text(fitted.scores, _timed_texts(dataset))
            if timed
            else (None, None)
        )
        figures = {
            "score_kind": fitted.score_kind,
            "train_seconds": round(seconds, 2),
            "bytes": _save(fitted, _model_file(home), keep=timed),
            "us_per_text_1": alone,
            "us_per_text_256": batch,
        }
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **scores)
        write_whole(_scores_file(home), buffer.getvalue())
        # Written last: this file marks the fit as complete.
        write_whole(_figures_file(home), json.dumps(figures).encode())


def _save(fitted: Fitted, path: Path, *, keep: bool) -> int:
    """Save a fitted baseline, return its size in bytes, and move it to ``path`` if it is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".baseline-", dir=path.parent) as aside:
        file = Path(aside) / path.name
        fitted.save(file)
        size = file.stat().st_size
        if keep:
            file.replace(path)
    return size


def _read(home: Path) -> BaselineRun:
    with np.load(_scores_file(home), allow_pickle=False) as scores:
        return BaselineRun(
            scores["validation"],
            scores["test"],
            **json.loads(_figures_file(home).read_text(encoding="utf-8")),
        )


def _scores_file(home: Path) -> Path:
    return home.with_suffix(".npz")


def _figures_file(home: Path) -> Path:
    return home.with_suffix(".json")


def _model_file(home: Path) -> Path:
    return home.with_suffix(".model")


@lru_cache(maxsize=2)
def _dataset(model: str, place: Path) -> Dataset:
    return datasets.load(model, place)

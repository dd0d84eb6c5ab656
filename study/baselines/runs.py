"""Fits of the baselines on the folds of a protocol, each kept once it is finished.

A finished fit is found again by what its numbers depend on: texts, labels, folds, seed, versions of
Python and the libraries, and the code of `models`.
"""

import io
import json
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from training.cache import code, directory, key, write_atomically
from training.data import datasets
from training.data.splits import Protocol, split
from training.parallel import run_parallel

from . import models, timing
from .models import BASELINES, BaselineScores, Fitted, ScoreKind

# The seed whose fits are kept as files and timed.
TIMED_SEED: Final = 0

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "fasttext-community")


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
    """

    validation_scores: BaselineScores
    test_scores: BaselineScores
    score_kind: ScoreKind
    train_seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class _Job:
    """Baselines of one family to fit on one split, and where each fit is kept."""

    model: str
    labels_of: str
    protocol: Protocol
    seed: int
    stems: Mapping[str, Path]


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
    stems = {seed: _stems(model, labels_of, protocol, seed, names) for seed in seeds}
    jobs = [
        _Job(model, labels_of, protocol, seed, group)
        for seed in stems
        for group in _families(stems[seed])
    ]
    # A seed's last family takes longest; started first, it leaves no processor idle at the end.
    jobs.reverse()
    missing = [job for job in map(_without_kept, jobs) if job.stems]
    title = f"Baselines, {model}, {protocol}"
    done = len(jobs) - len(missing)
    run_parallel(_carry_out, missing, title, _name_of, workers=workers, done=done)
    return {name: [_read(stems[seed][name]) for seed in seeds] for name in names}


def time_baselines(model: str) -> dict[str, tuple[float, float]]:
    """Time the kept fits of `TIMED_SEED`, grouped protocol; fit only what is missing.

    Returns:
        Name of a baseline → microseconds for a single text, and per text in a batch of 256, see
        `timing.microseconds_per_text`.

    Raises:
        TrainingError: the data set is missing, damaged or too small.
    """
    texts = datasets.load(model).texts[: timing.TIMED_TEXTS]
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
    stems = _stems(model, model, Protocol.GROUPED, TIMED_SEED, tuple(BASELINES))
    return {name: _model_file(stem) for name, stem in stems.items()}


def _stems(
    model: str, labels_of: str, protocol: Protocol, seed: int, names: Sequence[str]
) -> dict[str, Path]:
    """Name where each baseline's fit is kept; its files add a suffix."""
    dataset = datasets.load(model)
    contents = [dataset.content_sha256, datasets.load(labels_of).content_sha256]
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    folds = split(dataset, protocol, seed).sha256()
    versions["python"] = platform.python_version()
    common = (protocol, seed, folds, contents, versions, code(models.__name__))
    return {name: directory("baselines", key(name, *common)) for name in names}


def _families(stems: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    families: dict[object, dict[str, Path]] = {}
    for name, stem in stems.items():
        families.setdefault(BASELINES[name].family, {})[name] = stem
    yield from families.values()


def _without_kept(job: _Job) -> _Job:
    stems = {
        name: stem
        for name, stem in job.stems.items()
        if not _figures_file(stem).exists()
        or (job.seed == TIMED_SEED and not _model_file(stem).exists())
    }
    return _Job(job.model, job.labels_of, job.protocol, job.seed, stems)


def _name_of(job: _Job) -> str:
    return f"{', '.join(job.stems)}: {job.labels_of}, {job.protocol}, seed {job.seed}"


def _carry_out(job: _Job) -> None:
    dataset = datasets.load(job.model)
    labels = datasets.load(job.labels_of).labels
    rows = split(dataset, job.protocol, job.seed).rows()
    texts = {fold: dataset.take(numbers)[0] for fold, numbers in rows.items()}
    for name, stem in job.stems.items():
        with threadpool_limits(1):
            fitted, seconds = BASELINES[name].fit(texts["train"], labels[rows["train"]], job.seed)
            scores = {fold: fitted.scores(texts[fold]) for fold in ("validation", "test")}
        timed = job.seed == TIMED_SEED
        figures = {
            "score_kind": fitted.score_kind,
            "train_seconds": round(seconds, 2),
            "bytes": _save(fitted, _model_file(stem), keep=timed),
        }
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **scores)
        write_atomically(_scores_file(stem), buffer.getvalue())
        # Written last: this file marks the fit as complete.
        write_atomically(_figures_file(stem), json.dumps(figures).encode())


def _save(fitted: Fitted, path: Path, *, keep: bool) -> int:
    """Save a fitted baseline, return its size in bytes, and move it to ``path`` if it is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".baseline-", dir=path.parent) as temporary:
        file = Path(temporary) / path.name
        fitted.save(file)
        size = file.stat().st_size
        if keep:
            file.replace(path)
    return size


def _read(stem: Path) -> BaselineRun:
    with np.load(_scores_file(stem), allow_pickle=False) as scores:
        return BaselineRun(
            scores["validation"],
            scores["test"],
            **json.loads(_figures_file(stem).read_text(encoding="utf-8")),
        )


def _scores_file(stem: Path) -> Path:
    return stem.with_suffix(".npz")


def _figures_file(stem: Path) -> Path:
    return stem.with_suffix(".json")


def _model_file(stem: Path) -> Path:
    return stem.with_suffix(".model")

"""The commands: carry out the runs, measure, store the figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from dandelion import serving
from training.configuration import Configuration, load, load_all
from training.data.splits import Protocol
from training.destination import ARTIFACTS
from training.errors import ConfigurationError
from training.experiment import Run
from training.runs import CachedRun, run_cells

from .. import rendering, storage
from ..schema.decisions import (
    CalibrationReport,
    Decisions,
    ModelDecisions,
    PointStudy,
    RecallAtPrecision,
)
from . import calibrations, high_precision, promises
from .promises import Fitted

SEEDS: Final[Mapping[str, int]] = {"cyberbullying": 5, "abuse": 5, "spam": 10}
"""How many seeds are reported of each model with promises, counted from 0; the slowest first."""

CALIBRATION_SEEDS: Final = 3


def write_promises(
    directory: Path,
    model: str | None = None,
    *,
    seeds: int | None = None,
    baselines: bool = False,
    artifacts: Path = ARTIFACTS,
) -> None:
    """Carry out the whole procedure on every seed; write ``decisions.json`` and its pages.

    Args:
        directory: where to. What it holds of other models stays.
        model: the only one; by default all of `SEEDS`.
        seeds: how many; by default as many as `SEEDS` has.
        baselines: whether baselines are compared with at high precision; without that, earlier
            figures stay.
        artifacts: directory of ``serving.toml``.

    Raises:
        TrainingError: a data set or the word vectors are missing, a model is unknown, or what
            serves it has no evidence.
    """
    variants = served(artifacts)
    chosen = [name for name in SEEDS if name in variants and model in (None, name)]
    if not chosen:
        known = ", ".join(name for name in SEEDS if name in variants)
        raise ConfigurationError(f"--model {model}: nothing is promised; choose from {known}")
    cells = [
        _runs(load(name, variants[name]), range(SEEDS[name] if seeds is None else seeds))
        for name in chosen
    ]
    path = directory / rendering.DECISIONS_FILE
    for runs, finished in zip(cells, run_cells(cells, "Promises"), strict=True):
        stored = storage.read(Decisions, path).models if path.exists() else []
        kept = {one.model: one for one in stored}
        name = runs[0].config.model
        kept[name] = _model(runs, finished, kept.get(name), baselines=baselines)
        storage.write(Decisions([kept[one] for one in sorted(kept)]), path)
        rendering.decisions_pages(directory)


def write_calibration(
    directory: Path,
    model: str | None = None,
    *,
    seeds: int | None = None,
    artifacts: Path = ARTIFACTS,
) -> None:
    """Measure the calibration of every variant; write ``calibration.json`` and its page.

    Args:
        directory: where to. What it holds of other models stays.
        model: the only one; by default all.
        seeds: how many; by default `CALIBRATION_SEEDS`.
        artifacts: directory of ``serving.toml``.

    Raises:
        TrainingError: a data set or the word vectors are missing, or a model is unknown.
    """
    configs = [one for one in load_all() if model in (None, one.model)]
    if not configs:
        raise ConfigurationError(f"--model {model}: there is no configuration of it")
    cells = [_runs(config, range(seeds or CALIBRATION_SEEDS)) for config in configs]
    variants = served(artifacts)
    found = [
        calibrations.measure(runs, finished, served=variants.get(config.model) == config.variant)
        for config, runs, finished in zip(
            configs, cells, run_cells(cells, "Calibration"), strict=True
        )
    ]
    path = directory / rendering.CALIBRATION_FILE
    stored = storage.read(CalibrationReport, path).variants if path.exists() else []
    fresh = {one.model for one in found}
    kept = [one for one in stored if one.model not in fresh]
    order = sorted([*kept, *found], key=lambda one: (one.model, not one.served, one.variant))
    storage.write(CalibrationReport(order), path)
    rendering.calibration_page(directory)


def served(artifacts: Path = ARTIFACTS) -> dict[str, str]:
    """Return the variant that serves each model.

    Raises:
        ConfigurationError: ``serving.toml`` is missing or invalid.
    """
    try:
        return {model: path.name for model, path in serving.read(artifacts, {}).items()}
    except serving.ServingError as error:
        raise ConfigurationError(str(error)) from error


def _model(
    runs: Sequence[Run],
    finished: Sequence[CachedRun],
    before: ModelDecisions | None,
    *,
    baselines: bool,
) -> ModelDecisions:
    config = runs[0].config
    found = [promises.load(run, one) for run, one in zip(runs, finished, strict=True)]
    first = found[0]
    return ModelDecisions(
        model=config.model,
        variant=config.variant,
        default=first.default,
        seeds=[run.seed for run in runs],
        groups={name: list(sources) for name, sources in first.evidence.groups.items()},
        evidence=promises.counts_of(first.evidence),
        curve=promises.curve(first),
        points=_points(found),
        at_precision=_at_precision(config, found, before, baselines=baselines),
    )


def _points(found: Sequence[Fitted]) -> list[PointStudy]:
    default, *others = promises.points_of(found[0])
    studied = [promises.study(default, found)]
    half = promises.halved(default)
    if half is not None:
        studied.append(promises.study(half, found, promise=default))
    return [*studied, *(promises.study(point, found) for point in others)]


def _at_precision(
    config: Configuration,
    found: Sequence[Fitted],
    before: ModelDecisions | None,
    *,
    baselines: bool,
) -> list[RecallAtPrecision]:
    if baselines and not config.sources:  # the baselines learn from the benchmark alone
        return high_precision.compare(config, [(one.seed, one.fold) for one in found])
    return [] if before is None else before.at_precision


def _runs(config: Configuration, seeds: Sequence[int]) -> list[Run]:
    return [Run(config, Protocol.GROUPED, seed) for seed in seeds]

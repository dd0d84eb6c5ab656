"""Every model of the report as a point: its cost per text and the quality of its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from threadpoolctl import threadpool_limits

from study import storage
from study.rendering import RESULTS_FILE
from study.schema.results import Results, Row
from training import configuration, runs
from training.data import datasets
from training.data.splits import Protocol
from training.experiment import Run
from training.quality.metrics import HALF, Metric
from training.tables import RESULTS

from . import artifacts, baseline_fits, engines, samples
from .baseline_fits import Scorer
from .figures import Frontier, Point
from .in_process import BATCH, us_per_text
from .machine import ROOT, cores, pinned
from .measure import Scale, interleaved, spreads

ALONE: Final = "(predict alone)"
_TEXTS: Final = 4096
_QUALITIES: Final[tuple[Metric, ...]] = ("average_precision", "auroc", "macro_f1")
# Rows of the report that are not models to be timed: the paper's figures, the majority class.
_NOT_MODELS: Final = frozenset({"paper", "majority"})


@dataclass(frozen=True, slots=True)
class _Contender:
    """What to time, and what the page needs to know about it; see `Point`."""

    score: Scorer
    of: str
    engine: str | None = None
    shipped: bool = False
    default: bool = False


def measure(scale: Scale) -> dict[str, Frontier]:
    """Return model → cost and quality of everything that the report compares."""
    report = storage.read(Results, ROOT / RESULTS / RESULTS_FILE)
    return {
        model: _of_model(model, report.rows, scale.for_long_parts()) for model in datasets.SOURCES
    }


def _of_model(model: str, rows: Sequence[Row], scale: Scale) -> Frontier:
    qualities = _qualities(model, rows)
    contenders = _ours(model) | _baselines(model)
    texts = samples.texts(model, _TEXTS)
    with pinned(cores()[0]), threadpool_limits(1):
        us = spreads(
            interleaved(
                {
                    name: partial(us_per_text, contender.score, texts, BATCH, scale.slice_s)
                    for name, contender in contenders.items()
                },
                scale.rounds,
            )
        )
    points = [
        Point(
            name=name,
            of=contender.of,
            kind="ours" if contender.engine else "baseline",
            us=us[name],
            quality=qualities[contender.of],
            engine=contender.engine,
            shipped=contender.shipped,
            default=contender.default,
            subwords=contender.of in baseline_fits.SUBWORD_BASELINES,
        )
        for name, contender in contenders.items()
    ]
    return Frontier(
        quality=next(iter(points[0].quality)),
        points=points,
        left_out=sorted(set(qualities) - {point.of for point in points}),
    )


def _qualities(model: str, rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return name in the report → metric → mean; AP and AUROC exist for two labels only."""
    return {
        row.name: {name: metric.mean for name in _QUALITIES if (metric := row.metrics.get(name))}
        for row in rows
        if (row.model, row.protocol) == (model, Protocol.GROUPED)
        and row.kind not in _NOT_MODELS
        and row.threshold != HALF  # a second row of the same model
    }


def _ours(model: str) -> dict[str, _Contender]:
    return {
        f"{variant}, {engine}": _Contender(
            classifier.scores,
            variant,
            engine,
            shipped,
            path == artifacts.served()[model],
        )
        for variant, (path, shipped) in _artifacts(model).items()
        for engine, classifier in engines.load(path).items()
    }


def _baselines(model: str) -> dict[str, _Contender]:
    found = {}
    for name, fitted in baseline_fits.load(model).items():
        found[name] = _Contender(fitted.scores, name)
        if name in baseline_fits.FASTTEXT:
            predict = baseline_fits.predict_alone(fitted)
            found[f"{name} {ALONE}"] = _Contender(predict, name)
    return found


def _artifacts(model: str) -> dict[str, tuple[Path, bool]]:
    """Return variant → artifact and whether it is shipped; the others only if they are cached."""
    found = {}
    for config in configuration.load_all():
        if config.model != model:
            continue
        path = artifacts.HOME / model / config.variant
        if not config.shipped:
            # A run is looked up, never carried out, for the sake of its speed.
            path = runs.directory_of(Run(config, Protocol.GROUPED, 0)) / "artifact"
        if path.is_dir():
            found[config.variant] = (path, config.shipped)
    return found

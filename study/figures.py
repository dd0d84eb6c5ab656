"""Figures of finished runs, by fold, threshold and metric."""

from collections.abc import Sequence
from typing import Literal

from pydantic import TypeAdapter

from training.quality.metrics import ARGMAX, FITTED, Metric, Metrics, value_of
from training.runs import CachedRun

from .schema.results import EpochFigures

Fold = Literal["validation", "test"]


def metrics_of(run: CachedRun, fold: Fold, threshold: str | None = FITTED) -> Metrics:
    """Return the metrics of a run; beyond two labels there is no threshold.

    If a run fitted its threshold out of fold, it learnt from validation, and the out-of-fold
    metrics take its place.
    """
    result = run.result
    at = result.held_out if fold == "validation" else result.metrics[fold]
    return at[threshold if threshold in at else ARGMAX]


def values(
    runs: Sequence[CachedRun], fold: Fold, metric: Metric, threshold: str = FITTED
) -> list[float]:
    """Return a metric of each run.

    Raises:
        ValueError: it is not defined for a run.
    """
    return [value_of(metrics_of(run, fold, threshold), metric) for run in runs]


def epochs(run: CachedRun) -> list[EpochFigures]:
    """Return the history of a run, an entry per epoch."""
    return TypeAdapter(list[EpochFigures]).validate_python(run.result.history, from_attributes=True)

"""Figures of finished runs, by fold, threshold and metric."""

from collections.abc import Sequence
from typing import Literal

from pydantic import TypeAdapter

from training.quality.metrics import ARGMAX, FITTED, Metrics
from training.runs import Kept

from .schema.results import EpochFigures, Metric

Fold = Literal["validation", "test"]


def metrics_of(run: Kept, fold: Fold, threshold: str | None = FITTED) -> Metrics:
    """Return the metrics of a run; beyond two labels there is no threshold."""
    at = run.result.metrics[fold]
    return at[threshold if threshold in at else ARGMAX]


def value(run: Kept, fold: Fold, metric: Metric, threshold: str = FITTED) -> float:
    """Return a metric of a run that applies to it.

    Raises:
        ValueError: it does not apply.
    """
    found: float | None = metrics_of(run, fold, threshold)[metric]
    if found is None:
        raise ValueError(f"{metric} does not apply to this run")
    return found


def values(
    runs: Sequence[Kept], fold: Fold, metric: Metric, threshold: str = FITTED
) -> list[float]:
    """Return a metric of each run."""
    return [value(run, fold, metric, threshold) for run in runs]


def epochs(run: Kept) -> list[EpochFigures]:
    """Return the history of a run, an entry per epoch."""
    return TypeAdapter(list[EpochFigures]).validate_python(run.result.history, from_attributes=True)

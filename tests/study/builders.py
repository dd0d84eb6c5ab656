"""Finished runs and stored figures for tests, each value chosen by the test."""

from collections.abc import Mapping
from pathlib import Path

from study.schema.results import RowMetrics, Summary
from training.experiment import Result
from training.quality.metrics import METRICS, Metrics
from training.runs import CachedRun


def metrics(value: float) -> Metrics:
    """Return metrics that all have one value."""
    return dict.fromkeys(METRICS, value)


def kept(
    *,
    test: float,
    validation: float | None = None,
    at: Mapping[str, float] | None = None,
    collapsed: bool = False,
) -> CachedRun:
    """Return a finished run.

    Args:
        test: value of every metric on the test fold.
        validation: value of every metric on validation; by default another one than on test, so
            that reading the wrong fold shows.
        at: value on the test fold at single thresholds.
        collapsed: as the run found.
    """
    thresholds = ("0.5", "fitted", "fitted to accuracy")
    other = 1 - test if validation is None else validation
    return CachedRun(
        Result(
            metrics={
                "validation": {name: metrics(other) for name in thresholds},
                "test": {name: metrics((at or {}).get(name, test)) for name in thresholds},
            },
            threshold=0.5,
            collapsed=collapsed,
            history=[],
            kept_epoch=1,
            train_seconds=1.0,
            bytes=1000,
            rows={},
            slices=None,
        ),
        Path("nowhere"),
    )


def summary(*per_seed: float) -> Summary:
    """Return a summary of values."""
    return Summary(sum(per_seed) / len(per_seed), None, list(per_seed))


def row_metrics(**per_seed: list[float]) -> RowMetrics:
    """Return metrics of a row: name → value of each seed."""
    return RowMetrics(**{name: summary(*values) for name, values in per_seed.items()})

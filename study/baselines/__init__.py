"""The baselines: what people use today for the same texts, fitted on the same folds."""

from .models import BASELINES, Baseline, BaselineScores, Fitted, ScoreKind
from .runs import (
    TIMED_SEED,
    BaselineRun,
    model_files,
    run_baselines,
    time_baselines,
)
from .timing import TIMED_TEXTS, microseconds_per_text

__all__ = [
    "BASELINES",
    "TIMED_SEED",
    "TIMED_TEXTS",
    "Baseline",
    "BaselineRun",
    "BaselineScores",
    "Fitted",
    "ScoreKind",
    "microseconds_per_text",
    "model_files",
    "run_baselines",
    "time_baselines",
]

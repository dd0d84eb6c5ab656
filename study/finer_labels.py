"""What learning the finer labels is worth: baselines with them, our variants without."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from scipy.special import expit, logit

from training.configuration import load
from training.data import datasets
from training.data.splits import Protocol, split
from training.experiment import Run
from training.quality.metrics import FITTED
from training.runs import run_cells

from . import rendering, storage
from .baselines import BaselineRun, BaselineScores, ScoreKind, run_baselines
from .figures import metrics_of
from .results import baseline_metrics, over_seeds
from .schema.studies import FinerLabels, FinerLabelsRow

MODEL: Final = "cyberbullying"
SEEDS: Final = (0,)
BASELINES: Final = ("TF-IDF words, characters + LR", "TF-IDF words, characters + LinearSVC")
VARIANTS: Final = ("bce-wide", "dice-wide")


def write(directory: Path) -> None:
    """Run what is not in the cache yet; write ``finer-labels.json``, which the results page shows.

    Raises:
        TrainingError: a data set, the word vectors or a configuration is missing or wrong.
    """
    storage.write(measure(MODEL, SEEDS), directory / rendering.FINER_LABELS_FILE)


def measure(model: str, seeds: Sequence[int]) -> FinerLabels:
    """Evaluate baselines and variants, each with and without the finer labels, on the test fold."""
    rows = [*_baseline_rows(model, seeds), *_variant_rows(model, seeds)]
    return FinerLabels(model, str(Protocol.GROUPED), FITTED, list(seeds), rows)


def not_negative(scores: BaselineScores, kind: ScoreKind) -> BaselineScores:
    """Turn the scores of k classes into those of "not the first class", which is the negative one.

    Args:
        scores: float64[n, k] of the classes.
        kind: of probabilities, the result is 1 − the first; of margins, the sigmoid of the largest
            other margin minus the first, so that 0.5 is where the predicted class changes.

    Returns:
        float64[n] in [0, 1].
    """
    if kind == "softmax":
        # The sum of the others keeps the digits that 1 − the first loses.
        summed: BaselineScores = scores[:, 1:].sum(axis=1).clip(max=1)
        return summed
    margins = logit(scores)
    difference: BaselineScores = expit(margins[:, 1:].max(axis=1) - margins[:, 0])
    return difference


def _baseline_rows(model: str, seeds: Sequence[int]) -> Iterator[FinerLabelsRow]:
    dataset = datasets.load(model)
    folds = [split(dataset, Protocol.GROUPED, seed) for seed in seeds]
    for labels_of in (model, datasets.FINER[model]):
        runs = run_baselines(model, seeds, Protocol.GROUPED, names=BASELINES, labels_of=labels_of)
        for name, of_baseline in runs.items():
            per_seed = [
                baseline_metrics(_binary(run), dataset.labels, fold)[FITTED]
                for run, fold in zip(of_baseline, folds, strict=True)
            ]
            labels = len(datasets.source_of(labels_of).label_names)
            metrics = over_seeds(per_seed, dataset.label_names)
            yield FinerLabelsRow("peer", name, labels, metrics)


def _binary(run: BaselineRun) -> BaselineRun:
    """Return a run of k classes as one of two; of two, as it is."""
    if run.test_scores.ndim == 1:
        return run
    validation, test = (
        not_negative(scores, run.score_kind) for scores in (run.validation_scores, run.test_scores)
    )
    kind: ScoreKind = "sigmoid" if run.score_kind == "softmax" else run.score_kind
    return replace(run, validation_scores=validation, test_scores=test, score_kind=kind)


def _variant_rows(model: str, seeds: Sequence[int]) -> Iterator[FinerLabelsRow]:
    configs = [load(model, variant) for variant in VARIANTS]
    names = datasets.source_of(model).label_names
    without = [config.model_copy(update={"types_weight": 0.0}) for config in configs]
    cells = [
        [Run(config, Protocol.GROUPED, seed) for seed in seeds] for config in (*without, *configs)
    ]
    finer = len(datasets.source_of(datasets.FINER[model]).label_names)
    for config, kept in zip((*without, *configs), run_cells(cells, "Finer labels"), strict=True):
        labels = finer if config.types_weight else len(names)
        metrics = over_seeds([metrics_of(run, "test") for run in kept], names)
        yield FinerLabelsRow("dan", config.variant, labels, metrics)

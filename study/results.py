"""The rows of every table, from finished runs: what ``results.json`` holds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from dandelion import Classifier
from dandelion.decision.threshold import fit_threshold
from training.data import datasets
from training.data.splits import Protocol, Split, split
from training.quality.metrics import (
    ARGMAX,
    FITTED,
    FITTED_TO_ACCURACY,
    HALF,
    METRICS,
    Labels,
    Metric,
    Metrics,
    evaluate,
    evaluate_classes,
)
from training.runs import CachedRun

from .baselines import BaselineRun, microseconds_per_text
from .figures import Fold, metrics_of, values
from .intervals import corrected_interval
from .schema.results import (
    Chosen,
    ChosenBy,
    Comparison,
    OurFigures,
    PaperFigures,
    PaperThreshold,
    Row,
    RowMetrics,
    SliceRow,
    Summary,
    Table1Row,
    Threshold,
)

# The paper's Table 1, by model and loss. Its threshold is not stated.
PAPER: Final[Mapping[tuple[str, str], PaperFigures]] = {
    ("spam", "dice"): PaperFigures(0.9677, 0.8676),
    ("spam", "weighted_bce"): PaperFigures(0.9740, 0.8945),
    ("spam", "mse"): PaperFigures(0.9624, 0.8409),
    ("cyberbullying", "dice"): PaperFigures(0.8326, 0.9086),
    ("cyberbullying", "weighted_bce"): PaperFigures(0.8703, 0.9259),
    ("cyberbullying", "mse"): PaperFigures(0.8556, 0.9125),
}

COMPARED: Final[tuple[Metric, ...]] = ("accuracy", "macro_f1", "mcc", "auroc", "average_precision")

# A variant is served for the largest mean of these on validation, over the reported seeds; the test
# fold is not considered.
_CHOSEN_BY: Final = ("macro_f1", "mcc", "auroc", "average_precision")
_CHOSEN_ON: Final[Fold] = "validation"


def summarize(per_seed: Sequence[float]) -> Summary:
    """Summarise one value per seed."""
    std = statistics.stdev(per_seed) if len(per_seed) > 1 else None
    return Summary(statistics.fmean(per_seed), std, list(per_seed))


def variant_rows(
    kept: Sequence[CachedRun],
    *,
    name: str,
    shipped: bool,
    seeds: Sequence[int],
    texts: Sequence[str],
) -> list[Row]:
    """Return a variant's rows, one per threshold, from its runs in the order of ``seeds``.

    Args:
        kept: one run per seed, of one configuration and protocol.
        name: of the row.
        shipped: see `Row`.
        seeds: one per run.
        texts: to time the first seed's artifact with.
    """
    classifier = Classifier.load(kept[0].artifact)
    manifest = classifier.manifest
    alone, batch = microseconds_per_text(classifier.scores, texts)
    return [
        Row(
            protocol="paper" if manifest.protocol == "paper" else "grouped",
            model=manifest.model,
            kind="dan",
            name=name,
            loss=manifest.loss,
            threshold=threshold,
            seeds=list(seeds),
            shipped=shipped,
            metrics=over_seeds(
                [metrics_of(run, "test", threshold) for run in kept], manifest.labels
            ),
            collapsed=all(run.result.collapsed for run in kept),
            train_seconds=round(statistics.fmean(run.result.train_seconds for run in kept), 1),
            bytes=round(statistics.fmean(run.result.bytes for run in kept)),
            us_per_text_1=alone,
            us_per_text_256=batch,
        )
        for threshold in _thresholds(manifest.task)
    ]


def baseline_rows(
    model: str,
    runs: Mapping[str, Sequence[BaselineRun]],
    timings: Mapping[str, tuple[float, float]],
    seeds: Sequence[int],
) -> list[Row]:
    """Return the baselines' rows, grouped protocol, by the same rule for the threshold.

    Args:
        model: the task.
        runs: of each baseline, one per seed.
        timings: of each baseline, microseconds for a single text and per text in a batch of 256.
        seeds: one per run.
    """
    dataset = datasets.load(model)
    folds = [split(dataset, Protocol.GROUPED, seed) for seed in seeds]
    rows = []
    for name, of_baseline in runs.items():
        metrics = [
            baseline_metrics(run, dataset.labels, fold)
            for run, fold in zip(of_baseline, folds, strict=True)
        ]
        rows += [
            Row(
                protocol="grouped",
                model=model,
                kind="peer",
                name=name,
                loss=None,
                threshold=threshold,
                seeds=list(seeds),
                shipped=False,
                metrics=over_seeds(
                    [one[threshold or ARGMAX] for one in metrics], dataset.label_names
                ),
                collapsed=False,
                train_seconds=round(statistics.fmean(run.train_seconds for run in of_baseline), 1),
                bytes=round(statistics.fmean(run.bytes for run in of_baseline)),
                us_per_text_1=timings[name][0],
                us_per_text_256=timings[name][1],
            )
            for threshold in _thresholds(dataset.task)
        ]
    return rows


def baseline_metrics(run: BaselineRun, labels: Labels, folds: Split) -> dict[str, Metrics]:
    """Evaluate a baseline on the test fold; its threshold is fitted on validation.

    Args:
        run: of two labels, or of more.
        labels: int64[n] of the whole data set.
        folds: the run's split.

    Returns:
        Threshold → metrics; beyond two labels there is one, ``argmax``.
    """
    test_labels = labels[folds.test]
    if run.test_scores.ndim == 2:
        return {ARGMAX: evaluate_classes(test_labels, run.test_scores)}
    fitted, _ = fit_threshold(labels[folds.validation], run.validation_scores)
    return {
        name: evaluate(test_labels, run.test_scores, threshold, score_kind=run.score_kind)
        for name, threshold in ((HALF, 0.5), (FITTED, fitted))
    }


def _thresholds(task: str) -> tuple[Threshold | None, ...]:
    return (HALF, FITTED) if task == "binary" else (None,)


def over_seeds(per_seed: Sequence[Metrics], labels: Sequence[str]) -> RowMetrics:
    """Summarise every metric over seeds; what does not apply is None."""
    found: dict[Metric, Summary] = {}
    for metric in METRICS:
        present = [value for one in per_seed if (value := one.get(metric)) is not None]
        if len(present) == len(per_seed):
            found[metric] = summarize(present)
    if "per_class_f1" not in per_seed[0]:
        return RowMetrics.of(found)
    by_class = zip(*(one["per_class_f1"] for one in per_seed), strict=True)
    matrices = np.array([one["confusion_matrix"] for one in per_seed])
    return replace(
        RowMetrics.of(found),
        per_class_f1=dict(zip(labels, map(summarize, by_class), strict=True)),
        confusion_matrix=matrices.sum(axis=0).tolist(),
    )


def choose(runs: Mapping[str, Sequence[CachedRun]]) -> Chosen:
    """Choose the variant that serves a model, on validation.

    Args:
        runs: variant → its runs, one per seed.
    """
    figures = {variant: _validation_figures(kept) for variant, kept in runs.items()}
    return Chosen(max(figures, key=lambda variant: figures[variant]["mean"]), figures)


def _validation_figures(kept: Sequence[CachedRun]) -> dict[ChosenBy, float]:
    """Return the means that decide which variant is served, and their own mean."""
    first = metrics_of(kept[0], _CHOSEN_ON)
    found: dict[ChosenBy, float] = {
        metric: statistics.fmean(values(kept, _CHOSEN_ON, metric))
        for metric in _CHOSEN_BY
        if first[metric] is not None
    }
    return found | {"mean": statistics.fmean(found.values())}


def slice_rows(model: str, variant: str, kept: Sequence[CachedRun]) -> list[SliceRow]:
    """Average the error rates of each slice over seeds; a rate that a seed lacks is None."""
    rows = []
    per_seed = [run.result.slices or {} for run in kept]
    for name in per_seed[0]:
        rates = [slices[name] for slices in per_seed]
        rows.append(
            SliceRow(
                model=model,
                name=variant,
                slice=name,
                texts=statistics.fmean(one["texts"] for one in rates),
                negatives=statistics.fmean(one["negatives"] for one in rates),
                false_positive_rate=_mean([one["false_positive_rate"] for one in rates]),
                false_negative_rate=_mean([one["false_negative_rate"] for one in rates]),
            )
        )
    return rows


def _mean(per_seed: Sequence[float | None]) -> float | None:
    present = [value for value in per_seed if value is not None]
    return statistics.fmean(present) if len(present) == len(per_seed) else None


def paper_rows() -> list[Row]:
    """Return the rows of the paper's Table 1."""
    return [
        Row(
            protocol="paper",
            model=model,
            kind="paper",
            name=f"{loss} (Kim)",
            loss=loss,
            threshold=None,
            seeds=[],
            shipped=False,
            metrics=RowMetrics(
                accuracy=Summary(figures.accuracy, None, None), f1=Summary(figures.f1, None, None)
            ),
            # It predicts the larger class for every text.
            collapsed=(model, loss) == ("cyberbullying", "dice"),
        )
        for (model, loss), figures in PAPER.items()
    ]


def table1(
    entries: Sequence[tuple[tuple[str, str], str, Sequence[CachedRun]]],
) -> list[Table1Row]:
    """Return rows of the paper's Table 1 with our runs, accuracy and F1 at each threshold.

    Args:
        entries: the paper's model and loss, the name of our runs, and the runs: paper protocol, one
            per seed.
    """
    return [
        Table1Row(
            model=model,
            loss=loss,
            name=name,
            paper=PAPER[model, loss],
            collapsed=all(run.result.collapsed for run in kept),
            ours={cut: _our_figures(kept, cut) for cut in (HALF, FITTED, FITTED_TO_ACCURACY)},
        )
        for (model, loss), name, kept in entries
    ]


def _our_figures(kept: Sequence[CachedRun], threshold: PaperThreshold) -> OurFigures:
    return OurFigures(
        summarize(values(kept, "test", "accuracy", threshold)),
        summarize(values(kept, "test", "f1", threshold)),
    )


def majority_row(
    model: str, protocol: Protocol, seeds: Sequence[int], per_seed: Sequence[Metrics]
) -> Row:
    """Return the row of always predicting the larger class."""
    names = datasets.source_of(model).label_names
    return Row(
        protocol="paper" if protocol is Protocol.PAPER else "grouped",
        model=model,
        kind="majority",
        name="majority",
        loss=None,
        threshold=HALF if len(names) == 2 else None,
        seeds=list(seeds),
        shipped=False,
        metrics=over_seeds(per_seed, names),
        collapsed=True,
    )


def compare(a: Row, b: Row) -> list[Comparison]:
    """Compare two rows of the same seeds, metric by metric, paired by seed.

    ``ci95`` is the corrected resampled t interval of the mean difference a − b.
    """
    comparisons = []
    for metric in COMPARED:
        left, right = a.metrics.per_seed(metric), b.metrics.per_seed(metric)
        if not left or not right:
            continue
        differences = np.array(left) - np.array(right)
        comparisons.append(
            Comparison(
                model=a.model,
                protocol=a.protocol,
                threshold=a.threshold,
                metric=metric,
                a=a.name,
                b=b.name,
                diff=float(differences.mean()),
                ci95=corrected_interval(differences.tolist()),
            )
        )
    return comparisons

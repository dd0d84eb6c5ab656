"""The rows of every table: the schema of ``docs/results/results.json``."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from dandelion import Classifier
from dandelion.decision.threshold import fit_threshold
from training.data import datasets
from training.data.splits import Protocol, split
from training.quality.metrics import (
    ARGMAX,
    FITTED,
    FITTED_TO_ACCURACY,
    HALF,
    METRICS,
    OF_CLASSES,
    Labels,
    Metrics,
    evaluate,
    evaluate_classes,
)
from training.runs import Kept

from . import sensitivity
from .baselines import PeerRun, microseconds_per_text
from .intervals import corrected_interval

# Accuracy and F1 of the paper's Table 1, by model and loss. Its threshold is not stated.
PAPER = {
    ("spam", "dice"): (0.9677, 0.8676),
    ("spam", "weighted_bce"): (0.9740, 0.8945),
    ("spam", "mse"): (0.9624, 0.8409),
    ("cyberbullying", "dice"): (0.8326, 0.9086),
    ("cyberbullying", "weighted_bce"): (0.8703, 0.9259),
    ("cyberbullying", "mse"): (0.8556, 0.9125),
}

COMPARED = ("accuracy", "macro_f1", "mcc", "auroc", "average_precision")

# A variant is served for the largest mean of these on validation, over the reported seeds. The
# test fold has no say.
_CHOSEN_BY = ("macro_f1", "mcc", "auroc", "average_precision")

_ALL_METRICS = METRICS + OF_CLASSES


@dataclass(frozen=True, slots=True)
class Summary:
    """A metric over seeds: mean, sample standard deviation (null for one seed), and each value."""

    mean: float
    std: float | None
    per_seed: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the tables; what does not apply is null.

    Attributes:
        protocol: ``paper`` or ``grouped``.
        model: the task.
        kind: ``dan`` (wide variants too), ``peer``, ``majority`` or ``paper`` (its published
            figures).
        name: of the variant or the peer.
        loss: it was trained under.
        threshold: ``0.5`` or ``fitted``; null where the source states none, and beyond two labels.
        seeds: of split and initialisation.
        shipped: whether this configuration's seed-0 fit lies in ``artifacts/``.
        metrics: by name, each a `Summary`; beyond two labels ``per_class_f1`` has one for each
            label, and ``confusion_matrix`` counts over all seeds, a row a true label.
        collapsed: whether every seed's run answers like a constant at 0.5.
        train_seconds: mean wall time of a fit, several running side by side.
        bytes: mean size of an artifact.
        us_per_text_1: microseconds for one text alone, from raw text.
        us_per_text_256: microseconds a text in a batch of 256, from raw text.
    """

    protocol: str
    model: str
    kind: Literal["dan", "peer", "majority", "paper"]
    name: str
    loss: str | None
    threshold: Literal["0.5", "fitted"] | None
    seeds: list[int]
    shipped: bool
    metrics: Mapping[str, Any]
    collapsed: bool
    train_seconds: float | None = None
    bytes: int | None = None
    us_per_text_1: float | None = None
    us_per_text_256: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row as ``results.json`` holds it."""
        return asdict(self)


def summarize(values: Sequence[float]) -> Summary:
    """Summarise one value a seed."""
    std = statistics.stdev(values) if len(values) > 1 else None
    return Summary(statistics.fmean(values), std, list(values))


def dan_rows(
    kept: Sequence[Kept],
    *,
    name: str,
    shipped: bool,
    seeds: Sequence[int],
    texts: Sequence[str],
) -> list[Row]:
    """Make a variant's rows, one a threshold, from its runs in the order of ``seeds``.

    Args:
        kept: one run a seed, of one configuration and protocol.
        name: of the row.
        shipped: see `Row`.
        seeds: one a run.
        texts: to time the first seed's artifact with.
    """
    classifier = Classifier.load(kept[0].artifact)
    manifest = classifier.manifest
    alone, batch = microseconds_per_text(classifier.scores, texts)
    tests = [run.result.metrics["test"] for run in kept]
    return [
        Row(
            protocol=manifest.protocol,
            model=manifest.model,
            kind="dan",
            name=name,
            loss=manifest.loss,
            threshold=threshold,
            seeds=list(seeds),
            shipped=shipped,
            metrics=over_seeds([test[threshold or ARGMAX] for test in tests], manifest.labels),
            collapsed=all(run.result.collapsed for run in kept),
            train_seconds=round(statistics.fmean(run.result.train_seconds for run in kept), 1),
            bytes=round(statistics.fmean(run.result.bytes for run in kept)),
            us_per_text_1=alone,
            us_per_text_256=batch,
        )
        for threshold in _thresholds(manifest.task)
    ]


def peer_rows(
    model: str,
    runs: Mapping[str, Sequence[PeerRun]],
    timings: Mapping[str, tuple[float, float]],
    seeds: Sequence[int],
) -> list[Row]:
    """Make the peers' rows, grouped protocol, by the same rule for the threshold.

    Args:
        model: the task.
        runs: of each peer, one a seed.
        timings: of each peer, microseconds for a text alone and in a batch of 256.
        seeds: one a run.
    """
    dataset = datasets.load(model)
    folds = [split(dataset, Protocol.GROUPED, seed) for seed in seeds]
    rows = []
    for name, of_peer in runs.items():
        metrics = [
            _peer_metrics(run, dataset.labels[fold.validation], dataset.labels[fold.test])
            for run, fold in zip(of_peer, folds, strict=True)
        ]
        rows += [
            Row(
                protocol=Protocol.GROUPED,
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
                train_seconds=round(statistics.fmean(run.train_seconds for run in of_peer), 1),
                bytes=round(statistics.fmean(run.bytes for run in of_peer)),
                us_per_text_1=timings[name][0],
                us_per_text_256=timings[name][1],
            )
            for threshold in _thresholds(dataset.task)
        ]
    return rows


def _thresholds(task: str) -> tuple[Literal["0.5", "fitted"] | None, ...]:
    return (HALF, FITTED) if task == "binary" else (None,)


def _peer_metrics(run: PeerRun, validation_labels: Labels, labels: Labels) -> dict[str, Metrics]:
    scores = run.test_scores
    if scores.ndim == 2:
        return {ARGMAX: evaluate_classes(labels, scores)}
    threshold, _ = fit_threshold(validation_labels, run.validation_scores)
    return {
        name: evaluate(labels, scores, cut, score_kind=run.score_kind)
        for name, cut in ((HALF, 0.5), (FITTED, threshold))
    }


def over_seeds(per_seed: Sequence[Metrics], labels: Sequence[str]) -> dict[str, Any]:
    """Summarise every metric over seeds; what does not apply is None."""
    found: dict[str, Any] = dict.fromkeys(_ALL_METRICS)
    for metric in METRICS:
        values = [metrics.get(metric) for metrics in per_seed]
        present = [value for value in values if value is not None]
        if len(present) == len(values):
            found[metric] = summarize(present)
    if "per_class_f1" in per_seed[0]:
        by_class = zip(*(metrics["per_class_f1"] for metrics in per_seed), strict=True)
        found["per_class_f1"] = dict(zip(labels, map(summarize, by_class), strict=True))
        matrices = np.array([metrics["confusion_matrix"] for metrics in per_seed])
        found["confusion_matrix"] = matrices.sum(axis=0).tolist()
    return found


def validation_figures(kept: Sequence[Kept]) -> dict[str, float]:
    """Return the means on validation that decide which variant is served, and their own mean."""
    folds = [run.result.metrics["validation"] for run in kept]
    cut = FITTED if FITTED in folds[0] else ARGMAX
    figures = {
        metric: statistics.fmean(fold[cut][metric] for fold in folds)
        for metric in _CHOSEN_BY
        if folds[0][cut][metric] is not None
    }
    return figures | {"mean": statistics.fmean(figures.values())}


def mean_of(per_seed: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Average each figure over seeds; one that a seed lacks is None."""
    found: dict[str, float | None] = {}
    for name in per_seed[0]:
        values = [value for one in per_seed if (value := one[name]) is not None]
        found[name] = statistics.fmean(values) if len(values) == len(per_seed) else None
    return found


def paper_rows() -> list[Row]:
    """Make the rows of the paper's Table 1."""
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
            metrics=dict.fromkeys(_ALL_METRICS)
            | {"accuracy": Summary(accuracy, None, None), "f1": Summary(f1, None, None)},
            collapsed=(model, loss) == ("cyberbullying", "dice"),
        )
        for (model, loss), (accuracy, f1) in PAPER.items()
    ]


def table1(
    runs: Mapping[tuple[str, str], Sequence[Kept]], naive: Sequence[Kept]
) -> list[dict[str, Any]]:
    """Set our runs beside the paper's Table 1, accuracy and F1 at each stated threshold.

    Args:
        runs: paper protocol, a run a seed, by model and variant.
        naive: the naive recipe's.
    """
    pairs = [(cell, cell[1], runs[cell]) for cell in PAPER if cell in runs]
    if naive:
        pairs.append((("cyberbullying", "dice"), sensitivity.NAME, naive))
    return [
        {
            "model": model,
            "loss": loss,
            "name": name,
            "paper": dict(zip(("accuracy", "f1"), PAPER[model, loss], strict=True)),
            "collapsed": all(run.result.collapsed for run in kept),
            "ours": {
                threshold: {
                    metric: asdict(
                        summarize([run.result.metrics["test"][threshold][metric] for run in kept])
                    )
                    for metric in ("accuracy", "f1")
                }
                for threshold in (HALF, FITTED, FITTED_TO_ACCURACY)
            },
        }
        for (model, loss), name, kept in pairs
    ]


def majority_row(
    model: str, protocol: str, seeds: Sequence[int], per_seed: Sequence[Metrics]
) -> Row:
    """Make the row of always answering the larger class."""
    names = datasets.source_of(model).label_names
    return Row(
        protocol=protocol,
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


def compare(a: Row, b: Row) -> list[dict[str, Any]]:
    """Compare two rows of the same seeds, metric by metric, paired by seed.

    ``ci95`` is the corrected resampled t interval of the mean difference a − b.
    """
    comparisons = []
    for metric in COMPARED:
        left, right = a.metrics[metric], b.metrics[metric]
        if left is None or right is None or left.per_seed is None or right.per_seed is None:
            continue
        differences = np.array(left.per_seed) - np.array(right.per_seed)
        low, high = corrected_interval(differences.tolist())
        comparisons.append(
            {
                "model": a.model,
                "protocol": a.protocol,
                "threshold": a.threshold,
                "metric": metric,
                "a": a.name,
                "b": b.name,
                "diff": float(differences.mean()),
                "ci95": [low, high],
            }
        )
    return comparisons

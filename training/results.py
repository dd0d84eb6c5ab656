"""The rows of every table: the schema of ``docs/results/results.json``."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from dandelion import Classifier

from . import collapse
from .evaluation import AT_THRESHOLD, FITTED, FITTED_TO_ACCURACY, HALF, METRICS
from .runs import Kept

# Accuracy and F1 of the paper's Table 1, by model and loss. Its threshold is not stated.
PAPER = {
    ("spam", "dice"): (0.9677, 0.8676),
    ("spam", "weighted_bce"): (0.9740, 0.8945),
    ("spam", "mse"): (0.9624, 0.8409),
    ("cyberbullying", "dice"): (0.8326, 0.9086),
    ("cyberbullying", "weighted_bce"): (0.8703, 0.9259),
    ("cyberbullying", "mse"): (0.8556, 0.9125),
}

# Overlapping splits are not independent: the variance of a mean over n of them is
# variance × (1/n + test rows / training rows), Nadeau & Bengio 2003; 10 % / 80 % here.
_TEST_TO_TRAIN = 1 / 8

_COMPARED = ("macro_f1", "mcc", "auroc", "average_precision")


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
        kind: ``dan``, ``majority`` or ``paper`` (its published figures).
        name: of the variant.
        loss: it was trained under.
        threshold: ``0.5`` or ``fitted``; null where the source states none.
        seeds: of split and initialisation.
        shipped: whether this configuration's seed-0 fit lies in ``artifacts/``.
        metrics: by name.
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
    metrics: Mapping[str, Summary | None]
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
        texts: at least 256 to time the first seed's artifact with.
    """
    classifier = Classifier.load(kept[0].artifact)
    manifest = classifier.manifest
    alone, batch = microseconds_per_text(classifier, texts)
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
            metrics={metric: _over_seeds(kept, threshold, metric) for metric in METRICS},
            collapsed=all(run.result.collapsed for run in kept),
            train_seconds=round(statistics.fmean(run.result.train_seconds for run in kept), 1),
            bytes=round(statistics.fmean(run.result.bytes for run in kept)),
            us_per_text_1=alone,
            us_per_text_256=batch,
        )
        for threshold in (HALF, FITTED)
    ]


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
            metrics=dict.fromkeys(METRICS)
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
        pairs.append((("cyberbullying", "dice"), collapse.NAME, naive))
    return [
        {
            "model": model,
            "loss": loss,
            "name": name,
            "paper": dict(zip(("accuracy", "f1"), PAPER[model, loss], strict=True)),
            "collapsed": all(run.result.collapsed for run in kept),
            "ours": {
                threshold: {
                    metric: asdict(_over_seeds(kept, threshold, metric))
                    for metric in ("accuracy", "f1")
                }
                for threshold in (HALF, FITTED, FITTED_TO_ACCURACY)
            },
        }
        for (model, loss), name, kept in pairs
    ]


def _over_seeds(kept: Sequence[Kept], threshold: str, metric: str) -> Summary:
    return summarize([run.result.metrics["test"][threshold][metric] for run in kept])


def majority_row(
    model: str, protocol: str, seeds: Sequence[int], per_seed: Sequence[Mapping[str, float]]
) -> Row:
    """Make the row of always answering the larger class."""
    return Row(
        protocol=protocol,
        model=model,
        kind="majority",
        name="majority",
        loss=None,
        threshold=HALF,
        seeds=list(seeds),
        shipped=False,
        metrics=dict.fromkeys(METRICS)
        | {metric: summarize([values[metric] for values in per_seed]) for metric in AT_THRESHOLD},
        collapsed=True,
    )


def compare(a: Row, b: Row) -> list[dict[str, Any]]:
    """Compare two rows of the same seeds, metric by metric, paired by seed.

    ``ci95`` is the corrected resampled t interval of the mean difference a − b.
    """
    comparisons = []
    for metric in _COMPARED:
        left, right = a.metrics[metric], b.metrics[metric]
        if left is None or right is None or left.per_seed is None or right.per_seed is None:
            continue
        differences = np.array(left.per_seed) - np.array(right.per_seed)
        count = len(differences)
        variance = differences.var(ddof=1) * (1 / count + _TEST_TO_TRAIN)
        half_width = stats.t.ppf(0.975, count - 1) * variance**0.5
        mean = float(differences.mean())
        comparisons.append(
            {
                "model": a.model,
                "protocol": a.protocol,
                "threshold": a.threshold,
                "metric": metric,
                "a": a.name,
                "b": b.name,
                "diff": mean,
                "ci95": [float(mean - half_width), float(mean + half_width)],
            }
        )
    return comparisons


def microseconds_per_text(classifier: Classifier, texts: Sequence[str]) -> tuple[float, float]:
    """Time a classifier from raw text: alone and in a batch of 256, medians, microseconds."""

    def median(batches: Sequence[Sequence[str]]) -> float:
        seconds = []
        for batch in batches:
            started = time.perf_counter()
            classifier.scores(batch)
            seconds.append((time.perf_counter() - started) / len(batch))
        return round(statistics.median(seconds) * 1e6, 2)

    with threadpool_limits(1, user_api="blas"):  # as it is served
        classifier.scores(texts[:256])  # warm
        alone = median([[text] for text in texts[:512]])
        batch = median([texts[start : start + 256] for start in range(0, len(texts) - 255, 256)])
    return alone, batch

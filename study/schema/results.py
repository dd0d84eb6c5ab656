"""``results.json`` and ``learning-curves.json``: the reported runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from training.quality.metrics import Metric

Threshold = Literal["0.5", "fitted"]
PaperThreshold = Literal["0.5", "fitted", "fitted to accuracy"]


@dataclass(frozen=True, slots=True)
class Summary:
    """A metric over seeds: mean, sample standard deviation (null for one seed), each value."""

    mean: float
    std: float | None
    per_seed: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMetrics:
    """The metrics of a row.

    Attributes:
        per_class_f1: beyond two labels, one for each label.
        confusion_matrix: beyond two labels, counts over all seeds, a row per true label.
    """

    accuracy: Summary | None = None
    f1: Summary | None = None
    f1_minority: Summary | None = None
    macro_f1: Summary | None = None
    mcc: Summary | None = None
    g_mean: Summary | None = None
    auroc: Summary | None = None
    average_precision: Summary | None = None
    brier: Summary | None = None
    ece: Summary | None = None
    per_class_f1: dict[str, Summary] | None = None
    confusion_matrix: list[list[int]] | None = None

    @classmethod
    def of(cls, summaries: Mapping[Metric, Summary]) -> "RowMetrics":
        """Return metrics of which the others do not apply."""
        fields: dict[str, Any] = {str(metric): one for metric, one in summaries.items()}
        return cls(**fields)

    def get(self, metric: Metric) -> Summary | None:
        """Return a metric by name."""
        found: Summary | None = getattr(self, metric)
        return found

    def mean(self, metric: Metric) -> float:
        """Return the mean of a metric that applies.

        Raises:
            ValueError: it does not apply.
        """
        summary = self.get(metric)
        if summary is None:
            raise ValueError(f"{metric} does not apply to this row")
        return summary.mean

    def per_seed(self, metric: Metric) -> list[float]:
        """Return a metric of each seed; empty where there is none."""
        summary = self.get(metric)
        return [] if summary is None else summary.per_seed or []


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the tables.

    Attributes:
        protocol: ``paper`` or ``grouped``.
        model: the task.
        kind: ``dan`` (wide variants too), ``peer`` (a baseline), ``majority`` or ``paper`` (its
            published figures).
        name: of the variant or the baseline.
        loss: the loss it was trained under.
        threshold: null where the source states none, and beyond two labels.
        seeds: of split and initialisation.
        shipped: whether this configuration's seed-0 fit lies in ``artifacts/``.
        metrics: over the seeds.
        collapsed: whether every seed's run predicts one class at 0.5.
        train_seconds: mean wall time of a fit, several running in parallel.
        bytes: mean size of an artifact.
        us_per_text_1: microseconds for a single text, from raw text.
        us_per_text_256: microseconds per text in a batch of 256, from raw text.
    """

    protocol: Literal["paper", "grouped"]
    model: str
    kind: Literal["dan", "peer", "majority", "paper"]
    name: str
    loss: str | None
    threshold: Threshold | None
    seeds: list[int]
    shipped: bool
    metrics: RowMetrics
    collapsed: bool
    train_seconds: float | None = None
    bytes: int | None = None
    us_per_text_1: float | None = None
    us_per_text_256: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mean difference a − b of a metric, paired by seed, and its 95 % interval."""

    model: str
    protocol: str
    threshold: Threshold | None
    metric: Metric
    a: str
    b: str
    diff: float
    ci95: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PaperFigures:
    """What the paper's Table 1 reports of a row."""

    accuracy: float
    f1: float


@dataclass(frozen=True, slots=True)
class OurFigures:
    """The same figures of our runs."""

    accuracy: Summary
    f1: Summary


@dataclass(frozen=True, slots=True)
class Table1Row:
    """A row of the paper's Table 1 and our runs of it, at each threshold."""

    model: str
    loss: str
    name: str
    paper: PaperFigures
    collapsed: bool
    ours: dict[PaperThreshold, OurFigures]


# A variant is chosen by the mean of the others.
ChosenBy = Literal["macro_f1", "mcc", "auroc", "average_precision", "mean"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The served variant of a model, and the validation figures of each shipped variant."""

    variant: str
    validation: dict[str, dict[ChosenBy, float]]


@dataclass(frozen=True, slots=True)
class SliceRow:
    """The error rates of a slice of the test fold, means over seeds."""

    model: str
    name: str
    slice: str
    texts: float
    negatives: float
    false_positive_rate: float | None
    false_negative_rate: float | None


@dataclass(frozen=True, slots=True)
class Results:
    """``results.json``: the reported runs."""

    rows: list[Row]
    comparisons: list[Comparison]
    table1: list[Table1Row]
    chosen: dict[str, Chosen]
    slices: list[SliceRow]


@dataclass(frozen=True, slots=True)
class FoldFigures:
    """Loss, accuracy and F1 after an epoch, at threshold 0.5."""

    loss: float
    accuracy: float
    f1: float


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """An epoch of a fit, see `training.fitting.trainer.Epoch`."""

    train: FoldFigures
    validation: FoldFigures
    macro_f1: float
    average_precision: float


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """The epochs of one fit."""

    model: str
    variant: str
    history: list[EpochFigures]


@dataclass(frozen=True, slots=True)
class LearningCurves:
    """``learning-curves.json``."""

    protocol: str
    seed: int
    curves: list[LearningCurve]

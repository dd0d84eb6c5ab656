"""The files of the studies: sensitivity, imbalance, ablations, finer labels."""

from dataclasses import dataclass
from typing import Literal

from .decisions import Decisions
from .results import Results, RowMetrics, Threshold
from .robustness import Robustness


@dataclass(frozen=True, slots=True)
class SensitivityCell:
    """Runs of one recipe at one learning rate, figures on validation.

    Attributes:
        part: ``naive``, ``cured``, ``change``, ``wide``, or a recipe with ``, all data``.
        row: the loss, or the title of the change.
        rate: of the layers.
        macro_f1: at 0.5, a mean.
        best_epoch: with the best macro-F1 at the fitted threshold, a mean.
    """

    part: str
    model: str
    row: str
    rate: float
    collapsed: int
    runs: int
    macro_f1: float
    macro_f1_fitted: float
    best_epoch: float


@dataclass(frozen=True, slots=True)
class FirstGradient:
    """The part of Dice's first gradient that moves every logit alike, see `shared_push`."""

    model: str
    share: float
    classes: str
    push: float


@dataclass(frozen=True, slots=True)
class Network:
    """The state of a fitted network: its logits and its dead units."""

    recipe: str
    rate: float
    median_logit_size: float
    vanished: float
    dead_first: float
    dead_second: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """``sensitivity.json``: where losses collapse over learning rates.

    Attributes:
        model: the one that the single changes and the networks are about.
        promised_from: the rate from which on the cure must prevent every collapse.
        vanished_below: the slope of the sigmoid below which a gradient counts as vanished.
        cure: the fields of a configuration that the cure sets.
    """

    model: str
    protocol: str
    fold: str
    sample_rows: int
    seeds: list[int]
    rates: list[float]
    promised_from: float
    vanished_below: float
    cure: dict[str, float | str | dict[str, bool | float | str]]
    cells: list[SensitivityCell]
    first_gradient: list[FirstGradient]
    networks: list[Network]


SweptMetric = Literal["macro_f1", "macro_f1_at_half", "g_mean", "average_precision"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds, its 95 % interval, each value."""

    mean: float
    ci95: tuple[float, float]
    per_seed: list[float]


@dataclass(frozen=True, slots=True)
class ImbalanceCell:
    """One loss at one share of the minority class.

    Attributes:
        train_minority: minority texts in training, a mean; ``validation_minority`` alike.
        evaluated: the share that the test fold is weighted to.
        collapsed: how many runs collapsed.
    """

    model: str
    share: float
    loss: str
    train_minority: float
    validation_minority: float
    evaluated: float
    collapsed: int
    metrics: dict[SweptMetric, Estimate]


@dataclass(frozen=True, slots=True)
class Imbalance:
    """``imbalance.json``; ``minority_labels`` names each model's smaller class."""

    protocol: str
    seeds: list[int]
    shares: list[float]
    minority_labels: dict[str, str]
    cells: list[ImbalanceCell]


@dataclass(frozen=True, slots=True)
class AblationLine:
    """One change to one configuration: means on validation, at the fitted threshold."""

    model: str
    variant: str
    change: str
    macro_f1: float
    mcc: float
    auroc: float
    average_precision: float
    bytes: float


@dataclass(frozen=True, slots=True)
class AblationQuestion:
    """Changes that belong together."""

    title: str
    lines: list[AblationLine]


@dataclass(frozen=True, slots=True)
class Ablations:
    """``ablations.json``; ``sample_rows`` holds the models that learn from a sample."""

    sample_rows: dict[str, int]
    questions: list[AblationQuestion]


@dataclass(frozen=True, slots=True)
class FinerLabelsRow:
    """A baseline or variant that learned two labels, or the finer ones as well.

    Attributes:
        kind: ``peer`` is a baseline.
        labels: how many labels were learned.
        metrics: of the two labels, at the fitted threshold, on the test fold.
    """

    kind: Literal["dan", "peer"]
    name: str
    labels: int
    metrics: RowMetrics


@dataclass(frozen=True, slots=True)
class FinerLabels:
    """``finer-labels.json``: what learning the finer labels is worth."""

    model: str
    protocol: str
    threshold: Threshold
    seeds: list[int]
    rows: list[FinerLabelsRow]


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything that the results page is made of; the quick report lacks the optional parts."""

    results: Results
    sensitivity: Sensitivity
    imbalance: Imbalance
    finer_labels: FinerLabels | None = None
    robustness: Robustness | None = None
    decisions: Decisions | None = None

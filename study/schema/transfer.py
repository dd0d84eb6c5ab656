"""The file of the transfer study, ``transfer.json``."""

from dataclasses import dataclass
from typing import Final, Literal

Label = Literal["narrower", "equal", "broader"]
Use = Literal["left out", "measured only"]
Ranking = Literal["auroc", "recall"]
ChosenBy = Literal["left-out sources", "validation", "nothing"]

LEFT_OUT: Final = "left-out units"
MEASURED_ONLY: Final = "measured-only units"
RECALL_UNITS: Final = ("Davidson", "Wikipedia", "Stormfront")
"""The units that an aim asks recall at 5 % false positives of."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval: by default of a bootstrap over groups of near copies."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """Rates of a source at a threshold that was chosen without it.

    Attributes:
        rule: how it was chosen.
        threshold: of the scores in [0, 1].
    """

    rule: str
    threshold: float
    false_positive_rate: float
    recall: float


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Figures of the same recipe inside a source that it did learn from.

    Attributes:
        texts: of the source in the test fold, grouped protocol, all sources trained on.
        positives: of these.
    """

    texts: int
    positives: int
    auroc: Interval
    recall: Interval


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One recipe on one source that it did not learn from.

    Attributes:
        recipe: the name of the row: ours or a baseline.
        trial: the configuration that was chosen without the source.
        unit: what is left out as one; it can have several sources.
        use: whether other fits learn from the source.
        label: what the source calls positive, compared with the model's meaning.
        has_seen: whether the recipe learned from the source after all.
        texts: of the source, without the dropped ones.
        dropped: its texts that have a near copy in a source that is trained on.
        positives: of the texts.
        groups: of near copies.
        recall: at 5 % false positives, a point of the source's own ROC curve.
    """

    recipe: str
    trial: str
    unit: str
    source: str
    use: Use
    label: Label
    has_seen: bool
    texts: int
    dropped: int
    positives: int
    groups: int
    auroc: Interval
    average_precision: float
    recall: Interval
    at: list[AtThreshold]
    ceiling: Ceiling | None


@dataclass(frozen=True, slots=True)
class MeanRow:
    """A mean over units, the sources of a unit averaged first.

    Attributes:
        over: the name of the mean.
        units: that it is over.
    """

    recipe: str
    over: str
    units: list[str]
    auroc: Interval
    recall: Interval


@dataclass(frozen=True, slots=True)
class Difference:
    """Ours less a baseline, paired by group.

    Attributes:
        over: a unit, or the name of a mean.
    """

    baseline: str
    figure: Ranking
    over: str
    difference: Interval


@dataclass(frozen=True, slots=True)
class Trials:
    """What a recipe chose from.

    Attributes:
        recipe: the name of the row.
        trials: the cheapest first.
        chosen: unit → the trial that was chosen without it; ``every source`` → the one whose fit on
            all of them reads what is measured only.
        criterion: unit → trial → mean of AUROC and of recall on what was left out among the others,
            or on validation where nothing can be left out; empty where there was no choice.
    """

    recipe: str
    trials: list[str]
    chosen: dict[str, str]
    criterion: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class ShortTexts:
    """AUROC of a recipe on the short texts of the test fold, every recipe with the same weights.

    Attributes:
        recipe: the name of the row.
        auroc: mean over seeds; the interval is the corrected resampled t.
        per_seed: one value per seed.
        less: ours less this one; None for ours.
    """

    recipe: str
    auroc: Interval
    per_seed: list[float]
    less: Interval | None


@dataclass(frozen=True, slots=True)
class Short:
    """The section on short texts; ``characters`` is the most that a text has."""

    characters: int
    seeds: list[int]
    texts: list[int]
    length_auroc: float
    rows: list[ShortTexts]


@dataclass(frozen=True, slots=True)
class TransferStudy:
    """What `python -m study transfer` found for one model.

    Attributes:
        model: the task.
        variant: the only candidate, if one was named; None if there was a choice.
        date: ISO 8601, UTC.
        commit: of the code; with ``-dirty`` if files were changed.
        candidates: our variants, the cheapest first.
        sources: that are trained on, as the configurations name them.
        samples: of the bootstrap.
        has_windows: whether a candidate cuts long texts; no baseline does.
        chosen_by: what the choice among trials read.
        absent: baselines that could not be measured, each with the reason.
        short: None for a model that is not measured on short texts apart.
    """

    model: str
    variant: str | None
    date: str
    commit: str
    candidates: list[str]
    sources: list[str]
    samples: int
    has_windows: bool
    chosen_by: ChosenBy
    trials: list[Trials]
    rows: list[SourceRow]
    means: list[MeanRow]
    differences: list[Difference]
    absent: dict[str, str]
    short: Short | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """``transfer.json``: a study for each model, and for each variant that was named."""

    studies: list[TransferStudy]

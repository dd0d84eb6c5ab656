"""``evaluation.json``: the facts of a model card, next to the artifact that they are about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .decisions import Kept
from .robustness import ChangeRow, IdentityRow, LengthRow
from .transfer import Interval


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One collection that the variant learnt from.

    Attributes:
        name: in configurations.
        title: short, for a reader.
        licence: with whom to credit.
        sha256: of its data.
        rows: that were drawn.
        shares: of each label.
        is_generated: whether it is made from templates.
    """

    name: str
    title: str
    licence: str
    sha256: str
    rows: int
    shares: list[float]
    is_generated: bool


@dataclass(frozen=True, slots=True)
class SeedFigures:
    """Metrics on the test folds of several seeds.

    Attributes:
        protocol: how they were split.
        seeds: of split and initialisation.
        threshold: how scores became labels; None for the highest score.
        metrics: metric → mean, with the corrected resampled t interval, 95 %, clipped to [0, 1].
        of_this_artifact: whether the run of the artifact's seed has the artifact's own figures;
            else the runs had other data or other code.
    """

    protocol: str
    seeds: list[int]
    threshold: str | None
    metrics: Mapping[str, Interval]
    of_this_artifact: bool


@dataclass(frozen=True, slots=True)
class TransferFigures:
    """What a fit without a source did on it; the intervals are of a bootstrap over groups.

    Attributes:
        use: whether other fits learn from the source.
        label: what the source calls positive, compared with the model's meaning.
        recall: at 5 % false positives.
    """

    source: str
    use: str
    label: str
    texts: int
    positives: int
    auroc: Interval
    recall: Interval


@dataclass(frozen=True, slots=True)
class RobustnessFigures:
    """See `study.schema.robustness`; of the version below.

    Attributes:
        version: of the artifact that was measured.
        of_this_artifact: whether it is this one.
    """

    version: str
    of_this_artifact: bool
    changes: list[ChangeRow]
    lengths: list[LengthRow]
    identity: list[IdentityRow]


@dataclass(frozen=True, slots=True)
class SliceFigures:
    """Error rates on a slice of the test fold; means over seeds, or of the artifact's one seed."""

    slice: str
    texts: float
    negatives: float
    false_positive_rate: float | None
    false_negative_rate: float | None


@dataclass(frozen=True, slots=True)
class ScoreQuality:
    """How well scores are calibrated, classes weighted equally; None with more than two labels.

    Attributes:
        log_loss: in nats.
        brier: the mean squared error.
        ece: expected calibration error, 15 bins of equal width.
    """

    log_loss: float
    brier: float | None
    ece: float | None


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    """The calibration of the artifact, and how it was chosen.

    Attributes:
        parameters: of `dandelion.decision.calibration.Calibration`.
        fitted_on: ``out_of_fold`` or ``validation``; None if the artifact does not have it.
        texts: of each label that it was fitted on.
        log_losses: method → its log loss in cross-validation.
        before: of the uncalibrated scores of the texts it was fitted on.
        after: of the calibrated ones; a little too good, as they are the same texts.
    """

    parameters: Mapping[str, Any]
    fitted_on: str | None
    texts: list[int]
    log_losses: Mapping[str, float]
    before: ScoreQuality | None
    after: ScoreQuality | None


@dataclass(frozen=True, slots=True)
class PointFigures:
    """An operating point fitted on the evidence; without a threshold if it is infeasible.

    Attributes:
        point: in the grammar.
        threshold: in scores.
        promised: whether its constraints are promised at 95 %.
        recall: of the evidence.
        fpr: of the evidence.
        problem: why there is no threshold.
    """

    point: str
    threshold: float | None
    promised: bool
    recall: Interval | None
    fpr: Interval | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class PromiseFigures:
    """An operating point fitted once per seed, on the test folds of all seeds.

    Attributes:
        point: in the grammar.
        seeds: in which it could be fitted.
        infeasible: seeds in which it could not.
        broken: seeds in which a constraint was broken beyond chance, see `Kept`.
        kept: the constraints over all test folds, a group of near copies once.
        recall: of the positive texts of these, of all sources, with the exact 95 % interval.
        fpr: of the harmless ones.
    """

    point: str
    seeds: list[int]
    infeasible: int
    broken: int
    kept: list[Kept]
    recall: Interval | None
    fpr: Interval | None


@dataclass(frozen=True, slots=True)
class CalibrationOverSeeds:
    """Calibration on the test folds, classes weighted equally; means over seeds."""

    seeds: list[int]
    before: ScoreQuality
    after: ScoreQuality


@dataclass(frozen=True, slots=True)
class BaseRate:
    """What the default threshold does in traffic of a base rate.

    Precision and alerts per 10,000 messages are computed from recall and false-positive rate, and
    their bounds from the ends of both 95 % intervals.
    """

    prior: float
    precision: Interval
    alerts: Interval


@dataclass(frozen=True, slots=True)
class AtBaseRates:
    """The default threshold, and precision at base rates.

    Attributes:
        basis: ``out_of_fold``, the evidence; or ``test``, the test fold of one seed.
        negatives: harmless texts of it, of collected sources.
        positives: positive texts.
    """

    basis: Literal["out_of_fold", "test"]
    negatives: int
    positives: int
    recall: Interval
    fpr: Interval
    rates: list[BaseRate]


@dataclass(frozen=True, slots=True)
class Needed:
    """Labelled texts that a promise of precision takes, if further ones are like the evidence.

    Attributes:
        prior: base rate.
        precision: to be promised.
        is_promised: whether the evidence suffices.
        recall: at that threshold, if so.
        texts: otherwise, how many it takes in all; None if no number does.
        problem: the sentence that says it, and which texts they are; None if it is promised.
    """

    prior: float
    precision: float
    is_promised: bool
    recall: float | None
    texts: int | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """``evaluation.json``. What is None or empty was not measured.

    Attributes:
        configuration_sha256: of the variant's complete configuration, as JSON.
        data_sha256: of the texts and labels.
        default_point: how the default threshold was chosen, in the grammar; None if it was not.
        test_metrics: of the artifact's own test fold at the default threshold: one split and seed.
        evidence: source → harmless and positive texts that operating points are fitted on.
    """

    format: str = "dandelion-evaluation"
    format_version: int = 1
    model: str
    variant: str
    version: str
    content_hash: str
    configuration_sha256: str
    data_sha256: str
    rows: int
    protocol: str
    split_sha256: str
    seed: int
    sources: list[SourceRecord]
    threshold: float | None
    default_point: str | None
    test_metrics: Mapping[str, float | None]
    seeds: SeedFigures | None = None
    transfer: list[TransferFigures] = field(default_factory=list)
    robustness: RobustnessFigures | None = None
    slices: list[SliceFigures] = field(default_factory=list)
    calibration: CalibrationFigures | None = None
    calibration_over_seeds: CalibrationOverSeeds | None = None
    promises: list[PromiseFigures] = field(default_factory=list)
    evidence: Mapping[str, list[int]] | None = None
    points: list[PointFigures] = field(default_factory=list)
    at_base_rates: AtBaseRates | None = None
    needed: list[Needed] = field(default_factory=list)

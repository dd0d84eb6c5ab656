"""What a model does on a user's own labelled texts, and a policy fitted on them.

Nothing is trained: the network stays as it is. What changes is where its threshold lies and what
its scores mean, both of which depend on the traffic more than the ranking does.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from .classifier import Classifier
from .decision.calibration import IDENTITY, PRIORS, Calibration, is_prior
from .decision.calibration_fit import fit_calibration
from .decision.evidence import GRID, Evidence
from .decision.operating_points import FittedPoint, Interval, curve
from .decision.ranking import ranking
from .installation import install_command
from .labelled import (
    Counted,
    EvaluationError,
    Labelled,
    ScoredTexts,
    count,
    evidence_of,
    score_texts,
)
from .plural import number_of
from .policy_file import PolicyFile, RecordedPoint
from .verdicts import (
    LEAST_IN_SLICE,
    ShippedPoint,
    Slice,
    WantedPoint,
    at_rates,
    of_flagged,
    shipped_points,
    slices,
    wanted_point,
)

# The engines' logits differ by less.
_ROUNDING: Final = 1e-5

LEAST_TO_CALIBRATE: Final = 50
"""Texts of each label, one per group of near copies, below which the calibration is kept."""


@dataclass(frozen=True, slots=True)
class CalibrationChoice:
    """Which calibration the policy has.

    Attributes:
        in_force: the policy's; None if scores are not calibrated.
        fitted: on these texts; None if the artifact's is kept.
        reason: a sentence.
        log_loss_before: of the artifact's scores here, in nats, both labels weighted equally; None
            if a label is missing.
        log_loss_after: of the fitted calibration, cross-validated; None if none was fitted.
        missing: the extra of Dandelion that was needed to fit one and is not installed; empty if
            none is.
    """

    in_force: Calibration | None
    fitted: Calibration | None
    reason: str
    log_loss_before: float | None = None
    log_loss_after: float | None = None
    missing: str = ""

    @property
    def advice(self) -> str:
        """What to do if it could not be fitted; ends with a command, without a full stop.

        The command has paths of this machine: it is for its user, and not for clients.
        """
        return f"Install it: {install_command(self.missing)}" if self.missing else ""


_KEPT: Final = CalibrationChoice(None, None, "kept: there are flagged texts only")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model does on labelled texts.

    Attributes:
        model: its name.
        variant: of it.
        artifact: SHA-256 of the artifact, its whole content hash.
        labels: the negative and the positive one.
        created: date and time, ISO 8601.
        texts: labelled texts.
        copies: near copies among them, which do not count.
        contradictions: groups of near copies with both labels; they count as their majority's.
        counted: harmless and positive texts that count.
        is_sample: whether texts have weights: estimates are then of all texts that were drawn from.
        is_flagged_only: whether all texts reach the artifact's threshold, as those of appeals do;
            then there is precision, and no recall, FPR, AUROC or policy.
        prior: which rates and precision are for: as given, or the share of positive texts here.
        auroc: None without texts of both labels, or with flagged texts only.
        average_precision: likewise.
        shipped: operating points of the artifact, on these texts.
        wanted: operating points, fitted on these texts.
        curve: at some rates of alerts, and for flagged texts at some thresholds.
        slices: by column and value.
        calibration: of the policy.
        evidence: the counts.
    """

    model: str
    variant: str
    artifact: str
    labels: tuple[str, str]
    created: str
    texts: int
    copies: int
    contradictions: int
    counted: tuple[int, int]
    is_sample: bool
    prior: float
    evidence: Evidence
    is_flagged_only: bool = False
    auroc: Interval | None = None
    average_precision: Interval | None = None
    shipped: tuple[ShippedPoint, ...] = ()
    wanted: tuple[WantedPoint, ...] = ()
    curve: tuple[FittedPoint, ...] = ()
    slices: tuple[Slice, ...] = ()
    calibration: CalibrationChoice = _KEPT

    def policy_file(self) -> PolicyFile:
        """Return evidence and calibration for a policy.

        Raises:
            EvaluationError: there are only flagged texts, or texts of one label.
        """
        if self.is_flagged_only:
            raise EvaluationError(
                "a policy needs texts below the threshold, too: flagged ones alone (appeals) show "
                "precision, and never what was missed; label a sample, see `dandelion sample`"
            )
        if not all(self.counted):
            missing = self.labels[0 if not self.counted[0] else 1]
            raise EvaluationError(f"a policy needs texts of both labels; there is no {missing!r}")
        return PolicyFile(
            self.model,
            self.variant,
            self.artifact,
            self.created,
            self.texts,
            self.calibration.fitted,
            self.evidence,
            tuple(
                RecordedPoint.of(wanted.fitted)
                for wanted in self.wanted
                if wanted.fitted is not None
            ),
        )


def evaluate(  # noqa: PLR0913
    classifier: Classifier,
    texts: Sequence[str],
    labels: Sequence[int | None],
    *,
    strata: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    sources: Sequence[str] | None = None,
    by: Mapping[str, Sequence[str]] | None = None,
    points: Sequence[str] = (),
    prior: float | None = None,
    only_flagged: bool = False,
) -> Evaluation:
    """Evaluate a model on labelled texts. Near copies count once: they are no further evidence.

    Args:
        classifier: with two labels.
        texts: raw.
        labels: 1 for positive texts, 0 for harmless ones; None for texts without a label, which
            count towards the size of their stratum and otherwise not at all.
        strata: of a sample, each text's stratum, see `dandelion.sampling`; with ``weights``.
        weights: how many texts each one stands for; equal within a stratum.
        sources: where each text is from, without ``strata``: a promise is about the worst source.
        by: column → each text's value, to report slices by.
        points: operating points to fit on these texts.
        prior: the share of positive texts in the traffic; None for the share here, which is that of
            the traffic only if the texts are a sample of it.
        only_flagged: whether all texts were flagged by this model, as those of appeals are;
            recognized where at least twenty texts all reach its threshold.

    Raises:
        EvaluationError: lengths differ, no text has a label, a stratum has none, strata come
            without weights or with sources, the prior is out of range, or the model has more than
            two labels.
        OperatingPointError: a point is not in the grammar, or names an unknown source.

    Example:
        >>> classifier = Classifier.load("artifacts/spam/dice")
        >>> found = evaluate(classifier, ["WIN a FREE prize! Call now", "Lunch?"], [1, 0])
        >>> found.counted, found.calibration.fitted is None
        ((1, 1), True)
    """
    labelled = Labelled(len(texts), labels, strata, weights, sources, by or {})
    scored = partial(score_texts, classifier, texts)
    return _evaluated(classifier, labelled, scored, points, prior, only_flagged=only_flagged)


def evaluate_scored(  # noqa: PLR0913
    classifier: Classifier,
    scored: ScoredTexts,
    labels: Sequence[int | None],
    *,
    strata: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    sources: Sequence[str] | None = None,
    points: Sequence[str] = (),
    prior: float | None = None,
) -> Evaluation:
    """Evaluate a model on labelled texts that it scored before; see `evaluate`.

    Args:
        classifier: with which they were scored.
        scored: the texts, perhaps scored in parts.
        labels: of all of them.
        strata: see `evaluate`.
        weights: see `evaluate`.
        sources: see `evaluate`.
        points: see `evaluate`.
        prior: see `evaluate`.

    Raises:
        EvaluationError: see `evaluate`.
        OperatingPointError: see `evaluate`.

    Example:
        >>> from dandelion.labelled import score_texts
        >>> classifier = Classifier.load("artifacts/spam/dice")
        >>> scored = score_texts(classifier, ["WIN a FREE prize! Call now", "Lunch?"])
        >>> evaluate_scored(classifier, scored, [1, 0]).counted
        (1, 1)
    """
    labelled = Labelled(len(scored.logits), labels, strata, weights, sources, {})
    return _evaluated(classifier, labelled, lambda: scored, points, prior)


def _evaluated(  # noqa: PLR0913
    classifier: Classifier,
    labelled: Labelled,
    score: Callable[[], ScoredTexts],
    points: Sequence[str],
    prior: float | None,
    *,
    only_flagged: bool = False,
) -> Evaluation:
    """Check what can be checked without scores, score, and evaluate."""
    if not classifier.decision.is_binary:
        raise EvaluationError("the model has more than two labels; expected two")
    if prior is not None and not is_prior(prior):
        raise EvaluationError(f"the prior is {prior}; expected {PRIORS}")
    counted = count(labelled, score())
    is_flagged_only = only_flagged or bool(
        len(counted.logits) >= LEAST_IN_SLICE
        and (counted.logits >= classifier.basis().boundary - _ROUNDING).all()
    )
    judge = _flagged if is_flagged_only else _whole
    found = judge(classifier, counted, points, prior)
    return replace(
        found,
        texts=sum(label is not None for label in labelled.labels),
        slices=slices(
            labelled.by,
            counted,
            classifier.manifest.version,
            classifier.basis().boundary,
            hides_recall=is_flagged_only,
        ),
    )


def _whole(
    classifier: Classifier,
    counted: Counted,
    points: Sequence[str],
    prior: float | None,
) -> Evaluation:
    """Evaluate on texts from both sides of the threshold."""
    described = _described(classifier, counted, prior)
    whole = curve(described.evidence, prior=prior, points=len(GRID))
    ranks: tuple[Interval | None, Interval | None] = (None, None)
    if all(described.counted):
        by_stratum = None if counted.weights is None else counted.sources
        ranks = ranking(counted.logits, counted.labels, counted.each, by_stratum)
    has_prior = is_prior(described.prior)  # not next to 0 or 1
    return replace(
        described,
        auroc=ranks[0],
        average_precision=ranks[1],
        shipped=shipped_points(
            classifier, described.evidence, prior, described.prior if has_prior else None
        ),
        wanted=tuple(wanted_point(point, described.evidence, prior) for point in points),
        curve=at_rates(whole),
        calibration=_calibration(classifier, counted),
    )


def _flagged(
    classifier: Classifier,
    counted: Counted,
    points: Sequence[str],
    prior: float | None,
) -> Evaluation:
    """Evaluate on texts that were all flagged: there is precision, and nothing else."""
    if points or prior is not None:
        raise EvaluationError(
            "operating points and a prior need texts below the threshold, too; these are all "
            "flagged"
        )
    described = _described(classifier, counted, None)
    return replace(
        described,
        is_flagged_only=True,
        curve=of_flagged(described.evidence, classifier.basis().boundary),
    )


def _described(classifier: Classifier, counted: Counted, prior: float | None) -> Evaluation:
    """Return what is known before anything is fitted."""
    manifest = classifier.manifest
    harmless, positive = np.bincount(counted.labels, minlength=2).tolist()
    return Evaluation(
        model=manifest.model,
        variant=manifest.variant,
        artifact=manifest.content_hash,
        labels=(manifest.labels[0], manifest.labels[1]),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        texts=0,
        copies=counted.copies,
        contradictions=counted.contradictions,
        counted=(harmless, positive),
        is_sample=counted.weights is not None,
        prior=counted.share_of_positives if prior is None else prior,
        evidence=evidence_of(counted, manifest.version),
    )


def _calibration(classifier: Classifier, counted: Counted) -> CalibrationChoice:
    """Fit a calibration, and keep it only if there are enough texts and it is better."""
    own = classifier.manifest.score_map
    scored = counted.where(np.isfinite(counted.logits))
    logits, labels, each = scored.logits, scored.labels, scored.each
    before = _log_loss(scored, own or IDENTITY)
    fewest = int(np.bincount(labels, minlength=2).min())
    if fewest < LEAST_TO_CALIBRATE:
        reason = (
            f"kept: {number_of(fewest, 'text')} of the rarer label, "
            f"fewer than {LEAST_TO_CALIBRATE} of each"
        )
        return CalibrationChoice(own, None, reason, before)
    try:
        found = fit_calibration(logits, labels, weights=each)
    except ModuleNotFoundError:
        reason = "kept: fitting another one needs SciPy, which is not installed"
        return CalibrationChoice(own, None, reason, before, missing="evaluate")
    after = found.log_losses[found.calibration.method]
    if before is not None and after >= before:
        reason = "kept: one fitted here is no better in cross-validation"
        return CalibrationChoice(own, None, reason, before, after)
    return CalibrationChoice(
        found.calibration,
        found.calibration,
        f"fitted here: {found.calibration.method}",
        before,
        after,
    )


def _log_loss(counted: Counted, calibration: Calibration) -> float | None:
    """Return the log loss in nats, both labels weighted equally; None if one is missing."""
    if len(np.unique(counted.labels)) < 2:
        return None
    signs = np.where(counted.labels == 1, 1.0, -1.0)
    losses = np.logaddexp(0, -signs * calibration.logits(counted.logits))
    each = np.ones(len(losses)) if counted.each is None else counted.each
    parts = [
        np.average(losses[counted.labels == label], weights=each[counted.labels == label])
        for label in (0, 1)
    ]
    return float(np.mean(parts))

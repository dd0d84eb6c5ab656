"""What is known about a served artifact: from its files, and from the stored studies.

Nothing is fitted but operating points, on the evidence in the artifact, and no text is read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dandelion.artifact import Artifact
from dandelion.decision import operating_points
from dandelion.decision.calibration import IDENTITY, Calibration
from dandelion.decision.evidence import GRID, Evidence
from dandelion.decision.intervals import two_sided
from dandelion.decision.operating_points import InfeasibleError
from dandelion.decision.policy import score_at, scores
from dandelion.decision.score_thresholds import separable
from dandelion.manifest import Manifest, sha256
from training.data.datasets import SOURCES
from training.data.source_files import Source
from training.data.sources import source_named
from training.errors import DatasetError
from training.quality.metrics import METRICS

from .intervals import corrected_interval
from .schema.decisions import CalibrationReport, Decisions, PointStudy
from .schema.evaluation import (
    AtBaseRates,
    BaseRate,
    CalibrationFigures,
    CalibrationOverSeeds,
    Evaluation,
    Needed,
    PointFigures,
    PromiseFigures,
    RobustnessFigures,
    ScoreQuality,
    SeedFigures,
    SliceFigures,
    SourceRecord,
    TransferFigures,
)
from .schema.results import Results, Row, SliceRow
from .schema.robustness import Robustness
from .schema.transfer import Interval, Transfer

PRIORS: Final = (0.001, 0.01, 0.05, 0.2)
PRECISIONS: Final = (0.5, 0.8, 0.9, 0.95, 0.99)
POINTS: Final = (
    "macro_f1",
    "fpr<=0.01",
    "fpr<=0.001",
    "recall>=0.9",
    "precision>=0.9@prior=0.01",
    "rate<=0.02@prior=0.01",
)
"""Shown on every card, after the default."""

_OURS: Final = "ours"
_SAME: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Studies:
    """The stored studies; None for what was not carried out."""

    results: Results | None = None
    transfer: Transfer | None = None
    robustness: Robustness | None = None
    decisions: Decisions | None = None
    calibration: CalibrationReport | None = None


def evaluation_of(artifact: Artifact, studies: Studies) -> Evaluation:
    """Collect what is known about an artifact."""
    manifest, evidence = artifact.manifest, artifact.evidence
    is_binary = manifest.threshold is not None
    seeds = _seeds(manifest, studies.results)
    return Evaluation(
        model=manifest.model,
        variant=manifest.variant,
        version=manifest.version,
        content_hash=manifest.content_hash,
        configuration_sha256=sha256(
            json.dumps(manifest.config, sort_keys=True, ensure_ascii=False).encode()
        ),
        data_sha256=manifest.dataset["sha256"],
        rows=manifest.dataset["rows"],
        protocol=manifest.protocol,
        split_sha256=manifest.split.get("sha256", ""),
        seed=manifest.seed,
        sources=_sources(manifest),
        threshold=manifest.threshold,
        default_point=manifest.operating_point,
        test_metrics=_test_metrics(manifest),
        seeds=seeds,
        transfer=_transfer(manifest, studies.transfer),
        robustness=_robustness(manifest, studies.robustness),
        slices=_slices(manifest, studies.results, seeds),
        calibration=_calibration(manifest),
        calibration_over_seeds=_calibration_over_seeds(manifest, studies.calibration),
        promises=_promises(manifest, studies.decisions),
        evidence=None if evidence is None else _counts(evidence),
        points=[] if evidence is None else _points(manifest, evidence),
        at_base_rates=_at_base_rates(manifest, evidence) if is_binary else None,
        needed=[] if evidence is None else _needed(evidence),
    )


def _sources(manifest: Manifest) -> list[SourceRecord]:
    dataset = manifest.dataset
    parts: Sequence[Mapping[str, Any]] = dataset.get("sources") or [dataset]
    return [
        SourceRecord(
            name=part["name"],
            title=source.title if source else part["name"],
            licence=source.licence if source else "",
            sha256=part["sha256"],
            rows=part["rows"],
            shares=list(part["shares"]),
            is_generated=source is not None and source.generate is not None,
        )
        for part in parts
        for source in (_known(part["name"], manifest.model),)
    ]


def _known(name: str, model: str) -> Source | None:
    """Return the source of a name, or of a benchmark; None for another one."""
    try:
        return source_named(name)
    except DatasetError:
        benchmark = SOURCES.get(model)
        return benchmark if benchmark is not None and benchmark.name == name else None


def _test_metrics(manifest: Manifest) -> dict[str, float | None]:
    found: Mapping[str, Any] = manifest.metrics.get("test", {}).get(manifest.default_cut, {})
    return {metric: found.get(metric) for metric in METRICS}


def _seeds(manifest: Manifest, results: Results | None) -> SeedFigures | None:
    """Return the headline's figures at the fitted threshold, if the variant was reported."""
    for row in results.rows if results else []:
        is_ours = (row.kind, row.model, row.name) == ("dan", manifest.model, manifest.variant)
        if is_ours and row.protocol == manifest.protocol and row.threshold in ("fitted", None):
            metrics: dict[str, Interval] = {
                metric: _over_seeds(values)
                for metric in METRICS
                if len(values := row.metrics.per_seed(metric)) > 1
            }
            return SeedFigures(
                protocol=row.protocol,
                seeds=row.seeds,
                threshold=row.threshold,
                metrics=metrics,
                of_this_artifact=_is_same(manifest, row),
            )
    return None


def _over_seeds(values: Sequence[float]) -> Interval:
    low, high = corrected_interval(values)
    return Interval(float(np.mean(values)), max(low, 0.0), min(high, 1.0))


def _is_same(manifest: Manifest, row: Row) -> bool:
    """Return whether the run of the artifact's seed has the artifact's own figures."""
    cut: Mapping[str, Any] = manifest.metrics.get("test", {}).get(row.threshold or "argmax", {})
    if manifest.seed not in row.seeds:
        return False
    at = row.seeds.index(manifest.seed)
    compared = [
        abs(values[at] - cut[metric]) < _SAME
        for metric in METRICS
        if (values := row.metrics.per_seed(metric)) and cut.get(metric) is not None
    ]
    return bool(compared) and all(compared)


def _transfer(manifest: Manifest, transfer: Transfer | None) -> list[TransferFigures]:
    return [
        TransferFigures(
            source=row.source,
            use=row.use,
            label=row.label,
            texts=row.texts,
            positives=row.positives,
            auroc=row.auroc,
            recall=row.recall,
        )
        for study in (transfer.studies if transfer else [])
        if study.model == manifest.model and study.variant in (None, manifest.variant)
        for row in study.rows
        if (row.recipe, row.trial) == (_OURS, manifest.variant) and not row.has_seen
    ]


def _robustness(manifest: Manifest, robustness: Robustness | None) -> RobustnessFigures | None:
    for one in robustness.variants if robustness else []:
        if (one.model, one.variant) == (manifest.model, manifest.variant):
            ours = one.scorers[0]
            return RobustnessFigures(
                version=one.version,
                of_this_artifact=one.version == manifest.version,
                changes=ours.changes,
                lengths=ours.lengths,
                identity=ours.identity,
            )
    return None


def _slices(
    manifest: Manifest, results: Results | None, seeds: SeedFigures | None
) -> list[SliceFigures]:
    """Return the slices over seeds if these are the artifact's; else those of its own test fold."""
    if results is not None and seeds is not None and seeds.of_this_artifact:
        rows: list[SliceRow] = [
            row
            for row in results.slices
            if (row.model, row.name) == (manifest.model, manifest.variant)
        ]
        if rows:
            return [
                SliceFigures(
                    row.slice,
                    row.texts,
                    row.negatives,
                    row.false_positive_rate,
                    row.false_negative_rate,
                )
                for row in rows
            ]
    found: Mapping[str, Mapping[str, Any]] = manifest.metrics.get("slices", {})
    return [
        SliceFigures(
            name,
            rates["texts"],
            rates["negatives"],
            rates["false_positive_rate"],
            rates["false_negative_rate"],
        )
        for name, rates in found.items()
    ]


def _calibration(manifest: Manifest) -> CalibrationFigures | None:
    if manifest.calibration is None:
        return None
    fit: Mapping[str, Any] = manifest.calibration_fit or {}
    return CalibrationFigures(
        parameters=dict(manifest.calibration),
        fitted_on=fit.get("fitted_on"),
        texts=list(fit.get("texts", [])),
        log_losses=dict(fit.get("log_losses", {})),
        before=ScoreQuality(**fit["before"]) if "before" in fit else None,
        after=ScoreQuality(**fit["after"]) if "after" in fit else None,
    )


def _calibration_over_seeds(
    manifest: Manifest, report: CalibrationReport | None
) -> CalibrationOverSeeds | None:
    for one in report.variants if report else []:
        if (one.model, one.variant) == (manifest.model, manifest.variant):
            return CalibrationOverSeeds(
                one.seeds,
                ScoreQuality(one.before.log_loss, one.before.brier, one.before.ece),
                ScoreQuality(one.after.log_loss, one.after.brier, one.after.ece),
            )
    return None


def _promises(manifest: Manifest, decisions: Decisions | None) -> list[PromiseFigures]:
    return [
        _promise(point)
        for one in (decisions.models if decisions else [])
        if (one.model, one.variant) == (manifest.model, manifest.variant)
        for point in one.points
        if point.promise is None
    ]


def _promise(point: PointStudy) -> PromiseFigures:
    feasible = [one for one in point.seeds if one.threshold is not None]
    positives = sum(one.positives for one in point.counts)
    negatives = sum(one.negatives for one in point.counts)
    found = sum(one.flagged_positives for one in point.counts)
    alarms = sum(one.flagged_negatives for one in point.counts)
    return PromiseFigures(
        point=point.point,
        seeds=[one.seed for one in feasible],
        infeasible=len(point.seeds) - len(feasible),
        broken=sum(any(kept.clearly_broken for kept in one.kept) for one in feasible),
        kept=point.kept,
        recall=_share(found, positives) if positives else None,
        fpr=_share(alarms, negatives) if negatives else None,
    )


def _counts(evidence: Evidence) -> dict[str, list[int]]:
    return {source: table.sum(axis=1).tolist() for source, table in evidence.counts.items()}


def _points(manifest: Manifest, evidence: Evidence) -> list[PointFigures]:
    default = manifest.operating_point
    names = dict.fromkeys([*([] if default is None else [default]), *POINTS])
    return [_point(name, manifest.score_map or IDENTITY, evidence) for name in names]


def _point(point: str, calibration: Calibration, evidence: Evidence) -> PointFigures:
    try:
        found = operating_points.fit(point, evidence)
    except InfeasibleError as error:
        return PointFigures(point, None, False, None, None, str(error))
    if not separable(scores(GRID, calibration))[np.searchsorted(GRID, found.logit)]:
        problem = "The threshold that it takes has no score of its own in float32."
        return PointFigures(point, None, False, None, None, problem)
    return PointFigures(
        point=point,
        threshold=score_at(found.logit, calibration),
        promised=found.promised,
        recall=_interval(found.recall),
        fpr=_interval(found.fpr),
        problem=None,
    )


def _interval(one: operating_points.Interval) -> Interval:
    return Interval(one.estimate, one.lower, one.upper)


def _at_base_rates(manifest: Manifest, evidence: Evidence | None) -> AtBaseRates | None:
    """Return what the default threshold does: out of fold if it is known, else on the test fold."""
    if evidence is not None and manifest.operating_point is not None:
        try:
            found = operating_points.fit(manifest.operating_point, evidence)
        except InfeasibleError:
            pass
        else:
            recall, fpr = _interval(found.recall), _interval(found.fpr)
            rates = [base_rate(prior, recall, fpr) for prior in PRIORS]
            return AtBaseRates("out_of_fold", found.negatives, found.positives, recall, fpr, rates)
    collected = _collected(manifest)
    folds: Mapping[str, Any] = manifest.by_source or {}
    tested = [rates for source, rates in folds.get("test", {}).items() if source in collected]
    negatives = int(sum(rates["negatives"] for rates in tested))
    positives = int(sum(rates["positives"] for rates in tested))
    if not (negatives and positives):
        return None
    recall = _share(sum(rates["positives"] * (rates["recall"] or 0) for rates in tested), positives)
    fpr = _share(
        sum(rates["negatives"] * (rates["false_positive_rate"] or 0) for rates in tested), negatives
    )
    rates = [base_rate(prior, recall, fpr) for prior in PRIORS]
    return AtBaseRates("test", negatives, positives, recall, fpr, rates)


def _collected(manifest: Manifest) -> set[str]:
    """Return the names of the sources of real texts, without those that repeat another's."""
    found: dict[str, str] = {}
    for source in _sources(manifest):
        if not source.is_generated:
            found.setdefault(source.sha256, source.name)
    return set(found.values())


def _share(count: float, of: int) -> Interval:
    low, high = two_sided(round(count), of)
    return Interval(round(count) / of, float(low), float(high))


def base_rate(prior: float, recall: Interval, fpr: Interval) -> BaseRate:
    """Return precision and alerts per 10,000 messages in traffic of a base rate.

    Example:
        >>> found = base_rate(0.01, Interval(0.7, 0.6, 0.8), Interval(0.01, 0.005, 0.02))
        >>> round(found.precision.value, 3), round(found.alerts.value)
        (0.414, 169)
    """

    def precision(caught: float, false: float) -> float:
        flagged = prior * caught + (1 - prior) * false
        return prior * caught / flagged if flagged else 0.0

    def alerts(caught: float, false: float) -> float:
        return 10_000 * (prior * caught + (1 - prior) * false)

    return BaseRate(
        prior,
        Interval(
            precision(recall.value, fpr.value),
            precision(recall.low, fpr.high),
            precision(recall.high, fpr.low),
        ),
        Interval(
            alerts(recall.value, fpr.value),
            alerts(recall.low, fpr.low),
            alerts(recall.high, fpr.high),
        ),
    )


def _needed(evidence: Evidence) -> list[Needed]:
    found = []
    for prior in PRIORS:
        for precision in PRECISIONS:
            try:
                point = operating_points.fit(f"precision>={precision}@prior={prior}", evidence)
            except InfeasibleError as error:
                found.append(Needed(prior, precision, False, None, error.texts_needed, str(error)))
            else:
                found.append(Needed(prior, precision, True, point.recall.estimate, None, None))
    return found

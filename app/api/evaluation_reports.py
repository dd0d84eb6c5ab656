"""From an evaluation on labelled texts to the response that describes it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from dandelion import Evaluation, EvaluationError, PolicyFileError
from dandelion.decision import operating_points
from dandelion.decision.calibration import IDENTITY, REFERENCE_PRIOR, Calibration
from dandelion.decision.evidence import GRID
from dandelion.decision.operating_points import FittedPoint, Interval
from dandelion.decision.policy import score_at, scores
from dandelion.decision.score_thresholds import separable
from dandelion.manifest import Manifest
from dandelion.verdicts import ShippedPoint, WantedPoint

from .evaluation_schemas import EvaluationReport

_CURVE_POINTS: Final = 200
_DEFAULT: Final = "default"


class Reporter:
    """Describes an evaluation.

    Args:
        found: the evaluation.
        manifest: of the artifact.
        prior: of the request; None for that of the texts.
    """

    def __init__(self, found: Evaluation, manifest: Manifest, prior: float | None) -> None:
        self._found = found
        self._manifest = manifest
        self._prior = prior
        self._own = found.calibration.in_force or IDENTITY
        self._artifact = manifest.score_map or IDENTITY

    def report(self, unlabelled: int) -> bytes:
        """Return the body of the response.

        Args:
            unlabelled: texts without a label.
        """
        found = self._found
        policy_file, problem = self._policy_file()
        values = {
            "model": found.model,
            "variant": found.variant,
            "version": self._manifest.version,
            "labels": found.labels,
            "texts": found.texts,
            "unlabelled": unlabelled,
            "copies": found.copies,
            "contradictions": found.contradictions,
            "harmless": found.counted[0],
            "positive": found.counted[1],
            "is_sample": found.is_sample,
            "is_flagged_only": found.is_flagged_only,
            "prior": self._prior,
            "share": found.prior,
            "auroc": found.auroc and asdict(found.auroc),
            "average_precision": found.average_precision and asdict(found.average_precision),
            "calibration": self._calibration(),
            "shipped": list(map(self._shipped, found.shipped)),
            "wanted": list(map(self._wanted, found.wanted)),
            "points": [] if found.is_flagged_only else self._curve(),
            "flagged": self._flagged() if found.is_flagged_only else [],
            "policy_file": policy_file,
            "policy_problem": problem,
        }
        return EvaluationReport.model_validate(values).model_dump_json().encode()

    def _policy_file(self) -> tuple[str | None, str]:
        """Return the file's content, or why there is none."""
        try:
            return self._found.policy_file().content(Path("policy.json")).decode(), ""
        except (EvaluationError, PolicyFileError) as error:
            return None, f"{error}"

    def _calibration(self) -> dict[str, Any]:
        chosen = self._found.calibration
        return {
            "method": chosen.in_force and chosen.in_force.method,
            "is_fitted": chosen.fitted is not None,
            "reason": chosen.reason,
            "log_loss_before": chosen.log_loss_before,
            "log_loss_after": chosen.log_loss_after,
            "advice": _install(chosen.missing),
        }

    def _shipped(self, point: ShippedPoint) -> dict[str, Any]:
        return {
            "operating_point": point.point.removeprefix(_DEFAULT).strip(),
            "is_default": point.point.startswith(_DEFAULT),
            "found": point.found and self._rates(point.found),
            "constraints": [
                asdict(one.rate) | {"constraint": one.constraint, "verdict": one.verdict}
                for one in point.constraints
            ],
            "problem": point.problem,
        }

    def _wanted(self, point: WantedPoint) -> dict[str, Any]:
        return {
            "operating_point": point.point,
            "promised": point.fitted is not None and point.fitted.promised,
            "fitted": point.fitted and self._rates(point.fitted),
            "problem": point.problem,
            "texts_needed": point.texts_needed,
        }

    def _curve(self) -> list[dict[str, Any]]:
        possible = separable(scores(GRID, self._own, self._prior or REFERENCE_PRIOR))
        points = operating_points.curve(
            self._found.evidence, prior=self._prior, points=_CURVE_POINTS, among=possible
        )
        return [
            self._rates(point)
            | {
                "recall": _banded(point.recall, point.band.recall),
                "fpr": _banded(point.fpr, point.band.fpr),
            }
            for point in points
            if point.band is not None
        ]

    def _flagged(self) -> list[dict[str, Any]]:
        return [
            {
                "threshold": self._score(point.logit, self._artifact),
                "precision": asdict(point.precision),
            }
            for point in self._found.curve
        ]

    def _rates(self, point: FittedPoint) -> dict[str, Any]:
        return {
            "threshold": self._score(point.logit, self._own),
            "logit": point.logit,
            "artifact_threshold": self._score(point.logit, self._artifact),
            "precision": asdict(point.precision),
            "alerts_per_10000": {name: 1e4 * rate for name, rate in asdict(point.rate).items()},
            "recall": asdict(point.recall),
            "fpr": asdict(point.fpr),
        }

    def _score(self, logit: float, calibration: Calibration) -> float:
        return score_at(logit, calibration, self._prior or REFERENCE_PRIOR)


def _banded(pointwise: Interval, band: Interval) -> dict[str, float]:
    simultaneous = {"simultaneous_lower": band.lower, "simultaneous_upper": band.upper}
    return asdict(pointwise) | simultaneous


def _install(extra: str) -> str:
    """Return how to install an extra; unlike the library's advice, without the server's paths."""
    return f"Install it: pip install 'dandelion-text[{extra}]'" if extra else ""

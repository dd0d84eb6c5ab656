"""``GET /models/{model}/operating-points``, ``…/threshold-curve`` and ``…/plan``."""

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Depends, Path, Query
from numpy.typing import NDArray
from starlette.responses import Response

from dandelion import InfeasibleError, OperatingPointError, PolicyError
from dandelion.decision import operating_points
from dandelion.decision.calibration import (
    IDENTITY,
    MAX_PRIOR,
    MIN_PRIOR,
    PRIORS,
    REFERENCE_PRIOR,
    Calibration,
)
from dandelion.decision.evidence import GRID, Evidence
from dandelion.decision.operating_points import FittedPoint, Interval
from dandelion.decision.plan import Plan
from dandelion.decision.plan import plan as make_plan
from dandelion.decision.policy import Basis, PolicyChoice, lowest_logit, resolve, score_at, scores
from dandelion.decision.score_thresholds import separable
from dandelion.manifest import Manifest

from .. import errors
from ..api import problems, queries
from ..api.decision_schemas import OperatingPoints, PlanSummary, PointSummary, ThresholdCurve
from ..api.kept_responses import KeptResponses
from ..api.queries import MAX_MINUTES, MAX_VOLUME, VariantName
from ..api.schemas import MAX_POINT_CHARS, model_examples
from ..errors import FieldError, Problem
from ..serving.registry import Registry, Served

# Next to the default; fitted at the prior of the request.
_POINTS: Final = (
    "fpr<=0.001",
    "fpr<=0.005",
    "fpr<=0.01",
    "fpr<=0.05",
    "recall>=0.5",
    "recall>=0.9",
    "precision>=0.5",
    "precision>=0.9",
    "rate<=0.02",
    "macro_f1",
)
_CURVE_POINTS: Final = 200

# Whoever moves a slider asks for many plans, and points that clients think up are without number:
# both have places of their own, and displace nothing else.
_MAX_KEPT: Final = 64
_MAX_KEPT_ASKED: Final = 64
_MAX_KEPT_PLANS: Final = 512

_ERRORS: Final = problems.documented(
    errors.no_held_out_scores(),
    errors.invalid_query(FieldError(pointer="#/prior", detail=f"Expected {PRIORS}")),
    errors.overloaded(),
    errors.not_ready(),
)
_BASIS_PARAMETERS: Final = ("prior", "policy", "variant")
_POINTS_PARAMETERS: Final = ("operating_point", *_BASIS_PARAMETERS)
_PLAN_PARAMETERS: Final = (
    *("threshold", "review_threshold", "volume", "minutes"),
    *_BASIS_PARAMETERS,
)

Prior = Annotated[
    float | None,
    Query(
        ge=MIN_PRIOR,
        le=MAX_PRIOR,
        description="The share of positive texts in your traffic: corrects scores, thresholds, "
        "precision and alerts. Only the share may differ from the held-out texts, not their kind.",
    ),
]
Point = Annotated[
    str | None,
    Query(
        max_length=MAX_POINT_CHARS,
        description="An operating point, such as `precision>=0.8`: it is fitted in addition, and "
        "comes first after the default one.",
        examples=["precision>=0.8"],
    ),
]
PolicyName = Annotated[
    str | None,
    Query(description="A policy of the model: its calibration, evidence and prior are used."),
]
Threshold = Annotated[
    float | None,
    Query(
        ge=0,
        le=1,
        description="Messages with at least this score are flagged. By default the one in force: "
        "that of the policy with its review band, or the artifact's.",
    ),
]
ReviewThreshold = Annotated[
    float | None,
    Query(
        ge=0,
        le=1,
        description="Messages from this score up to the threshold are for review. By default none.",
    ),
]
Volume = Annotated[int, Query(ge=1, le=MAX_VOLUME, description="How many messages there will be.")]
Minutes = Annotated[
    float, Query(gt=0, le=MAX_MINUTES, description="Of a reviewer, for one message.")
]
_NO_BAND: Final = FieldError(
    pointer="#/review_threshold", detail="Expected a 'threshold' next to it, not below it"
)


def router(registry: Registry) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["models"])
    basis_only = [Depends(queries.only(*_BASIS_PARAMETERS))]
    kept, kept_asked = KeptResponses(_MAX_KEPT), KeptResponses(_MAX_KEPT_ASKED)
    name = Path(openapi_examples=model_examples(registry.available))

    @routes.get(
        "/models/{model}/operating-points",
        response_model=OperatingPoints,
        responses=_ERRORS,
        dependencies=[Depends(queries.only(*_POINTS_PARAMETERS))],
    )
    async def points(
        model: Annotated[str, name],
        operating_point: Point = None,
        prior: Prior = None,
        policy: PolicyName = None,
        variant: VariantName = None,
    ) -> Response:
        """Fit operating points: the default one and usual ones, or say why one is infeasible."""
        asked = _Asked.of(registry.get(model, variant), policy, prior)
        point = None if operating_point is None else _normalised(operating_point)
        key = ("points", model, asked.manifest.variant, policy, prior)

        def compute() -> bytes:
            found = asked.facts() | {"operating_point": None, "operating_points": asked.points()}
            return OperatingPoints.model_validate(found).model_dump_json().encode()

        usual = await kept.response(key, compute)
        if point is None:
            return usual

        def add() -> bytes:
            found = OperatingPoints.model_validate_json(bytes(usual.body))
            return asked.with_point(point, found).model_dump_json().encode()

        return await kept_asked.response((*key, point), add)

    @routes.get(
        "/models/{model}/threshold-curve",
        response_model=ThresholdCurve,
        responses=_ERRORS,
        dependencies=basis_only,
    )
    async def curve(
        model: Annotated[str, name],
        prior: Prior = None,
        policy: PolicyName = None,
        variant: VariantName = None,
    ) -> Response:
        """Estimate what each threshold does, with intervals."""
        asked = _Asked.of(registry.get(model, variant), policy, prior)

        def compute() -> bytes:
            found = asked.facts() | {"points": asked.curve()}
            return ThresholdCurve.model_validate(found).model_dump_json().encode()

        key = ("curve", model, asked.manifest.variant, policy, prior)
        return await kept.response(key, compute)

    _add_plan(routes, registry, name)
    return routes


def _add_plan(routes: APIRouter, registry: Registry, name: Any) -> None:
    kept = KeptResponses(_MAX_KEPT_PLANS)

    @routes.get(
        "/models/{model}/plan",
        response_model=PlanSummary,
        responses=_ERRORS,
        dependencies=[Depends(queries.only(*_PLAN_PARAMETERS))],
    )
    async def plan(  # noqa: PLR0913, PLR0917
        model: Annotated[str, name],
        threshold: Threshold = None,
        review_threshold: ReviewThreshold = None,
        volume: Volume = 10_000,
        minutes: Minutes = 0.5,
        prior: Prior = None,
        policy: PolicyName = None,
        variant: VariantName = None,
    ) -> Response:
        """Count what a threshold means for the next messages, with prediction intervals."""
        asked = _Asked.of(registry.get(model, variant), policy, prior)
        if review_threshold is not None and (threshold is None or review_threshold > threshold):
            raise errors.invalid_query(_NO_BAND)

        def compute() -> bytes:
            found = asked.facts() | asked.plan(threshold, review_threshold, volume, minutes)
            return PlanSummary.model_validate(found).model_dump_json().encode()

        numbers = (threshold, review_threshold, volume, minutes)
        key = (model, asked.manifest.variant, policy, prior, *numbers)
        return await kept.response(key, compute)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks about.

    Attributes:
        manifest: of the model.
        policy: its name; None for the artifact itself.
        prior: that scores are corrected to; None for no correction.
        default: the operating point that decides where a request asks for nothing else.
        boundary: the logit at which the threshold lies then, if ``default`` is not fitted for it:
            that of the artifact; None if it is.
        calibration: of the logits.
        evidence: that points are fitted on.
        basis: the same, with the artifact's threshold.
        choice: of the policy, with the prior.
    """

    manifest: Manifest
    policy: str | None
    prior: float | None
    default: str | None
    boundary: float | None
    calibration: Calibration
    evidence: Evidence
    basis: Basis
    choice: PolicyChoice

    @classmethod
    def of(cls, served: Served, policy: str | None, prior: float | None) -> "_Asked":
        """Look up a policy.

        Raises:
            Problem: 404, the model has no evidence, or more than two labels; 422, there is no such
                policy, or it takes no prior.
        """
        try:
            basis, choice = served.policies.basis(policy, prior)
        except Problem as problem:
            if problem.errors:  # written for a field of a body
                raise errors.invalid_query(problem.errors[0]) from None
            raise
        if basis.evidence is None:
            raise errors.no_held_out_scores()
        default = choice.operating_point or served.manifest.operating_point
        is_fitted = choice.operating_point is not None or (policy is None and prior is None)
        return cls(
            served.manifest,
            policy,
            choice.prior,
            None if default is None else str(operating_points.parse(default)),
            None if is_fitted else basis.boundary,
            basis.calibration or IDENTITY,
            basis.evidence,
            basis,
            choice,
        )

    def facts(self) -> dict[str, Any]:
        """Return the fields of `decision_schemas.Basis`."""
        sources = [
            {"source": source, "harmless": int(table[0].sum()), "positive": int(table[1].sum())}
            for source, table in self.evidence.counts.items()
        ]
        return {
            "model": self.manifest.model,
            "variant": self.manifest.variant,
            "version": self.manifest.version,
            "policy": self.policy,
            "prior": self.prior,
            "evidence": self.evidence.fitted_on,
            "share": self.evidence.share() if self.prior is None else self.prior,
            "sources": sources,
        }

    def points(self) -> list[dict[str, Any]]:
        """Fit the default point, and usual ones."""
        names = dict.fromkeys([*([] if self.default is None else [self.default]), *_POINTS])
        return [self._point(name) for name in names]

    def with_point(self, name: str, found: OperatingPoints) -> OperatingPoints:
        """Return the same points with another one, or one of them, first after the default."""
        points = {one.operating_point: one for one in found.operating_points}
        one = points.get(name) or PointSummary.model_validate(self._point(name))
        order = dict.fromkeys([*([] if self.default is None else [self.default]), name, *points])
        points[name] = one
        update = {"operating_point": name, "operating_points": [points[each] for each in order]}
        return found.model_copy(update=update)

    def curve(self) -> list[dict[str, Any]]:
        """Return the points of `decision_schemas.ThresholdCurve`."""
        points = operating_points.curve(
            self.evidence, prior=self.prior, points=_CURVE_POINTS, among=self._possible()
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

    def plan(
        self, threshold: float | None, review: float | None, volume: int, minutes: float
    ) -> dict[str, Any]:
        """Return the other fields of `decision_schemas.PlanSummary`.

        Raises:
            Problem: 422, the policy cannot be fitted at the prior.
        """
        if threshold is None:
            try:
                policy = resolve(self.choice, self.basis)
            except (InfeasibleError, OperatingPointError, PolicyError) as error:
                raise errors.invalid_query(
                    FieldError(pointer="#/prior", detail=str(error))
                ) from None
            threshold, review = policy.threshold, policy.review
        above = self._logit(threshold)
        point = operating_points.at(self.evidence, above, prior=self.prior)
        found = make_plan(
            self.evidence,
            above,
            prior=point.prior,
            volume=volume,
            minutes=minutes,
            review=None if review is None else self._logit(review),
        )
        return (
            self._rates(point)
            | {"threshold": threshold, "review_threshold": review, "minutes": minutes}
            | {"recall": asdict(point.recall), "fpr": asdict(point.fpr)}
            | _counts(found)
        )

    def _logit(self, threshold: float) -> float:
        return lowest_logit(threshold, self.calibration, self.prior)

    def _point(self, name: str) -> dict[str, Any]:
        is_named = name == self.default
        found = {"operating_point": name, "is_default": is_named and self.boundary is None}
        try:
            fitted = operating_points.fit(
                name, self.evidence, prior=self.prior, among=self._possible()
            )
        except InfeasibleError as error:
            reason = {"detail": str(error), "best": error.best, "texts_needed": error.texts_needed}
            return found | {"fitted": None, "infeasible": reason}
        except OperatingPointError as error:  # the evidence lacks a class
            reason = {"detail": str(error), "best": None, "texts_needed": None}
            return found | {"fitted": None, "infeasible": reason}
        facts = self._rates(fitted) | {
            "promised": fitted.promised,
            "recall": asdict(fitted.recall),
            "fpr": asdict(fitted.fpr),
            "constraints": [asdict(kept) for kept in fitted.kept],
            "value": None if fitted.value is None else asdict(fitted.value),
            "plateau": fitted.plateau and list(map(self._score, fitted.plateau)),
        }
        if self.boundary is not None:
            found["is_default"] = is_named and math.isclose(fitted.logit, self.boundary)
        return found | {"fitted": facts, "infeasible": None}

    def _rates(self, point: FittedPoint) -> dict[str, Any]:
        return {
            "threshold": self._score(point.logit),
            "logit": point.logit,
            "precision": asdict(point.precision),
            "alerts_per_10000": {name: 1e4 * rate for name, rate in asdict(point.rate).items()},
        }

    def _score(self, logit: float) -> float:
        return score_at(logit, self.calibration, self.prior or REFERENCE_PRIOR)

    def _possible(self) -> NDArray[np.bool_]:
        return separable(scores(GRID, self.calibration, self.prior or REFERENCE_PRIOR))


def _normalised(point: str) -> str:
    """Return an operating point as its fitted one is named.

    Raises:
        Problem: 422, it is not in the grammar.
    """
    try:
        return str(operating_points.parse(point))
    except OperatingPointError as error:
        raise errors.invalid_query(
            FieldError(pointer="#/operating_point", detail=str(error))
        ) from None


def _counts(found: Plan) -> dict[str, Any]:
    """Return each count of a plan: what is expected, its interval, and that of the prediction."""
    predicted = found.prediction
    numbers: dict[str, Any] = {"messages": predicted.messages}
    for name in PlanSummary.COUNTS:
        mean, next_ones = getattr(found, name), getattr(predicted, name)
        numbers[name] = mean and asdict(mean) | {
            "predicted_lower": next_ones.lower,
            "predicted_upper": next_ones.upper,
        }
    return numbers


def _banded(pointwise: Interval, band: Interval) -> dict[str, float]:
    simultaneous = {"simultaneous_lower": band.lower, "simultaneous_upper": band.upper}
    return asdict(pointwise) | simultaneous

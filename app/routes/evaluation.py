"""``POST /models/{model}/evaluation``: what a model does on a user's own labelled texts.

A file of more texts than a request may have is scored in parts (``…/evaluation/texts``); what comes
of it goes back with the labels. So nothing is kept between requests, and no text is needed twice.
"""

from collections.abc import Awaitable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from msgspec import Struct
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from .. import errors
from ..api import openapi, problems, queries
from ..api.evaluation_schemas import EvaluationReport, EvaluationRequest, ScoredTexts, TextsToScore
from ..api.evaluations import Evaluations
from ..api.queries import VariantName
from ..api.schemas import model_examples
from ..errors import FieldError
from ..serving.registry import Registry, Served

_ERRORS: Final = (
    errors.not_json("trailing comma in array (byte 14)"),
    errors.no_thresholds(3),
    errors.too_large(8_000_000),
    errors.unsupported_media_type(),
    errors.invalid(FieldError(pointer="#/labels/3", detail="Expected a number <= 1")),
    errors.overloaded(),
    errors.not_ready(),
    errors.deadline_exceeded(10_000),
)


def router(registry: Registry, evaluations: Evaluations) -> APIRouter:
    """Return the routes.

    Args:
        registry: of the models.
        evaluations: does the work.
    """
    routes = APIRouter(tags=["models"], dependencies=[Depends(queries.only("variant"))])
    name = Path(openapi_examples=model_examples(registry.available))

    @routes.post(
        "/models/{model}/evaluation/texts",
        response_model=ScoredTexts,
        responses=problems.documented(*_ERRORS),
        openapi_extra=_body(TextsToScore, {"texts": ["Free entry in a weekly draw"]}),
    )
    async def texts(
        request: Request, model: Annotated[str, name], variant: VariantName = None
    ) -> Response:
        """Score a part of the texts for an evaluation, which takes the scores of all parts."""
        served = _binary(registry.get(model, variant))
        return await _response(evaluations.score(request, served))

    @routes.post(
        "/models/{model}/evaluation",
        response_model=EvaluationReport,
        responses=problems.documented(*_ERRORS, errors.other_version("3f551a3ae63a")),
        openapi_extra=_body(
            EvaluationRequest,
            {"texts": ["Free entry in a weekly draw", "See you at six"], "labels": [1, 0]},
        ),
    )
    async def evaluation(
        request: Request, model: Annotated[str, name], variant: VariantName = None
    ) -> Response:
        """Evaluate a model on labelled texts, and return the policy file for them."""
        served = _binary(registry.get(model, variant))
        return await _response(evaluations.evaluate(request, served))

    return routes


def _body(schema: type[Struct], example: Any) -> dict[str, Any]:
    content = {"schema": openapi.reference(schema), "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


async def _response(body_: Awaitable[bytes]) -> Response:
    try:
        return Response(await body_, media_type="application/json")
    except ClientDisconnect:  # nobody reads this response
        return Response(status_code=errors.CLIENT_CLOSED)


def _binary(served: Served) -> Served:
    """Return a model with two labels.

    Raises:
        Problem: 404, it has more.
    """
    if not served.classifier.decision.is_binary:
        raise errors.no_thresholds(len(served.manifest.labels))
    return served

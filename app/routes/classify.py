"""``POST /classify/{model}``."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from .. import errors
from ..api import body, schemas
from ..api.schemas import ClassifyAnswer, ClassifyRequest, MulticlassAnswer
from ..serving.classification import Classification
from ..serving.registry import Registry


def router(
    registry: Registry,
    classification: Classification,
    schema: type[ClassifyRequest],
    max_body_bytes: int,
) -> APIRouter:
    """Make the route; most requests take the shorter way of `direct` and never come here."""
    routes = APIRouter(tags=["classify"])

    @routes.post(
        "/classify/{model}",
        name="classify",
        response_model=ClassifyAnswer | MulticlassAnswer,
        responses=errors.documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.METHOD_NOT_ALLOWED,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": schema.model_json_schema(),
                        "examples": schemas.EXAMPLES,
                    }
                },
            }
        },
    )
    async def classify(
        request: Request,
        model: Annotated[str, Path(openapi_examples=schemas.model_examples(registry.names))],
    ) -> Response:
        """Label a batch of texts, in their order."""
        served = registry.get(model)
        asked = await body.read(request, schema, max_body_bytes)
        if asked.threshold is not None and served.manifest.threshold is None:
            raise errors.needless_threshold(len(served.manifest.labels))
        answer = await classification.answer(served, asked)
        return Response(answer, media_type="application/json")

    return routes

"""Every error that a client sees: RFC 9457 problem details, from this one place.

A problem never repeats what the client sent: neither a text nor the name of a field or a model.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1


class Mistake(BaseModel):
    """One mistake in a request."""

    pointer: str = Field(description="JSON Pointer (RFC 6901) to the place in the body.")
    detail: str = Field(description="What was expected there.")


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field("about:blank", description="The status says it all: `about:blank`.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened and what is allowed.")
    request_id: str | None = Field(None, description="As in the header X-Request-ID.")
    errors: list[Mistake] | None = Field(None, description="Each mistake in the body (422).")


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """An answer other than the one asked for.

    Args:
        status: the HTTP status.
        detail: what happened and what is allowed; nothing of what the client sent.
        errors: each mistake in the body.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[Mistake] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers


class NotReadyProblem(Problem):
    """503: the models are still being loaded."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The models are being loaded. Try again in a moment.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )


class UnknownModelProblem(Problem):
    """404: no such model; names those there are."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__(
            HTTPStatus.NOT_FOUND, f"There is no such model. There are: {', '.join(models)}."
        )


def response(problem: Problem, request_id: str | None) -> Response:
    """Write a problem as an answer."""
    details = ProblemDetails(
        title=problem.status.phrase,
        status=problem.status,
        detail=problem.detail,
        request_id=request_id,
        errors=list(problem.errors) if problem.errors is not None else None,
    )
    return Response(
        to_json(details, exclude_none=True),
        status_code=problem.status,
        headers=dict(problem.headers or {}),
        media_type=MEDIA_TYPE,
    )


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a `Problem` that a route raised."""
    if not isinstance(error, Problem):
        raise error
    return response(error, request.scope["request_id"])


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer the framework's own errors: no such path, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    details = {
        HTTPStatus.NOT_FOUND: "There is nothing at this path. GET /docs shows what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: "The header Allow names the methods of this path.",
    }
    detail = details.get(status, status.description)
    return response(Problem(status, detail, headers=error.headers), request.scope["request_id"])


def internal(request_id: str) -> Response:
    """Answer a defect of the service, without a word of its inside."""
    detail = "The service failed. Its log has more under this request id."
    return response(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail), request_id)


_EXAMPLES: Final[dict[HTTPStatus, str]] = {
    HTTPStatus.BAD_REQUEST: "The body is not JSON (RFC 8259, UTF-8): trailing comma at line 1 "
    "column 14.",
    HTTPStatus.NOT_FOUND: "There is no such model. There are: cyberbullying, spam.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The header Allow names the methods of this path.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 8000000 bytes.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The Content-Type must be application/json.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The body is not a valid request.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The service failed. Its log has more under this request id.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The models are being loaded. Try again in a moment.",
}


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe problems for OpenAPI, each with an example."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        errors = None
        if status is HTTPStatus.UNPROCESSABLE_ENTITY:
            errors = [Mistake(pointer="#/threshold", detail="Input should be a valid number")]
        example = ProblemDetails(
            title=status.phrase,
            status=status,
            detail=_EXAMPLES[status],
            request_id="0f8fad5bd9cb469fa16570867728950e",
            errors=errors,
        )
        described[status.value] = {
            "description": status.phrase,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemDetails"},
                    "example": example.model_dump(mode="json", exclude_none=True),
                }
            },
        }
    return described

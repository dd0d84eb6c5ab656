"""Every error that a client sees: RFC 9457 problem details, from this one place.

A problem never repeats what the client sent: neither a text nor the name of a field or a model.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

_Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

MEDIA_TYPE: Final = "application/problem+json"

# The client went away before its answer (nginx's convention).
CLIENT_CLOSED: Final = 499

_RETRY_AFTER_S: Final = 1
_MAX_MISTAKES: Final = 20


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


def not_json(reason: object) -> Problem:
    """400: the body is not JSON; ``reason`` tells what was expected and where."""
    return Problem(HTTPStatus.BAD_REQUEST, f"The body is not JSON (RFC 8259, UTF-8): {reason}.")


def unknown_model(models: Sequence[str]) -> Problem:
    """404: there is no such model; names those there are."""
    return Problem(HTTPStatus.NOT_FOUND, f"There is no such model. There are: {', '.join(models)}.")


def method_not_allowed(headers: Mapping[str, str] | None = None) -> Problem:
    """405: ``headers`` tell what is allowed."""
    detail = "The header Allow names the methods of this path."
    return Problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers=headers)


def too_large(max_bytes: int) -> Problem:
    """413: the body is over the limit."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {max_bytes} bytes."
    )


def unsupported_media_type() -> Problem:
    """415: the body is said to be something else."""
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The Content-Type must be application/json.")


def invalid(mistakes: Sequence[Mistake]) -> Problem:
    """422: the body is JSON of a wrong shape; names the first mistakes."""
    detail = "The body is not a valid request."
    if len(mistakes) > _MAX_MISTAKES:
        detail += f" It has {len(mistakes)} mistakes; the first {_MAX_MISTAKES} are listed."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=mistakes[:_MAX_MISTAKES])


def needless_threshold(labels: int) -> Problem:
    """422: a threshold was given, but there are more than two labels."""
    detail = f"This model tells {labels} labels apart and gives the likeliest; leave threshold out."
    return invalid([Mistake(pointer="#/threshold", detail=detail)])


def internal() -> Problem:
    """500: a defect of the service, without a word of its inside."""
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The service failed. Its log has more under this request id.",
    )


def not_ready() -> Problem:
    """503: the models are still being loaded."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The models are being loaded. Try again in a moment.",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


def response(problem: Problem, request_id: str) -> Response:
    """Write a problem as an answer."""
    return Response(
        to_json(_details(problem, request_id), exclude_none=True),
        status_code=problem.status,
        headers=dict(problem.headers or {}),
        media_type=MEDIA_TYPE,
    )


def _details(problem: Problem, request_id: str) -> ProblemDetails:
    return ProblemDetails(
        title=problem.status.phrase,
        status=problem.status,
        detail=problem.detail,
        request_id=request_id,
        errors=None if problem.errors is None else list(problem.errors),
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
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        problem = method_not_allowed(error.headers)
    elif status is HTTPStatus.NOT_FOUND:
        problem = Problem(status, "There is nothing at this path. GET /docs shows what there is.")
    else:
        problem = Problem(status, status.description, headers=error.headers)
    return response(problem, request.scope["request_id"])


async def on_defect(request: Request, error: Exception) -> Response:
    """Answer any other error with 500; the middleware around the framework logs it."""
    del error
    return response(internal(), request.scope["request_id"])


async def on_disconnect(request: Request, error: Exception) -> Response:
    """Give the answer of a client that went away a status, for the metrics."""
    del request, error
    return Response(status_code=CLIENT_CLOSED)


HANDLERS: Final[dict[int | type[Exception], _Handler]] = {
    Problem: on_problem,
    HTTPException: on_http_exception,
    ClientDisconnect: on_disconnect,
    Exception: on_defect,
}


_EXAMPLES: Final = (
    not_json("trailing comma at line 1 column 14"),
    unknown_model(["cyberbullying", "spam"]),
    method_not_allowed(),
    too_large(8_000_000),
    unsupported_media_type(),
    invalid([Mistake(pointer="#/threshold", detail="Input should be a number")]),
    internal(),
    not_ready(),
)


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe problems for OpenAPI, each with an example."""
    described: dict[int | str, dict[str, Any]] = {}
    for problem in _EXAMPLES:
        if problem.status in statuses:
            example = _details(problem, "0f8fad5bd9cb469fa16570867728950e")
            described[problem.status.value] = {
                "description": problem.status.phrase,
                "content": {
                    MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/ProblemDetails"},
                        "example": example.model_dump(mode="json", exclude_none=True),
                    }
                },
            }
    return described

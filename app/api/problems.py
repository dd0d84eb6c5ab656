"""Error responses: RFC 9457 problem details, whether raised by a route or by FastAPI."""

from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from fastapi.exceptions import RequestValidationError
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from dandelion.decision.calibration import PRIORS

from .. import errors
from ..errors import FieldError, Problem
from .queries import MAX_MINUTES, MAX_VOLUME
from .schemas import MAX_POINT_CHARS

MEDIA_TYPE: Final = "application/problem+json"

# What the parameters of queries must be.
_EXPECTED: Final = {
    "prior": f"Expected {PRIORS}",
    "operating_point": f"Expected an operating point of at most {MAX_POINT_CHARS} characters",
    "threshold": "Expected a number in [0, 1]",
    "review_threshold": "Expected a number in [0, 1]",
    "volume": f"Expected a whole number from 1 to {MAX_VOLUME}",
    "minutes": f"Expected a number above 0, at most {MAX_MINUTES:g}",
}

_encode = msgspec.json.Encoder().encode


class ProblemDetails(Struct, frozen=True, kw_only=True):
    """An error (RFC 9457)."""

    type: Annotated[str, Meta(description="Always `about:blank`: the status is the type.")]
    title: Annotated[str, Meta(description="The status's reason phrase.")]
    status: Annotated[int, Meta(description="The HTTP status.")]
    detail: Annotated[str, Meta(description="What happened, and what is allowed.")]
    request_id: Annotated[str, Meta(description="As in the header X-Request-ID.")]
    errors: Annotated[
        list[FieldError] | UnsetType, Meta(description="The first invalid field, with 422.")
    ] = UNSET
    best: Annotated[
        float | UnsetType | None,
        Meta(
            description="With an operating point that cannot be promised: the strictest bound that "
            "can be; null if none can."
        ),
    ] = UNSET
    texts_needed: Annotated[
        int | UnsetType | None,
        Meta(
            description="With an operating point that cannot be promised: labelled texts that it "
            "would take; null if no number of them would do."
        ),
    ] = UNSET


Render = Callable[[Problem], Response]


def response(problem: Problem, scope: Scope) -> Response:
    """Return a problem as a response.

    Args:
        problem: to respond with.
        scope: ASGI's; its ``render_problem``, a `Render`, has the form of another protocol.
    """
    render: Render | None = scope.get("render_problem")
    return details(problem, scope["request_id"]) if render is None else render(problem)


def details(problem: Problem, request_id: str) -> Response:
    """Return a problem as RFC 9457's problem details."""
    return Response(
        _encode(_details(problem, request_id)),
        status_code=problem.status,
        headers=dict(problem.headers or {}),
        media_type=MEDIA_TYPE,
    )


def _details(problem: Problem, request_id: str) -> ProblemDetails:
    return ProblemDetails(
        type="about:blank",
        title=problem.status.phrase,
        status=problem.status.value,
        detail=problem.detail,
        request_id=request_id,
        errors=list(problem.errors) or UNSET,
        **problem.members,
    )


async def _on_problem(request: Request, problem: Problem) -> Response:
    return response(problem, request.scope)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    """Respond to the framework's own errors: unknown path, unsupported method."""
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.NOT_FOUND:
        problem = errors.not_found()
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        problem = errors.method_not_allowed({"Allow": _allowed(error.headers)})
    else:
        problem = Problem(status, status.description, headers=error.headers)
    return response(problem, request.scope)


def _allowed(headers: Mapping[str, str] | None) -> str:
    """Return the methods of a resource, in order; HEAD is served wherever GET is."""
    methods = set((headers or {}).get("Allow", "GET").split(", "))
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


async def _on_invalid_query(request: Request, error: RequestValidationError) -> Response:
    """Respond to a parameter that is not of its type; the routes here have no other."""
    first = error.errors()[0]
    where = "/".join(map(str, first["loc"][1:]))
    # Of the framework's message, nothing: it may quote the parameter.
    field = FieldError(pointer=f"#/{where}", detail=_EXPECTED.get(where, "Expected another value"))
    return response(errors.invalid_query(field), request.scope)


async def _on_defect(request: Request, error: Exception) -> Response:
    """Respond to any other error with 500; `RequestMiddleware` logs it."""
    del error
    return response(errors.internal(), request.scope)


HANDLERS: Final[
    dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]
] = {
    Problem: _on_problem,
    HTTPException: _on_http_exception,
    RequestValidationError: _on_invalid_query,
    Exception: _on_defect,
}


def documented(*examples: Problem) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's descriptions of error responses, by status as a string."""
    described: dict[int | str, dict[str, Any]] = {}
    for problem in examples:
        example = _details(problem, "0f8fad5bd9cb469fa16570867728950e")
        described[str(problem.status.value)] = {
            "description": problem.status.phrase,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemDetails"},
                    "example": msgspec.to_builtins(example),
                }
            },
        }
    return described

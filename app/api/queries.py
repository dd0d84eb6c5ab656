"""The parameters of a URL's query: an unknown or repeated one is refused."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Query, Request
from starlette.datastructures import QueryParams

from .. import errors
from ..errors import FieldError, Problem

MAX_VOLUME: Final = 1_000_000_000
MAX_MINUTES: Final = 1440.0

_VARIANT: Final = (
    "A loaded variant of the model (`GET /models` lists them), instead of the one that is served."
)

VariantName = Annotated[str | None, Query(description=_VARIANT)]

VARIANT_PARAMETER: Final[dict[str, Any]] = {
    "name": "variant",
    "in": "query",
    "required": False,
    "schema": {"type": "string", "title": "Variant"},
    "description": _VARIANT,
}
"""The same, described for OpenAPI where FastAPI does not route."""


def only(*names: str) -> Callable[[Request], Awaitable[None]]:
    """Return a dependency of FastAPI that refuses all but these parameters."""

    async def check(request: Request) -> None:
        _check(request.query_params, names)

    return check


def variant(query: bytes) -> str | None:
    """Return the variant that the query of a request to classify names.

    Args:
        query: of ASGI's scope.

    Raises:
        Problem: 422, there is another parameter, or a second variant.
    """
    parameters = QueryParams(query)
    _check(parameters, ("variant",))
    return parameters.get("variant")


def refused(*names: str) -> Problem:
    """422: the query has other parameters than these, or one of them twice."""
    *others, last = map(repr, names)
    known = f"{', '.join(others)} and {last}, each" if others else f"{last},"
    detail = f"Expected no parameters but {known} at most once"
    return errors.invalid_query(FieldError(pointer="#", detail=detail))


def _check(parameters: QueryParams, names: tuple[str, ...]) -> None:
    """Refuse a query whose response would be for something else than the client means.

    Raises:
        Problem: 422, a parameter is unknown, or occurs twice.
    """
    given = [name for name, _ in parameters.multi_items()]
    if not set(given) <= set(names) or len(set(given)) < len(given):
        raise refused(*names)

"""The OpenAPI description: FastAPI's, completed by what is served outside of FastAPI."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI

from dandelion.api_keys import Access

from .. import errors
from .access import required
from .problems import ProblemDetails, documented

# What any request may get, before or after its route is reached.
_EVERYWHERE: Final = documented(
    errors.malformed(),
    errors.request_timeout(),
    errors.uri_too_long(8192),
    errors.headers_too_large("100 fields"),
    errors.internal(),
    errors.too_many_connections(),
)

_SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

_REFERENCE: Final = "#/components/schemas/{name}"

# Path → method → operation, and the types that the operations refer to.
Description = tuple[Mapping[str, Any], Sequence[type[msgspec.Struct]]]


def reference(schema: type[msgspec.Struct]) -> dict[str, str]:
    """Return the reference to a schema, which must be among those of `complete`."""
    return {"$ref": _REFERENCE.format(name=schema.__name__)}


def complete(
    app: FastAPI,
    describe: Callable[[], Description],
    requests: Sequence[type[msgspec.Struct]] = (),
    *,
    has_keys: bool = False,
) -> None:
    """Extend the description that ``app`` generates.

    Its own error schema is removed: every error is a `ProblemDetails`.

    Args:
        app: the application.
        describe: returns what the application does not route; called for each response, as it
            depends on the models that are loaded by then.
        requests: types that the routes of the application refer to.
        has_keys: whether requests need API keys.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        description = dict(generate())
        paths, schemas = describe()
        _, components = msgspec.json.schema_components(
            [*schemas, *requests, ProblemDetails], ref_template=_REFERENCE
        )
        described = description.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            described.pop(name, None)
        described |= components
        description["paths"] = {**paths, **description["paths"]}
        if has_keys:
            description["components"]["securitySchemes"] = _SECURITY_SCHEMES
        for path, operations in description["paths"].items():
            for method, operation in operations.items():
                responses = operation["responses"]
                if "application/json" in responses.get("422", {}).get("content", {}):
                    del responses["422"]  # added by FastAPI; these routes never return it
                for status, problem in _EVERYWHERE.items():
                    responses.setdefault(status, problem)
                if has_keys:
                    _require_key(operation, required(method.upper(), path))
        return description

    app.openapi = openapi  # type: ignore[method-assign]


def _require_key(operation: dict[str, Any], access: Access | None) -> None:
    """Describe what an operation requires; it may have been described before."""
    operation["security"] = [] if access is None else [{name: []} for name in _SECURITY_SCHEMES]
    if access is not None:
        denied = documented(errors.no_key(), errors.missing_scope(access))
        operation["responses"] = operation["responses"] | denied

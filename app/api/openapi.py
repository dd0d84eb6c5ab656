"""The OpenAPI description: FastAPI's, completed by what is served outside of FastAPI."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI

from .. import errors
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

_REFERENCE: Final = "#/components/schemas/{name}"

# Path → method → operation, and the types that the operations refer to.
Description = tuple[Mapping[str, Any], Sequence[type[msgspec.Struct]]]


def reference(schema: type[msgspec.Struct]) -> dict[str, str]:
    """Return the reference to a schema, which must be among those of `complete`."""
    return {"$ref": _REFERENCE.format(name=schema.__name__)}


def complete(app: FastAPI, describe: Callable[[], Description]) -> None:
    """Extend the description that ``app`` generates.

    Its own error schema is removed: every error is a `ProblemDetails`.

    Args:
        app: the application.
        describe: returns what the application does not route; called for each response, as it
            depends on the models that are loaded by then.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        description = dict(generate())
        paths, schemas = describe()
        _, components = msgspec.json.schema_components(
            [*schemas, ProblemDetails], ref_template=_REFERENCE
        )
        described = description.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            described.pop(name, None)
        described |= components
        description["paths"] = {**paths, **description["paths"]}
        for operations in description["paths"].values():
            for operation in operations.values():
                responses = operation["responses"]
                if "application/json" in responses.get("422", {}).get("content", {}):
                    del responses["422"]  # added by FastAPI; these routes never return it
                for status, problem in _EVERYWHERE.items():
                    responses.setdefault(status, problem)
        return description

    app.openapi = openapi  # type: ignore[method-assign]

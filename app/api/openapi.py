"""The OpenAPI description: FastAPI's, completed by what is served outside of FastAPI."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI

from .problems import ProblemDetails

_REFERENCE: Final = "#/components/schemas/{name}"


def reference(schema: type[msgspec.Struct]) -> dict[str, str]:
    """Return the reference to a schema, which must be among those of `complete`."""
    return {"$ref": _REFERENCE.format(name=schema.__name__)}


def complete(
    app: FastAPI, paths: Mapping[str, Any], schemas: Sequence[type[msgspec.Struct]]
) -> None:
    """Extend the description that ``app`` generates.

    Its own error schema is removed: every error is a `ProblemDetails`.

    Args:
        app: the application.
        paths: OpenAPI's description of paths that the application does not route.
        schemas: the types that ``paths`` refer to.
    """
    generate = app.openapi
    _, components = msgspec.json.schema_components(
        [*schemas, ProblemDetails], ref_template=_REFERENCE
    )

    def openapi() -> dict[str, Any]:
        description = generate()
        described = description.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            described.pop(name, None)
        described |= components
        for operations in description["paths"].values():
            for operation in operations.values():
                responses = operation["responses"]
                if "application/json" in responses.get("422", {}).get("content", {}):
                    del responses["422"]  # added by FastAPI; these routes never return it
        description["paths"] = {**paths, **description["paths"]}
        return description

    app.openapi = openapi  # type: ignore[method-assign]

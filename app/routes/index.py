"""``GET /``: the page for people, or an index for programs."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from ..api.accept import prefers
from ..api.schemas import ServiceIndex, ServiceLimits

_PAGE: Final = Path(__file__).parent.parent / "static" / "page" / "index.html"

_VARY: Final = {"Vary": "Accept"}

# The icons in the style sheet are `data:` URLs.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def router(version: str, limits: ServiceLimits) -> APIRouter:
    """Return the route.

    Args:
        version: of the service.
        limits: on a request.
    """
    routes = APIRouter(tags=["service"])

    @routes.get(
        "/",
        response_model=ServiceIndex,
        responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
    )
    async def index(request: Request) -> Response:
        """Say what this is, and where everything else is; to a browser, show the page."""
        prefix = request.scope["root_path"]
        if prefers(request.headers.getlist("accept"), "text/html", "application/json"):
            # The addresses in the page are relative, so its own has to end with a slash.
            if prefix and request.scope.get("raw_path") == prefix.encode():
                return RedirectResponse(f"{prefix}/", headers=_VARY)
            return FileResponse(_PAGE, headers=_VARY | {"Content-Security-Policy": _POLICY})
        found = ServiceIndex(
            name="Dandelion",
            version=version,
            documentation=f"{prefix}/docs",
            openapi=f"{prefix}/openapi.json",
            models=f"{prefix}/models",
            classify=f"{prefix}/classify/{{model}}",
            liveness=f"{prefix}/livez",
            readiness=f"{prefix}/readyz",
            metrics=f"{prefix}/metrics",
            limits=limits,
        )
        return JSONResponse(found.model_dump(), headers=_VARY)

    return routes

"""``GET /docs``, and the files that the page needs. Nothing is loaded from another host."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import FileResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

_STATIC: Final = Path(__file__).parent.parent / "static"

# Swagger UI has its icons in the style sheet, as `data:` URLs.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/docs")
    async def docs() -> FileResponse:
        return FileResponse(_STATIC / "docs.html", headers={"Content-Security-Policy": _POLICY})

    @routes.get("/favicon.ico")
    async def favicon() -> FileResponse:
        return FileResponse(_STATIC / "favicon.svg")

    return routes


def files() -> Mount:
    """Return the route of the static files."""
    return Mount("/static", StaticFiles(directory=_STATIC), name="static")

"""``GET /livez`` and ``GET /readyz``."""

from http import HTTPStatus

from fastapi import APIRouter

from ..api import problems
from ..api.schemas import Health
from ..serving.registry import Registry


def router(registry: Registry) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez")
    async def livez() -> Health:
        """Report that the process responds."""
        return Health(status="alive")

    @routes.get("/readyz", responses=problems.documented(HTTPStatus.SERVICE_UNAVAILABLE))
    async def readyz() -> Health:
        """Report that every chosen model is loaded, checked against its golden scores and warm."""
        registry.all()
        return Health(status="ready")

    return routes

"""``GET /livez`` and ``GET /readyz``."""

from http import HTTPStatus

from fastapi import APIRouter

from .. import errors
from ..api.schemas import Health
from ..serving.registry import Registry


def router(registry: Registry) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez")
    async def livez() -> Health:
        """Tell that the process answers."""
        return Health(status="alive")

    @routes.get("/readyz", responses=errors.documented(HTTPStatus.SERVICE_UNAVAILABLE))
    async def readyz() -> Health:
        """Tell that every chosen model is loaded, checked against its golden scores and warm."""
        registry.all()
        return Health(status="ready")

    return routes

"""``GET /livez`` and ``GET /readyz``."""

from fastapi import APIRouter

from ..api import problems
from ..api.schemas import Health
from ..errors import shutting_down
from ..serving.phase import SharedPhase
from ..serving.registry import Registry


def router(registry: Registry, phase: SharedPhase) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez")
    async def livez() -> Health:
        """Report that the process responds."""
        return Health(status="alive")

    @routes.get("/readyz", responses=problems.documented(shutting_down()))
    async def readyz() -> Health:
        """Report that the models are loaded, checked against their golden scores and warm.

        A service that drains, because it will stop, is not ready.
        """
        if not phase.is_ready:
            raise shutting_down()
        registry.all()
        return Health(status="ready")

    return routes

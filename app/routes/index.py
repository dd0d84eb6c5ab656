"""``GET /``."""

from fastapi import APIRouter, Request

from ..api.schemas import ServiceIndex


def router(version: str) -> APIRouter:
    """Return the route.

    Args:
        version: of the service.
    """
    routes = APIRouter(tags=["service"])

    @routes.get("/")
    async def index(request: Request) -> ServiceIndex:
        """Say what this is, and where everything else is."""
        prefix = request.scope["root_path"]
        return ServiceIndex(
            name="Dandelion",
            version=version,
            documentation=f"{prefix}/docs",
            openapi=f"{prefix}/openapi.json",
            models=f"{prefix}/models",
            classify=f"{prefix}/classify/{{model}}",
            liveness=f"{prefix}/livez",
            readiness=f"{prefix}/readyz",
            metrics=f"{prefix}/metrics",
        )

    return routes

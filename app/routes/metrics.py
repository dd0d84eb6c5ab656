"""``GET /metrics``."""

from fastapi import APIRouter, Request
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from ..telemetry.metrics import Metrics


def router(metrics: Metrics) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["metrics"])

    @routes.get("/metrics", response_class=Response)
    def exposition(request: Request) -> Response:
        """Expose every series, in the format that the scraper accepts."""
        # Not async: summing the workers' rows takes milliseconds and would block the event
        # loop.
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"Content-Type": content_type})

    return routes

"""The application: everything is put together here."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits

from dandelion import serving

from .api import openapi, problems
from .api.middleware import RequestMiddleware
from .api.schemas import limited_request
from .routes import classify, health, models
from .routes import metrics as metrics_route
from .serving.classification import Classification
from .serving.registry import Registry
from .settings import Settings
from .telemetry.metrics import Metrics

_log = logging.getLogger("dandelion")

# A tenth of Python's own: of the time that one text waits beside a large batch.
_SWITCH_INTERVAL_S: Final = 0.5e-3

_DESCRIPTION = """\
Classifies texts with small networks made for imbalanced data. Submitted texts are never stored,
logged, put into a metric or echoed in an error.
"""


def create_app(
    settings: Settings,
    on_load_failure: Callable[[Exception], None],
    metrics: Metrics | None = None,
) -> ASGIApp:
    """Make the application; the models are loaded once it runs, or for several workers at once.

    Args:
        settings: of the service.
        on_load_failure: called in the event loop when an artifact cannot be loaded.
        metrics: receives the records; by default those of one worker.

    Raises:
        ServingError: ``serving.toml`` is missing or wrong, or a chosen variant does not exist.
        ArtifactError: an artifact's ``model.json`` cannot be used; for several workers, anything
            of an artifact.
        KernelError: for several workers: the compiled engine is asked for, but was not built.
    """
    metrics = metrics or Metrics()
    registry = Registry(serving.read(settings.artifacts, settings.models), metrics, settings.engine)
    if settings.workers > 1:
        # At once, before the workers are forked: they share what is in memory. On one thread, as
        # a fork takes no other along.
        threadpool_limits(1, user_api="blas")
        registry.load()

    classification = Classification()

    async def load() -> None:
        try:
            if not registry.is_ready:
                await asyncio.to_thread(registry.load)
        except Exception as error:  # noqa: BLE001 - whatever it is, the service can't go on
            on_load_failure(error)
        else:
            gc.freeze()  # the models stay: the collector need not look at them again
            _log.info("ready", extra={"models": ",".join(registry.names)})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # A thread that classifies hands the interpreter back to the event loop this soon.
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        # Other threads than these would fight over the processors that the event loop needs.
        with threadpool_limits(settings.blas_threads, user_api="blas"):
            loading = asyncio.create_task(load())
            yield
            await loading
        classification.close()

    app = FastAPI(
        title="Dandelion",
        version=metadata.version("dandelion-text"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=problems.HANDLERS,
    )
    schema = limited_request(settings.max_texts, settings.max_text_chars)
    app.include_router(models.router(registry))
    app.include_router(health.router(registry))
    app.include_router(metrics_route.router(metrics))
    openapi.complete(app, *classify.describe(registry.names, schema))
    endpoint = classify.ClassifyEndpoint(
        app,
        registry=registry,
        classification=classification,
        schema=schema,
        max_body_bytes=settings.max_body_bytes,
    )
    return RequestMiddleware(
        endpoint, registry=registry, metrics=metrics, access_log=settings.access_log
    )

"""The application, assembled from its parts."""

import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match
from starlette.types import ASGIApp, Lifespan
from threadpoolctl import threadpool_limits

from dandelion import serving

from .api import evaluation_schemas, openapi, problems
from .api.access import AccessMiddleware
from .api.evaluation_schemas import Requests
from .api.evaluations import Evaluations
from .api.inference import Inference
from .api.middleware import RequestMiddleware
from .api.resources import PrefixMiddleware, ResourceMiddleware
from .api.schemas import ServiceLimits, limited_multiclass_request, limited_request
from .protocols import choice as protocols
from .routes import (
    admin,
    classify,
    decisions,
    documentation,
    evaluation,
    health,
    index,
    models,
)
from .routes import metrics as metrics_route
from .serving.admission import Admission
from .serving.artifacts import locate
from .serving.classification import Classification
from .serving.extras import MAX_EXPLAINED_CHARS, MAX_EXPLAINED_TEXTS
from .serving.generations import Control
from .serving.keys import Keys, admin_is_open
from .serving.keys import load as load_keys
from .serving.limits import TextLimits
from .serving.memory import Trimmer
from .serving.phase import SharedPhase
from .serving.pool import Pool
from .serving.rates import SharedRates
from .serving.record import DecisionRecord
from .serving.registry import Registry
from .serving.shadow import ShadowScoring
from .serving.turn import Turn
from .settings import Settings, SettingsError, entries, secret_bytes, source
from .telemetry.metrics import Metrics

_log = logging.getLogger("dandelion")

# A tenth of Python's default: how long a single text may wait for a large batch in a thread.
_SWITCH_INTERVAL_S: Final = 0.5e-3

_DESCRIPTION = """\
Classifies texts with small networks made for imbalanced data. Submitted texts are never stored,
logged, recorded in a metric or echoed in an error.
"""


def create_app(
    settings: Settings,
    metrics: Metrics | None = None,
    phase: SharedPhase | None = None,
    rates: SharedRates | None = None,
) -> ASGIApp:
    """Load the models, and create the application that serves them.

    Args:
        settings: of the service.
        metrics: counts the requests; by default those of this process alone.
        phase: of the service; by default it serves for ever.
        rates: limits that the processes of the service share; by default those of this one alone.

    Raises:
        ServingError, ArtifactError, KernelError: see `load`.
        SettingsError: see `assemble`.
    """
    metrics = metrics or Metrics()
    local = locate(settings).settings
    return assemble(local, load(local, metrics), metrics, phase, rates)


def load(settings: Settings, metrics: Metrics, serving_file: bytes | None = None) -> Registry:
    """Load the models.

    Args:
        settings: of the service, with the artifacts in a directory.
        metrics: counts the requests.
        serving_file: the content of ``serving.toml``; by default the file is read now, once.

    Raises:
        ServingError: ``serving.toml`` is missing or wrong, or a chosen variant does not exist.
        ArtifactError: an artifact cannot be used; with ``skip_damaged``, none can.
        KernelError: the compiled engine is required, but was not built.
    """
    if serving_file is None:
        serving_file = serving.read_serving_file(Path(settings.artifacts))
    registry = Registry(
        serving.choices(Path(settings.artifacts), settings.models, serving_file),
        metrics,
        settings.engine,
        skip_damaged=settings.skip_damaged,
        serving_file=serving_file,
    )
    # One thread: a fork would not copy the others.
    threadpool_limits(1, user_api="blas")
    registry.load()
    return registry


def assemble(  # noqa: PLR0913, PLR0917
    settings: Settings,
    registry: Registry,
    metrics: Metrics,
    phase: SharedPhase | None = None,
    rates: SharedRates | None = None,
    control: Control | None = None,
) -> ASGIApp:
    """Create the application around a registry.

    Args:
        settings: of the service.
        registry: of the models; until it has loaded them, requests get 503.
        metrics: counts the requests.
        phase: of the service.
        rates: limits that the processes of the service share; by default those of this one alone.
        control: of the generation; by default no other one can be loaded.

    Raises:
        SettingsError: the prefix of the paths is itself a path of the service, the API keys are not
            in their format, the file of the decision record cannot be opened, or requests are to be
            traced without OpenTelemetry or with a wrong variable of it.
    """
    keys = Keys(load_keys(settings), metrics, rates or SharedRates(), settings.max_texts)
    phase, control = phase or SharedPhase(), control or Control()
    metrics.follow_ready(lambda: phase.is_ready and registry.is_ready)
    turn = Turn()
    record = _create_record(settings, metrics, control.generation)
    admission = _create_admission(settings, metrics, turn)
    # What there is no shadow for costs nothing.
    shadows = [ShadowScoring(lambda: admission.is_busy)] if registry.has_shadow else []
    limits = TextLimits(settings.max_text_chars, settings.max_request_chars)
    pool = Pool(metrics.load, settings.request_timeout_ms, turn)
    classification = Classification(
        limits,
        pool,
        costly_texts=settings.max_texts,  # as much as the largest batch, which takes about as long
        observers=shadows,
    )
    closing = [classification.close, *(each.close for each in (record, *shadows) if each)]
    lifespan = partial(_lifespan, settings, registry, metrics, control, closing)
    schema = limited_request(settings.max_texts, settings.max_text_chars)
    app = _create_framework(registry, metrics, phase, control, lifespan)
    app.include_router(index.router(app.version, _limits(settings)))
    if admin_is_open(settings, keys):
        app.include_router(admin.router(control, metrics.generations))
    requests = evaluation_schemas.limited(settings.max_texts, settings.max_text_chars)
    evaluations = _create_evaluations(settings, requests, admission, pool, limits)
    app.include_router(evaluation.router(registry, evaluations))
    _check_prefix(app, settings.root_path)
    multiclass = limited_multiclass_request(settings.max_texts, settings.max_text_chars)
    describe = partial(classify.describe, registry, schema, multiclass)
    openapi.complete(app, describe, requests, has_keys=bool(keys))
    inference = Inference(
        classification,
        admission,
        max_body_bytes=settings.max_body_bytes,
        max_texts=settings.max_texts,
        record=record,
    )
    endpoint: ASGIApp = classify.ClassifyEndpoint(
        ResourceMiddleware(app, settings.root_path),
        registry=registry,
        inference=inference,
        schema=schema,
        max_text_chars=settings.max_text_chars,
    )
    endpoint, renders = protocols.wrap(endpoint, settings, registry, inference)
    guarded = _guard(endpoint, settings, registry, metrics, keys, renders)
    return _trace(guarded, registry, metrics, control) if settings.traces else guarded


@asynccontextmanager
async def _lifespan(
    settings: Settings,
    registry: Registry,
    metrics: Metrics,
    control: Control,
    closing: Sequence[Callable[[], None]],
    _: FastAPI,
) -> AsyncIterator[None]:
    """Serve, in a worker; ``closing`` is called afterwards."""
    # A classifying thread yields the interpreter to the event loop after this time.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    # More threads than these would compete with the event loop for the processors.
    with threadpool_limits(settings.blas_threads, user_api="blas"):
        facts = {"models": ",".join(registry.available), "artifacts": str(settings.artifacts)}
        metrics.generations.serves(control.generation)
        _log.info("ready", extra=facts | {"generation": control.generation})
        yield
    for close in closing:
        close()


def _guard(  # noqa: PLR0913, PLR0917
    endpoint: ASGIApp,
    settings: Settings,
    registry: Registry,
    metrics: Metrics,
    keys: Keys,
    renders: Mapping[str, problems.Render],
) -> ASGIApp:
    """Wrap what serves every path in what every request passes before."""
    if keys:
        endpoint = AccessMiddleware(endpoint, keys, metrics)
    if settings.root_path:
        endpoint = PrefixMiddleware(endpoint, settings.root_path)
    wrapped = partial(
        RequestMiddleware,
        registry=registry,
        metrics=metrics,
        access_log_share=settings.access_log_share if settings.access_log else 0,
        renders=renders,
    )
    if origins := entries(settings.cors_origins):
        return wrapped(endpoint, wrap=partial(_allow_origins, origins))
    return wrapped(endpoint)


def _trace(app: ASGIApp, registry: Registry, metrics: Metrics, control: Control) -> ASGIApp:
    """Wrap the application in what traces its requests.

    Raises:
        SettingsError: OpenTelemetry is not installed, or one of its variables is wrong.
    """
    try:
        from .api.traces import TracesMiddleware  # noqa: PLC0415 - an extra
        from .telemetry.tracing import Traces  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"{source('traces')}: {error}; install OpenTelemetry: "
            "pip install 'dandelion-text[otel]'"
        ) from error
    traces = Traces(metrics.spans_dropped, metadata.version("dandelion-text"))
    metrics.show_exemplars()
    return TracesMiddleware(
        app, traces=traces, names=registry.series, generation=control.generation
    )


def _limits(settings: Settings) -> ServiceLimits:
    return ServiceLimits(
        texts=settings.max_texts,
        text_chars=settings.max_text_chars,
        request_chars=settings.max_request_chars,
        body_bytes=settings.max_body_bytes,
        explained_texts=MAX_EXPLAINED_TEXTS,
        explained_chars=MAX_EXPLAINED_CHARS,
    )


def _create_evaluations(
    settings: Settings, requests: Requests, admission: Admission, pool: Pool, limits: TextLimits
) -> Evaluations:
    return Evaluations(
        admission,
        pool,
        limits,
        requests,
        max_body_bytes=settings.max_body_bytes,
        max_texts=settings.max_texts,
        max_wait_ms=settings.max_wait_ms,
    )


def _create_admission(settings: Settings, metrics: Metrics, turn: Turn) -> Admission:
    return Admission(
        metrics.load,
        # Any valid request can be admitted, however small these limits are.
        max_bytes=max(settings.max_bytes_in_flight, settings.max_body_bytes),
        max_texts=max(settings.max_texts_in_flight, settings.max_texts),
        max_waiting=settings.max_waiting,
        max_wait_ms=settings.max_wait_ms,
        turn=turn,
        on_idle=Trimmer().schedule,
    )


def _create_record(settings: Settings, metrics: Metrics, generation: int) -> DecisionRecord | None:
    """Open the decision record, if there is to be one.

    Raises:
        SettingsError: its file cannot be opened.
    """
    if settings.record_file is None:
        return None
    name = source("record_file")
    if sys.platform == "win32":
        raise SettingsError(f"{name}: decisions cannot be recorded on this system")
    from .telemetry.record_file import RecordFile  # noqa: PLC0415 - POSIX only

    path = settings.record_file
    file = RecordFile(path, metrics.record, settings.record_max_bytes, settings.record_files)
    try:
        file.check()
    except OSError as error:
        raise SettingsError(f"{name}: {path}: {error.strerror}") from error
    secret = settings.record_hmac_key
    key = None if secret is None else secret_bytes(secret)
    return DecisionRecord(file, key, generation)


def _create_framework(
    registry: Registry,
    metrics: Metrics,
    phase: SharedPhase,
    control: Control,
    lifespan: Lifespan[FastAPI],
) -> FastAPI:
    """Create what serves every route but ``/classify/{model}`` and those that change it."""
    version = metadata.version("dandelion-text")
    app = FastAPI(
        title="Dandelion",
        version=version,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # see `documentation`
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=problems.HANDLERS,
    )
    app.include_router(models.router(registry, metrics, control.generation))
    app.include_router(decisions.router(registry))
    app.include_router(health.router(registry, phase))
    app.include_router(metrics_route.router(metrics))
    app.include_router(documentation.router())
    app.router.routes.append(documentation.files())
    return app


def _check_prefix(app: FastAPI, prefix: str) -> None:
    """Refuse a prefix that is itself a path: a proxy may or may not have removed it from another.

    Raises:
        SettingsError: there is such a path.
    """
    for path in (prefix, f"{prefix}/any") if prefix else ():
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        matches = (route.matches(scope)[0] for route in app.routes)
        if classify.requested_model(scope) or any(match is not Match.NONE for match in matches):
            raise SettingsError(
                f"{source('root_path')}: {prefix!r} is also a path of the service; choose another"
            )


def _allow_origins(origins: Sequence[str], app: ASGIApp) -> ASGIApp:
    """Let pages of these origins call every route (the Fetch standard's CORS protocol)."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
        expose_headers=["Retry-After", "X-Decision-ID", "X-Request-ID"],
    )

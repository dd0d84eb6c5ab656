"""Traces every request to a model, whatever its protocol."""

import re
import time
from collections.abc import Collection, Mapping
from http import HTTPMethod
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..serving.measured import Measured
from ..telemetry.tracing import Stage, Traced, Traces

_PARENT: Final = b"traceparent"
_STATE: Final = b"tracestate"

# The parts of a path that are parameters.
_PARAMETER: Final = re.compile(r"(?<=/)(classify|models|versions)/([^/]+)")
_PARAMETERS: Final = {"classify": "model", "models": "model", "versions": "version"}

_METHODS: Final = frozenset(HTTPMethod)
_OTHER: Final = "_OTHER"  # of the semantic conventions


class TracesMiddleware:
    """Has each request measured, and hands it to the traces once its response is sent.

    It stands before everything else, and is there only if requests are traced. It sets
    ``scope["trace_id"]`` if the trace of the request is sampled.

    Args:
        app: handles the requests.
        traces: gets them.
        names: under which requests are counted.
        generation: of what is served.
    """

    def __init__(
        self, app: ASGIApp, *, traces: Traces, names: Collection[str], generation: int
    ) -> None:
        self._app = app
        self._traces = traces
        self._names = frozenset(names)
        self._generation = generation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        scope["measured"] = Measured()
        status, writes_at = 0, started

        async def observe(message: Message) -> None:
            nonlocal status, writes_at
            if message["type"] == "http.response.start":
                status, writes_at = message["status"], time.perf_counter()
            await send(message)
            is_end = message["type"] == "http.response.body" and not message.get("more_body", False)
            if is_end and "model" in scope:
                ended = time.perf_counter()
                stages = _stages(scope["measured"], started)
                stages.append(Stage("write", writes_at, ended))
                self._add(scope, status, Stage("", started, ended), stages)

        await self._app(scope, receive, observe)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start and end the traces with the application, in the process that serves it."""

        async def close(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                self._traces.close()
            await send(message)

        self._traces.start()
        await self._app(scope, receive, close)

    def _add(self, scope: Scope, status: int, whole: Stage, stages: list[Stage]) -> None:
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        route = _PARAMETER.sub(
            lambda found: f"{found[1]}/{{{_PARAMETERS[found[1]]}}}", scope["path"]
        )
        is_known = bool(scope["measured"].variant)  # else a part of the path may be anything
        attributes = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "network.protocol.version": scope["http_version"],
            "url.scheme": scope["scheme"],
            "url.path": scope["path"] if is_known else route,
            **_server(scope),
            **self._facts(scope),
        }
        name = f"{'HTTP' if method == _OTHER else method} {route}"
        request = Traced(_parent(scope), name, status, whole, stages, attributes)
        trace_id = self._traces.add(request)
        if trace_id is not None:
            scope["trace_id"] = trace_id

    def _facts(self, scope: Scope) -> dict[str, str | int]:
        """Return what the service knows of a request."""
        measured: Measured = scope["measured"]
        facts: dict[str, str | int] = {"dandelion.generation": self._generation}
        series: str = scope["model"]
        if series in self._names:
            facts["dandelion.model"] = series.partition("/")[0]
        if measured.variant:
            facts["dandelion.variant"] = measured.variant
            facts["dandelion.texts"] = measured.texts
        if measured.positives is not None:
            facts["dandelion.positives"] = measured.positives
        if "caller" in scope:
            facts["dandelion.key"] = scope["caller"].name
        if "decision_id" in scope:
            facts["dandelion.decision_id"] = scope["decision_id"]
        return facts


def _stages(measured: Measured, started: float) -> list[Stage]:
    """Return the stages that are known.

    A large batch is classified in chunks, whose stages alternate: their sums stand one after the
    other.
    """
    stages = []
    if measured.read_at is not None:
        stages.append(Stage("read", started, measured.read_at))
    for begun, tokenize_s, infer_s in measured.stages:
        tokenized = begun + tokenize_s
        stages.append(Stage("tokenise", begun, tokenized))
        stages.append(Stage("infer", tokenized, tokenized + infer_s))
    return stages


def _server(scope: Scope) -> Mapping[str, str | int]:
    """Return the address that the request came to: not the header Host, which may be anything."""
    address, port = scope.get("server") or (None, None)
    facts: dict[str, str | int] = {}
    if address:
        facts["server.address"] = address
    if port:
        facts["server.port"] = port
    return facts


def _parent(scope: Scope) -> Mapping[str, str]:
    """Return the headers of W3C Trace Context; nothing if there is not one parent."""
    parents = [value for name, value in scope["headers"] if name == _PARENT]
    if len(parents) != 1:
        return {}
    states = [value for name, value in scope["headers"] if name == _STATE]
    found = {"traceparent": parents[0].decode("latin-1")}
    return found | ({"tracestate": b",".join(states).decode("latin-1")} if states else {})

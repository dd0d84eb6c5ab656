"""Wraps every request: request id, duration, log line, and the last exception handler."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import errors
from ..errors import Problem
from ..serving.measured import Measured
from ..serving.registry import Registry
from ..telemetry import logs
from ..telemetry.metrics import UNKNOWN, Metrics
from . import problems
from .headers import DECISION_ID, REQUEST_ID, SECURITY

_log = logging.getLogger("dandelion.requests")

# A client's id is kept if it is harmless in a header and in a log line.
_HARMLESS = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


def _unchanged(app: ASGIApp) -> ASGIApp:
    return app


class RequestMiddleware:
    """Gives each request an id, records requests to models, and turns defects into a 500.

    Each response gets the request's id and the security headers. A request that the server cancels,
    at the end of the grace period, gets a 503.

    A request to a model is one whose endpoint has set ``scope["model"]``; those of scrapers and
    probes are not recorded. Plain ASGI: Starlette's `BaseHTTPMiddleware` costs more than a whole
    classification.

    Args:
        app: handles the requests.
        registry: has the names under which requests are counted.
        metrics: counts the requests.
        access_log_share: share of the requests to models that are logged, in [0, 1]; those that
            fail always are.
        wrap: wraps everything that responds, ``app`` and the last handler.
        renders: prefix of paths → how another protocol writes its errors.
    """

    def __init__(  # noqa: PLR0913
        self,
        app: ASGIApp,
        *,
        registry: Registry,
        metrics: Metrics,
        access_log_share: float,
        wrap: Callable[[ASGIApp], ASGIApp] = _unchanged,
        renders: Mapping[str, problems.Render] = MappingProxyType({}),
    ) -> None:
        self._app = wrap(app)
        self._wrap = wrap
        self._names = frozenset(registry.series)
        self._metrics = metrics
        self._access_log_share = access_log_share
        self._renders = tuple(renders.items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Of headers with the same name, the first one counts.
        headers = scope["first_headers"] = dict(reversed(scope["headers"]))
        request_id = headers.get(REQUEST_ID, b"")
        if not _HARMLESS.fullmatch(request_id):
            request_id = b"%032x" % random.getrandbits(128)  # no secret # nosec B311
        scope["request_id"] = request_id.decode()
        for prefix, render in self._renders:
            if scope["path"].startswith(prefix):
                scope["render_problem"] = render
        share = self._access_log_share
        if share and random.random() < share:  # noqa: S311 - a sample # nosec B311
            scope["measured"] = Measured()
            scope["is_logged"] = True
        exchange = _Exchange(self, scope, receive, send, request_id)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            # The server cancels what runs at the end of the grace period. Not raised again: the
            # task ends here, and the server would log a traceback and send a response of its own.
            await self._respond(errors.shutting_down(), scope, receive, exchange)
        except Exception as error:  # noqa: BLE001 - the last handler: a client never sees a traceback
            _log.error(  # no traceback: its message may quote a text
                "unexpected error",
                extra={
                    "error": type(error).__qualname__,
                    "where": logs.where(error.__traceback__),
                    "request_id": scope["request_id"],
                },
            )
            await self._respond(errors.internal(), scope, receive, exchange)

    async def _respond(
        self, problem: Problem, scope: Scope, receive: Receive, exchange: "_Exchange"
    ) -> None:
        """Send an error response, unless a response has begun."""
        if not exchange.status:
            response = problems.response(problem, scope)
            await self._wrap(response)(scope, receive, exchange.send)

    def count(self, scope: Scope, status: int) -> str:
        """Count a request and return its model's label; "" for a request to no model."""
        model: str = scope.get("model", "")
        if not model:
            return ""
        if model not in self._names:
            model = UNKNOWN
        self._metrics.count_response(model, status)
        return model

    def record(self, scope: Scope, model: str, status: int, started: float) -> None:
        """Record a request's duration, and log it."""
        seconds = time.perf_counter() - started
        self._metrics.observe_duration(model, seconds)
        if "trace_id" in scope:
            self._metrics.add_exemplar(model, seconds, scope["trace_id"])
        is_logged = self._access_log_share and "is_logged" in scope
        if is_logged or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.info("request", extra=_facts(scope, model, status, started, seconds))


def _facts(scope: Scope, model: str, status: int, started: float, seconds: float) -> dict[str, Any]:
    """Return what the log line of a request has; what is not known is left out."""
    facts: dict[str, Any] = {"method": scope["method"], "model": model, "status": status}
    measured: Measured | None = scope.get("measured")
    if measured is not None:
        if measured.variant:
            facts |= {"variant": measured.variant, "texts": measured.texts, "chars": measured.chars}
        if measured.positives is not None:
            facts["positives"] = measured.positives
        if measured.read_at is not None:
            facts["read_ms"] = _ms(measured.read_at - started)
        if measured.has_result:
            facts["tokenize_ms"] = _ms(measured.tokenize_s)
            facts["infer_ms"] = _ms(measured.infer_s)
    facts["duration_ms"] = _ms(seconds)
    if "caller" in scope:
        facts["key"] = scope["caller"].name
    if "decision_id" in scope:
        facts["decision_id"] = scope["decision_id"]
    if "trace_id" in scope:
        facts["trace_id"] = scope["trace_id"].hex()
    return facts | {"request_id": scope["request_id"], "client": _address(scope)}


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)


def _address(scope: Scope) -> str:
    """Return the client's IP address; "" where none is known, as on a Unix domain socket.

    What a trusted proxy passes on may be anything that its client has sent.
    """
    client = scope.get("client")
    if not client:
        return ""
    try:
        address = ip_address(client[0].partition("%")[0])  # a zone may be any text
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


class _Exchange:
    """One request and its response: wraps ``receive`` and ``send``."""

    __slots__ = (
        "_has_body",
        "_middleware",
        "_receive",
        "_request_id",
        "_scope",
        "_send",
        "started",
        "status",
    )

    def __init__(
        self,
        middleware: RequestMiddleware,
        scope: Scope,
        receive: Receive,
        send: Send,
        request_id: bytes,
    ) -> None:
        self._middleware = middleware
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self._has_body = False
        self.started = time.perf_counter()
        self.status = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if not self._has_body and message["type"] == "http.request":
            self._has_body = True
            self.started = time.perf_counter()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message["headers"],
                *SECURITY,
                (REQUEST_ID, self._request_id),
            ]
            # An error may come after decisions were recorded, if there is no time for a response.
            if "decision_id" in self._scope and self.status == HTTPStatus.OK:
                message["headers"].append((DECISION_ID, self._scope["decision_id"].encode()))
        if message["type"] != "http.response.body" or message.get("more_body", False):
            await self._send(message)
            return
        # Counted first: a client that has read a response finds it counted, even if this process
        # dies.
        model = self._middleware.count(self._scope, self.status)
        await self._send(message)
        if model:
            self._middleware.record(self._scope, model, self.status, self.started)

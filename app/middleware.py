"""What surrounds every request: its id, its time, its line in the log, and the last catch."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import errors, logs
from .metrics import CLIENT_CLOSED, UNKNOWN, Metrics
from .registry import Registry

REQUEST_ID: Final = "X-Request-ID"

_log = logging.getLogger("dandelion.requests")

# An id from outside is kept if it can do no harm in a header or a log line.
_HARMLESS = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestMiddleware:
    """Gives each request an id, records requests to classify, and answers defects with 500.

    Plain ASGI: Starlette's `BaseHTTPMiddleware` costs more than a whole classification.

    Args:
        app: what it surrounds.
        registry: knows the models' names.
        metrics: receives the records.
        access_log: whether requests to classify are logged.
    """

    def __init__(
        self, app: ASGIApp, *, registry: Registry, metrics: Metrics, access_log: bool
    ) -> None:
        self._app = app
        self._registry = registry
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = Headers(scope=scope).get(REQUEST_ID, "")
        if not _HARMLESS.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        scope["request_id"] = request_id
        exchange = _Exchange(receive, send, request_id, lambda: self._record(scope, exchange))
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            _log.debug("the client went away", extra={"request_id": request_id})
        except Exception as error:  # noqa: BLE001 - the last catch: a client never sees a traceback
            _log.error(  # no traceback: its message may quote a text
                "unexpected error",
                extra={
                    "error": type(error).__qualname__,
                    "where": logs.where(error.__traceback__),
                    "request_id": request_id,
                },
            )
            if not exchange.status:
                answer = errors.response(errors.internal(), request_id)
                await answer(scope, receive, exchange.send)
        if not exchange.is_answered:
            self._record(scope, exchange)

    def _record(self, scope: Scope, exchange: "_Exchange") -> None:
        """Count and log a request to classify; others are the scraper's and the prober's."""
        # The router leaves its match in the scope; only the route to classify has this name.
        if getattr(scope.get("route"), "name", None) != "classify":
            return
        model = scope["path_params"]["model"]
        if model not in self._registry.names:
            model = UNKNOWN
        seconds = time.perf_counter() - exchange.started
        status = exchange.status if exchange.is_answered else CLIENT_CLOSED
        self._metrics.answered(model, status, seconds)
        if self._access_log:
            _log.info(
                "request",
                extra={
                    "method": scope["method"],
                    "model": model,
                    "status": status,
                    "duration_ms": round(seconds * 1e3, 3),
                    "request_id": exchange.request_id,
                },
            )


class _Exchange:
    """One request and its answer, as they pass by."""

    def __init__(
        self, receive: Receive, send: Send, request_id: str, on_answered: Callable[[], None]
    ) -> None:
        self._receive = receive
        self._send = send
        self._on_answered = on_answered
        self._has_body = False
        self.request_id = request_id
        self.started = time.perf_counter()
        self.status = 0
        self.is_answered = False

    async def receive(self) -> Message:
        message = await self._receive()
        if not self._has_body and message["type"] == "http.request":
            self._has_body = True
            self.started = time.perf_counter()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID] = self.request_id
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.is_answered = True
            self._on_answered()

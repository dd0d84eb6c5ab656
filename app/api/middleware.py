"""What surrounds every request: its id, its time, its line in the log, and the last catch."""

import logging
import random
import re
import time
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import errors
from ..serving.registry import Registry
from ..telemetry import logs
from ..telemetry.metrics import UNKNOWN, Metrics

REQUEST_ID: Final = b"x-request-id"

_log = logging.getLogger("dandelion.requests")

# An id from outside is kept if it can do no harm in a header or a log line.
_HARMLESS = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

_CLASSIFY: Final = "/classify/"


def asked_model(scope: Scope) -> str:
    """Return the model that a request wants to classify with, "" if it wants something else."""
    path: str = scope["path"]
    if not path.startswith(_CLASSIFY):
        return ""
    model = path.removeprefix(_CLASSIFY)
    return "" if "/" in model else model


class RequestMiddleware:
    """Gives each request an id, records requests to classify, and answers defects with 500.

    Plain ASGI: Starlette's `BaseHTTPMiddleware` costs more than a whole classification.

    Args:
        app: what it surrounds.
        registry: knows the models' names.
        metrics: receives the records.
        access_log: whether every request to classify is logged, not only those that fail.
    """

    def __init__(
        self, app: ASGIApp, *, registry: Registry, metrics: Metrics, access_log: bool
    ) -> None:
        self._app = app
        self._names = frozenset(registry.names)
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = dict(scope["headers"]).get(REQUEST_ID, b"")
        if not _HARMLESS.fullmatch(request_id):
            request_id = b"%032x" % random.getrandbits(128)
        scope["request_id"] = request_id.decode()
        exchange = _Exchange(self, scope, receive, send, request_id)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the last catch: a client never sees a traceback
            _log.error(  # no traceback: its message may quote a text
                "unexpected error",
                extra={
                    "error": type(error).__qualname__,
                    "where": logs.where(error.__traceback__),
                    "request_id": scope["request_id"],
                },
            )
            if not exchange.status:
                answer = errors.response(errors.internal(), scope["request_id"])
                await answer(scope, receive, exchange.send)

    def count(self, scope: Scope, status: int) -> str:
        """Count a request to classify, and return its model; "" for a scraper's or a prober's."""
        model = asked_model(scope)
        if not model:
            return ""
        if model not in self._names:
            model = UNKNOWN
        self._metrics.answering(model, status)
        return model

    def record(self, scope: Scope, model: str, status: int, started: float) -> None:
        """Record how long an answer took, and log it."""
        seconds = time.perf_counter() - started
        self._metrics.answered(model, seconds)
        if self._access_log or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.info(
                "request",
                extra={
                    "method": scope["method"],
                    "model": model,
                    "status": status,
                    "duration_ms": round(seconds * 1e3, 3),
                    "request_id": scope["request_id"],
                },
            )


class _Exchange:
    """One request and its answer, as they pass by."""

    __slots__ = (
        "_has_body",
        "_receive",
        "_request_id",
        "_scope",
        "_send",
        "_surrounds",
        "started",
        "status",
    )

    def __init__(
        self,
        surrounds: RequestMiddleware,
        scope: Scope,
        receive: Receive,
        send: Send,
        request_id: bytes,
    ) -> None:
        self._surrounds = surrounds
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
            message["headers"] = [*message["headers"], (REQUEST_ID, self._request_id)]
        if message["type"] != "http.response.body" or message.get("more_body", False):
            await self._send(message)
            return
        # Counted first: who has read an answer finds it in the counters, whatever happens to us.
        model = self._surrounds.count(self._scope, self.status)
        await self._send(message)
        if model:
            self._surrounds.record(self._scope, model, self.status, self.started)

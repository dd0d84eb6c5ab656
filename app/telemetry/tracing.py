"""Traces of requests to models, by OpenTelemetry, sent by OTLP over HTTP.

The spans of a request are made at once, after its response, from times that were measured anyway:
nothing is done for a trace while a client waits. The names of attributes are those of
OpenTelemetry's semantic conventions for HTTP spans; those of the service begin with ``dandelion.``.

Only this module imports OpenTelemetry, and only where traces are wanted. Its own environment
variables say where spans are sent and which are sampled.
"""

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_QUEUE_SIZE
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..settings import SettingsError
from .counters import Counter
from .logs import Throttle

# Waiting at a stop for spans that are not sent yet.
_FLUSH_S: Final = 2.0

_DEFAULT_QUEUE: Final = 2048  # spans, as in the specification of the SDK
_MAX_MESSAGE_CHARS: Final = 300

_LIBRARY: Final = "opentelemetry"
# Loggers whose messages are shown with what was filled in. Others quote whole variables, and
# OTEL_EXPORTER_OTLP_HEADERS may hold a key of the collector.
_HARMLESS: Final = (f"{_LIBRARY}.exporter.", f"{_LIBRARY}.sdk.")

_log = logging.getLogger("dandelion")


class Stage(NamedTuple):
    """A part of a request.

    Attributes:
        name: of its span.
        started, ended: by `time.perf_counter`.
    """

    name: str
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Traced:
    """A request whose response was sent.

    Attributes:
        parent: the headers of W3C Trace Context, if the request has valid ones.
        name: of its span.
        status: of the response.
        whole: its span's times.
        stages: its parts.
        attributes: of its span; no text and no key.
    """

    parent: Mapping[str, str]
    name: str
    status: int
    whole: Stage
    stages: Sequence[Stage]
    attributes: Mapping[str, str | int]


class Traces:
    """Makes the spans of requests, and sends them from a thread.

    Args:
        dropped: counts spans that were not sent.
        version: of the service.

    Raises:
        SettingsError: a variable of OpenTelemetry is wrong.
    """

    def __init__(self, dropped: Counter, version: str) -> None:
        self._dropped = dropped
        self._version = version
        self._propagator = TraceContextTextMapPropagator()
        self._delivery: _Delivery | None = None
        self._tracer: Tracer | None = None
        _redirect_logs()
        self._check()

    def start(self) -> None:
        """Start the thread: in the process that serves, after its fork."""
        found = OTELResourceDetector().detect().attributes
        own: dict[str, str | int] = {
            "service.name": "dandelion",
            "service.version": self._version,
            "process.pid": os.getpid(),
        }
        # It is closed with the service, in a bounded time: not at the exit of the interpreter.
        provider = TracerProvider(
            resource=Resource.create({**own, **found}), shutdown_on_exit=False
        )
        self._delivery = _Delivery(self._dropped)
        provider.add_span_processor(self._delivery)
        self._tracer = provider.get_tracer("dandelion", self._version)

    def close(self) -> None:
        """Send what is left, for two seconds at most."""
        if self._delivery is not None:
            self._delivery.shutdown()

    def add(self, request: Traced) -> bytes | None:
        """Make the spans of a request; returns the id of its trace, if that is sampled."""
        if self._tracer is None:
            return None
        offset = time.time_ns() - time.perf_counter_ns()

        def unix(seconds: float) -> int:
            return offset + round(seconds * 1e9)

        context = self._propagator.extract(request.parent, Context())
        span = self._tracer.start_span(
            request.name,
            context,
            SpanKind.SERVER,
            request.attributes,
            start_time=unix(request.whole.started),
        )
        if not (span.is_recording() and span.get_span_context().trace_flags.sampled):
            return None
        context = set_span_in_context(span, context)
        for name, started, ended in request.stages:
            stage = self._tracer.start_span(name, context, start_time=unix(started))
            stage.end(unix(ended))
        if request.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.set_status(Status(StatusCode.ERROR))
            span.set_attribute("error.type", str(request.status))
        span.end(unix(request.whole.ended))
        return span.get_span_context().trace_id.to_bytes(16, "big")

    def _check(self) -> None:
        """Refuse what would end each worker at its start.

        Raises:
            SettingsError: a variable is wrong.
        """
        try:
            _Delivery(self._dropped).shutdown()
        except ValueError as error:
            raise SettingsError(
                f"a variable OTEL_BSP_… or OTEL_EXPORTER_OTLP_… is wrong: {error}"
            ) from error


class _Delivery(SpanProcessor):
    """Sends spans in batches; counts those that it cannot send.

    The library drops spans without a count when its queue is full: so no more are given to it than
    it has room for.

    Args:
        dropped: counts spans.
    """

    def __init__(self, dropped: Counter) -> None:
        self._dropped = dropped
        self._room = _queue_size()
        self._lock = threading.Lock()
        self._waiting = 0  # given to the library, and neither sent nor lost
        self._batches = BatchSpanProcessor(
            _Exporter(self, OTLPSpanExporter()), max_queue_size=self._room
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span; never waits for the collector."""
        with self._lock:
            has_room = self._waiting < self._room
            if has_room:
                self._waiting += 1
        if has_room:
            self._batches.on_end(span)
        else:
            self._dropped.inc()

    def shutdown(self) -> None:
        """Send what waits, for a bounded time; count what could not be sent."""
        # The library would wait for 30 s; its thread ends with the process.
        closing = threading.Thread(target=self._batches.shutdown, daemon=True)
        closing.start()
        closing.join(_FLUSH_S)
        with self._lock:
            left, self._waiting, self._room = self._waiting, 0, 0
        if left:
            self._dropped.inc(left)

    def done(self, spans: int, *, is_sent: bool) -> None:
        """Note that a batch was sent or lost."""
        with self._lock:
            if not self._room:  # counted at the end
                return
            self._waiting -= spans
        if not is_sent:
            self._dropped.inc(spans)


class _Exporter(SpanExporter):
    """Reports what became of each batch.

    Args:
        delivery: is reported to.
        exporter: sends the batches.
    """

    def __init__(self, delivery: _Delivery, exporter: SpanExporter) -> None:
        self._delivery = delivery
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._delivery.done(len(spans), is_sent=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Give up what is being sent."""
        self._exporter.shutdown()


def _queue_size() -> int:
    value = os.environ.get(OTEL_BSP_MAX_QUEUE_SIZE, "")
    return int(value) if value else _DEFAULT_QUEUE


class _ThrottledHandler(logging.Handler):
    """Logs the library's problems as the service's, each logger's every ten seconds at most."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._throttles: dict[str, Throttle] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Log a problem."""
        throttle = self._throttles.setdefault(record.name, Throttle())
        if throttle.is_due():
            is_harmless = record.name.startswith(_HARMLESS)
            message = record.getMessage() if is_harmless else str(record.msg)
            facts = {"problem": message[:_MAX_MESSAGE_CHARS], "count": throttle.count}
            _log.warning("traces: a problem of OpenTelemetry", extra=facts)


def _redirect_logs() -> None:
    library = logging.getLogger(_LIBRARY)
    if not any(isinstance(handler, _ThrottledHandler) for handler in library.handlers):
        library.addHandler(_ThrottledHandler())
    library.propagate = False

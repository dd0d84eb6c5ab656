"""A collector of traces: OTLP over HTTP, read with the messages of `opentelemetry-proto`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """What was received.

    Attributes:
        endpoint: for ``OTEL_EXPORTER_OTLP_ENDPOINT``.
        status: of its responses.
        bodies: of all requests, as they came.
        paths: of all requests.
        is_open: cleared for a collector that does not respond.
    """

    endpoint: str = ""
    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    is_open: threading.Event = field(default_factory=threading.Event)

    @property
    def messages(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for message in self.messages
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def of_trace(self, trace_id: str) -> dict[str, Span]:
        """Return the spans of a trace by name: that of the server, then by their start."""
        found = [span for span in self.spans if span.trace_id.hex() == trace_id]
        found.sort(key=lambda one: (one.kind != Span.SPAN_KIND_SERVER, one.start_time_unix_nano))
        return {span.name: span for span in found}


def attributes(span: Span) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for each in span.attributes:
        kind = each.value.WhichOneof("value")
        assert kind in {"string_value", "int_value"}
        found[each.key] = getattr(each.value, kind)
    return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""
    collector = Collector()
    collector.is_open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.is_open.wait()
            collector.paths.append(self.path)
            collector.bodies.append(body)
            content = ExportTraceServiceResponse().SerializeToString()
            self.send_response(collector.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield collector
        collector.is_open.set()
        server.shutdown()
        thread.join()

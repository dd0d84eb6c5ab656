"""HTTP/1.1 on a connection: uvicorn's protocol, with limits and timeouts.

uvicorn's protocol for httptools has no limit on URLs, headers and what frames a chunked body, no
timeout on reading, and takes ``Upgrade`` for the end of HTTP. `GuardedProtocol` adds them as a
subclass that overrides the callbacks that httptools documents, and asyncio's. A guard around
uvicorn's protocol would not see where a request begins and ends: it would need a second parser, and
two that disagree invite request smuggling. In a subclass, one parser decides. Of uvicorn, only
attributes without an underscore are used, which `mypy` checks.

The limits are checked when a request's headers are complete. Until then the parser is given no more
bytes than they allow, so a header that never ends costs no more than one that does.
"""

import asyncio
import logging
import math
import random
from typing import Any, ClassVar, Final

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from .. import errors
from ..errors import Problem
from ..telemetry.metrics import Refusal
from .fields import check_fields, with_path
from .limits import Refused, malformed
from .lingering import ClosedOtherwise, Lingering, encode
from .open_connections import Connections
from .parts import BODY, HEADERS, NOTHING
from .upgrade import head_without_upgrade, new_parser

# A new connection is closed this long after shutdown began, if it sends nothing.
_LAST_CHANCE_S: Final = 0.5
# More is parsed in portions, between which pipelined requests are answered.
_PORTION_BYTES: Final = 8192

_log = logging.getLogger("dandelion.connections")


class GuardedProtocol(HttpToolsProtocol):
    """One connection; `protocol` returns the complete class.

    Attributes:
        worker: the worker's open connections.
        deadline: of what is received next, or of the end of a connection that is being closed.
    """

    worker: ClassVar[Connections]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.deadline = self.loop.time() + self.worker.settings.header_timeout_s
        self.url = b""
        self._limits = self.worker.limits
        self._keep_alive_s = self.worker.settings.keep_alive_s
        self._receiving = NOTHING
        self._heads = 0  # requests whose headers are complete
        self._unanswered = 0  # of those, the ones without a complete response
        self._answered: RequestResponseCycle | None = None  # the first one of these
        self._head_bytes = 0  # of headers that are not complete, up to the last call
        self._fed = 0  # the same, this call's bytes among them
        self._is_split = False  # those headers began in the middle of a call's bytes
        self._without_upgrade = b""  # the headers to parse instead of those with Upgrade
        self._body_bytes = 0
        self._declared_bytes = 0  # of the body, if it did not arrive with the headers
        self._framing_bytes = 0
        self._unfinished: RequestResponseCycle | None = None  # its body is not complete
        self._may_keep_alive = False  # after its response, once the body is complete
        self._held: bytes | memoryview = b""  # not parsed yet: responses are due first
        self._refused: Problem | None = None  # to be sent after the responses before it
        self._stopping = False
        self._write_deadline = math.inf

    # What asyncio calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many connections."""
        if self.worker.admit(self):
            super().connection_made(transport)
            if self.client is not None:  # on a socket for both families, IPv4 looks like this
                self.client = (self.client[0].removeprefix("::ffff:"), self.client[1])
            return
        self.transport = transport
        self._count(Refusal.TOO_MANY_CONNECTIONS)
        self._linger(errors.too_many_connections())

    def connection_lost(self, exc: Exception | None) -> None:
        """End: the application receives ``http.disconnect``."""
        self.worker.discard(self)
        self._drop_response()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._write_deadline = self.loop.time() + self.worker.settings.body_timeout_s

    def resume_writing(self) -> None:
        """Write again."""
        super().resume_writing()
        self._write_deadline = math.inf

    def data_received(self, data: bytes | memoryview) -> None:
        """Parse ``data``, in portions that the limits allow."""
        if self._refused is not None:
            return
        heads, body_bytes = self._heads, self._body_bytes
        in_body = self._receiving is BODY
        self._fed = self._head_bytes + len(data)
        if len(data) > _PORTION_BYTES and len(data) > self._portion_bytes():
            self._receive_in_portions(memoryview(data))
            return
        if self._fed > self._limits.max_head_bytes and not in_body:
            self._receive_in_portions(memoryview(data))
            return
        try:
            if (end := self._parse(data)) is not None:
                self._parse_without_upgrade(memoryview(data), end)
            if self.pipeline:
                self._pause()
            receiving = self._receiving
            if receiving is NOTHING and (in_body or heads != self._heads):
                return
            if receiving is not BODY:
                self._wait_for_headers(begun=in_body or heads != self._heads)
            elif heads != self._heads:
                self._wait_for_body()
            else:
                self._framing_bytes += len(data) - (self._body_bytes - body_bytes)
                self._limits.check_framing(self._framing_bytes, self._body_bytes)
        except (httptools.HttpParserError, Refused) as error:
            self._refuse_for(error)

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Begin a request, at its first byte."""
        self._receiving = HEADERS
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Check a request's headers, then let the application begin."""
        if self.parser.should_upgrade():
            self._without_upgrade = head_without_upgrade(self.parser, self.url, self.headers)
            return
        may_be_large = self._is_split or self._fed > self._limits.max_header_bytes
        self._limits.check_head(self.url, self.headers, may_be_large=may_be_large)
        is_current = check_fields(self.headers, self.parser)
        if self.url[:1] != b"/":
            self.url = with_path(self.url)
        if not is_current:
            self.expect_100_continue = False  # HTTP/1.0 has no such response
        super().on_headers_complete()
        self.headers = []  # from here on, of trailers, which would be added to the headers
        self._receiving = BODY
        self._heads += 1
        if not self._unanswered:
            self._answered = self.cycle
        self._unanswered += 1
        self._is_split = False
        self._head_bytes = self._body_bytes = self._declared_bytes = self._framing_bytes = 0
        if self._stopping:
            super().shutdown()  # this response is the last one

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if self._without_upgrade:
            return
        super().on_message_complete()
        self._receiving = NOTHING
        # Trailers may say `Connection: close`; then the parser discards everything that follows.
        if self.headers and not self.parser.should_keep_alive():
            self._may_keep_alive = self.cycle.keep_alive = False
            self.cycle.transport = ClosedOtherwise(self.transport, self._linger)
        if self._unfinished is not None:
            if not self._unfinished.response_started and not self._stopping:
                self._unfinished.keep_alive = self._may_keep_alive
            self._unfinished = None

    # What uvicorn calls.

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self._unanswered -= 1
        if self._refused is not None or self.pipeline:
            if self.pipeline:
                self._answered = self.pipeline[-1][0]
            super().on_response_complete()
            if self._refused is not None:
                self._respond_to_refused(self._refused)
            elif not self.pipeline:
                self._resume()
            return
        # As uvicorn does, but for its timer: starting and cancelling one for each response takes
        # longer than everything else here.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self.deadline = self.loop.time() + self.worker.settings.body_timeout_s
            return
        self.flow.resume_reading()
        if self._receiving is NOTHING and not self._head_bytes:
            self.deadline = self.loop.time() + self._keep_alive_s

    def timeout_keep_alive_handler(self) -> None:
        """Do nothing: `deadline` has the same purpose."""

    def shutdown(self) -> None:
        """Close after the responses to what has begun to arrive."""
        self._stopping = True
        if self._unanswered:
            super().shutdown()
        elif self.is_new and self.is_idle:
            self.loop.call_later(_LAST_CHANCE_S, self._close_if_silent)
        elif self.is_idle:
            self.transport.close()

    # What `Connections` calls.

    @property
    def waiting_since(self) -> float:
        """When it began to wait for the headers of a request; infinity while it does not."""
        if self._unanswered or self._receiving is BODY or self.transport.is_closing():
            return math.inf
        kept = self.is_idle and not self.is_new
        timeout_s = self._keep_alive_s if kept else self.worker.settings.header_timeout_s
        return self.deadline - timeout_s

    def close_waiting(self) -> None:
        """Close it; no response is due."""
        kept = self.is_idle and not self.is_new
        self._close(None if kept else Refusal.TOO_MANY_CONNECTIONS)

    def check(self, now: float) -> None:
        """End what has taken too long."""
        if self._write_deadline <= now or (self.deadline <= now and self.transport.is_closing()):
            self._count(Refusal.UNREAD_RESPONSE)
            self._abort()
        elif self.deadline <= now:
            self.deadline = math.inf
            self._expire(now)

    def _expire(self, now: float) -> None:
        if self.is_idle:
            self._close(Refusal.SILENT if self.is_new else None)
        elif self._receiving is NOTHING and not self._head_bytes:
            self.deadline = now + self._keep_alive_s  # the application has not responded yet
        elif not self.transport.is_reading():  # the client is made to wait
            self.deadline = now + self.worker.settings.body_timeout_s
        elif self._receiving is BODY:
            self._refuse(Refusal.BODY_TIMEOUT, errors.request_timeout())
        else:
            self._refuse(Refusal.HEADER_TIMEOUT, errors.request_timeout())

    @property
    def is_idle(self) -> bool:
        """Whether it waits for the first byte of a request."""
        begun = self._receiving is not NOTHING or self._head_bytes
        return not begun and not self._unanswered and not self.transport.is_closing()

    @property
    def is_new(self) -> bool:
        """Whether it has not sent a request yet."""
        return not self._heads

    def _close(self, reason: Refusal | None) -> None:
        if reason is not None:
            self._count(reason)
        if self.transport.get_write_buffer_size():
            self._abort()
        else:
            self.transport.close()

    # Parsing.

    def _pause(self) -> None:
        """Receive no more until the requests that wait for others' responses have begun."""
        # To uvicorn it seems not to be paused: it resumes when the application reads a body.
        self.flow.resume_reading()
        self.transport.pause_reading()

    def _resume(self) -> None:
        held, self._held = self._held, b""
        self._receive_in_portions(memoryview(held))
        if not self.pipeline and not self.flow.read_paused:
            self.transport.resume_reading()

    def _receive_in_portions(self, rest: memoryview) -> None:
        """Parse ``rest`` until requests wait for others' responses."""
        while rest and self._refused is None:
            size = self._portion_bytes()
            self.data_received(rest[:size])
            rest = rest[size:]
            if self.pipeline:
                self._held = rest
                return

    def _portion_bytes(self) -> int:
        """Return how much may be parsed at once: all of a body whose size is declared."""
        if self._receiving is BODY:
            return max(self._declared_bytes - self._body_bytes, _PORTION_BYTES)
        return min(_PORTION_BYTES, self._limits.max_head_bytes - self._head_bytes)

    def _parse(self, data: bytes | memoryview) -> int | None:
        """Parse ``data``, or up to the returned position: the end of headers with ``Upgrade``.

        Raises:
            HttpParserError: invalid, or refused by a callback, whose error is the context.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return int(upgrade.args[0])
        return None

    def _parse_without_upgrade(self, data: memoryview, end: int | None) -> None:
        """Parse a request with ``Upgrade``, and what follows, as if it had none (RFC 9110, 7.8).

        Args:
            data: what was parsed.
            end: of the request's headers.
        """
        while end is not None:
            data = data[end:]
            head, self._without_upgrade = self._without_upgrade, b""
            self.parser = new_parser(self)
            self.parser.feed_data(head)
            end = self._parse(data)

    def _wait_for_headers(self, *, begun: bool) -> None:
        """Wait for the rest of the headers.

        Args:
            begun: whether they begin somewhere in the bytes that have been parsed, not before.

        Raises:
            Refused: the URL or the headers are too large.
        """
        if begun or (not self._head_bytes and not self.is_new):
            self.deadline = self.loop.time() + self.worker.settings.header_timeout_s
        # At least this many.
        self._head_bytes = 0 if begun else self._fed
        self._is_split |= begun
        self._limits.check_url(self.url)
        if self._head_bytes >= self._limits.max_head_bytes:
            raise self._limits.head_too_large()

    def _wait_for_body(self) -> None:
        """Wait for the rest of a body."""
        self.deadline = self.loop.time() + self.worker.settings.body_timeout_s
        for name, value in self.cycle.scope["headers"]:
            if name == b"content-length":
                self._declared_bytes = int(value)
        # A response before the end of the body announces that the connection is closed after it.
        cycle = self._unfinished = self.cycle
        self._may_keep_alive = cycle.keep_alive
        cycle.keep_alive = False
        cycle.transport = ClosedOtherwise(self.transport, self._close_after_response)

    # Ending.

    def _refuse_for(self, error: Exception) -> None:
        """Refuse a request because of an error, or of what a callback of the parser raised."""
        refused = error if isinstance(error, Refused) else error.__context__
        if not isinstance(refused, Refused):
            refused = malformed()
        self._refuse(refused.reason, refused.problem)

    def _refuse(self, reason: Refusal, problem: Problem) -> None:
        """Send an error response, after those that are due before it, and end the connection."""
        self._count(reason)
        self._refused = problem
        self.deadline = math.inf
        self.flow.pause_reading()
        self._respond_to_refused(problem)

    def _respond_to_refused(self, problem: Problem) -> None:
        in_body = self._receiving is BODY
        if self._unanswered > in_body or self.transport.is_closing():
            return
        if in_body and self.cycle.response_started:
            self._abort()
        else:
            self._linger(problem)

    def _close_after_response(self) -> None:
        """Close after a response, so that the client can read it even if it is still sending."""
        if self._receiving is BODY:
            self._linger()
        else:
            self.transport.close()

    def _linger(self, problem: Problem | None = None) -> None:
        """Write the last response, unless it has been, and leave the connection to `Lingering`."""
        transport = self.transport
        if problem is not None:
            headers = self.server_state.default_headers
            transport.write(encode(problem, self._request_id(), headers))
        self.worker.discard(self)
        self.pipeline.clear()
        # The application receives `http.disconnect`. Without an error, this closes the transport.
        super().connection_lost(ConnectionAbortedError())
        is_short = self._stopping or problem is not None
        Lingering(self.worker, self.server_state, transport, is_short=is_short)

    def _abort(self) -> None:
        self._drop_response()
        self.transport.abort()

    def _drop_response(self) -> None:
        """Let the response to the first unanswered request, which is not complete, have no effect.

        uvicorn does so for the last request alone.
        """
        if self._unanswered and self._answered is not None:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def _request_id(self) -> str:
        in_body = self._receiving is BODY  # the application may have logged its id
        known = {**self.scope}.get("request_id") if in_body else None
        return str(known or f"{random.getrandbits(128):032x}")  # no secret # nosec B311

    def _close_if_silent(self) -> None:
        if self.is_idle and self.is_new:
            self.transport.close()

    def _count(self, reason: Refusal) -> None:
        self.worker.metrics.count_refusal(reason)
        _log.debug("connection error", extra={"reason": reason.value})


def protocol(connections: Connections) -> type[GuardedProtocol]:
    """Return the protocol of a worker; each process that is forked has a copy of `connections`."""
    return type("WorkerProtocol", (GuardedProtocol,), {"worker": connections})

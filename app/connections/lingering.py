"""The last response on a connection: sent so that the client can read it.

A connection that is closed while bytes arrive is reset, and the reset discards what the client has
not read yet (RFC 9112, section 9.6). So only the sending half is closed, and what still arrives is
discarded, within limits, until the client closes its half.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from uvicorn.server import ServerState

from ..api import headers, problems
from ..errors import Problem
from .open_connections import Connections

# For a client to read an error.
_AFTER_ERROR_S: Final = 5.0
# A body is discarded up to this many times the limit on bodies.
_BODIES: Final = 2
_MIN_BYTES: Final = 1_000_000
# For a client to read its last response when the server stops.
_AT_SHUTDOWN_S: Final = 2.0
_CLOSE: Final = (b"connection", b"close")

# Between two times that a connection's bytes are received, to be discarded.
_PAUSE_S: Final = 0.02


def encode(
    problem: Problem, request_id: str, server_headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """Return an error response, after which the connection is closed, as bytes.

    Args:
        problem: the error.
        request_id: of the response.
        server_headers: what the server adds to every response, such as the date.
    """
    response = problems.details(problem, request_id)
    fields = [
        *(field for field in server_headers if field != _CLOSE),  # has it while it drains
        *response.raw_headers,
        *headers.SECURITY,
        (headers.REQUEST_ID, request_id.encode()),
        _CLOSE,
    ]
    lines = [
        f"HTTP/1.1 {problem.status.value} {problem.status.phrase}".encode(),
        *map(b": ".join, fields),
        b"",
        bytes(response.body),
    ]
    return b"\r\n".join(lines)


class Lingering(asyncio.Protocol):
    """Discards what a client still sends after its last response.

    Args:
        connections: of the worker.
        server_state: of the server, which waits for its connections when it stops.
        transport: whose protocol it becomes; the response has been written.
        is_short: whether the client gets only the time to read an error, not to send its body.
    """

    def __init__(
        self,
        connections: Connections,
        server_state: ServerState,
        transport: asyncio.Transport,
        *,
        is_short: bool,
    ) -> None:
        settings = connections.settings
        self._connections = connections
        self._server_state = server_state
        self._transport = transport
        self._bytes_left = max(_BODIES * settings.max_body_bytes, _MIN_BYTES)
        self._loop = asyncio.get_running_loop()
        seconds = _AFTER_ERROR_S if is_short else settings.body_timeout_s
        self._deadline = self._loop.time() + seconds
        connections.linger(self)
        server_state.connections.add(self)  # type: ignore[arg-type]
        transport.set_protocol(self)
        transport.write_eof()
        if not transport.is_reading():
            transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Discard ``data``, and receive more a little later."""
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            self._transport.abort()
            return
        # Else libuv, below uvloop, would read up to 32 times in a row: 8 MB of each connection.
        self._transport.pause_reading()
        self._loop.call_later(_PAUSE_S, self._receive_more)

    def _receive_more(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc
        self._connections.discard_lingering(self)
        self._server_state.connections.discard(self)

    def shutdown(self) -> None:
        """Give the client a moment to read the response: the server stops."""
        now = asyncio.get_running_loop().time()
        self._deadline = min(self._deadline, now + _AT_SHUTDOWN_S)

    def check(self, now: float) -> None:
        """End the connection if it has lingered for too long."""
        if self._deadline <= now:
            self.end()

    def end(self) -> None:
        """End the connection, whether or not the client has read the response."""
        self._transport.abort()


class ClosedOtherwise(asyncio.Transport):
    """The transport for a response that may be the connection's last.

    Args:
        transport: of the connection.
        close: called instead of the transport's own method.
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        super().__init__()
        self._transport = transport
        self._close = close

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write ``data``."""
        self._transport.write(data)

    def is_closing(self) -> bool:
        """Return whether the connection is being closed."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection."""
        self._close()

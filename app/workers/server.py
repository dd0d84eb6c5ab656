"""The HTTP server of one process: uvicorn's, with a drain and a shutdown that loses no connection.

uvicorn closes its sockets as soon as it is asked to stop, with them the connections that wait in
the kernel's queue, and those that were accepted but have sent no request yet. Here the response of
a draining server closes its connection, the queue is emptied before a socket closes, and accepted
connections get a moment for their request.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

import uvicorn

from ..serving.phase import Phase, SharedPhase
from . import sockets as listening
from .signals import IGNORED, log_ignored

# What a stop may take in addition to the grace for requests in flight.
MARGIN_S: Final = 3.0

# For handshakes that have begun when new ones are no longer let in: a long round trip.
_HANDSHAKES_S: Final = 0.05
# For clients that have connected, but whose request has not arrived.
_FIRST_REQUESTS_S: Final = 0.3
_STEP_S: Final = 0.01
_CLOSE: Final = (b"connection", b"close")

_log = logging.getLogger("dandelion")


class Server(uvicorn.Server):
    """Closes its sockets without losing a connection; asks clients to leave while it drains.

    Args:
        config: of the server.
        phase: of the service.
    """

    def __init__(self, config: uvicorn.Config, phase: SharedPhase) -> None:
        super().__init__(config)
        self._phase = phase
        self._sends_close = False

    async def on_tick(self, counter: int) -> bool:
        """Follow the phase; called ten times a second."""
        if self._phase.current is not Phase.SERVING:
            self._send_close()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept what has connected, close the sockets, then finish the requests."""
        self._send_close()
        await self._close_listeners(sockets or [])
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _FIRST_REQUESTS_S
        while self.server_state.connections and loop.time() < deadline and not self.force_exit:
            await asyncio.sleep(_STEP_S)
        await super().shutdown(sockets)

    def _send_close(self) -> None:
        """Close each connection with its next response."""
        if not self._sends_close:
            self._sends_close = True
            self.config.encoded_headers = [*self.config.encoded_headers, _CLOSE]
            self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]

    async def _close_listeners(self, sockets: Sequence[socket.socket]) -> None:
        """Close the listening sockets once nothing waits in their queues."""
        for each in sockets:
            listening.refuse_new(each)
        await asyncio.sleep(_HANDSHAKES_S)
        queues = [each.dup() for each in sockets]
        for server in self.servers:
            server.close()
        for each in sockets:
            each.close()
        for queue in queues:
            with queue:
                waiting = listening.accept_waiting(queue)
            for connection in waiting:
                await self._serve_accepted(connection)

    async def _serve_accepted(self, connection: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        try:
            await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
        except OSError:  # the client is gone
            connection.close()


class WorkerServer(Server):
    """Serves in a worker. It leaves signals to the supervisor and follows the phase.

    Args:
        config: of the server.
        phase: of the service; it stops in the last one.
        parent: process id of the supervisor; it stops when that has ended.
    """

    def __init__(self, config: uvicorn.Config, phase: SharedPhase, parent: int) -> None:
        super().__init__(config, phase)
        self._parent = parent
        self._orphaned = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals' handlers as they are."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Stop with the service, or without its supervisor."""
        self.check_parent()
        if self._phase.current is Phase.STOPPING:
            self.should_exit = True
        return await super().on_tick(counter)

    def check_parent(self) -> None:
        """Stop if the supervisor has ended, within the time that it would have given."""
        if os.getppid() != self._parent and not self._orphaned:
            self._orphaned = self.should_exit = True
            _kill_after(stop_s(self.config))


class SingleServer(Server):
    """Serves where no process can be forked: the signals stop it.

    Args:
        config: of the server.
        phase: of the service.
        drain_s: seconds from SIGTERM to the end of the drain.
        withdraw: removes the service's address, if it has one that can be removed.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        phase: SharedPhase,
        drain_s: float,
        withdraw: Callable[[], None],
    ) -> None:
        super().__init__(config, phase)
        self._drain_s = drain_s
        self._drained_at: float | None = None
        self._withdraw = withdraw
        self._ignored: list[int] = []  # signals that are to be logged

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals, those that are ignored too."""
        for number in IGNORED:
            signal.signal(number, lambda received, _: self._ignored.append(received))
        with super().capture_signals():
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first SIGTERM; stop at a further one and at SIGINT."""
        if sig == signal.SIGTERM and self._drain_s and self._phase.current is Phase.SERVING:
            self._phase.advance(Phase.DRAINING)
            self._drained_at = time.monotonic() + self._drain_s
        else:
            self._phase.advance(Phase.STOPPING)
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Stop when the drain is over."""
        while self._ignored:  # logged here: a signal may have interrupted another log line
            log_ignored(self._ignored.pop())
        if self._drained_at is not None:
            if not self._sends_close:
                log_drain(self._drain_s)
            if time.monotonic() >= self._drained_at:
                self._drained_at = None
                self.handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop within the grace."""
        self._withdraw()
        _kill_after(stop_s(self.config))
        await super().shutdown(sockets)


def log_drain(seconds: float) -> None:
    """Log that the drain begins."""
    _log.info("draining: serving, but not ready", extra={"drain_s": seconds})


def stop_s(config: uvicorn.Config) -> float:
    """Return the seconds after which a server that was asked to stop is killed."""
    return (config.timeout_graceful_shutdown or 0) + MARGIN_S


def _kill_after(seconds: float) -> None:
    """Kill this process, unless it has ended by then: a thread that hangs would keep it alive."""

    def kill() -> None:
        _log.error("did not stop in time; killing it", extra={"pid": os.getpid()})
        if sys.platform == "win32":
            os._exit(1)  # SIGKILL does not exist there
        os.kill(os.getpid(), signal.SIGKILL)

    timer = threading.Timer(seconds, kill)
    timer.daemon = True
    timer.start()

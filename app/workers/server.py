"""The HTTP server of one process: uvicorn's, with a drain and a shutdown that loses no connection.

uvicorn closes its sockets as soon as it is asked to stop, with them the connections that wait in
the kernel's queue, and those that were accepted but have sent no request yet. Here the response of
a draining server closes its connection, the queue is emptied before a socket closes, and accepted
connections get a moment for their request. A worker whose generation was replaced leaves the queue
to its successor, which has the same socket.
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
from dataclasses import dataclass
from types import FrameType
from typing import Final

import uvicorn

from ..serving.phase import Phase, SharedPhase
from . import sockets as listening
from .signals import HARMLESS, is_reload, log_ignored, log_no_reload

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
        if self.phase is not Phase.SERVING:
            self._send_close()
        return await super().on_tick(counter)

    @property
    def phase(self) -> Phase:
        """What this server does now."""
        return self._phase.current

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


@dataclass(frozen=True)
class Membership:
    """What a worker has to do with its generation and with the supervisor.

    Attributes:
        parent: process id of its parent.
        service: the phase of the service.
        asked: the phase that the supervisor asks of the generation.
        has_supervisor: whether that still lives.
        drain_s: seconds after which idle connections are closed, once another generation accepts.
        orphan_s: seconds after which it is killed that it may live without its parent.
        on_start: called when it accepts connections.
        on_retire: called when it no longer does, because another generation does.
    """

    parent: int
    service: SharedPhase
    asked: SharedPhase
    has_supervisor: Callable[[], bool]
    drain_s: float
    orphan_s: float
    on_start: Callable[[], None]
    on_retire: Callable[[], None]


class WorkerServer(Server):
    """Serves in a worker. It leaves signals to its parent and follows the phase.

    Without its parent, it serves until the supervisor has another generation, or has ended.

    Args:
        config: of the server.
        phase: of the generation, which its parent sets; it stops in the last one.
        membership: in the generation.
    """

    def __init__(self, config: uvicorn.Config, phase: SharedPhase, membership: Membership) -> None:
        super().__init__(config, phase)
        self._member = membership
        self._is_orphan = False
        self._listening: list[socket.socket] = []
        self._retired_until: float | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals' handlers as they are."""
        yield

    @property
    def phase(self) -> Phase:
        """What it does now; without its parent, what the supervisor asks for."""
        phase = super().phase
        return max(phase, self._member.asked.current) if self._is_orphan else phase

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        self._listening = sockets or []
        await super().startup(sockets)
        self._member.on_start()

    async def on_tick(self, counter: int) -> bool:
        """Stop with the service, without its supervisor, or when it has nothing more to do."""
        self.check_parent()
        now = time.monotonic()
        if self.phase >= Phase.STOPPING:
            self.should_exit = True
        elif self._retired_until is not None:
            if not self.server_state.connections or now >= self._retired_until:
                self.should_exit = True
        elif self.phase is Phase.RETIRING:
            self._retired_until = now + self._member.drain_s
            self._stop_accepting()
        if self.should_exit and self._is_orphan:
            _kill_after(stop_s(self.config))
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; what waits in the queue is left to others if there will be any."""
        is_last = self._member.service.current >= Phase.STOPPING
        if self._retired_until is None and not is_last and self._member.has_supervisor():
            self._stop_accepting()
        if not self._listening:
            sockets = []
        await super().shutdown(sockets)

    def check_parent(self) -> None:
        """See whether the parent has ended; without the supervisor stop in the time it would give.

        Called in a signal's handler, too.
        """
        if not self._is_orphan:
            if os.getppid() == self._member.parent:
                return
            self._is_orphan = True
            _kill_after(self._member.orphan_s)
        # Asked each time: the supervisor may end after the parent.
        if not self.should_exit and not self._member.has_supervisor():
            self.should_exit = True
            _kill_after(stop_s(self.config))

    def _stop_accepting(self) -> None:
        """Close the sockets here; others have them as well, and accept what waits in the queues."""
        for server in self.servers:
            server.close()
        for each in self._listening:
            each.close()
        self._listening = []
        self._member.on_retire()


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
        for number in HARMLESS:
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
            number = self._ignored.pop()
            (log_no_reload if is_reload(number) else log_ignored)(number)
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

"""The open connections of a worker: how many there may be, and how long each may take.

One timer for all of them: a `call_later` for every request costs more than all the other limits
together. Every second, or more often if a timeout is shorter than four, each connection compares
its deadlines with the clock; so a timeout is late by that at most.
"""

import asyncio
import logging
from typing import Final, Protocol

from ..settings import Settings
from ..telemetry.logs import Throttle
from ..telemetry.metrics import Metrics
from .limits import Limits

# At the limit, a connection that has waited this long for its client is closed for a new one.
_PATIENCE_S: Final = 0.1
_LONGEST_INTERVAL_S: Final = 1.0
_CHECKS_PER_TIMEOUT: Final = 4

_log = logging.getLogger("dandelion.connections")


class Timed(Protocol):
    """Something with deadlines."""

    def check(self, now: float) -> None:
        """End what has taken too long, if anything has; ``now`` is by the loop's clock."""


class Lingering(Timed, Protocol):
    """A connection that has its last response."""

    def end(self) -> None:
        """End it now."""


class Connection(Timed, Protocol):
    """A connection that sends requests."""

    @property
    def waiting_since(self) -> float:
        """When it began to wait for headers, by the loop's clock; infinity while it does not."""

    def close_waiting(self) -> None:
        """Close it while it waits."""


class Connections:
    """The connections of this worker, and its limits.

    Args:
        settings: of the service.
        metrics: counts the connections that are refused.
        max_connections: at a time; fewer than the setting where descriptors are scarce.
    """

    def __init__(self, settings: Settings, metrics: Metrics, max_connections: int) -> None:
        self.settings = settings
        self.limits = Limits(settings)
        self.metrics = metrics
        self.max_connections = max_connections
        self._max_lingering = max_lingering(max_connections)
        self._open: set[Connection] = set()
        self._lingering: dict[Lingering, None] = {}  # oldest first
        timeouts = (settings.header_timeout_s, settings.body_timeout_s, settings.keep_alive_s)
        self._interval_s = min(_LONGEST_INTERVAL_S, min(timeouts) / _CHECKS_PER_TIMEOUT)
        self._timer: asyncio.TimerHandle | None = None
        self._full = Throttle()

    def admit(self, connection: Connection) -> bool:
        """Add a connection, for which another may be closed; returns whether there was room."""
        if len(self._open) >= self.max_connections and not self._make_room():
            if self._full.is_due():
                facts = {"connections": len(self._open), "refused": self._full.count}
                _log.warning("no room for more connections; refusing them", extra=facts)
            return False
        self._open.add(connection)
        self._check_later()
        return True

    def discard(self, connection: Connection) -> None:
        """Remove a connection, which has ended."""
        self._open.discard(connection)

    def linger(self, closing: Lingering) -> None:
        """Add a connection that has its last response; the oldest such one may have to end now."""
        while len(self._lingering) >= self._max_lingering:
            oldest = next(iter(self._lingering))
            del self._lingering[oldest]
            oldest.end()
        self._lingering[closing] = None
        self._check_later()

    def discard_lingering(self, closing: Lingering) -> None:
        """Remove a connection that lingered."""
        self._lingering.pop(closing, None)

    def _make_room(self) -> bool:
        """Close the connection that has waited longest for its client's headers."""
        latest = asyncio.get_running_loop().time() - _PATIENCE_S
        waiting = [(each.waiting_since, each) for each in self._open]
        since, longest = min(waiting, key=lambda pair: pair[0])
        if since > latest:
            return False
        self._open.discard(longest)
        longest.close_waiting()
        return True

    def _check_later(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._interval_s, self._check, loop)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for each in (*self._open, *self._lingering):
            each.check(now)
        if self._open or self._lingering:
            self._check_later()


def max_lingering(max_connections: int) -> int:
    """Return how many connections may linger after their last response, beyond the open ones."""
    return max(8, max_connections // 8)

"""Generations: what is loaded together and served together, and what became of each.

Every reload and every rollback begins a generation with a new number. The supervisor alone writes
what became of it; each worker reads it, whichever generation it belongs to.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct, field

from .. import errors
from ..shared_memory import SharedDocument

KEPT: Final = 16
"""Reports that are kept."""

MAX_REQUEST_BYTES: Final = 512
"""Of a request to the supervisor: at most POSIX's least PIPE_BUF, so no write is partial."""

_MAX_BYTES: Final = 2**19
_MAX_REASON_CHARS: Final = 2000
_MAX_REPLIES: Final = 64

_REPLY_S: Final = 5.0
_POLL_S: Final = 0.005


class Action(StrEnum):
    """What began a generation."""

    START = "start"
    """The start of the service."""
    RELOAD = "reload"
    """SIGHUP or a request: what is on disk."""
    ROLLBACK = "rollback"
    """A request: what was served before the current generation."""
    RESTART = "restart"
    """The process of the current generation was killed: what it served."""


class State(StrEnum):
    """What became of a generation."""

    LOADING = "loading"
    """It loads and checks its artifacts, and its workers take over."""
    SERVING = "serving"
    """Its workers accept connections; no others do."""
    FAILED = "failed"
    """It never served; the one before goes on."""
    SUPERSEDED = "superseded"
    """It served until a later one did."""
    ROLLED_BACK = "rolled_back"
    """It served until a rollback."""


class Refused(StrEnum):
    """Why no generation was begun."""

    BUSY = "busy"
    """Another one is loading."""
    NO_PREVIOUS = "no_previous"
    """There is nothing to roll back to."""
    STOPPING = "stopping"
    """The service stops."""


class Report(Struct, frozen=True):
    """What became of a generation.

    Attributes:
        generation: its number.
        action: what began it.
        state: what became of it.
        started: Unix time in seconds.
        finished: when it began to serve, or failed.
        reason: why it failed.
        restores: for `Action.ROLLBACK` and `Action.RESTART`: the generation whose models it has.
        models: model → variant and version.
    """

    generation: int
    action: Action
    state: State = State.LOADING
    started: float = field(default_factory=time.time)
    finished: float | None = None
    reason: str | None = None
    restores: int | None = None
    models: Mapping[str, Mapping[str, str]] = {}


class Request(Struct, frozen=True):
    """What a worker asks the supervisor for.

    Attributes:
        action: `Action.RELOAD` or `Action.ROLLBACK`.
        ticket: of the reply.
    """

    action: Action
    ticket: str


class Reply(Struct, frozen=True):
    """What the supervisor did about a request.

    Attributes:
        generation: that was begun; with `Refused.BUSY`, the one that is loading.
        refused: why none was begun.
    """

    generation: int = 0
    refused: Refused | None = None


class _Published(Struct):
    reports: dict[int, Report] = {}
    replies: dict[str, Reply] = {}


_decoder: Final = msgspec.json.Decoder(_Published)


class Reports:
    """What became of the last `KEPT` generations, in memory that processes share.

    The supervisor creates it and writes; processes that it forks read.
    """

    def __init__(self) -> None:
        self._shared = SharedDocument(_MAX_BYTES)
        self._written = _Published()

    def put(self, report: Report) -> None:
        """Add or replace the report of a generation; forget the oldest."""
        if report.reason is not None and len(report.reason) > _MAX_REASON_CHARS:
            shortened = f"{report.reason[:_MAX_REASON_CHARS]}…"
            report = msgspec.structs.replace(report, reason=shortened)
        reports = self._written.reports
        reports[report.generation] = report
        while len(reports) > KEPT:
            del reports[min(reports)]
        self._publish()

    def reply(self, ticket: str, reply: Reply) -> None:
        """Reply to the request that has this ticket."""
        replies = self._written.replies
        replies[ticket] = reply
        while len(replies) > _MAX_REPLIES:
            del replies[next(iter(replies))]
        self._publish()

    def find(self, generation: int) -> Report | None:
        """Return the report of a generation; None if there is none."""
        return self._read().reports.get(generation)

    def reply_to(self, ticket: str) -> Reply | None:
        """Return the reply to a request, if it has been given."""
        return self._read().replies.get(ticket)

    def _read(self) -> _Published:
        return _decoder.decode(self._shared.read() or b"{}")

    def _publish(self) -> None:
        document = msgspec.json.encode(self._written)
        for number, report in sorted(self._written.reports.items()):
            if len(document) <= _MAX_BYTES:
                break
            self._written.reports[number] = msgspec.structs.replace(report, models={})
            document = msgspec.json.encode(self._written)
        self._shared.write(document)


@dataclass(frozen=True)
class Control:
    """What a worker knows about generations, and how it asks for another one.

    Attributes:
        generation: that it belongs to.
        reports: None where no other process can be forked to load another generation.
        requests: the writing end of a pipe to the supervisor, which does not block.
    """

    generation: int = 1
    reports: Reports | None = None
    requests: int = -1

    async def ask(self, action: Action) -> Reply:
        """Ask the supervisor for another generation.

        Raises:
            Problem: 501, there is no supervisor; 503, it has no time.
        """
        if self.reports is None:
            raise errors.no_reload()
        ticket = secrets.token_hex(8)
        line = msgspec.json.encode(Request(action, ticket)) + b"\n"
        try:
            os.write(self.requests, line)
        except OSError:  # the pipe is full, or the supervisor has ended
            raise errors.no_reply() from None
        deadline = time.monotonic() + _REPLY_S
        while time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
            reply = self.reports.reply_to(ticket)
            if reply is not None:
                return reply
        raise errors.no_reply()

"""A generation, as the supervisor sees it."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from ..serving.generations import Report
from ..serving.phase import Phase, SharedPhase
from . import channel
from .generation import Order, Snapshot

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

    from .channel import Failed


class Member:
    """One generation among those that load, serve or drain.

    Args:
        order: what it loads.
        report: what became of it, as published.

    Attributes:
        channel: to its processes.
        other_end: of the channel; theirs.
        asked: the phase that is asked of it.
        process: None until there is room for it, and after `close`.
        begun: when its process was started, by the monotonic clock.
        ends_at: when it is killed, if it has not ended, or has not loaded.
        has_ended: whether the end of its process was acted on; workers of it may remain.
        snapshot: what it has loaded.
        serving: indices of its workers that accept connections.
        failure: as it has reported it.
    """

    def __init__(self, order: Order, report: Report) -> None:
        self.order = order
        self.report = report
        self.channel, self.other_end = channel.create()
        self.asked = SharedPhase()
        self.process: ForkProcess | None = None
        self.begun = 0.0
        self.ends_at: float | None = None
        self.has_ended = False
        self.snapshot: Snapshot | None = None
        self.serving: set[int] = set()
        self.failure: Failed | None = None

    @property
    def number(self) -> int:
        """Its number."""
        return self.order.generation

    @property
    def exit_code(self) -> int | None:
        """The exit code of its process; None while that runs, or is not started."""
        return None if self.process is None else self.process.exitcode

    @property
    def is_open(self) -> bool:
        """Whether any process of it is left."""
        return not self.channel.is_closed

    def ask(self, phase: Phase) -> None:
        """Ask it for a phase."""
        self.asked.advance(phase)
        self._send(signal.SIGTERM)
        self._send(signal.SIGCONT)  # somebody may have stopped it

    def kill(self, workers: Iterable[int] = ()) -> None:
        """Kill its process, and workers of it."""
        self._send(signal.SIGKILL)
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Close what leads to its processes, when none is left."""
        self.channel.close()
        if self.process is not None:
            self.process.close()
            self.process = None

    def _send(self, number: int) -> None:
        # Until it has been waited for, its id belongs to no other process.
        if self.process is not None and self.process.pid and self.process.exitcode is None:
            os.kill(self.process.pid, number)

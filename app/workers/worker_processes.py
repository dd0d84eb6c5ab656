"""The workers of a generation: processes forked from the one that has loaded the models.

The libraries' own supervisors do not fit. uvicorn's spawns its workers, so that each imports and
loads everything again. gunicorn's forks, and with ``--reuse-port`` each of its workers opens a
socket, among which the kernel spreads the connections; but the socket, and the connections that
wait in its queue, end with the worker. Here the supervisor holds the sockets, one for each worker:
what waits for a worker that dies is served by its successor. And a worker has a number, that of its
socket, which its successor inherits, also in the next generation.
"""

import gc
import logging
import math
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import uvicorn

from ..serving.phase import Phase, SharedPhase
from ..telemetry.generation_metrics import WorkerState
from ..telemetry.metrics import Metrics
from . import parents, server, signals
from .channel import Failed, GenerationEnd, Serves
from .server import Membership

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from multiprocessing.context import ForkProcess

# A worker that lived for less is not replaced sooner than that; a failed start is retried then.
_SHORT_LIFE_S: Final = 1.0
# How often to look for the supervisor where the system does not signal its end.
_LOOK_S: Final = 1.0

_SIGNALS: Final = ("SIGTERM", "SIGCHLD")

_log = logging.getLogger("dandelion")


@dataclass(frozen=True)
class Place:
    """Where a generation stands among others.

    Attributes:
        number: of the generation.
        row: of the metrics, in which its process counts.
        supervisor: process id of the supervisor.
        service: the phase of the service.
        asked: the phase that the supervisor asks of this generation; SIGTERM says that it changed.
        lifeline: whether the supervisor still lives.
        channel: to the supervisor.
        drain_s: seconds after which idle connections are closed, once another generation accepts.
        orphan_s: seconds that a worker may live without its generation's process.
    """

    number: int
    row: int
    supervisor: int
    service: SharedPhase
    asked: SharedPhase
    lifeline: parents.Lifeline
    channel: GenerationEnd
    drain_s: float
    orphan_s: float


@dataclass
class _Worker:
    """One process, and what it works with.

    Attributes:
        process: runs or has ended.
        row: of the metrics, in which it counts.
        started: by the monotonic clock.
    """

    process: "ForkProcess"
    row: int
    started: float = field(default_factory=time.monotonic)


class WorkerProcesses:
    """Keeps one process per worker's sockets alive until the supervisor asks for another phase.

    The models must be loaded and no thread may run: the workers share what is in memory now.

    Args:
        config: of the servers; its ``workers`` are not read.
        sockets: of each worker; listening.
        metrics: with room for the workers.
        phase: of the generation; the workers follow it.
        place: among the other generations.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: "Sequence[Sequence[socket.socket]]",
        metrics: Metrics,
        phase: SharedPhase,
        place: Place,
    ) -> None:
        self._config = config
        self._sockets = sockets
        self._metrics = metrics
        self._phase = phase
        self._place = place
        self._signals = {signal.Signals[name] for name in _SIGNALS}
        self._is_signalled = parents.ask_for_signal_at_parent_end(signal.SIGTERM)
        self._workers: list[_Worker] = []
        self._missing: dict[int, int] = {}  # index → the row in which its next process counts
        self._start_at = 0.0  # the missing ones, by the monotonic clock

    def run(self) -> int:
        """Start the workers, replace those that die, and end when all have; returns the exit code.

        The signals must be blocked.
        """
        try:
            return self._run()
        finally:  # none is left where an error ends this process: the interpreter waits for them
            self._kill()

    def _run(self) -> int:
        try:
            for index in range(len(self._sockets)):
                row = self._metrics.open_row(self._place.number)
                self._workers.append(self._start(index, row))
        except OSError as error:
            facts = {"worker": len(self._workers) + 1, "error": error.strerror}
            self._place.channel.send(Failed("could not start a worker", facts=facts))
            self._stop()
            return 1
        while True:
            self._wait()
            if self._asked >= Phase.STOPPING:
                self._stop()
                return 0
            self._phase.advance(self._asked)
            if self._collect_the_dead():
                self._stop()
                return 1
            if self._phase.current is Phase.RETIRING:
                if not self._running():
                    return 0
            else:
                self._start_the_missing()

    @property
    def _asked(self) -> Phase:
        """What the supervisor asks for; if it has ended, to stop."""
        if os.getppid() != self._place.supervisor:
            return max(Phase.STOPPING, self._place.asked.current)
        return self._place.asked.current

    def _wait(self) -> None:
        """Wait for a signal, or until missing workers are to be started."""
        until = self._start_at if self._missing else math.inf
        if not self._is_signalled:
            until = min(until, time.monotonic() + _LOOK_S)
        if self._asked > self._phase.current:  # the signal may have come before the last look
            return
        if until == math.inf:
            signal.sigwait(self._signals)
        else:
            signal.sigtimedwait(self._signals, max(until - time.monotonic(), 0))

    def _start(self, index: int, row: int) -> _Worker:
        process = multiprocessing.get_context("fork").Process(
            target=self._work,
            args=(index, row, os.getpid()),
            name=f"worker-{index + 1}",
            daemon=True,
        )
        process.start()
        return _Worker(process, row)

    def _collect_the_dead(self) -> bool:
        """Prepare a replacement of each worker that was killed; returns whether one failed."""
        for index, worker in enumerate(self._workers):
            exit_code = worker.process.exitcode
            if exit_code is None or index in self._missing:
                continue
            facts = {"worker": index + 1, "pid": worker.process.pid, "exit_code": exit_code}
            if exit_code > 0:  # a replacement would fail in the same way
                self._place.channel.send(Failed("worker failed", facts=facts))
                return True
            self._metrics.retire(worker.row)
            self._missing[index] = 0
            if self._phase.current is Phase.RETIRING:
                if exit_code:
                    _log.warning("draining worker died", extra=facts)
                continue
            _log.warning("worker died; starting a replacement", extra=facts)
            self._missing[index] = self._metrics.open_row(self._place.number)
            now = time.monotonic()
            if now - worker.started < _SHORT_LIFE_S:
                self._start_at = now + _SHORT_LIFE_S
        return False

    def _start_the_missing(self) -> None:
        if time.monotonic() < self._start_at:
            return
        for index, row in list(self._missing.items()):
            try:
                check_fork()
                self._workers[index] = self._start(index, row)
            except OSError as error:
                facts = {"worker": index + 1, "error": error.strerror}
                _log.error("could not start a worker; retrying", extra=facts)
                self._start_at = time.monotonic() + _SHORT_LIFE_S
                return
            del self._missing[index]

    def _stop(self) -> None:
        """Let the workers finish the requests in flight; end those that do not stop in time."""
        is_last = self._place.service.current >= Phase.STOPPING
        is_current = self._phase.current is not Phase.RETIRING
        if self._missing and is_last and is_current:  # connections wait for their successors
            self._start_at = 0.0
            self._start_the_missing()
        for sockets in self._sockets:
            _close(sockets)
        self._phase.advance(Phase.STOPPING)
        deadline = time.monotonic() + server.stop_s(self._config)
        while self._running():
            seconds = deadline - time.monotonic()
            received = signal.sigtimedwait(self._signals, seconds) if seconds > 0 else None
            if received is None:
                for index, process in self._running():
                    facts = {"worker": index + 1, "pid": process.pid}
                    _log.error("worker did not stop in time; killing it", extra=facts)
            if received is None or self._asked is Phase.KILLED:
                self._kill()

    def _running(self) -> "list[tuple[int, ForkProcess]]":
        """Return each worker that has not ended, with its index."""
        processes = enumerate(worker.process for worker in self._workers)
        return [(index, process) for index, process in processes if process.is_alive()]

    def _kill(self) -> None:
        for _, process in self._running():
            process.kill()
        for _, process in self._running():
            process.join()

    def _work(self, index: int, row: int, parent: int) -> None:
        """Worker entry point: serve on the worker's own sockets."""
        # A terminal and some service managers send a signal to every process of a service: the
        # supervisor, which gets it as well, decides what to do.
        signals.ignore()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        for other, sockets in enumerate(self._sockets):
            if other != index:
                _close(sockets)
        self._metrics.write_to(row)
        place = self._place
        membership = Membership(
            parent=parent,
            service=place.service,
            asked=place.asked,
            has_supervisor=lambda: place.lifeline.is_alive,
            drain_s=place.drain_s,
            orphan_s=place.orphan_s,
            on_start=lambda: place.channel.send(Serves(index)),
            on_retire=lambda: self._metrics.generations.serves(place.number, WorkerState.DRAINING),
        )
        worker = server.WorkerServer(self._config, self._phase, membership)
        # The kernel continues it, if it was stopped, when the parent ends.
        signal.signal(signal.SIGCONT, lambda *_: worker.check_parent())
        parents.ask_for_signal_at_parent_end(signal.SIGCONT)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*self._signals, *signals.HANDLED})
        worker.run(list(self._sockets[index]))


def freeze() -> None:
    """Collect garbage, then let the collector leave what there is alone.

    It writes to the objects that it traverses: their pages would no longer be shared by processes
    that are forked from this one.
    """
    gc.collect()
    gc.freeze()


def check_fork() -> None:
    """Fork a process that ends at once.

    Where that fails, a worker is not tried: `multiprocessing` would leave its pipes open each time.

    Raises:
        OSError: no process can be forked now.
    """
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _close(sockets: "Sequence[socket.socket]") -> None:
    for each in sockets:
        each.close()

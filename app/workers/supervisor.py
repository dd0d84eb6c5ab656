"""The workers: processes forked from one that has loaded the models, under one supervisor.

The libraries' own supervisors do not fit. uvicorn's spawns its workers, so that each imports and
loads everything again. gunicorn's forks, and with ``--reuse-port`` each of its workers opens a
socket, among which the kernel spreads the connections; but the socket, and the connections that
wait in its queue, end with the worker. Here the parent holds the sockets, one for each worker: what
waits for a worker that dies is served by its successor. And a worker has a number, that of its
socket, which its successor inherits.
"""

import ctypes
import gc
import logging
import math
import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import uvicorn

from ..serving.phase import Phase, SharedPhase
from . import server, signals

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from multiprocessing.context import ForkProcess

    from ..telemetry.metrics import Metrics
    from .sockets import Listener

# macOS forks, but its system libraries may crash in the child (CPython's issue 33725).
CAN_FORK: Final = hasattr(os, "fork") and sys.platform != "darwin"

# A worker that lived for less is not replaced sooner than that; a failed start is retried then.
_SHORT_LIFE_S: Final = 1.0
# `multiprocessing` keeps two pipes to each process.
_FILES_OF_A_WORKER: Final = 2
_OTHER_FILES: Final = 32
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)

_log = logging.getLogger("dandelion")


def run(
    config: uvicorn.Config,
    listener: "Listener",
    metrics: "Metrics",
    phase: SharedPhase,
    drain_s: float = 0,
) -> int:
    """Serve with one process for each worker's sockets until a signal stops it.

    The models must be loaded and no thread may run: the workers share what is in memory now.

    Args:
        config: of the server; its ``workers`` are not read.
        listener: has the listening sockets of each worker.
        metrics: with room for that many workers.
        phase: of the service; the workers follow it.
        drain_s: seconds from SIGTERM until the service stops; it serves, but is not ready.

    Returns:
        The exit code, or the number of the signal that ended it, negative.
    """
    config.load()
    config.get_loop_factory()  # imports the event loop
    # The collector writes to the objects it traverses: their pages would no longer be shared.
    gc.collect()
    gc.freeze()
    handled = {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, *signals.IGNORED}
    # A parent may have left it ignored: then no worker could be waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, handled)
    try:
        return _Supervisor(config, listener, metrics, phase, handled).run(drain_s)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)


def open_files(workers: int, addresses: int) -> int:
    """Return about how many files a process has open, besides its connections.

    The supervisor has all of them; a worker inherits the pipes of those that were forked before it.

    Args:
        workers: that it starts.
        addresses: that each of them listens on.
    """
    return _OTHER_FILES + workers * (addresses + _FILES_OF_A_WORKER)


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


class _Supervisor:
    """Keeps one process per worker's sockets alive; waits for signals, which are blocked."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: "Listener",
        metrics: "Metrics",
        phase: SharedPhase,
        handled: set[signal.Signals],
    ) -> None:
        self._config = config
        self._listener = listener
        self._metrics = metrics
        self._phase = phase
        self._signals = handled
        self._workers: list[_Worker] = []
        self._missing: dict[int, int] = {}  # index → the row in which its next process counts
        self._start_at = 0.0  # the missing ones, by the monotonic clock

    def run(self, drain_s: float) -> int:
        """Start the workers, replace those that die, and stop them all at the end."""
        try:
            return self._run(drain_s)
        finally:  # none is left where an error ends the supervisor: the interpreter waits for them
            self._kill()

    def _run(self, drain_s: float) -> int:
        try:
            for index in range(len(self._listener.sockets)):
                self._workers.append(self._start(index, self._metrics.open_row()))
        except OSError as error:
            facts = {"worker": len(self._workers) + 1, "error": error.strerror}
            _log.critical("could not start a worker; stopping the service", extra=facts)
            self._stop()
            return 1
        stop_at = math.inf
        while time.monotonic() < stop_at:
            received = self._wait(stop_at)
            is_serving = self._phase.current is Phase.SERVING
            if received == signal.SIGTERM and drain_s and is_serving:
                stop_at = time.monotonic() + drain_s
                self._phase.advance(Phase.DRAINING)
                server.log_drain(drain_s)
            elif received in {signal.SIGTERM, signal.SIGINT}:
                self._stop()
                return -received
            elif received in signals.IGNORED:
                signals.log_ignored(received)
            if self._collect_the_dead():
                self._stop()
                return 1
            self._start_the_missing()
            if os.getpid() == 1:
                self._reap_orphans()
        self._stop()
        return -signal.SIGTERM

    def _wait(self, until: float) -> int:
        """Wait for a signal; returns 0 at ``until``, or when missing workers are to be started."""
        if self._missing:
            until = min(until, self._start_at)
        if until == math.inf:
            return signal.sigwait(self._signals)
        received = signal.sigtimedwait(self._signals, max(until - time.monotonic(), 0))
        return 0 if received is None else received.si_signo

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
                _log.critical("worker failed; stopping the service", extra=facts)
                return True
            _log.warning("worker died; starting a replacement", extra=facts)
            self._metrics.retire(worker.row)
            self._missing[index] = self._metrics.open_row()
            now = time.monotonic()
            if now - worker.started < _SHORT_LIFE_S:
                self._start_at = now + _SHORT_LIFE_S
        return False

    def _start_the_missing(self) -> None:
        if time.monotonic() < self._start_at:
            return
        for index, row in list(self._missing.items()):
            try:
                _check_fork()
                self._workers[index] = self._start(index, row)
            except OSError as error:
                facts = {"worker": index + 1, "error": error.strerror}
                _log.error("could not start a worker; retrying", extra=facts)
                self._start_at = time.monotonic() + _SHORT_LIFE_S
                return
            del self._missing[index]

    def _reap_orphans(self) -> None:
        """Wait for ended processes that others have left to process 1, as in a container."""
        workers = {worker.process.pid for worker in self._workers}
        with suppress(ChildProcessError):
            while True:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_pid in workers:
                    return
                os.waitpid(ended.si_pid, 0)

    def _stop(self) -> None:
        """Let the workers finish the requests in flight; end those that do not stop in time."""
        if self._missing:  # connections wait for their successors
            self._start_at = 0.0
            self._start_the_missing()
        self._listener.withdraw()
        for sockets in self._listener.sockets:
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
            if received is None or received.si_signo == signal.SIGINT:
                self._kill()
            elif received.si_signo in signals.IGNORED:
                signals.log_ignored(received.si_signo)

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
        """Worker entry point: serve on the worker's own sockets for as long as the parent lives."""
        # A terminal and some service managers send a signal to every process of a service: the
        # parent, which gets it as well, decides what to do.
        signals.ignore()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        for other, sockets in enumerate(self._listener.sockets):
            if other != index:
                _close(sockets)
        self._metrics.write_to(row)
        worker = server.WorkerServer(self._config, self._phase, parent)
        # The kernel continues it, if it was stopped, when the parent ends.
        signal.signal(signal.SIGCONT, lambda *_: worker.check_parent())
        _ask_for_signal_at_parent_end(signal.SIGCONT)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._signals)
        worker.run(list(self._listener.sockets[index]))


def _close(sockets: "Sequence[socket.socket]") -> None:
    for each in sockets:
        each.close()


def _ask_for_signal_at_parent_end(number: int) -> None:
    with suppress(AttributeError, OSError, TypeError):  # not Linux: there the parent is asked for
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _check_fork() -> None:
    """Fork a process that ends at once.

    Where that fails, a worker is not tried: `multiprocessing` would leave its pipes open each time.

    Raises:
        OSError: no process can be forked now.
    """
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

"""The workers: processes forked from one that has loaded the models, under one supervisor.

The libraries' own supervisors do not fit. uvicorn's spawns its workers, so that each imports and
loads everything again. gunicorn's forks, and with ``--reuse-port`` each of its workers opens a
socket, among which the kernel spreads the connections; but the socket, and the connections that
wait in its queue, end with the worker. Here the parent holds the sockets, one for each worker: what
waits for a worker that dies is served by its successor. And a worker has a number, that of its
socket, which its successor inherits.
"""

import gc
import logging
import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from multiprocessing.context import ForkProcess

    from ..telemetry.metrics import Metrics

    WorkerSockets = Sequence[Sequence[socket.socket]]

# macOS forks, but its system libraries may crash in the child (CPython's issue 33725).
CAN_FORK: Final = hasattr(os, "fork") and sys.platform != "darwin"

# A worker that lived for less is not replaced sooner than that; a failed start is retried then.
_SHORT_LIFE_S: Final = 1.0
_ORPHAN_CHECK_S: Final = 1

_log = logging.getLogger("dandelion")


def run(config: uvicorn.Config, sockets: "WorkerSockets", metrics: "Metrics") -> int:
    """Serve with one process for each element of ``sockets`` until a signal stops it.

    The models must be loaded and no thread may run: the workers share what is in memory now.

    Args:
        config: of the server; its ``workers`` are not read.
        sockets: the listening sockets of each worker.
        metrics: with room for that many workers.

    Returns:
        The exit code, or the number of the signal that ended it, negative.
    """
    config.load()
    config.get_loop_factory()  # imports the event loop
    # The collector writes to the objects it traverses: their pages would no longer be shared.
    gc.collect()
    gc.freeze()
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}
    # A parent may have left it ignored: then no worker could be waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        return _Supervisor(config, sockets, metrics, signals).run()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


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
        sockets: "WorkerSockets",
        metrics: "Metrics",
        signals: set[signal.Signals],
    ) -> None:
        self._config = config
        self._sockets = sockets
        self._metrics = metrics
        self._signals = signals
        self._workers: list[_Worker] = []
        self._missing: dict[int, int] = {}  # index → the row in which its next process counts
        self._start_at = 0.0  # the missing ones, by the monotonic clock

    def run(self) -> int:
        """Start the workers, replace those that die, and stop them all at the end."""
        try:
            for index in range(len(self._sockets)):
                self._workers.append(self._start(index, self._metrics.open_row()))
        except OSError as error:
            facts = {"worker": len(self._workers) + 1, "error": error.strerror}
            _log.critical("could not start a worker; stopping the service", extra=facts)
            self._stop()
            return 1
        while True:
            received = self._wait()
            if received not in {0, signal.SIGCHLD}:
                self._stop()
                return -received
            if self._collect_the_dead():
                self._stop()
                return 1
            self._start_the_missing()

    def _wait(self) -> int:
        """Wait for a signal, or until missing workers are to be started; returns 0 then."""
        if not self._missing:
            return signal.sigwait(self._signals)
        seconds = max(self._start_at - time.monotonic(), 0)
        received = signal.sigtimedwait(self._signals, seconds)
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

    def _stop(self) -> None:
        """Let the workers finish the requests in flight, and wait for them."""
        for sockets in self._sockets:
            _close(sockets)
        # As with one process: the first signal shuts down gracefully, a second SIGINT at once.
        self._send(signal.SIGTERM)
        while any(worker.process.is_alive() for worker in self._workers):
            received = signal.sigwait(self._signals)
            if received != signal.SIGCHLD:
                self._send(signal.SIGKILL if received == signal.SIGINT else received)

    def _send(self, number: int) -> None:
        for worker in self._workers:
            if worker.process.is_alive() and worker.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)

    def _work(self, index: int, row: int, parent: int) -> None:
        """Worker entry point: serve on the worker's own sockets for as long as the parent lives."""
        # Before the server installs its own handlers, and when it re-raises a signal at its end.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        # SIGINT stays blocked: a terminal sends it to every process of the group, and the parent,
        # which gets it as well, decides whether to wait.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._signals - {signal.SIGINT})
        for other, sockets in enumerate(self._sockets):
            if other != index:
                _close(sockets)
        self._metrics.write_to(row)
        server = uvicorn.Server(self._config)

        async def stop_if_orphaned() -> None:
            if os.getppid() != parent:
                server.should_exit = True

        self._config.callback_notify = stop_if_orphaned
        self._config.timeout_notify = _ORPHAN_CHECK_S
        server.run(list(self._sockets[index]))


def _close(sockets: "Sequence[socket.socket]") -> None:
    for each in sockets:
        each.close()


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

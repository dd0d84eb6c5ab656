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
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from typing import TYPE_CHECKING, Final

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from ..telemetry.metrics import Metrics

    WorkerSockets = Sequence[Sequence[socket.socket]]

# macOS forks, but its system libraries may crash in the child (CPython's issue 33725).
CAN_FORK: Final = hasattr(os, "fork") and sys.platform != "darwin"

_SIGNALS: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}

# A worker that lived for less is not replaced sooner than that.
_SHORT_LIFE_S: Final = 1.0
_ORPHAN_CHECK_S: Final = 1

_log = logging.getLogger("dandelion")


def run(config: uvicorn.Config, sockets: "WorkerSockets", metrics: "Metrics") -> int:
    """Serve with one process for each element of ``sockets`` until a signal asks to stop.

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
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        return _Supervisor(config, sockets, metrics).run()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


@dataclass
class _Worker:
    """One process, and what it works with.

    Attributes:
        process: runs or has ended.
        row: of the metrics, in which it counts.
        started: by the monotonic clock.
    """

    process: ForkProcess
    row: int
    started: float = field(default_factory=time.monotonic)


class _Supervisor:
    """Keeps as many processes alive as there are sockets; its signals are blocked and awaited."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: "WorkerSockets",
        metrics: "Metrics",
    ) -> None:
        self._config = config
        self._sockets = sockets
        self._metrics = metrics
        self._workers: list[_Worker] = []

    def run(self) -> int:
        """Start the workers, replace those that die, and stop them all at the end."""
        self._workers += map(self._start, range(len(self._sockets)))
        while True:
            received = signal.sigwait(_SIGNALS)
            if received != signal.SIGCHLD:
                self._stop()
                return -received
            if self._replace_the_dead():
                self._stop()
                return 1

    def _start(self, index: int) -> _Worker:
        row = self._metrics.open_row()
        process = multiprocessing.get_context("fork").Process(
            target=self._work,
            args=(index, row, os.getpid()),
            name=f"worker-{index + 1}",
            daemon=True,
        )
        process.start()
        return _Worker(process, row)

    def _replace_the_dead(self) -> bool:
        """Replace each worker that was killed; returns whether one failed by itself."""
        for index, worker in enumerate(self._workers):
            exit_code = worker.process.exitcode
            if exit_code is None:
                continue
            facts = {"worker": index + 1, "pid": worker.process.pid, "exit_code": exit_code}
            if exit_code > 0:  # a replacement would fail like it
                _log.critical("worker failed; stopping the service", extra=facts)
                return True
            _log.warning("worker died; starting a replacement", extra=facts)
            self._metrics.retire(worker.row)
            if time.monotonic() - worker.started < _SHORT_LIFE_S:
                time.sleep(_SHORT_LIFE_S)
            self._workers[index] = self._start(index)
        return False

    def _stop(self) -> None:
        """Let the workers finish the requests in flight, and wait for them."""
        for sockets in self._sockets:
            _close(sockets)
        # As with one process: the first signal asks to finish, a second SIGINT not to wait.
        self._send(signal.SIGTERM)
        while any(worker.process.is_alive() for worker in self._workers):
            received = signal.sigwait(_SIGNALS)
            if received != signal.SIGCHLD:
                self._send(received)

    def _send(self, number: int) -> None:
        for worker in self._workers:
            if worker.process.is_alive() and worker.process.pid is not None:
                os.kill(worker.process.pid, number)

    def _work(self, index: int, row: int, parent: int) -> None:
        """Worker entry point: serve on the worker's own sockets for as long as the parent lives."""
        # Before the server installs its own handlers, and when it re-raises a signal at its end.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
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

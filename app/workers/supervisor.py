"""Several workers: processes forked from one that has loaded the models, under one supervisor.

A supervisor of our own, because the libraries' do not fit: uvicorn's spawns, so that each worker
imports and loads everything again; gunicorn's forks, but its workers accept from one socket, where
whoever wakes first takes a whole burst: of 16 connections, up to 16 went to one of two workers.
Here each worker has its own listening socket on the same port (``SO_REUSEPORT``), among which the
kernel spreads the connections. The parent keeps them open, so that what waits for a worker that
dies is answered by its successor.
"""

import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from ..settings import SettingsError

if TYPE_CHECKING:
    from ..telemetry.metrics import Metrics

METRICS_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"

# In memory where there is such a place: the counts are written with every request.
_MEMORY: Final = "/dev/shm"  # noqa: S108 - in it a directory of our own is made

_PREFIX: Final = "dandelion-metrics-"

_SIGNALS: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}

# A worker that lived for less is not replaced sooner than that.
_SHORT_LIFE_S: Final = 1.0
_ORPHAN_CHECK_S: Final = 1

_log = logging.getLogger("dandelion")


@contextmanager
def metrics_directory(workers: int) -> Iterator[None]:
    """Give several workers an empty directory in which their counts meet; one needs none.

    Must come before the first import of prometheus_client, which looks for it once. It is made
    and removed here; or the variable names it, and it is emptied.

    Raises:
        SettingsError: there is no place to write.
    """
    given = os.environ.pop(METRICS_DIRECTORY, None)
    if workers == 1:
        yield
        return
    if "prometheus_client" in sys.modules:
        raise RuntimeError("prometheus_client was imported before its directory was set")
    with ExitStack() as stack:
        try:
            directory = _emptied(given) if given else stack.enter_context(_temporary())
        except OSError as error:
            raise SettingsError(
                f"{error}: several workers need a directory for their metrics. "
                f"Set {METRICS_DIRECTORY} to one that can be written, on this machine."
            ) from error
        os.environ[METRICS_DIRECTORY] = directory
        yield


def _emptied(directory: str) -> str:
    """Make the directory if need be, and remove what an earlier run has counted."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    _remove_files(directory)
    return directory


def _remove_files(directory: str) -> None:
    for kind in ("counter", "gauge", "histogram"):
        for file in Path(directory).glob(f"{kind}_*.db"):
            file.unlink(missing_ok=True)


def _temporary() -> tempfile.TemporaryDirectory[str]:
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place)


def run(config: uvicorn.Config, metrics: "Metrics") -> int:
    """Serve with ``config.workers`` processes until told to stop.

    The models must be loaded and no thread may run: what is in memory now, the workers share.

    Returns:
        The exit code, or the number of the signal that ended it, negative.
    """
    config.load()
    config.get_loop_factory()  # imports the event loop
    sockets = _listen(config)
    metrics.open_files()
    # Objects that the collector never looks at again stay in pages that are shared.
    gc.collect()
    gc.freeze()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        return _Supervisor(config, sockets, metrics).run()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _listen(config: uvicorn.Config) -> list[socket.socket]:
    """Open a listening socket a worker, all on one port."""
    # Without SO_REUSEPORT at first: a port that somebody else listens on is refused.
    first = config.bind_socket()
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sockets = [first]
    for _ in range(1, config.workers):
        another = socket.socket(first.family)
        another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        another.bind(first.getsockname())
        sockets.append(another)
    for each in sockets:
        each.listen(config.backlog)
    return sockets


class _Supervisor:
    """Keeps one process a socket alive; its signals are blocked and waited for."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], metrics: "Metrics"
    ) -> None:
        self._config = config
        self._sockets = sockets
        self._metrics = metrics
        self._workers: list[ForkProcess] = []
        self._started: list[float] = []

    def run(self) -> int:
        """Start the workers, replace those that die, and stop them all at the end."""
        for number in range(1, len(self._sockets) + 1):
            self._workers.append(self._start(number))
            self._started.append(time.monotonic())
        while True:
            received = signal.sigwait(_SIGNALS)
            if received != signal.SIGCHLD:
                self._stop()
                return -received
            if self._replace_the_dead():
                self._stop()
                return 1

    def _start(self, number: int) -> ForkProcess:
        worker = multiprocessing.get_context("fork").Process(
            target=_work,
            args=(self._config, self._sockets, self._metrics, number, os.getpid()),
            name=f"worker-{number}",
            daemon=True,
        )
        worker.start()
        return worker

    def _replace_the_dead(self) -> bool:
        """Start a worker for each that was killed; returns whether one failed of itself."""
        for index, worker in enumerate(self._workers):
            if worker.exitcode is None:
                continue
            facts = {"pid": worker.pid, "exit_code": worker.exitcode}
            if worker.exitcode > 0:  # its successor would fail like it
                _log.critical("a worker failed, the service ends", extra=facts)
                return True
            _log.warning("a worker died, another one starts", extra=facts)
            if time.monotonic() - self._started[index] < _SHORT_LIFE_S:
                time.sleep(_SHORT_LIFE_S)
            self._workers[index] = self._start(index + 1)
            self._started[index] = time.monotonic()
        return False

    def _stop(self) -> None:
        """Let the workers finish what they have begun, and wait for them."""
        for each in self._sockets:
            each.close()
        # As one process does: the first signal asks to finish, a second SIGINT not to wait.
        self._send(signal.SIGTERM)
        while any(worker.is_alive() for worker in self._workers):
            received = signal.sigwait(_SIGNALS)
            if received != signal.SIGCHLD:
                self._send(received)

    def _send(self, number: int) -> None:
        for worker in self._workers:
            if worker.is_alive() and worker.pid is not None:
                os.kill(worker.pid, number)


def _work(
    config: uvicorn.Config,
    sockets: list[socket.socket],
    metrics: "Metrics",
    number: int,
    parent: int,
) -> None:
    """Be a worker (1 …): serve on its socket as long as there is a parent."""
    # Before the server has its own handlers, and when it hands a signal on after all is done.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: sys.exit())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    for index, other in enumerate(sockets, start=1):
        if index != number:
            other.close()
    metrics.become(number)
    server = uvicorn.Server(config)

    async def stop_if_orphaned() -> None:
        if os.getppid() != parent:
            server.should_exit = True

    config.callback_notify = stop_if_orphaned
    config.timeout_notify = _ORPHAN_CHECK_S
    server.run([sockets[number - 1]])
    if os.getppid() != parent:  # which would have cleaned up
        directory = Path(os.environ[METRICS_DIRECTORY])
        _remove_files(str(directory))
        if directory.name.startswith(_PREFIX):  # made for this run
            with suppress(OSError):
                directory.rmdir()

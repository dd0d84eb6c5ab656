"""Signals: which of them stop the service, how it drains, and that a stop has an end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path

import httpx2
import pytest

from app.settings import Settings
from app.workers.server import MARGIN_S

from ...conftest import PATIENCE_S, Service, StartService
from ..test_process import WITHOUT_FORK
from .test_supervisor import children, pids

PROGRAMS = {"two workers": ("-m", "app"), "one process": ("-c", WITHOUT_FORK)}
FOR_EVER_S = 3600

BODY = b'{"texts": ["lunch", "free"]}'
REQUEST = (
    b"POST /classify/spam HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


def starts(start: StartService, made_up: Path, mode: str, **settings: object) -> Service:
    workers = 2 if mode == "two workers" else 1
    service = start(PROGRAMS[mode], artifacts=made_up, workers=workers, **settings)
    service.wait_until_ready()
    service.wait(lambda: len(pids(service)) == workers)
    return service


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def messages(service: Service) -> list[str]:
    return [str(line["message"]) for line in service.lines()]


@pytest.mark.parametrize("mode", PROGRAMS)
def test_a_service_that_drains_serves_but_is_not_ready(
    start_service: StartService, made_up: Path, mode: str
) -> None:
    service = starts(start_service, made_up, mode, drain_s=FOR_EVER_S)
    with service.connect() as kept:
        service.process.terminate()
        service.wait(lambda: service.get("/readyz").status_code == 503)
        for _ in range(8):  # in every worker
            response = service.get("/readyz")
            assert response.status_code == 503
            assert response.json()["detail"].startswith("The service is shutting down.")
            assert service.get("/livez").status_code == 200
        for path in ("/livez", "/readyz"):
            service.wait(lambda path=path: service.get(path).headers.get("connection") == "close")
        kept.sendall(REQUEST)
        response = HTTPResponse(kept)
        response.begin()
        assert (response.status, response.getheader("connection")) == (200, "close")
        assert b"results" in response.read()
        assert kept.recv(1) == b""
    assert service.post("/classify/spam", json={"texts": ["lunch"]}).status_code == 200
    service.process.terminate()  # the second one ends the drain
    assert service.exit_code() == -signal.SIGTERM
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize("mode", PROGRAMS)
def test_a_service_with_the_largest_numbers_starts_serves_and_stops(
    start_service: StartService, made_up: Path, mode: str
) -> None:
    largest = {
        name: bound.le
        for name, field in Settings.model_fields.items()
        for bound in field.metadata
        if hasattr(bound, "le") and name not in {"workers", "port"}
    }
    assert len(largest) > 15
    service = starts(start_service, made_up, mode, **largest)
    assert service.post("/classify/spam", json={"texts": ["lunch"]}).status_code == 200
    service.process.terminate()
    service.wait(lambda: service.get("/readyz").status_code == 503)
    service.process.terminate()
    assert service.exit_code() == -signal.SIGTERM
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize(("mode", "drains"), [("two workers", False), ("one process", True)])
def test_ctrl_c_skips_the_drain(
    start_service: StartService, made_up: Path, mode: str, drains: bool
) -> None:
    service = starts(start_service, made_up, mode, drain_s=FOR_EVER_S)
    if drains:
        service.process.terminate()
        service.wait(lambda: service.get("/readyz").status_code == 503)
    service.process.send_signal(signal.SIGINT)
    assert abs(service.exit_code()) in {signal.SIGINT, signal.SIGTERM}


@pytest.mark.parametrize("mode", PROGRAMS)
def test_other_signals_end_no_process(
    start_service: StartService, made_up: Path, mode: str
) -> None:
    service = starts(start_service, made_up, mode)
    everyone = {service.process.pid, *pids(service)}
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
        for pid in everyone:
            if number != signal.SIGHUP or pid != service.process.pid:
                os.kill(pid, number)
    service.wait(lambda: messages(service).count("signal ignored") == 2)
    for _ in range(8):
        assert service.get("/readyz").status_code == 200
    assert {service.process.pid, *pids(service)} == everyone
    if mode == "two workers":  # service managers may send it to all; the supervisor decides
        for pid in pids(service):
            os.kill(pid, signal.SIGTERM)
        for _ in range(8):
            assert service.get("/readyz").status_code == 200
        assert {service.process.pid, *pids(service)} == everyone


# `RELOADS=100` is for reliability's figures.
ROUNDS = int(os.environ.get("RELOADS", "4"))
MANY_STARTS = f"""
import os, signal, sys, uvicorn
from app.command import main

for _ in range({ROUNDS}):
    pid = os.fork()
    if pid == 0:
        sys.exit(main([]))
    os.waitpid(pid, 0)
"""


class Client(threading.Thread):
    """Sends requests, on new connections or on one for as long as it stays open."""

    def __init__(self, service: Service, port: int, *, keeps: bool) -> None:
        super().__init__()
        self._service, self._port, self._keeps = service, port, keeps
        self.responses = 0
        self.lost: list[str] = []

    def run(self) -> None:
        """Until no connection is accepted any more."""
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", self._port), PATIENCE_S)
            except OSError:
                return
            with connection:
                try:
                    while self._exchange(connection):
                        pass
                except (OSError, ValueError) as error:
                    self.lost.append(repr(error))

    def _exchange(self, connection: socket.socket) -> bool:
        """Send a request and read the response; return whether there may be a further one."""
        connection.sendall(REQUEST)
        received = b""
        while b"]" not in received:
            data = connection.recv(65536)
            if not data:
                raise ValueError(f"cut off after {received[:20]!r}")
            received += data
        if not received.startswith(b"HTTP/1.1 200"):
            raise ValueError(str(received[:20]))
        self.responses += 1
        return self._keeps and b"connection: close" not in received


def test_no_accepted_request_is_lost_at_sigterm(start_service: StartService, made_up: Path) -> None:
    settings = {"artifacts": made_up, "workers": 2, "drain_s": 0.05}
    services = start_service(["-c", MANY_STARTS], **settings)
    for number in range(ROUNDS):

        def ports(number: int = number) -> list[int]:
            urls = [text for text in messages(services) if text.startswith("listening on http")]
            return [int(url.rpartition(":")[2]) for url in urls][number:]

        services.wait(lambda ports=ports: bool(ports()))
        clients = [Client(services, ports()[0], keeps=bool(each % 2)) for each in range(4)]
        for client in clients:
            client.start()
        services.wait(lambda clients=clients: all(each.responses > 3 for each in clients))
        children = f"/proc/{services.process.pid}/task/{services.process.pid}/children"
        (supervisor,) = map(int, Path(children).read_text().split())
        os.kill(supervisor, signal.SIGTERM)
        for client in clients:
            client.join(PATIENCE_S)
        assert [client.lost for client in clients] == [[]] * len(clients)
    assert services.exit_code() == 0


def test_connections_of_a_worker_that_was_stopped_are_served(
    start_service: StartService, made_up: Path
) -> None:
    service = starts(start_service, made_up, "two workers")
    with contextlib.ExitStack() as stack:
        # Its connections wait in the queue of its socket.
        worker = pids(service)[-1]
        os.kill(worker, signal.SIGSTOP)
        connections = [stack.enter_context(service.connect()) for _ in range(8)]
        service.process.terminate()
        os.kill(worker, signal.SIGCONT)
        for connection in connections:
            connection.sendall(REQUEST)
        for connection in connections:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert service.exit_code() == -signal.SIGTERM


def test_a_stopped_worker_is_killed_in_the_end(start_service: StartService, made_up: Path) -> None:
    service = starts(start_service, made_up, "two workers", shutdown_grace_s=0)
    os.kill(pids(service)[0], signal.SIGSTOP)
    assert service.stop() == -signal.SIGTERM
    killed = [line for line in service.lines() if line["message"].startswith("worker did not stop")]
    assert [line["pid"] for line in killed] == pids(service)[:1]
    assert all(map(has_ended, pids(service)))


def test_a_stopped_worker_ends_without_its_supervisor(
    start_service: StartService, made_up: Path
) -> None:
    service = starts(start_service, made_up, "two workers", shutdown_grace_s=0)
    os.kill(pids(service)[0], signal.SIGSTOP)
    service.process.kill()
    service.process.wait()
    wait_until(lambda: all(map(has_ended, pids(service))))


HANGING = """
import signal, sys, time
import uvicorn
from app.serving.phase import SharedPhase
from app.telemetry import logs
from app.telemetry.metrics import Metrics
from app.workers import sockets
from app.workers.generation import Product
from app.workers.server import SingleServer
from app.workers.shared import Shared, Times
from app.workers.supervisor import Supervisor

async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    time.sleep(3600)

logs.configure("json", "info")
listener = sockets.listen(sockets.bind("127.0.0.1", 0), "127.0.0.1", 1)
config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=0)
if sys.argv[1] == "one process":
    SingleServer(config, SharedPhase(), 0, listener.withdraw).run(list(listener.sockets[0]))
else:
    load, listen, metrics = lambda order: Product(config), lambda: listener, Metrics(workers=1)
    Supervisor(load, listen, 1, metrics, Shared(), Times()).run()
"""


ONE_STARTS = """
import os, signal, sys
import uvicorn
from app.telemetry import logs
from app.telemetry.metrics import Metrics
from app.workers import sockets
from app.workers.generation import Product
from app.workers.shared import Shared, Times
from app.workers.supervisor import Supervisor

async def app(scope, receive, send):
    await receive()
    if scope["type"] == "lifespan":
        try:
            os.mkdir(sys.argv[1])
        except FileExistsError:  # in the second worker
            os.kill(os.getpid(), signal.SIGSTOP)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

logs.configure("json", "info")
listener = sockets.listen(sockets.bind("127.0.0.1", 0), "127.0.0.1", 2)
load = lambda order: Product(uvicorn.Config(app, log_config=None))
times = Times(drain=3600)
Supervisor(load, lambda: listener, 2, Metrics(workers=2), Shared(), times).run()
"""


def test_a_service_of_which_one_worker_serves_drains(
    start_service: StartService, tmp_path: Path
) -> None:
    service = start_service(["-c", ONE_STARTS, str(tmp_path / "started")])
    service.wait(lambda: len(pids(service)) == 2)
    for _ in range(2):
        service.wait(lambda: is_answered(service))
    service.process.terminate()
    service.wait(lambda: any(text.startswith("draining") for text in messages(service)))
    service.wait(lambda: is_answered(service))
    service.process.terminate()
    assert service.exit_code() == 0
    assert "Traceback" not in service.log.read_text()


def is_answered(service: Service) -> bool:
    """Return whether a new connection was one of the worker that serves."""
    try:
        return httpx2.get(f"{service.url}/", timeout=0.5).status_code == 200
    except httpx2.TimeoutException:
        return False


@pytest.mark.parametrize("mode", ["one process", "its parents are killed"])
def test_a_process_that_hangs_ends_itself(start_service: StartService, mode: str) -> None:
    service = start_service(["-c", HANGING, mode])
    service.wait(lambda: any("Application startup complete" in text for text in messages(service)))
    began = time.monotonic()
    if mode == "one process":
        assert service.stop() == -signal.SIGKILL
    else:
        everyone = [service.process.pid, *children(service.process.pid)]
        for pid in everyone:
            os.kill(pid, signal.SIGKILL)
        service.process.wait()
        wait_until(lambda: has_ended(pids(service)[0]))
    assert time.monotonic() - began >= MARGIN_S / 2
    killed = [
        line for line in service.lines() if str(line["message"]).startswith("did not stop in")
    ]
    assert [line["pid"] for line in killed] == pids(service)


def test_it_serves_as_process_1(start_service: StartService, made_up: Path) -> None:
    """As in a container, where signals without a handler have no effect."""
    namespaces = ["unshare", "--user", "--map-root-user", "--pid", "--kill-child", "--mount-proc"]
    try:
        subprocess.run([*namespaces, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs unshare, and the right to create namespaces")
    command = [*namespaces, "sh", "-c", f"sleep 3600 & exec {sys.executable} -m app"]
    program = f"import os; os.execvp('unshare', {command})"
    service = start_service(["-c", program], artifacts=made_up, workers=2)
    service.wait_until_ready()
    service.wait(lambda: len(pids(service)) == 2)

    (first,) = children(service.process.pid)
    sleeper = min(children(first))  # a process that another one has left
    os.kill(sleeper, signal.SIGKILL)
    service.wait(lambda: len(children(first)) == 1)
    os.kill(first, signal.SIGHUP)
    service.wait(lambda: "another generation serves" in messages(service))
    os.kill(first, signal.SIGTERM)
    assert service.exit_code() == 0

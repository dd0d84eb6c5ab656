"""Fixtures for every package: the service as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, settings

# Two shared processors are no clock: no test fails for being slow once.
settings.register_profile(
    "dandelion", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("dandelion")

# Tests that run in the background may ignore it, and the services that they start would, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent

# Far more than anything here takes, for a machine that is busy with other things.
PATIENCE_S = 60


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Directory of the real archives."""
    if "DATA_DIR" not in os.environ:
        pytest.skip("needs the data sets: set DATA_DIR (python -m training download gets them)")
    return Path(os.environ["DATA_DIR"])


@dataclass
class Service:
    """The service as a process; its log lines are JSON."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def lines(self) -> list[dict[str, object]]:
        whole = self.log.read_text().rpartition("\n")[0]  # the last one may still be written
        return [json.loads(line) for line in whole.splitlines()]

    @property
    def url(self) -> str:
        def found() -> list[str]:
            messages = [str(line["message"]) for line in self.lines()]
            return [word for text in messages for word in text.split() if word.startswith("http:")]

        self.wait(lambda: bool(found()))
        return found()[0]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """Send a GET request on a new connection."""
        return httpx2.get(f"{self.url}{path}", timeout=PATIENCE_S, **options)

    def post(self, path: str, **options: Any) -> httpx2.Response:
        """Send a POST request on a new connection."""
        return httpx2.post(f"{self.url}{path}", timeout=PATIENCE_S, **options)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def begin(self, body: bytes, length: int) -> socket.socket:
        """Send the start of a body; return when the service waits for the rest."""
        connection = self.connect()
        connection.sendall(
            b"POST /classify/spam HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n"
            b"Expect: 100-continue\r\n\r\n" % length
        )
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        return connection

    def wait_until_ready(self) -> None:
        self.wait(lambda: self.get("/readyz").status_code == 200)

    def exit_code(self) -> int:
        """Wait until it has ended."""
        return self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        self.process.terminate()
        return self.exit_code()


StartService = Callable[..., Service]


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[StartService]:
    """Start ``python -m app`` on a free port, with settings as ``max_texts=8``."""
    with services(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartService]:
    """Start a service for several tests of a module, which leave it as it is."""
    with services(tmp_path_factory.mktemp("services")) as start:
        yield start


@contextmanager
def services(directory: Path) -> Iterator[StartService]:
    started: list[Service] = []

    def start(program: Sequence[str] = ("-m", "app"), /, **settings: object) -> Service:
        environment = {key: value for key, value in os.environ.items() if "DANDELION_" not in key}
        settings = {
            "port": 0,
            "log_format": "json",
            "artifacts": ROOT / "artifacts",
            "drain_s": 0,
        } | settings
        environment |= {f"DANDELION_{key.upper()}": str(value) for key, value in settings.items()}
        log = directory / f"service-{len(started)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *program], stderr=file, cwd=ROOT, env=environment
            )
        started.append(Service(process, log))
        return started[-1]

    try:
        yield start
    finally:
        for service in started:
            if service.process.poll() is None:
                service.process.kill()
            service.process.wait()

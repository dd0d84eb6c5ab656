"""Fixtures for every package: the service as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

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


@dataclass
class Service:
    """The service as a process; its log lines are JSON."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

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

    def wait_until_ready(self) -> None:
        url = self.url
        self.wait(lambda: httpx2.get(f"{url}/readyz").status_code == 200)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


StartService = Callable[..., Service]


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[StartService]:
    """Start ``python -m app`` on a free port, with settings as ``max_texts=8``."""
    started: list[Service] = []

    def start(**settings: object) -> Service:
        environment = {key: value for key, value in os.environ.items() if "DANDELION_" not in key}
        settings = {"port": 0, "log_format": "json", "artifacts": ROOT / "artifacts"} | settings
        environment |= {f"DANDELION_{key.upper()}": str(value) for key, value in settings.items()}
        log = tmp_path / f"service-{len(started)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "app"], stderr=file, cwd=ROOT, env=environment
            )
        started.append(Service(process, log))
        return started[-1]

    yield start
    for service in started:
        if service.process.poll() is None:
            service.process.kill()
        service.process.wait()

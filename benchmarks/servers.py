"""The measured servers: started, pinned to cores, frozen between measurements, stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from .machine import ROOT, BenchmarkError, baselines_python, environment_without_settings

RAW: Final = "raw ASGI echo"
ECHO: Final = "FastAPI + pydantic echo"

_PATIENCE_S: Final = 60
_WARM_UP_REQUESTS: Final = 200
_BODY: Final = json.dumps({"texts": ["Are we still meeting for lunch tomorrow at 12?"]})
_QUIET: Final = ("--no-access-log", "--log-level", "warning")


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a server.

    Attributes:
        command: its command line; ``{port}`` stands for the port.
        path: the route that is measured.
        environment: variables added to the environment of this process.
        headers: of the requests that find out whether it responds.
    """

    command: tuple[str, ...]
    path: str = "/classify"
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def ours(model: str = "spam", *, workers: int = 1, artifacts: Path | None = None) -> Launch:
    """Return the service as ``make serve`` starts it; its log lines are discarded."""
    environment = {"DANDELION_PORT": "{port}", "DANDELION_DRAIN_S": "0"}
    if workers > 1:
        environment["DANDELION_WORKERS"] = str(workers)
    if artifacts is not None:
        environment["DANDELION_ARTIFACTS"] = str(artifacts)
    return Launch((sys.executable, "-m", "app"), f"/classify/{model}", environment)


def make_serve() -> Launch:
    """Return ``make serve`` itself, with everything installed already."""
    venv = sys.prefix
    return Launch(
        ("make", "--silent", f"--old-file={venv}/.service", f"VENV={venv}", "serve", "PORT={port}"),
        "/classify/spam",
    )


def echo(*, workers: int = 1) -> Launch:
    """Return the FastAPI echo, the cost of a route without a model."""
    command = _uvicorn("fastapi_echo:app")
    return Launch(command if workers == 1 else (*command, "--workers", str(workers)))


def _uvicorn(app: str) -> tuple[str, ...]:
    target = f"benchmarks.baselines.{app}"
    return (baselines_python(), "-m", "uvicorn", target, "--port", "{port}", *_QUIET)


def _granian(app: str) -> tuple[str, ...]:
    return (
        *(baselines_python(), "-m", "granian", "--interface", "asgi", "--workers", "1"),
        *("--port", "{port}", *_QUIET, f"benchmarks.baselines.{app}"),
    )


def baselines(fasttext: Mapping[str, Path]) -> dict[str, Launch]:
    """Return the baselines, the raw ASGI echo first.

    Args:
        fasttext: name → file of a fastText model with two labels.
    """
    models = {
        f"{name} behind FastAPI": Launch(
            _uvicorn("fasttext_service:app"), environment={"FASTTEXT_MODEL": str(path)}
        )
        for name, path in fasttext.items()
    }
    litserve = (baselines_python(), "-m", "benchmarks.baselines.litserve_echo", "{port}")
    return {
        RAW: Launch(_uvicorn("raw_asgi:app")),
        ECHO: echo(),
        "FastAPI + pydantic echo, sync def": Launch(_uvicorn("fastapi_echo:app"), path="/sync"),
        **models,
        "Granian, raw ASGI echo": Launch(_granian("raw_asgi:app")),
        "LitServe echo": Launch(litserve),
    }


class Server:
    """A running server that has responded at least once."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, path: str) -> None:
        self._process = process
        self._path = path
        self.port = port
        self.url = f"http://127.0.0.1:{port}{path}"

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let a frozen server run inside a ``with`` block, and finish its pending requests."""
        os.killpg(self._process.pid, signal.SIGCONT)
        try:
            yield
            _responds(self.port, self._path)
        finally:
            self.freeze()

    def freeze(self) -> None:
        """Stop it from using any processor time: some servers poll when idle.

        A signal takes effect only after it was sent: this waits until the first process is stopped.
        """
        os.killpg(self._process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def pids(self) -> list[int]:
        """Return the ids of its processes, the first process first."""
        found = [self._process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, task.read_text(encoding="ascii").split())
        return found

    def send(self, sign: signal.Signals) -> None:
        """Send a signal to the first process alone, as a service manager does."""
        self._process.send_signal(sign)

    def ends(self, within_s: float) -> bool:
        """Wait for the end of the first process; return whether it came in time."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        return self._process.returncode is not None

    def kill(self) -> None:
        """End it with all its child processes, at once."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it with all its child processes."""
        for sign in (signal.SIGCONT, signal.SIGTERM):
            self._signal(sign)
        self.ends(10)
        self.kill()

    def _signal(self, sign: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, sign)


@contextmanager
def running(launch: Launch, cores: Sequence[int]) -> Iterator[Server]:
    """Start a server on the given cores, wait for its first response, warm it up; stop it at exit.

    Raises:
        BenchmarkError: it exits, or does not respond in time.
    """
    server, _ = _start(launch, cores)
    try:
        for _ in range(_WARM_UP_REQUESTS):
            _responds(server.port, launch.path, launch.headers)
        yield server
    finally:
        server.stop()


def seconds_to_first_response(launch: Launch, cores: Sequence[int]) -> float:
    """Start a server on the given cores, and stop it after its first response.

    Raises:
        BenchmarkError: it exits, or does not respond in time.
    """
    server, seconds = _start(launch, cores)
    server.stop()
    return seconds


def _start(launch: Launch, cores: Sequence[int]) -> tuple[Server, float]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [part.replace("{port}", str(port)) for part in launch.command]
    environment = {
        name: value.replace("{port}", str(port)) for name, value in launch.environment.items()
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "--cpu-list", ",".join(map(str, cores)), *command],
        cwd=ROOT,
        env=environment_without_settings() | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Server(process, port, launch.path)
    try:
        _wait_for_response(process, port, launch)
    except BaseException:
        server.stop()
        raise
    return server, time.perf_counter() - started


def _wait_for_response(process: subprocess.Popen[bytes], port: int, launch: Launch) -> None:
    command = " ".join(launch.command)
    deadline = time.monotonic() + _PATIENCE_S
    while not _responds(port, launch.path, launch.headers):
        if process.poll() is not None:
            raise BenchmarkError(f"{command}: exited with status {process.returncode}")
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{command}: no response within {_PATIENCE_S} seconds")
        time.sleep(0.002)


def _responds(port: int, path: str, headers: Mapping[str, str] = {}) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("POST", path, _BODY, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        response.read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return response.status == 200

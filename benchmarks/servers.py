"""The servers that are measured: started, pinned, frozen while another has its turn, stopped."""

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

from .machine import ROOT, BenchmarkError, peers_python

_PATIENCE_S = 60
_WARM_REQUESTS = 200
_BODY: Final = json.dumps({"texts": ["Are we still meeting for lunch tomorrow at 12?"]})


@dataclass(frozen=True, slots=True)
class Kind:
    """How to start a server.

    Attributes:
        command: its command line; ``{port}`` stands for the port.
        path: of the route that is measured.
        environment: beside this process's.
    """

    command: tuple[str, ...]
    path: str = "/classify"
    environment: Mapping[str, str] = field(default_factory=dict)


def ours(model: str = "spam", *, workers: int = 1, artifacts: Path | None = None) -> Kind:
    """Return the service as ``make serve`` starts it, its log lines going nowhere."""
    environment = {"DANDELION_PORT": "{port}"}
    if workers > 1:
        environment["DANDELION_WORKERS"] = str(workers)
    if artifacts is not None:
        environment["DANDELION_ARTIFACTS"] = str(artifacts)
    return Kind((sys.executable, "-m", "app"), f"/classify/{model}", environment)


def made() -> Kind:
    """Return ``make serve`` itself, everything installed already."""
    venv = sys.prefix
    return Kind(
        ("make", "--silent", f"--old-file={venv}/.service", f"VENV={venv}", "serve", "PORT={port}"),
        "/classify/spam",
    )


def echo(*, workers: int = 1) -> Kind:
    """Return the floor that a request is held against: a route without a model."""
    command = _uvicorn("fastapi_echo:app")
    return Kind(command if workers == 1 else (*command, "--workers", str(workers)))


def _uvicorn(app: str) -> tuple[str, ...]:
    quiet = ("--no-access-log", "--log-level", "warning")
    return (peers_python(), "-m", "uvicorn", f"benchmarks.peers.{app}", "--port", "{port}", *quiet)


def peers(fasttext: Mapping[str, Path]) -> dict[str, Kind]:
    """Return the peers; the bare floor first.

    Args:
        fasttext: name → file of a fastText model of two labels.
    """
    models = {
        f"{name} behind FastAPI": Kind(
            _uvicorn("fasttext_route:app"), environment={"FASTTEXT_MODEL": str(path)}
        )
        for name, path in fasttext.items()
    }
    granian = (
        *(
            peers_python(),
            "-m",
            "granian",
            "--interface",
            "asgi",
            "--workers",
            "1",
            "--port",
            "{port}",
        ),
        *("--no-access-log", "--log-level", "warning", "benchmarks.peers.raw_asgi:app"),
    )
    return {
        RAW: Kind(_uvicorn("raw_asgi:app")),
        ECHO: echo(),
        "FastAPI + pydantic echo, sync def": Kind(_uvicorn("fastapi_echo:app"), path="/sync"),
        **models,
        "Granian, raw ASGI echo": Kind(granian),
        "LitServe echo": Kind((peers_python(), "-m", "benchmarks.peers.litserve_echo", "{port}")),
    }


RAW: Final = "raw ASGI echo"
ECHO: Final = "FastAPI + pydantic echo"


class Server:
    """A server that has answered."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, path: str) -> None:
        self._process = process
        self._path = path
        self.port = port
        self.url = f"http://127.0.0.1:{port}{path}"

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let a frozen server run for a while, and finish what it was asked."""
        os.killpg(self._process.pid, signal.SIGCONT)
        try:
            yield
            _answers(self.port, self._path)
        finally:
            self.freeze()

    def freeze(self) -> None:
        """Stop it from taking any processor time; some poll when idle.

        The signal alone returns before a process stands still; the first one is waited for.
        """
        os.killpg(self._process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def pids(self) -> list[int]:
        """Return its processes, the first one first."""
        found = [self._process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, task.read_text(encoding="ascii").split())
        return found

    def stop(self) -> None:
        """End it and whatever it started."""
        for sign in (signal.SIGCONT, signal.SIGTERM):
            self._signal(sign)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, sign: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, sign)


@contextmanager
def running(kind: Kind, cores: Sequence[int]) -> Iterator[Server]:
    """Start a server on some cores, wait for its first answer, warm it up, stop it at the end.

    Raises:
        BenchmarkError: it ends or does not answer in time.
    """
    server, _ = _start(kind, cores)
    try:
        for _ in range(_WARM_REQUESTS):
            _answers(server.port, kind.path)
        yield server
    finally:
        server.stop()


def seconds_to_first_answer(kind: Kind, cores: Sequence[int]) -> float:
    """Start a server, and stop it when it has answered.

    Raises:
        BenchmarkError: it ends or does not answer in time.
    """
    server, seconds = _start(kind, cores)
    server.stop()
    return seconds


def _start(kind: Kind, cores: Sequence[int]) -> tuple[Server, float]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    filled = [part.replace("{port}", str(port)) for part in kind.command]
    environment = {
        name: value.replace("{port}", str(port)) for name, value in kind.environment.items()
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "--cpu-list", ",".join(map(str, cores)), *filled],
        cwd=ROOT,
        env=_own_environment() | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Server(process, port, kind.path)
    try:
        _wait_for_answer(process, port, kind)
    except BaseException:
        server.stop()
        raise
    return server, time.perf_counter() - started


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, kind: Kind) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not _answers(port, kind.path):
        if process.poll() is not None:
            raise BenchmarkError(f"{' '.join(kind.command)}: ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{' '.join(kind.command)}: no answer in {_PATIENCE_S} seconds")
        time.sleep(0.002)


def _own_environment() -> dict[str, str]:
    """Return the environment without anybody's settings of the service, and without make's."""
    foreign = ("DANDELION_", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def _answers(port: int, path: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("POST", path, _BODY, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return answer.status == 200

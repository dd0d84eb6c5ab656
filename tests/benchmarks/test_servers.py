"""Real server processes: started, frozen, stopped."""

import os
import sys
from pathlib import Path

import httpx2
import pytest

from benchmarks import machine, servers
from benchmarks.machine import BenchmarkError
from benchmarks.servers import Launch


def uvicorn(app: str) -> Launch:
    target = f"benchmarks.baselines.{app}:app"
    return Launch((sys.executable, "-m", "uvicorn", target, "--port", "{port}"))


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0]


def one_core() -> list[int]:
    return sorted(os.sched_getaffinity(0))[:1]


def test_an_echo_responds_is_frozen_when_idle_and_ends() -> None:
    with servers.running(uvicorn("raw_asgi"), one_core()) as server:
        pid = server.pids()[0]
        assert os.sched_getaffinity(pid) == set(one_core())
        server.freeze()
        with server.awake():
            assert httpx2.post(server.url, content=b"as it is").content == b"as it is"
        assert state(pid) == "T"
    assert not Path(f"/proc/{pid}").exists()


def test_the_fastapi_echo_returns_a_result_for_each_text() -> None:
    with servers.running(uvicorn("fastapi_echo"), one_core()) as server:
        body = {"texts": ["a", "b"], "threshold": 0.5}
        response = httpx2.post(server.url, json=body).json()
    assert response["results"] == [{"label": "ham", "score": 0.5}] * 2


def test_a_server_that_exits_is_an_error() -> None:
    kind = Launch((sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(BenchmarkError, match="exited with status 3"):
        servers.seconds_to_first_response(kind, one_core())


def test_settings_of_the_service_do_not_reach_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_ACCESS_LOG", "false")
    monkeypatch.setenv("MAKEFLAGS", "w")
    code = "import os; raise SystemExit(sum(x.startswith(('DAND', 'MAKE')) for x in os.environ))"
    with pytest.raises(BenchmarkError, match="exited with status 0"):
        servers.seconds_to_first_response(Launch((sys.executable, "-c", code)), one_core())


def test_the_machine_is_described_without_its_name() -> None:
    described = machine.describe()
    assert described.cores == len(os.sched_getaffinity(0))
    assert os.uname().nodename not in described.model_dump().values()


def test_one_core_is_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with pytest.raises(BenchmarkError, match="only one processor core"):
        machine.cores()

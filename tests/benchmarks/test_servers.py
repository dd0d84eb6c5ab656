"""Servers as processes: started, frozen, stopped."""

import os
import sys
from pathlib import Path

import httpx2
import pytest

from benchmarks import machine, servers
from benchmarks.machine import BenchmarkError
from benchmarks.servers import Kind


def uvicorn(app: str) -> Kind:
    target = f"benchmarks.peers.{app}:app"
    return Kind((sys.executable, "-m", "uvicorn", target, "--port", "{port}"))


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0]


def one_core() -> list[int]:
    return sorted(os.sched_getaffinity(0))[:1]


def test_an_echo_answers_is_frozen_between_turns_and_ends() -> None:
    with servers.running(uvicorn("raw_asgi"), one_core()) as server:
        pid = server.pids()[0]
        assert os.sched_getaffinity(pid) == set(one_core())
        server.freeze()
        with server.awake():
            assert httpx2.post(server.url, content=b"as it is").content == b"as it is"
        assert state(pid) == "T"
    assert not Path(f"/proc/{pid}").exists()


def test_the_floor_gives_an_entry_for_each_text() -> None:
    with servers.running(uvicorn("fastapi_echo"), one_core()) as server:
        answer = httpx2.post(server.url, json={"texts": ["a", "b"], "threshold": 0.5}).json()
    assert answer["results"] == [{"label": "ham", "score": 0.5}] * 2


def test_a_server_that_ends_is_told() -> None:
    kind = Kind((sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(BenchmarkError, match="ended with 3"):
        servers.seconds_to_first_answer(kind, one_core())


def test_nobodys_settings_of_the_service_reach_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_ACCESS_LOG", "false")
    monkeypatch.setenv("MAKEFLAGS", "w")
    code = "import os; raise SystemExit(sum(x.startswith(('DAND', 'MAKE')) for x in os.environ))"
    with pytest.raises(BenchmarkError, match="ended with 0"):
        servers.seconds_to_first_answer(Kind((sys.executable, "-c", code)), one_core())


def test_the_machine_is_told_without_its_name() -> None:
    facts = machine.facts()
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert "hostname" not in facts
    assert os.uname().nodename not in facts.values()


def test_one_core_is_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with pytest.raises(BenchmarkError, match="one processor core"):
        machine.cores()

"""Reload, rollback and drain of a service that runs; nothing that it was asked is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx2
import pytest

from dandelion.artifact import save

from ...conftest import PATIENCE_S, ROOT, Service, StartService
from ...dandelion.examples import FEATURES, make_artifact
from ..contract import assert_problem
from ..test_process import WITHOUT_FORK
from .test_supervisor import BODY, HEADERS, Samples, children, is_running, pids, requests, scrape

# `RELOADS=100` is for reliability's figures.
RELOADS = int(os.environ.get("RELOADS", "20"))
FOR_EVER_S = 3600

TWO = "[models]\nmood = 'tiny'\nspam = 'tiny'\n"
OTHER = "[models]\nmood = 'tiny'\nspam = 'other'\n"
SPAM_ALONE = "[models]\nspam = 'tiny'\n"

# Loading hangs for as long as a file `hang` lies next to serving.toml, in `loading` is the process
# that does; with `full`, the supervisor cannot fork.
SLOW = """
import errno, os, sys, time
from pathlib import Path
from app import command

load, fork, supervisor = command.load, os.fork, os.getpid()
full = Path(os.environ["DANDELION_ARTIFACTS"]) / "full"

def slow(settings, *rest):
    registry = load(settings, *rest)
    while (settings.artifacts / "hang").exists():
        (settings.artifacts / "loading").write_text(f"{os.getpid()}\\n")
        time.sleep(0.01)
    (settings.artifacts / "loading").unlink(missing_ok=True)
    return registry

def limited():
    if os.getpid() == supervisor and full.exists():
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()

command.load, os.fork = slow, limited
sys.exit(command.main([]))
"""


@pytest.fixture(scope="module")
def original(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up artifacts, and another variant of `spam`."""
    artifacts = tmp_path_factory.mktemp("reload") / "artifacts"
    shutil.copytree(made_up, artifacts)
    other = make_artifact("float16", features=FEATURES)
    save(other, artifacts / "spam" / "other")
    return artifacts


@pytest.fixture(scope="module")
def shared(original: Path, start_shared: StartService) -> tuple[Service, Path]:
    """A service for several tests, with the artifacts that it reads."""
    artifacts = original.parent / "shared"
    shutil.copytree(original, artifacts)
    service = start_shared(["-c", SLOW], workers=2, artifacts=artifacts, reload_drain_s=5)
    wait_for_all(service, 2)
    return service, artifacts


@pytest.fixture
def artifacts(original: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "artifacts"
    shutil.copytree(original, copy)
    return copy


@pytest.fixture
def start(start_service: StartService, artifacts: Path) -> Iterator[Callable[..., Service]]:
    def start(**settings: object) -> Service:
        settings = {"workers": 2, "artifacts": artifacts} | settings
        service = start_service(["-c", SLOW], **settings)
        wait_for_all(service, int(str(settings["workers"])))
        return service

    return start


def wait_for_all(service: Service, workers: int) -> None:
    service.wait_until_ready()
    service.wait(lambda: len(pids(service)) >= workers)


def choose(artifacts: Path, content: str) -> None:
    """Replace serving.toml as a whole."""
    new = artifacts / "new.toml"
    new.write_text(content)
    new.rename(artifacts / "serving.toml")


def begin(service: Service, action: str = "reload") -> int:
    response = service.post(f"/admin/{action}")
    assert response.status_code == 202, response.text
    number = response.json()["generation"]
    assert response.headers["location"] == f"/admin/reloads/{number}"
    return int(number)


def report(service: Service, generation: int) -> dict[str, object]:
    found: dict[str, object] = service.get(f"/admin/reloads/{generation}").json()
    return found


def outcome(service: Service, generation: int) -> dict[str, object]:
    service.wait(lambda: report(service, generation)["state"] != "loading")
    return report(service, generation)


def change(service: Service, action: str = "reload") -> dict[str, object]:
    return outcome(service, begin(service, action))


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def wait_for_one_generation(service: Service) -> None:
    service.wait(lambda: len(service.get("/models").json()["workers"]) == 1)


class Client(threading.Thread):
    """Classifies, on new connections or on one for as long as the service keeps it."""

    def __init__(self, port: int, stop: threading.Event, *, keeps: bool) -> None:
        super().__init__()
        self._port, self._stop_asked, self._keeps = port, stop, keeps
        self.sent = 0
        self.lost: list[str] = []
        self.variants: set[str] = set()

    def run(self) -> None:
        while not self._stop_asked.is_set():
            connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
            connection.connect()
            may_go_on = True
            while may_go_on and not self._stop_asked.is_set():
                try:
                    may_go_on = self._exchange(connection)
                except (OSError, HTTPException, ValueError, AssertionError) as error:
                    self.lost.append(repr(error))
                    may_go_on = False
            connection.close()

    def _exchange(self, connection: HTTPConnection) -> bool:
        connection.request("POST", "/classify/spam", BODY, HEADERS)
        response = connection.getresponse()
        found = json.loads(response.read())
        assert response.status == 200
        self.sent += 1
        self.variants.add(f"{found['variant']} {found['version']}")
        return self._keeps and response.getheader("connection") != "close"


def test_no_request_fails_while_generations_replace_each_other(
    start: Callable[..., Service], artifacts: Path
) -> None:
    service = start()
    stop = threading.Event()
    clients = [Client(service.port, stop, keeps=bool(number % 2)) for number in range(4)]
    for client in clients:
        client.start()
    try:
        for number in range(RELOADS):
            choose(artifacts, (OTHER, TWO)[number % 2])
            sent = [client.sent for client in clients]
            assert change(service)["state"] == "serving"
            service.wait(
                lambda sent=sent: all(
                    client.sent > before for client, before in zip(clients, sent, strict=True)
                )
            )
        wait_for_one_generation(service)
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert [client.lost for client in clients] == [[]] * len(clients)
    assert all(len(client.variants) == 2 for client in clients)
    (workers,) = service.get("/models").json()["workers"]
    assert workers == {"generation": 1 + RELOADS, "state": "current", "workers": 2}
    found = scrape(service)
    assert requests(found) == sum(client.sent for client in clients)  # none lost, none doubled
    assert value(found, "dandelion_generation") == 1 + RELOADS
    assert value(found, "dandelion_workers", state="current") == 2
    assert value(found, "dandelion_workers", state="draining") == 0
    assert value(found, "dandelion_reloads_total", outcome="loaded") == RELOADS
    running = [pid for pid in pids(service) if is_running(pid)]
    assert len(running) == 2
    assert len(children(service.process.pid)) == 1


def test_models_are_added_and_removed(shared: tuple[Service, Path]) -> None:
    service, artifacts = shared
    before = scrape(service)
    choose(artifacts, SPAM_ALONE)
    assert change(service)["models"].keys() == {"spam"}  # type: ignore[attr-defined]
    wait_for_one_generation(service)
    assert service.post("/classify/mood", json={"texts": ["a"]}).status_code == 404
    found = scrape(service)
    assert value(before, "dandelion_model_available", model="mood") == 1
    assert value(found, "dandelion_model_available", model="mood") is None
    assert value(found, "dandelion_model_load_seconds", model="mood") is None
    assert not [1 for name, labels in found if name == "dandelion_model_info" and "mood" in labels]
    counted = value(before, "dandelion_batch_size_count", model="mood")
    assert value(found, "dandelion_batch_size_count", model="mood") == counted is not None
    policy = "[models.spam.policies.strict]\noperating_point = 'f1'\n"
    choose(artifacts, f"[models]\nmood = 'tiny'\n\n[models.spam]\nvariant = 'other'\n\n{policy}")
    failed = change(service)  # the made-up artifact has no evidence for it
    assert failed["state"] == "failed"
    assert "[models.spam.policies.strict]" in str(failed["reason"])
    choose(artifacts, TWO)
    assert change(service)["state"] == "serving"
    assert service.post("/classify/mood", json={"texts": ["a"]}).status_code == 200


@pytest.mark.parametrize("damage", ["weights", "golden", "serving.toml", "missing"])
def test_what_cannot_be_served_changes_nothing(shared: tuple[Service, Path], damage: str) -> None:
    service, artifacts = shared
    spam = artifacts / "spam" / "tiny"
    wait_for_one_generation(service)
    before = service.get("/models").json()
    failures = value(scrape(service), "dandelion_reloads_total", outcome="failed")
    files = {
        "weights": spam / "model.safetensors",
        "golden": spam / "golden.json",
        "serving.toml": artifacts / "serving.toml",
        "missing": artifacts / "serving.toml",
    }
    file = files[damage]
    whole = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(whole[:-3])
    try:
        failed = change(service)
    finally:
        file.write_bytes(whole)
    assert failed["state"] == "failed"
    assert str(file.parent) in str(failed["reason"])
    assert failed["models"] == {}
    assert service.get("/models").json() == before
    assert failures is not None
    found = scrape(service)
    assert value(found, "dandelion_reloads_total", outcome="failed") == failures + 1
    (line,) = [
        each
        for each in service.lines()
        if each.get("generation") == failed["generation"] and each["level"] == "ERROR"
    ]
    assert line["reason"] == failed["reason"]
    assert str(line["message"]).startswith("reload failed; generation ")


def test_rollback_restores_what_was_served(shared: tuple[Service, Path]) -> None:
    service, artifacts = shared
    choose(artifacts, TWO)
    first = change(service)
    choose(artifacts, SPAM_ALONE)
    second = change(service)
    assert report(service, int(str(first["generation"])))["state"] == "superseded"
    back = change(service, "rollback")
    assert (back["state"], back["action"]) == ("serving", "rollback")
    assert back["restores"] == first["generation"]
    assert back["models"] == first["models"]
    assert report(service, int(str(second["generation"])))["state"] == "rolled_back"
    again = change(service, "rollback")  # and forth
    assert (again["restores"], again["models"]) == (second["generation"], second["models"])

    # What was served then is `mood` as it was then, and nothing else.
    mood = artifacts / "mood" / "tiny"
    aside = artifacts / "aside"
    mood.rename(aside)
    try:
        save(make_artifact("float16", labels=("calm", "glad", "sad"), features=FEATURES), mood)
        refused = change(service, "rollback")
    finally:
        shutil.rmtree(mood)
        aside.rename(mood)
    assert refused["state"] == "failed"
    assert "mood" in str(refused["reason"])
    assert "no longer on disk" in str(refused["reason"])
    assert change(service, "rollback")["state"] == "serving"


def test_one_generation_loads_at_a_time(shared: tuple[Service, Path]) -> None:
    service, artifacts = shared
    (artifacts / "hang").touch()
    number = begin(service)
    busy = assert_problem(service.post("/admin/reload"), 409, f"Generation {number} is loading")
    assert "retry-after" not in busy
    assert service.post("/admin/rollback").status_code == 409
    service.process.send_signal(signal.SIGHUP)  # is not lost: it reloads afterwards
    service.process.send_signal(signal.SIGHUP)
    assert service.post("/classify/spam", content=BODY, headers=HEADERS).status_code == 200
    (artifacts / "hang").unlink()
    assert outcome(service, number)["state"] in {"serving", "superseded"}
    service.wait(lambda: service.get(f"/admin/reloads/{number + 1}").status_code == 200)
    assert outcome(service, number + 1)["state"] == "serving"
    assert service.get(f"/admin/reloads/{number + 2}").status_code == 404


def test_a_generation_that_is_killed_while_it_loads_has_failed(
    shared: tuple[Service, Path],
) -> None:
    service, artifacts = shared
    (artifacts / "hang").touch()
    number = begin(service)
    loading = artifacts / "loading"
    service.wait(lambda: loading.exists() and loading.read_text().endswith("\n"))
    os.kill(int(loading.read_text()), signal.SIGKILL)
    (artifacts / "hang").unlink()
    failed = outcome(service, number)
    assert (failed["state"], failed["reason"]) == (
        "failed",
        "killed by signal 9 while it was loading",
    )


def test_unknown_reports_and_browsers_are_refused(shared: tuple[Service, Path]) -> None:
    service, _ = shared
    for path in ("0", "999999", "-1", "x", "9" * 30):
        assert_problem(service.get(f"/admin/reloads/{path}"), 404)
    for path in ("reload", "rollback"):
        origin = {"Origin": "http://localhost:3000"}
        assert_problem(service.post(f"/admin/{path}", headers=origin), 403)
        assert_problem(service.get(f"/admin/{path}"), 405)


def run_command(name: str, *arguments: str, typed: str = "", **variables: str) -> tuple[int, str]:
    code = f"import sys; from app import reloading; sys.exit(reloading.{name}({[*arguments]!r}))"
    environment = {key: text for key, text in os.environ.items() if "DANDELION_" not in key}
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | variables,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.returncode, found.stdout + found.stderr


def test_the_commands_wait_for_the_outcome(shared: tuple[Service, Path], tmp_path: Path) -> None:
    service, artifacts = shared
    choose(artifacts, OTHER)
    code, text = run_command("reload", DANDELION_PORT=str(service.port))
    assert code == 0, text
    assert "serving\n" in text
    spam = service.get("/models").json()["models"][1]
    assert f"  spam: {spam['variant']} {spam['version']}\n" in text
    code, text = run_command("rollback", "--url", f"{service.url}/")
    assert (code, f"  spam: {spam['variant']} " in text, spam["version"] in text) == (
        0,
        True,
        False,
    )
    choose(artifacts, "[models]\nspam = 'none'\n")
    code, text = run_command("reload", "--url", service.url)
    assert (code, "has no such variant" in text) == (1, True)
    choose(artifacts, TWO)
    code, text = run_command("reload", DANDELION_PORT="9")
    assert (code, text.startswith("error: 127.0.0.1 port 9: [Errno 111]")) == (1, True)
    assert run_command("reload", "--url", "localhost:8000")[0] == 2
    key = tmp_path / "key"
    key.write_text("canary-é")
    code, text = run_command("reload", "--key-file", str(key))
    assert (code, "canary" in text) == (2, False)
    code, text = run_command("reload", "--key-file", "-", typed="canary-é")
    assert (code, "canary" in text) == (2, False)
    code, text = run_command("reload", "--key-file", "-", "--url", service.url, typed="any\n")
    assert code == 0, text


def test_old_reports_are_forgotten_and_there_may_be_nothing_to_go_back_to(
    start: Callable[..., Service], artifacts: Path
) -> None:
    service = start(reload_timeout_s=2, workers=1)
    assert_problem(service.post("/admin/rollback"), 409, "no generation to roll back to")
    choose(artifacts, "")
    for _ in range(16):
        assert change(service)["state"] == "failed"
    assert service.get("/admin/reloads/1").status_code == 404
    assert service.get("/admin/reloads/2").status_code == 200
    choose(artifacts, TWO)
    (artifacts / "hang").touch()
    late = change(service)
    assert late["reason"] == "did not serve within 2 s (DANDELION_RELOAD_TIMEOUT_S)"
    assert service.get("/models").json()["generation"] == 1


def test_a_retired_worker_finishes_with_its_connections(start: Callable[..., Service]) -> None:
    service = start(workers=1, reload_drain_s=5)
    kept, idle = (HTTPConnection("127.0.0.1", service.port, PATIENCE_S) for _ in range(2))
    for connection in (kept, idle):
        connection.request("GET", "/models")
        response = connection.getresponse()
        assert json.loads(response.read())["generation"] == 1
    begun = service.begin(BODY[:10], len(BODY))
    assert change(service)["state"] == "serving"
    service.wait(
        lambda: "draining" in [each["state"] for each in service.get("/models").json()["workers"]]
    )
    assert service.get("/models").json()["generation"] == 2  # a new connection
    kept.request("GET", "/models")
    response = kept.getresponse()
    found = json.loads(response.read())
    assert (found["generation"], response.getheader("connection")) == (1, "close")
    assert {"generation": 1, "state": "draining", "workers": 1} in found["workers"]
    assert idle.sock.recv(1) == b""  # after that time
    begun.sendall(BODY[10:])
    assert begun.recv(4096).startswith(b"HTTP/1.1 200")
    for opened in (begun, kept, idle):
        opened.close()
    wait_for_one_generation(service)


def test_a_generation_that_is_killed_is_replaced_without_a_failed_request(
    start: Callable[..., Service], artifacts: Path
) -> None:
    service = start()
    choose(artifacts, SPAM_ALONE)  # not what is served
    stop = threading.Event()
    client = Client(service.port, stop, keeps=False)
    client.start()
    (first,) = children(service.process.pid)
    old = pids(service)
    try:
        service.wait(lambda: client.sent > 20)
        os.kill(first, signal.SIGKILL)
        service.wait(lambda: report_of_restart(service))
    finally:
        stop.set()
        client.join()
    assert client.lost == []
    restarted = report(service, 2)
    assert (restarted["action"], restarted["restores"]) == ("restart", 1)
    assert restarted["models"].keys() == {"mood", "spam"}  # type: ignore[attr-defined]
    wait_for_one_generation(service)
    service.wait(lambda: not any(map(is_running, [first, *old])))
    assert requests(scrape(service)) == client.sent


def report_of_restart(service: Service) -> bool:
    response = service.get("/admin/reloads/2")
    return response.status_code == 200 and response.json()["state"] == "serving"


def test_a_generation_is_replaced_as_soon_as_the_system_allows(
    start: Callable[..., Service], artifacts: Path
) -> None:
    service = start(workers=1)
    (first,) = children(service.process.pid)
    files = Path(f"/proc/{service.process.pid}/fd")
    before = len([*files.iterdir()])
    (artifacts / "full").touch()
    started = time.monotonic()
    os.kill(first, signal.SIGKILL)

    def failures() -> int:
        start = "restart failed; generation 1 goes on"
        return [line["message"] for line in service.lines()].count(start)

    service.wait(lambda: failures() >= 2)
    assert failures() <= 2 + time.monotonic() - started  # it tries once a second
    assert report(service, 2)["reason"] == (
        "could not start a process: Resource temporarily unavailable"
    )
    assert service.get("/models").json()["generation"] == 1
    assert change(service)["state"] == "failed"
    (artifacts / "full").unlink()
    service.wait(lambda: service.get("/models").json()["generation"] > 1)
    wait_for_one_generation(service)
    assert len([*files.iterdir()]) <= before


def test_a_generation_that_was_stopped_retires(start: Callable[..., Service]) -> None:
    service = start(workers=1)
    (first,) = children(service.process.pid)
    os.kill(first, signal.SIGSTOP)
    assert change(service)["state"] == "serving"
    service.wait(lambda: not is_running(first))
    assert [line for line in service.lines() if line["level"] == "ERROR"] == []


def test_it_serves_once_no_worker_accepts_connections_for_what_was_served_before(
    start: Callable[..., Service],
) -> None:
    service = start(workers=1)
    (before,) = pids(service)
    os.kill(before, signal.SIGSTOP)  # it cannot close its sockets
    try:
        os.kill(service.process.pid, signal.SIGHUP)
        service.wait(lambda: "another generation serves" in map(message, service.lines()))
        found = report(service, 2)
        assert (found["state"], found["finished"]) == ("loading", None)
    finally:
        os.kill(before, signal.SIGCONT)
    found = outcome(service, 2)
    assert found["state"] == "serving"
    assert found["finished"] is not None


def message(line: dict[str, object]) -> str:
    return str(line["message"])


def test_a_worker_that_is_killed_during_a_reload_is_replaced(
    start: Callable[..., Service], artifacts: Path
) -> None:
    service = start()
    (artifacts / "hang").touch()
    number = begin(service)
    for pid in pids(service):
        os.kill(pid, signal.SIGKILL)
    service.wait(lambda: len(pids(service)) == 4)
    service.wait_until_ready()
    (artifacts / "hang").unlink()
    assert outcome(service, number)["state"] == "serving"


def test_nothing_is_left_when_the_supervisor_is_killed_during_a_reload(
    start: Callable[..., Service], artifacts: Path
) -> None:
    service = start()
    (artifacts / "hang").touch()
    begin(service)
    service.wait((artifacts / "loading").exists)
    everyone = [*children(service.process.pid), *pids(service)]
    service.process.kill()
    service.process.wait()
    deadline = time.monotonic() + PATIENCE_S
    while any(map(is_running, everyone)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_reload_does_not_delay_a_stop(start: Callable[..., Service], artifacts: Path) -> None:
    service = start()
    (artifacts / "hang").touch()
    begin(service)
    assert service.stop() == -signal.SIGTERM
    assert not any(map(is_running, pids(service)))


def test_memory_returns_to_where_it_was(start: Callable[..., Service]) -> None:
    service = start(workers=1)

    def proportional_kb() -> int:
        family = [service.process.pid, *children(service.process.pid)]
        family += [each for pid in family[1:] for each in children(pid)]
        lines = [Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in family]
        return sum(int(line.split()[1]) for one in lines for line in one if line.startswith("Pss:"))

    def reload(times: int) -> int:
        for _ in range(times):
            assert change(service)["state"] == "serving"
        wait_for_one_generation(service)
        service.wait(lambda: len(children(service.process.pid)) == 1)
        return proportional_kb()

    before = reload(2)
    after = reload(max(RELOADS // 4, 5))
    assert after < before + 4000, (before, after)


def test_without_fork_it_is_refused(start_service: StartService, artifacts: Path) -> None:
    service = start_service(["-c", WITHOUT_FORK], artifacts=artifacts)
    service.wait_until_ready()
    assert_problem(service.post("/admin/reload"), 501, "Restart the service")
    assert_problem(service.post("/admin/rollback"), 501)
    assert_problem(service.get("/admin/reloads/1"), 501)
    service.process.send_signal(signal.SIGHUP)
    service.wait(lambda: "reloading is not possible" in service.log.read_text())
    code, text = run_command("reload", DANDELION_PORT=str(service.port))
    assert (code, "501 Reloading is not possible" in text) == (1, True)


def test_the_routes_do_not_exist_on_other_addresses(
    start_service: StartService, artifacts: Path
) -> None:
    service = start_service(artifacts=artifacts, host="0.0.0.0")
    url = service.url.replace("0.0.0.0", "127.0.0.1")
    service.wait(lambda: httpx2.get(f"{url}/readyz").status_code == 200)
    for method, path in (("POST", "reload"), ("POST", "rollback"), ("GET", "reloads/1")):
        assert_problem(httpx2.request(method, f"{url}/admin/{path}"), 404)

"""The decision record of a service with several workers."""

import json
import os
import resource
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ..conftest import PATIENCE_S, Service, StartService

SIZES = (1, 40, 300, 4096)
MAX_BYTES = 3_000_000


def texts(size: int) -> list[str]:
    return [f"Claim prize number {number}" for number in range(size)]


def read(path: Path) -> dict[str, list[int]]:
    """The positions of each decision id, in all files of a record."""
    found: dict[str, list[int]] = {}
    for file in path.parent.glob(f"{path.name}*"):
        content = file.read_bytes()
        assert content.endswith(b"\n") or not content
        for line in map(json.loads, content.splitlines()):
            assert line["generation"] == 1
            decision_id, _, position = line["id"].partition(".")
            found.setdefault(decision_id, []).append(int(position))
    return found


class Client(threading.Thread):
    """Sends batches of every size, and keeps the ids of the responses and their sizes."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._url = f"{url}/classify/spam"
        self._stop_asked = stop
        self.sizes: dict[str, int] = {}
        self.lost = 0  # texts that were not recorded: on a busy machine the file may be locked

    def run(self) -> None:
        while not self._stop_asked.is_set():
            for size in SIZES:
                try:
                    response = httpx2.post(
                        self._url, json={"texts": texts(size)}, timeout=PATIENCE_S
                    )
                except httpx2.TransportError:  # its worker was killed
                    continue
                assert response.status_code == 200
                if decision_id := response.json().get("decision_id"):
                    self.sizes[decision_id] = size
                else:
                    self.lost += size


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("record") / "record.jsonl"


@pytest.fixture(scope="module")
def service(start_shared: StartService, made_up: Path, path: Path) -> Service:
    found = start_shared(
        workers=2, artifacts=made_up, record_file=path, record_max_bytes=MAX_BYTES, record_files=999
    )
    found.wait_until_ready()
    found.wait(lambda: len(pids(found)) == 2)
    return found


def pids(service: Service) -> list[int]:
    start = "Started server process ["
    messages = [str(line["message"]) for line in service.lines()]
    return [int(text.removeprefix(start)[:-1]) for text in messages if text.startswith(start)]


def running(service: Service) -> list[int]:
    """The workers, the oldest first."""
    return [pid for pid in pids(service) if Path(f"/proc/{pid}").exists()]


def counted(service: Service, name: str) -> float:
    text = service.get("/metrics").text
    values = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name)]
    return sum(map(float, values))


def test_every_response_has_its_lines_though_workers_are_killed(
    service: Service, path: Path
) -> None:
    stop = threading.Event()
    clients = [Client(service.url, stop) for _ in range(4)]
    for client in clients:
        client.start()

    def sent() -> int:
        return sum(len(client.sizes) for client in clients)

    for _ in range(4):
        before, known = sent(), len(pids(service))
        service.wait(lambda before=before: sent() >= before + 15)  # type: ignore[misc]
        os.kill(running(service)[0], 9)
        service.wait(lambda known=known: len(pids(service)) > known)  # type: ignore[misc]
    stop.set()
    for client in clients:
        client.join()
    last = service.post("/classify/spam", json={"texts": ["a"]})  # cuts off what was left
    assert "decision_id" in last.json()
    found = read(path)
    sizes = {name: size for client in clients for name, size in client.sizes.items()}
    assert len(sizes) >= 60
    for name, size in sizes.items():
        assert found[name] == list(range(size))
    files = list(path.parent.glob(f"{path.name}*"))
    assert len(files) > 2
    assert all(file.stat().st_size <= MAX_BYTES for file in files)
    lost = sum(client.lost for client in clients)
    assert counted(service, "dandelion_record_dropped_total") >= lost
    assert counted(service, "dandelion_recorded_decisions_total") >= sum(sizes.values())


def test_a_full_disk_stops_the_record_and_nothing_else(service: Service, path: Path) -> None:
    def post(size: int) -> Any:
        response = service.post("/classify/spam", json={"texts": texts(size)})
        assert response.status_code == 200
        return response.json()

    limits = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in running(service)}
    before = read(path)
    # The limit is for every file, also for the log, which is small: a part of a batch fits.
    most = service.log.stat().st_size + 20_000
    assert most < 100 * 256
    for pid, (_, hard) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, hard))
    lost = [post(size) for size in (256, 4096)]
    assert not any("decision_id" in response for response in lost)
    assert all(len(response["results"]) in {256, 4096} for response in lost)
    assert read(path) == before
    assert counted(service, 'dandelion_record_dropped_total{reason="full"}') == 256 + 4096
    for pid, limit in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    again = {post(256)["decision_id"]: list(range(256))}
    assert read(path) == before | again
    problems = [line for line in service.lines() if line["message"] == "decisions are not recorded"]
    assert {(line["level"], line["reason"]) for line in problems} == {("ERROR", "full")}


@pytest.mark.parametrize("more", [{}, {"record_max_bytes": 1000}])
def test_a_service_does_not_start_without_its_record(
    start_service: StartService, made_up: Path, tmp_path: Path, more: dict[str, int]
) -> None:
    service = start_service(artifacts=made_up, record_file=tmp_path / "no" / "record", **more)
    assert service.exit_code() == 2
    message = service.log.read_text().splitlines()[-1]
    assert message.startswith("error: --record-file / DANDELION_RECORD_FILE: ")
    assert message.endswith("record: No such file or directory")

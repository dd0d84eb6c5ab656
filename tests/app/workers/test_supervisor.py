"""Several workers: what they count, how they die, how they end."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx2
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from ...conftest import PATIENCE_S, Service, StartService

BODY = b'{"texts": ["lunch", "free"]}'
HEADERS = {"Content-Type": "application/json"}
REQUESTS = "dandelion_requests_total"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def start_two(start_service: StartService, made_up: Path) -> Callable[[], Service]:
    """Start a service with two workers and wait until it is ready."""

    def start() -> Service:
        service = start_service(workers=2, artifacts=made_up)
        service.wait_until_ready()
        service.wait(lambda: len(pids(service)) == 2)
        return service

    return start


@pytest.fixture(scope="module")
def two(start_shared: StartService, made_up: Path) -> Service:
    """A service with two workers, shared by several tests."""
    service = start_shared(workers=2, artifacts=made_up)
    service.wait_until_ready()
    service.wait(lambda: len(pids(service)) == 2)
    return service


def pids(service: Service) -> list[int]:
    """Every worker's process that there ever was, in the order of their starts."""
    texts = [str(line["message"]) for line in service.lines()]
    start = "Started server process ["
    return [int(text.removeprefix(start)[:-1]) for text in texts if text.startswith(start)]


def children(pid: int) -> list[int]:
    """The processes whose parent it is, in the order of their starts."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def families(service: Service) -> list[Metric]:
    """Scrape on a new connection, from whichever worker responds."""
    return list(parse(service.get("/metrics").text))


def scrape(service: Service) -> Samples:
    return samples(families(service))


def samples(found: list[Metric]) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in found
        for sample in family.samples
    }


def requests(found: Samples) -> float:
    return sum(value for (name, _), value in found.items() if name == REQUESTS)


def processor_s(pid: int) -> float:
    """Seconds that a process has computed; 0 once it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return sum(map(int, stat.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def post(service: Service, times: int) -> None:
    """Send requests, each on a new connection."""
    for _ in range(times):
        response = service.post("/classify/spam", content=BODY, headers=HEADERS)
        assert response.status_code == 200


class Load(threading.Thread):
    """Sends request after request on one connection.

    It opens another when that breaks, and after a hundred responses: the kernel chooses the worker
    of each anew, so none is without requests for long.
    """

    def __init__(self, port: int, stop: threading.Event) -> None:
        super().__init__()
        self._port = port
        self._stop_asked = stop
        self.sent = self.responded = self.broken = 0

    def run(self) -> None:
        while not self._stop_asked.is_set():
            connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
            try:
                for _ in range(100):
                    if self._stop_asked.is_set():
                        break
                    self.sent += 1
                    connection.request("POST", "/classify/spam", BODY, HEADERS)
                    response = connection.getresponse()
                    response.read()
                    assert response.status == 200
                    self.responded += 1
            except (OSError, HTTPException):
                self.broken += 1
            finally:
                connection.close()


def test_counts_stay_right_while_workers_are_killed(start_two: Callable[[], Service]) -> None:
    service = start_two()
    stop = threading.Event()
    load = [Load(service.port, stop) for _ in range(12)]
    for thread in load:
        thread.start()
    scrapes: list[Samples] = []

    def scrape_until(condition: Callable[[], bool]) -> None:
        def reached() -> bool:
            # The worker that is scraped may be the one that is killed.
            with contextlib.suppress(httpx2.TransportError):
                scrapes.append(scrape(service))
            return condition()

        service.wait(reached)

    def scrape_until_both_have_worked() -> None:
        before = {pid: processor_s(pid) for pid in running}
        scrape_until(lambda: all(processor_s(pid) > before[pid] + 0.1 for pid in running))

    def has_started() -> bool:
        return len(pids(service)) == started + 1

    running = pids(service)
    try:
        for worker in (0, 0, 1):  # more deaths than rows that were free at first
            scrape_until_both_have_worked()
            started = len(pids(service))
            os.kill(running[worker], signal.SIGKILL)
            scrape_until(has_started)
            running[worker] = pids(service)[-1]
        scrape_until_both_have_worked()
    finally:
        stop.set()
        for thread in load:
            thread.join()
    sent = sum(thread.sent for thread in load)
    responded = sum(thread.responded for thread in load)
    assert sum(thread.broken for thread in load) > 0
    scrapes.append(scrape(service))
    assert responded <= requests(scrapes[-1]) <= sent

    gauges = (
        "process_resident",
        "process_virtual",
        "process_open_fds",
        "dandelion_in_flight",
        "dandelion_waiting",
        "dandelion_workers",
    )
    for earlier, later in itertools.pairwise(scrapes):
        assert earlier.keys() == later.keys()
        for series, value in earlier.items():
            if not series[0].startswith(gauges):
                assert later[series] >= value, series


def test_counts_are_exact_when_an_idle_worker_is_killed(start_two: Callable[[], Service]) -> None:
    service = start_two()
    post(service, 30)
    service.wait(lambda: requests(scrape(service)) == 30)

    def dandelion() -> Samples:
        return {
            series: value
            for series, value in scrape(service).items()
            if series[0].startswith("dandelion_") and series[0] != "dandelion_workers"
        }

    before = dandelion()
    for killed in pids(service):
        os.kill(killed, signal.SIGKILL)
        assert dandelion() == before  # gauges are not doubled, counts neither lost nor doubled
    service.wait(lambda: len(pids(service)) == 4)
    assert dandelion() == before
    post(service, 30)
    service.wait(lambda: requests(scrape(service)) == 60)
    details = service.get("/models/spam").json()
    identity = {name: details[name] for name in ("model", "variant", "version")}
    assert scrape(service)["dandelion_model_info", frozenset(identity.items())] == 1
    died = [line for line in service.lines() if "died" in str(line["message"])]
    assert [line["exit_code"] for line in died] == [-signal.SIGKILL] * 2
    assert {line["worker"] for line in died} == {1, 2}


def test_two_workers_show_what_one_shows(
    start_two: Callable[[], Service], start_service: StartService, made_up: Path
) -> None:
    two = start_two()
    one = start_service(artifacts=made_up)
    one.wait_until_ready()
    for service in (one, two):
        for model in ("spam", "mood"):
            for texts in ("free lunch tomorrow", "a"):
                for _ in range(5):
                    service.post(f"/classify/{model}", json={"texts": texts.split()})
        service.post("/classify/none", json={"texts": ["a"]})
    durations = "dandelion_request_duration_seconds_count", frozenset({("model", "spam")})
    # A duration is known once the response is sent, perhaps after the other worker was scraped.
    for service in (one, two):
        service.wait(lambda service=service: scrape(service)[durations] == 10)

    def described(service: Service) -> dict[str, tuple[str, str]]:
        return {family.name: (family.type, family.documentation) for family in families(service)}

    service_two, service_one = scrape(two), scrape(one)
    assert described(two) == described(one)
    assert service_two.keys() == service_one.keys()
    for series, value in service_one.items():
        name = series[0]
        if name.startswith("dandelion_") and "seconds" not in name and "workers" not in name:
            assert service_two[series] == pytest.approx(value), series


def test_series_exist_before_the_first_request(two: Service) -> None:
    found = scrape(two)
    for status in ("200", "404", "413", "422", "499", "500", "503"):
        labels = frozenset({("model", "mood"), ("status", status)})
        assert found[REQUESTS, labels] == 0
    assert found["dandelion_model_load_seconds", frozenset({("model", "mood")})] > 0


def test_promtool_and_openmetrics_accept_it(two: Service) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool: apt-get install prometheus")
    post(two, 3)
    text = two.get("/metrics").content
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    response = two.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert "dandelion_score" in {family.name for family in parse_open(response.text)}


def test_the_processes_are_added_up(two: Service) -> None:
    nothing: frozenset[tuple[str, str]] = frozenset()
    everyone = [two.process.pid, *children(two.process.pid), *pids(two)]

    def proportional_bytes(pid: int) -> int:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))

    # Not at once where other programs that share the libraries start or end just then.
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = scrape(two)
        memory = sum(map(proportional_bytes, everyone))
        files = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in everyone)
        shown = (
            found["process_resident_memory_bytes", nothing],
            found["process_open_fds", nothing],
        )
        expected = (pytest.approx(memory, rel=0.1), pytest.approx(files, abs=3))
        if shown == expected or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert shown == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_in_flight_finish(
    start_two: Callable[[], Service], number: signal.Signals
) -> None:
    service = start_two()
    begun = [service.begin(BODY[:10], len(BODY)) for _ in range(8)]
    service.process.send_signal(number)

    def refuses() -> bool:
        with contextlib.suppress(ConnectionRefusedError):
            service.connect().close()
            return False
        return True

    service.wait(refuses)
    for connection in begun:
        connection.sendall(BODY[10:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.close()
    assert service.exit_code() == -number
    assert "Traceback" not in service.log.read_text()
    assert not any(map(is_running, pids(service)))


def test_a_second_ctrl_c_does_not_wait(start_two: Callable[[], Service]) -> None:
    service = start_two()
    with service.begin(b"{", 10):
        service.process.send_signal(signal.SIGINT)
        waiting = "Waiting for connections to close. (CTRL+C to force quit)"
        service.wait(lambda: waiting in [line["message"] for line in service.lines()])
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(20) == -signal.SIGINT  # of the 30 that it has by default
    assert "Traceback" not in service.log.read_text()


def test_a_ctrl_c_that_every_process_gets_waits_for_requests(
    start_two: Callable[[], Service],
) -> None:
    """A terminal sends SIGINT to the whole group, so it reaches the workers in any order."""
    service = start_two()
    with service.begin(BODY[:10], len(BODY)) as connection:
        for _ in range(5):
            for pid in pids(service):
                os.kill(pid, signal.SIGINT)
        service.process.send_signal(signal.SIGINT)
        service.wait(lambda: "Waiting for connections to close" in service.log.read_text())
        for pid in pids(service):
            with contextlib.suppress(
                ProcessLookupError
            ):  # the one without a connection may have ended
                os.kill(pid, signal.SIGINT)
        connection.sendall(BODY[10:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    assert service.exit_code() == -signal.SIGINT
    assert "Traceback" not in service.log.read_text()


def test_what_does_not_finish_in_time_is_ended(start_service: StartService, made_up: Path) -> None:
    service = start_service(workers=2, artifacts=made_up, shutdown_grace_s=0)
    service.wait_until_ready()
    with service.begin(b"{", 10):
        assert service.stop() == -signal.SIGTERM


def test_workers_end_when_their_parent_is_killed(start_two: Callable[[], Service]) -> None:
    service = start_two()
    workers = pids(service)
    service.process.kill()
    service.process.wait()
    deadline = time.monotonic() + PATIENCE_S
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_damaged_artifact_ends_it_with_one_line(
    start_service: StartService, made_up: Path, tmp_path: Path
) -> None:
    artifacts = tmp_path / "artifacts"
    shutil.copytree(made_up, artifacts)
    weights = artifacts / "spam" / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    service = start_service(workers=2, artifacts=artifacts)
    assert service.exit_code() == 1
    (line,) = [line for line in service.lines() if line["level"] == "CRITICAL"]
    assert "spam" in str(line["message"])
    assert not pids(service)


IGNORING = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "app"])
"""


def test_workers_are_replaced_where_their_deaths_were_ignored(
    start_service: StartService, made_up: Path
) -> None:
    service = start_service(["-c", IGNORING], workers=2, artifacts=made_up)
    service.wait_until_ready()
    service.wait(lambda: len(pids(service)) == 2)
    os.kill(pids(service)[0], signal.SIGKILL)
    service.wait(lambda: len(pids(service)) == 3)
    assert service.stop() == -signal.SIGTERM
    assert "Traceback" not in service.log.read_text()
    assert not any(map(is_running, pids(service)))


LIMITED = """
import errno, os, sys
from app.command import main

fork, calls = os.fork, 0

def limited():
    global calls
    calls += 1
    if str(calls) in sys.argv[1]:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()

os.fork = limited
sys.exit(main([]))
"""


def test_a_fork_that_fails_is_tried_again(start_service: StartService, made_up: Path) -> None:
    service = start_service(["-c", LIMITED, "5 6"], workers=2, artifacts=made_up)
    service.wait_until_ready()
    service.wait(lambda: len(pids(service)) == 2)
    os.kill(pids(service)[0], signal.SIGKILL)
    service.wait(lambda: len(pids(service)) == 3)
    failures = [line for line in service.lines() if "could not" in str(line["message"])]
    assert [line["message"] for line in failures] == ["could not start a worker; retrying"] * 2
    post(service, 5)
    assert service.stop() == -signal.SIGTERM
    assert "Traceback" not in service.log.read_text()


def test_a_fork_that_fails_at_the_start_ends_the_service(
    start_service: StartService, made_up: Path
) -> None:
    service = start_service(["-c", LIMITED, "3"], workers=2, artifacts=made_up)
    assert service.exit_code() == 1
    (line,) = [line for line in service.lines() if line["level"] == "CRITICAL"]
    assert line["message"] == "could not start a worker; stopping the service"
    assert "Traceback" not in service.log.read_text()
    assert not any(map(is_running, pids(service)))


FAILING = """
import sys
from pathlib import Path
import uvicorn
from app.telemetry import logs
from app.telemetry.metrics import Metrics
from app.workers import sockets
from app.workers.generation import Product
from app.workers.shared import Shared, Times
from app.workers.supervisor import Supervisor

async def app(scope, receive, send):
    # The first worker starts, and all that follow fail.
    assert scope["type"] == "lifespan"
    await receive()
    try:
        Path(sys.argv[1]).touch(exist_ok=False)
    except FileExistsError:
        await send({"type": "lifespan.startup.failed", "message": ""})
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})

logs.configure("json", "info")
listening = sockets.listen(sockets.bind("127.0.0.1", 0), "127.0.0.1", 1)
product = Product(uvicorn.Config(app, log_config=None))
load, listen, metrics = lambda order: product, lambda: listening, Metrics(workers=1)
sys.exit(Supervisor(load, listen, 1, metrics, Shared(), Times()).run())
"""


def test_a_worker_that_fails_ends_the_service(start_service: StartService, tmp_path: Path) -> None:
    marker = tmp_path / "started"
    service = start_service(["-c", FAILING, str(marker)])
    service.wait(lambda: len(pids(service)) == 1 and marker.exists())
    os.kill(pids(service)[0], signal.SIGKILL)
    assert service.exit_code() == 1
    assert not any(map(is_running, pids(service)))
    (line,) = [line for line in service.lines() if line["level"] == "CRITICAL"]
    assert line["message"] == "worker failed; stopping the service"
    assert line["exit_code"] == 3  # uvicorn's, for a start that failed

"""The service as a process: start, signals, sockets, what it imports."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import httpx2
import pytest

from app.settings import Settings

from ..conftest import PATIENCE_S, ROOT, Service, StartService
from ..dandelion.examples import THREE

MAX_BODY_BYTES: int = Settings.model_fields["max_body_bytes"].default
BODY = b'{"texts": ["Are we still meeting for lunch?"]}'
HEAD = (
    b"POST /classify/spam HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"%s\r\n\r\n"
)


@pytest.fixture(scope="module")
def service(start_shared: StartService) -> Service:
    service = start_shared()
    service.wait_until_ready()
    return service


def receive(connection: socket.socket) -> tuple[int, bytes]:
    response = HTTPResponse(connection)
    response.begin()
    return response.status, response.read()


def test_it_responds_and_stops(start_service: StartService) -> None:
    service = start_service()
    service.wait_until_ready()
    response = service.post("/classify/spam", json={"texts": ["WINNER!! claim £1000"]})
    assert response.json()["results"][0]["label"] == "spam"
    assert service.stop() == -signal.SIGTERM
    assert "ready" in [line["message"] for line in service.lines()]


SIGNALLED = """
import os, runpy, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "app.settings":
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Finder())
runpy.run_module("app", run_name="__main__", alter_sys=True)
"""


def test_a_hangup_during_the_imports_has_no_effect(start_service: StartService) -> None:
    service = start_service(["-c", SIGNALLED.format(number=int(signal.SIGHUP))])
    service.wait_until_ready()


def test_ctrl_c_during_the_imports_ends_them_without_a_traceback(
    start_service: StartService,
) -> None:
    service = start_service(["-c", SIGNALLED.format(number=int(signal.SIGINT))])
    assert service.exit_code() == -signal.SIGINT
    assert service.log.read_text() == ""


def test_ctrl_c_ends_it_without_a_traceback(start_service: StartService) -> None:
    service = start_service()
    service.wait_until_ready()
    service.process.send_signal(signal.SIGINT)
    assert service.exit_code() == -signal.SIGINT
    assert "Traceback" not in service.log.read_text()


WITHOUT_FORK = """
import multiprocessing.context, os, signal, sys
del os.fork, signal.SIGCHLD, multiprocessing.context.ForkProcess  # as on Windows
os.environ["WEB_CONCURRENCY"] = "auto"  # of other servers
from app.command import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_process_serves_where_none_can_be_forked(
    start_service: StartService, number: signal.Signals
) -> None:
    service = start_service(["-c", WITHOUT_FORK])
    service.wait_until_ready()
    assert service.post("/classify/spam", json={"texts": ["lunch?"]}).status_code == 200
    assert not Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
    assert 'dandelion_requests_total{model="spam",status="200"} 1.0' in service.get("/metrics").text
    service.process.send_signal(number)
    assert service.exit_code() == -number
    assert "Traceback" not in service.log.read_text()


def test_several_workers_need_fork(start_service: StartService) -> None:
    service = start_service(["-c", WITHOUT_FORK], workers=2)
    assert service.exit_code() == 2
    assert service.log.read_text().startswith(
        "error: --workers / DANDELION_WORKERS: 2 is not possible"
    )


LIMITED = """
import os, resource, sys
from app.command import main
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
kind, maximum = getattr(resource, sys.argv[1]), int(sys.argv[2])
if kind == resource.RLIMIT_AS:  # in addition to what it has
    maximum += int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(kind, (maximum, maximum))
sys.exit(main([]))
"""


def test_more_workers_than_the_maximum_are_refused(start_service: StartService) -> None:
    service = start_service(workers=1001)
    assert service.exit_code() == 2
    assert service.log.read_text() == (
        "error: DANDELION_WORKERS: Input should be less than or equal to 1000\n"
    )


def test_workers_for_which_there_are_too_few_files_are_refused(start_service: StartService) -> None:
    service = start_service(["-c", LIMITED, "RLIMIT_NOFILE", "100"], workers=30)
    assert service.exit_code() == 2
    assert service.log.read_text() == (
        "error: --workers / DANDELION_WORKERS: 30 need 122 open files, and the system allows 100 "
        "(ulimit -n); set fewer\n"
    )


def test_metrics_without_memory_end_it_with_one_line(start_service: StartService) -> None:
    service = start_service(["-c", LIMITED, "RLIMIT_AS", str(2**28)], workers=1000)
    assert service.exit_code() == 1
    warning, critical = service.lines()
    assert warning["message"] == "many more workers than processors; each takes memory"
    assert (warning["workers"], warning["processors"]) == (1000, 1)
    assert critical["message"] == (
        "cannot reserve 940 MB of memory for the metrics of 3004 processes: Cannot allocate memory"
    )


def test_many_labels_are_served(start_service: StartService, made_up: Path) -> None:
    service = start_service(artifacts=made_up)
    service.wait_until_ready()
    (result,) = service.post("/classify/mood", json={"texts": ["free lunch"]}).json()["results"]
    assert result["score"] == max(result["scores"].values())
    refused = service.post("/classify/mood", json={"texts": ["a"], "threshold": 0.5})
    assert refused.status_code == 422
    labels = [f'dandelion_texts_total{{label="{label}",model="mood"}}' for label in THREE]
    metrics = service.get("/metrics").text
    assert all(label in metrics for label in labels)


def test_serving_imports_neither_torch_nor_pandas() -> None:
    code = (
        "import sys, app.__main__, app.command, app.main; "
        "print(*sorted({'torch', 'pandas', 'sklearn', 'training', 'scipy'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == ""


def test_sigterm_lets_a_request_in_flight_finish(start_service: StartService) -> None:
    service = start_service()
    service.wait_until_ready()
    with service.begin(BODY[:10], len(BODY)) as connection:
        service.process.terminate()
        service.wait(lambda: any(line["message"] == "Shutting down" for line in service.lines()))
        connection.sendall(BODY[10:])
        status, content = receive(connection)
    assert status == 200
    assert b'"label":"ham"' in content
    service.exit_code()


def test_413_is_sent_before_a_declared_body(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEAD % (b"Content-Length: %d" % (MAX_BODY_BYTES + 1)))
        status, content = receive(connection)
    assert status == 413
    assert b"%d bytes" % MAX_BODY_BYTES in content


def test_413_is_sent_at_the_byte_that_passes_the_limit(start_service: StartService) -> None:
    service = start_service(max_body_bytes=1000)  # read long before the silence below is over
    service.wait_until_ready()
    with service.connect() as connection:
        connection.sendall(HEAD % b"Transfer-Encoding: chunked")
        connection.sendall(b"3e8\r\n" + b"a" * 1000 + b"\r\n")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(65536)  # 1000 bytes are within the limit
        connection.settimeout(PATIENCE_S)
        connection.sendall(b"1\r\na\r\n")
        status, _ = receive(connection)
    assert status == 413


def test_a_client_that_sends_everything_first_reads_the_413(service: Service) -> None:
    connection = HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE_S)
    headers = {"Content-Type": "application/json"}
    too_much = b" " * (MAX_BODY_BYTES + 1_000_000)
    for body, status in ((too_much, 413), (BODY, 200)):  # on one connection
        connection.request("POST", "/classify/spam", body, headers)
        response = connection.getresponse()
        response.read()
        assert response.status == status
    connection.close()


def test_a_client_that_goes_away_is_counted(service: Service) -> None:
    service.begin(BODY[:10], 100).close()
    counted = 'dandelion_requests_total{model="spam",status="499"} 1.0'
    service.wait(lambda: counted in service.get("/metrics").text)
    assert not [line for line in service.lines() if line["level"] == "ERROR"]


def test_health_responds_while_a_large_batch_is_classified(service: Service) -> None:
    text = "Sorry, I'll be home a bit later tonight. " * 40  # nearly as much as a body may hold
    took: list[float] = []

    def classify() -> None:
        response = service.post("/classify/spam", json={"texts": [text] * 4096})
        took.append(response.elapsed.total_seconds())
        assert len(response.json()["results"]) == 4096

    batch = threading.Thread(target=classify)
    batch.start()
    responded = 0
    with httpx2.Client(base_url=service.url, timeout=PATIENCE_S) as client:
        while batch.is_alive():
            assert client.get("/livez").status_code == 200
            responded += 1
    batch.join()
    assert took
    assert responded > 3


def test_wrong_settings_end_it_at_once(start_service: StartService) -> None:
    service = start_service(max_txts=3)
    assert service.exit_code() == 2
    assert service.log.read_text() == (
        "error: DANDELION_MAX_TXTS: no such setting; did you mean DANDELION_MAX_TEXTS?\n"
    )


def test_a_port_in_use_ends_it_at_once(service: Service, start_service: StartService) -> None:
    second = start_service(port=service.port)
    assert second.exit_code() == 2
    assert second.log.read_text() == (
        f"error: --port / DANDELION_PORT: cannot listen on 127.0.0.1:{service.port}: "
        "Address already in use; choose another port\n"
    )


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("no such host", "'no such host' has no address"),
        ("a..b", "'a..b' has no address"),
        ("203.0.113.5", "cannot listen on '203.0.113.5': Cannot assign requested address"),
    ],
)
def test_an_unusable_host_is_refused_at_start(
    start_service: StartService, host: str, message: str
) -> None:
    service = start_service(host=host)
    assert service.exit_code() == 2
    (line,) = service.log.read_text().splitlines()
    assert line.startswith(f"error: --host / DANDELION_HOST: {message}")


def test_a_missing_variant_ends_it_at_once(start_service: StartService) -> None:
    service = start_service(models='{"spam": "none"}')
    assert service.exit_code() == 1
    (line,) = service.lines()
    assert line["level"] == "CRITICAL"
    assert "make train-all" in str(line["message"])


@pytest.mark.parametrize("damage", ["weights", "golden"])
def test_a_damaged_artifact_ends_it_with_one_line(
    start_service: StartService, tmp_path: Path, damage: str
) -> None:
    artifacts = tmp_path / "artifacts"
    shutil.copytree(ROOT / "artifacts", artifacts)
    if damage == "weights":
        for weights in (artifacts / "spam").glob("*/model.safetensors"):
            weights.write_bytes(weights.read_bytes()[:-1])
    else:
        for golden in (artifacts / "spam").glob("*/golden.json"):
            golden.write_text(golden.read_text().replace("lunch", "dinner"))
    service = start_service(artifacts=artifacts)
    assert service.exit_code() == 1
    (line,) = service.lines()  # it did not listen before
    assert line["level"] == "CRITICAL"
    assert "spam" in str(line["message"])
    assert "exc_info" not in line


def test_nothing_of_a_request_is_logged(start_service: StartService) -> None:
    service = start_service(log_level="debug", access_log=True)
    service.wait_until_ready()
    canary = "canary-7f3a9"
    for body in (
        json.dumps({"texts": [canary]}),
        json.dumps({canary: canary}),
        f'{{"texts": ["{canary} \\ud800"]}}',
        canary,
    ):
        headers = {"Content-Type": "application/json"}
        service.post("/classify/spam", content=body, headers=headers)
    service.post(f"/classify/{canary}?q={canary}", json={"texts": [canary]})
    service.stop()
    log = service.log.read_text()
    assert log.count('"message": "request"') == 5
    assert canary not in log


def test_console_lines_carry_their_facts(start_service: StartService) -> None:
    service = start_service(log_format="console", access_log=False, port=0)
    service.wait(lambda: "ready models=abuse,cyberbullying," in service.log.read_text())
    service.stop()
    assert "\x1b[" not in service.log.read_text()

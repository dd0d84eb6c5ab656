"""A real Prometheus scrapes the service, and queries return its figures."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ruamel.yaml import YAML

from ..conftest import PATIENCE_S, ROOT, Service, StartService

P99 = (
    "histogram_quantile(0.99, sum by (le) "
    '(dandelion_request_duration_seconds_bucket{model="spam"}))'
)


@pytest.fixture
def service(start_service: StartService) -> Service:
    service = start_service()
    service.wait_until_ready()
    return service


@pytest.fixture
def prometheus(service: Service, tmp_path: Path) -> Iterator[str]:
    """Prometheus with the shipped configuration, except for the address of the service."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs Prometheus: apt-get install prometheus")
    yaml = YAML()
    config = yaml.load(ROOT / "deploy" / "prometheus" / "prometheus.yml")
    config["global"]["scrape_interval"] = "200ms"
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{service.port}"]
    yaml.dump(config, tmp_path / "prometheus.yml")
    path = tmp_path / "prometheus.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stderr=log,
        )
    yield f"http://{listening_address(path)}"
    process.terminate()
    process.wait(PATIENCE_S)


def listening_address(log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while (found := re.search(r'msg="Listening on" address=(\S+)', log.read_text())) is None:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[1]


def query(prometheus: str, promql: str) -> list[dict[str, Any]]:
    try:
        response = httpx2.get(
            f"{prometheus}/api/v1/query", params={"query": promql}, timeout=PATIENCE_S
        )
    except httpx2.ConnectError:
        return []
    result: list[dict[str, Any]] = response.json()["data"]["result"] if response.is_success else []
    return result


def wait_for(prometheus: str, promql: str, expected: float) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not any(float(row["value"][1]) == expected for row in query(prometheus, promql)):
        assert time.monotonic() < deadline, query(prometheus, promql)
        time.sleep(0.1)


def test_the_p99_of_real_traffic_can_be_queried(service: Service, prometheus: str) -> None:
    wait_for(prometheus, 'up{job="dandelion"}', 1)
    took = []
    with httpx2.Client(timeout=PATIENCE_S) as client:
        for number in range(200):
            started = time.perf_counter()
            client.post(
                f"{service.url}/classify/spam", json={"texts": [f"see you at {number}"]}
            ).raise_for_status()
            took.append(time.perf_counter() - started)
    wait_for(prometheus, 'dandelion_requests_total{model="spam",status="200"}', 200)
    (p99,) = query(prometheus, P99)
    # Twice the longest: the quantile is interpolated within a bucket.
    assert 0 < float(p99["value"][1]) <= 2 * max(took)
    (info,) = query(prometheus, 'dandelion_model_info{model="spam"}')
    details = service.get("/models/spam").json()
    assert info["metric"]["version"] == details["version"]
    labels = query(prometheus, 'dandelion_texts_total{model="spam"}')
    assert sum(float(row["value"][1]) for row in labels) == 200

"""A real Prometheus scrapes the service, and queries return its figures."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from ruamel.yaml import YAML

from dandelion.decision import buckets

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
    for name in config["rule_files"]:
        rules = (ROOT / "deploy" / "prometheus" / name).read_text()
        (tmp_path / name).write_text(rules.replace("interval: 1m", "interval: 300ms"))
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
    about = pytest.approx(expected, rel=1e-6, abs=1e-9)
    while not any(float(row["value"][1]) == about for row in query(prometheus, promql)):
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


SENTENCE = "see you at lunch tomorrow then call me back about our garden zqxv"


def test_recorded_drift_is_that_of_the_scraped_series(service: Service, prometheus: str) -> None:
    wait_for(prometheus, 'dandelion_texts_total{model="spam",label="ham"}', 0)
    words = SENTENCE.split()
    texts = [" ".join(words[:count]) for count in range(len(words) + 1)]
    texts += ["WINNER!! Claim your free prize now, call 09012345678"] * 5
    service.post("/classify/spam", json={"texts": texts}).raise_for_status()
    series = {
        (sample.name, sample.labels.get("le") or sample.labels.get("label", "")): sample.value
        for family in parse(service.get("/metrics").text)
        for sample in family.samples
        if sample.labels.get("model") == "spam"
    }
    spam = 'job="dandelion",model="spam"'
    for name, histogram, bounds in (
        ("score", "score", buckets.SCORES),
        ("text_words", "text_words", buckets.WORDS),
        ("unknown_word", "unknown_word_ratio", buckets.UNKNOWN),
    ):
        shares = []
        for one in (f"dandelion_{histogram}_bucket", f"dandelion_reference_{name}_ratio"):
            cumulative = [series[one, le] for le in (*map(repr, bounds), "+Inf")]
            shares.append(np.diff(cumulative, prepend=0.0))
        psi = buckets.stability_index(*shares)
        assert psi > 0.05
        for window in ("1h", "1d"):
            wait_for(prometheus, f"dandelion:{name}_psi:{window}{{{spam}}}", psi)
    flagged = series["dandelion_texts_total", "spam"]
    ratio = flagged / len(texts)
    expected = series["dandelion_reference_positive_ratio", "spam"]
    wait_for(prometheus, f"dandelion:positive_ratio:1h{{{spam}}}", ratio)
    # The number of texts is extrapolated to the ends of the window, where there are no samples yet.
    wait_for(
        prometheus,
        f"dandelion:positive_ratio_deviation:1h{{{spam}}} / sqrt(dandelion:texts:increase1h)",
        (ratio - expected) / (expected * (1 - expected)) ** 0.5,
    )
    wait_for(prometheus, f"dandelion:no_content_ratio:1h{{{spam}}}", 1 / len(texts))
    unknown = series["dandelion_unknown_word_ratio_sum", ""] / (len(texts) - 1)
    wait_for(prometheus, f"dandelion:unknown_word_ratio:mean1h{{{spam}}}", unknown)


def test_the_recording_rules_pass_their_unit_tests() -> None:
    place = ROOT / "tests" / "deploy" / "recording_test.yml"
    done = subprocess.run(
        ["promtool", "test", "rules", place], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""A real Prometheus scrapes the real service; queries, rules and the dashboard have results.

One service runs for all tests: with two workers, API keys, a record, a policy, a shadow, traces,
and a reload that has failed.
"""

import json
import math
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from ruamel.yaml import YAML

from dandelion.api_keys import Access
from dandelion.decision import buckets

from ..app.api_keys import CONFIGURED, EVERY_SCOPE, KEYS, bearer
from ..conftest import PATIENCE_S, ROOT, Service, StartService

pytestmark = pytest.mark.slow

# No other test sends texts to this model.
P99 = (
    "histogram_quantile(0.99, sum by (le) "
    '(dandelion_request_duration_seconds_bucket{model="abuse"}))'
)

SERVING = """
[models]
abuse = "bce-wide"

[models.spam]
variant = "squared_hinge-wide"
shadow = "dice"
shadow_share = 1

[models.spam.policies.teens]
operating_point = "fpr<=0.01"
review = "rate<=0.2"
prior = 0.02
"""
BROKEN = "[models]\nspam = 'missing'\n"

HEADERS = bearer(EVERY_SCOPE)
SENTENCE = "see you at lunch tomorrow then call me back about our garden zqxv"
SPAM = "WINNER!! Claim your free prize now, call 09012345678"

DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "dandelion.json"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    artifacts = tmp_path_factory.mktemp("artifacts")
    for variant in ("abuse/bce-wide", "spam/squared_hinge-wide", "spam/dice"):
        shutil.copytree(ROOT / "artifacts" / variant, artifacts / variant)
    (artifacts / "serving.toml").write_text(SERVING)
    return artifacts


@pytest.fixture(scope="module")
def service(
    artifacts: Path, start_shared: StartService, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    record = tmp_path_factory.mktemp("record") / "decisions.jsonl"
    settings = {"workers": 2, "artifacts": artifacts, "keys": CONFIGURED, "record_file": record}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")  # nobody is there
        service = start_shared(traces=True, **settings)
    service.wait_until_ready()
    return service


@contextmanager
def running(*command: object, log: Path) -> Iterator[httpx2.Client]:
    """Run a program of Prometheus; yield a client of it."""
    with log.open("wb") as file:
        process = subprocess.Popen(list(map(str, command)), stderr=file)
    try:
        address = f"http://{listening_address(log)}"
        with httpx2.Client(base_url=address, timeout=PATIENCE_S) as client:
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """Alertmanager with the shipped configuration."""
    directory = tmp_path_factory.mktemp("alertmanager")
    with running(
        "prometheus-alertmanager",
        f"--config.file={ROOT / 'deploy' / 'alertmanager' / 'alertmanager.yml'}",
        f"--storage.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
        log=directory / "log",
    ) as client:
        yield client


@pytest.fixture(scope="module")
def prometheus(
    service: Service,
    artifacts: Path,
    alertmanager: httpx2.Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[httpx2.Client]:
    """Prometheus with the shipped configuration, except for addresses and intervals."""
    directory = tmp_path_factory.mktemp("prometheus")
    key = directory / "key"
    key.write_text(KEYS[Access.METRICS])
    yaml = YAML()
    config = yaml.load(ROOT / "deploy" / "prometheus" / "prometheus.yml")
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "300ms"}
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [
        alertmanager.base_url.netloc.decode()
    ]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{service.port}"]
    config["scrape_configs"][0]["authorization"] = {"credentials_file": str(key)}
    yaml.dump(config, directory / "prometheus.yml")
    for name in config["rule_files"]:
        rules = (ROOT / "deploy" / "prometheus" / name).read_text()
        (directory / name).write_text(rules.replace("interval: 1m", "interval: 300ms"))
    with running(
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage",
        log=directory / "log",
    ) as client:
        wait_for(client, 'dandelion_texts_total{model="spam",label="ham"}', 0)
        use(service, artifacts)
        yield client


def use(service: Service, artifacts: Path) -> None:
    """Let a reload fail, and send requests of every kind."""
    serving = artifacts / "serving.toml"
    serving.write_text(BROKEN)
    begun = service.post("/admin/reload", headers=HEADERS)
    report = begun.headers["Location"]
    service.wait(lambda: service.get(report, headers=HEADERS).json()["state"] == "failed")
    serving.write_text(SERVING)
    words = SENTENCE.split()
    texts = [" ".join(words[:count]) for count in range(len(words) + 1)] + [SPAM] * 5
    for wish in ({}, {"policy": "teens"}, {"operating_point": "fpr<=0.05"}):
        service.post(
            "/classify/spam", json={"texts": texts, **wish}, headers=HEADERS
        ).raise_for_status()
    assert service.post("/classify/spam", json={}, headers=HEADERS).status_code == 422
    assert service.post("/classify/spam", json={"texts": texts}).status_code == 401


def listening_address(log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while (found := re.search(r'msg="Listening on" address=(\S+)', log.read_text())) is None:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[1]


def query(prometheus: httpx2.Client, promql: str) -> list[dict[str, Any]]:
    try:
        response = prometheus.get("/api/v1/query", params={"query": promql})
    except httpx2.ConnectError:
        return []
    result: list[dict[str, Any]] = response.json()["data"]["result"] if response.is_success else []
    return result


def wait_for_result(prometheus: httpx2.Client, promql: str) -> list[dict[str, Any]]:
    """Return the result once there is one: a scrape of a busy service may take too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not (result := query(prometheus, promql)):
        assert time.monotonic() < deadline, promql
        time.sleep(0.1)
    return result


def wait_for(prometheus: httpx2.Client, promql: str, expected: float) -> None:
    deadline = time.monotonic() + PATIENCE_S
    about = pytest.approx(expected, rel=1e-6, abs=1e-9)
    while not any(float(row["value"][1]) == about for row in query(prometheus, promql)):
        assert time.monotonic() < deadline, query(prometheus, promql)
        time.sleep(0.1)


def test_the_p99_of_real_traffic_can_be_queried(
    service: Service, prometheus: httpx2.Client
) -> None:
    took = []
    with httpx2.Client(timeout=PATIENCE_S, headers=HEADERS) as client:
        for number in range(200):
            started = time.perf_counter()
            client.post(
                f"{service.url}/classify/abuse", json={"texts": [f"see you at {number}"]}
            ).raise_for_status()
            took.append(time.perf_counter() - started)
    wait_for(prometheus, 'dandelion_requests_total{model="abuse",status="200"}', 200)
    (p99,) = wait_for_result(prometheus, P99)
    # Twice the longest: the quantile is interpolated within a bucket.
    assert 0 < float(p99["value"][1]) <= 2 * max(took)
    (info,) = wait_for_result(prometheus, 'dandelion_model_info{model="abuse"}')
    details = service.get("/models/abuse", headers=HEADERS).json()
    assert info["metric"]["version"] == details["version"]
    labels = wait_for_result(prometheus, 'dandelion_texts_total{model="abuse"}')
    assert sum(float(row["value"][1]) for row in labels) == 200
    traces = exemplars(prometheus, P99)
    assert traces
    assert all(re.fullmatch("[0-9a-f]{32}", one["labels"]["trace_id"]) for one in traces)


def exemplars(prometheus: httpx2.Client, promql: str) -> list[dict[str, Any]]:
    now = time.time()
    times = {"start": str(now - 3600), "end": str(now + 60)}
    response = prometheus.get("/api/v1/query_exemplars", params={"query": promql} | times)
    response.raise_for_status()
    return [one for series in response.json()["data"] for one in series["exemplars"]]


def test_recorded_drift_is_that_of_the_scraped_series(
    service: Service, prometheus: httpx2.Client
) -> None:
    page = service.get("/metrics", headers=HEADERS).text
    series = {
        (sample.name, sample.labels.get("le") or sample.labels.get("label", "")): sample.value
        for family in parse(page)
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
    texts = flagged + series["dandelion_texts_total", "ham"]
    ratio = flagged / texts
    expected = series["dandelion_reference_positive_ratio", "spam"]
    wait_for(prometheus, f"dandelion:positive_ratio:1h{{{spam}}}", ratio)
    # The number of texts is extrapolated to the ends of the window, where there are no samples yet.
    wait_for(
        prometheus,
        f"dandelion:positive_ratio_deviation:1h{{{spam}}} / sqrt(dandelion:texts:increase1h)",
        (ratio - expected) / (expected * (1 - expected)) ** 0.5,
    )
    without = series["dandelion_no_content_texts_total", ""]
    assert without > 0
    wait_for(prometheus, f"dandelion:no_content_ratio:1h{{{spam}}}", without / texts)
    unknown = series["dandelion_unknown_word_ratio_sum", ""] / (texts - without)
    wait_for(prometheus, f"dandelion:unknown_word_ratio:mean1h{{{spam}}}", unknown)


def has_figures(prometheus: httpx2.Client, promql: str) -> bool:
    return any(math.isfinite(float(row["value"][1])) for row in query(prometheus, promql))


def wait_for_figures(prometheus: httpx2.Client, expressions: list[str]) -> None:
    """Wait until every expression has a result that is a number."""
    deadline = time.monotonic() + PATIENCE_S
    while expressions := [each for each in expressions if not has_figures(prometheus, each)]:
        assert time.monotonic() < deadline, expressions
        time.sleep(0.2)


def dashboard_expressions() -> list[tuple[str, str]]:
    """Return the dashboard's lines, each with its expression, with values for its variables."""
    found = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            promql = target["expr"].replace("$__rate_interval", "1m")
            for name, value in (("job", "dandelion"), ("instance", ".+"), ("model", ".+")):
                promql = promql.replace(f"${name}", value)
            assert "$" not in promql, promql
            found.append((f"{panel['title']}: {target['legendFormat']}", promql))
    return found


def test_no_panel_of_the_dashboard_is_empty(prometheus: httpx2.Client) -> None:
    expressions = dashboard_expressions()
    assert len(expressions) > 40
    wait_for_figures(prometheus, [promql for _, promql in expressions])
    for name, promql in expressions:
        labels = set(re.findall(r"\{\{(\w+)\}\}", name))
        assert all(labels <= set(row["metric"]) for row in query(prometheus, promql)), name


def test_the_variables_of_the_dashboard_have_values(prometheus: httpx2.Client) -> None:
    variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
    for variable in variables:
        if variable["type"] != "query":
            continue
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]).groups()
        series = series.replace("$job", "dandelion").replace("$instance", ".+")
        response = prometheus.get(f"/api/v1/label/{label}/values", params={"match[]": series})
        values = response.json()["data"]
        assert values, variable["name"]


def test_every_alert_compares_series_that_exist(prometheus: httpx2.Client) -> None:
    expressions = []
    for group in YAML(typ="safe").load(RULES)["groups"]:
        for rule in group["rules"]:
            # As 0 or 1: where there is nothing to alert on, the comparison leaves nothing.
            promql = re.sub(r"(?<=\s)(==|>=|<=|>|<)(?=\s)", r"\1 bool", rule["expr"])
            expressions.append(re.sub(r"absent\((.+)\)", r"\1", promql))
    wait_for_figures(prometheus, expressions)


def test_a_failed_reload_is_an_alert_that_alertmanager_has(
    prometheus: httpx2.Client, alertmanager: httpx2.Client
) -> None:
    wait_for(prometheus, 'ALERTS{alertname="DandelionReloadFailed",alertstate="firing"}', 1)
    deadline = time.monotonic() + PATIENCE_S
    names: set[str] = set()
    while "DandelionReloadFailed" not in names:
        assert time.monotonic() < deadline, names
        alerts = alertmanager.get("/api/v2/alerts").json()
        names = {alert["labels"]["alertname"] for alert in alerts}
        time.sleep(0.2)
    assert {alert["receivers"][0]["name"] for alert in alerts} == {"nobody"}


def test_the_dashboard_is_what_its_program_writes(tmp_path: Path) -> None:
    written = tmp_path / "dashboard.json"
    program = ROOT / "deploy" / "grafana" / "dashboard.py"
    subprocess.run([sys.executable, program, written], check=True)
    assert written.read_text() == DASHBOARD.read_text(), "make dashboard"


def test_the_recording_rules_pass_their_unit_tests() -> None:
    place = ROOT / "tests" / "deploy" / "recording_test.yml"
    done = subprocess.run(
        ["promtool", "test", "rules", place], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""Traces of the service as a process, received by a collector made of `opentelemetry-proto`."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar

from dandelion.api_keys import Access

from ..conftest import ROOT, Service, StartService
from .api_keys import CONFIGURED, KEYS, bearer
from .trace_collector import Collector, attributes, collecting

TEXT = "Are we still meeting for luncheon?"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
STAGES = ["read", "tokenise", "infer", "write"]
CLASSIFY = bearer(KEYS[Access.CLASSIFY])
PARENT = "b7ad6b7169203331"


def parent(trace_id: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{PARENT}-{flags}"}


@pytest.fixture(scope="module")
def variables() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield patch


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def service(
    start_shared: StartService,
    collector: Collector,
    variables: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Service:
    variables.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    variables.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    service = start_shared(
        traces=True,
        workers=2,
        keys=CONFIGURED,
        record_file=tmp_path_factory.mktemp("record") / "decisions.jsonl",
        protocols="open-inference,perspective",
        access_log=True,
    )
    service.wait_until_ready()
    return service


def trace(service: Service, collector: Collector, number: int, path: str, **sent: object) -> Span:
    """Send a request with a trace's id; returns its root's span, once all were received."""
    trace_id = f"{number:032x}"
    headers = {**CLASSIFY, **parent(trace_id)}
    service.post(path, headers=headers, **sent)
    service.wait(lambda: "write" in collector.of_trace(trace_id))
    service.wait(lambda: any(one.kind == Span.SPAN_KIND_SERVER for one in roots(collector, number)))
    return roots(collector, number)[0]


def roots(collector: Collector, number: int) -> list[Span]:
    spans = collector.of_trace(f"{number:032x}").values()
    return [one for one in spans if one.kind == Span.SPAN_KIND_SERVER]


def test_a_request_has_a_span_with_its_stages(service: Service, collector: Collector) -> None:
    before = time.time_ns()
    root = trace(service, collector, 1, "/classify/spam", json={"texts": [TEXT, "free"]})
    after = time.time_ns()
    assert root.name == "POST /classify/{model}"
    assert root.parent_span_id.hex() == PARENT
    assert root.status.code == Status.STATUS_CODE_UNSET
    found = attributes(root)
    assert len(str(found.pop("dandelion.decision_id"))) > 10
    assert found.pop("dandelion.positives") in {0, 1, 2}
    assert found == {
        "http.request.method": "POST",
        "http.route": "/classify/{model}",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "url.scheme": "http",
        "url.path": "/classify/spam",
        "server.address": "127.0.0.1",
        "server.port": service.port,
        "dandelion.model": "spam",
        "dandelion.variant": "squared_hinge-wide",
        "dandelion.texts": 2,
        "dandelion.generation": 1,
        "dandelion.key": f"only-{Access.CLASSIFY}",
    }
    spans = collector.of_trace(f"{1:032x}")
    children = [span for span in spans.values() if span.name in STAGES]
    assert [span.name for span in children] == STAGES
    assert {span.parent_span_id for span in children} == {root.span_id}
    times = [
        time for span in children for time in (span.start_time_unix_nano, span.end_time_unix_nano)
    ]
    assert times == sorted(times)
    assert before < root.start_time_unix_nano <= times[0]
    assert times[-1] <= root.end_time_unix_nano < after


def test_who_sent_the_spans(service: Service, collector: Collector) -> None:
    trace(service, collector, 2, "/classify/spam", json={"texts": [TEXT]})
    resource = collector.messages[0].resource_spans[0].resource
    found = {each.key: each.value.string_value for each in resource.attributes}
    assert found["service.name"] == "dandelion"
    assert found["deployment.environment.name"] == "test"
    assert set(collector.paths) == {"/v1/traces"}


def test_a_large_batch_is_traced_too(service: Service, collector: Collector) -> None:
    root = trace(service, collector, 3, "/classify/abuse", json={"texts": [TEXT] * 2000})
    assert attributes(root)["dandelion.texts"] == 2000
    assert [*collector.of_trace(f"{3:032x}")][1:] == STAGES


def test_other_protocols_have_the_same_spans(service: Service, collector: Collector) -> None:
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}
    root = trace(service, collector, 4, "/v2/models/spam/infer", json={"inputs": [tensor]})
    assert root.name == "POST /v2/models/{model}/infer"
    assert attributes(root)["http.response.status_code"] == 200
    assert attributes(root)["dandelion.texts"] == 1
    assert [*collector.of_trace(f"{4:032x}")][1:] == STAGES
    body = {"comment": {"text": TEXT}, "requestedAttributes": {"TOXICITY": {}, "SPAM": {}}}
    root = trace(service, collector, 5, "/v1alpha1/comments:analyze", json=body)
    assert root.name == "POST /v1alpha1/comments:analyze"
    names = [span.name for span in collector.spans if span.trace_id == root.trace_id]
    assert sorted(names) == sorted([root.name, *STAGES, "tokenise", "infer"])  # of two models


@pytest.mark.parametrize(
    ("number", "path", "body", "status"),
    [
        (6, "/classify/secretword", {"texts": [TEXT]}, 404),
        (7, "/classify/spam?variant=secretword", {"texts": [TEXT]}, 404),
        (8, "/v2/models/spam/versions/secretword/infer", {}, 404),
        (9, "/classify/spam", {"texts": [TEXT], "secretword": 1}, 422),
    ],
)
def test_failures(  # noqa: PLR0917
    service: Service, collector: Collector, number: int, path: str, body: object, status: int
) -> None:
    root = trace(service, collector, number, path, json=body)
    assert attributes(root)["http.response.status_code"] == status
    assert root.status.code == Status.STATUS_CODE_UNSET  # an error of the client


def test_requests_without_a_valid_parent_begin_a_trace(
    service: Service, collector: Collector
) -> None:
    wrong = ["", "00", f"00-{'0' * 32}-{PARENT}-01", f"ff-{1:032x}-{PARENT}-01", "secretword"]
    count = len(collector.spans)
    for value in wrong:
        service.post(
            "/classify/spam", json={"texts": [TEXT]}, headers={**CLASSIFY, "traceparent": value}
        )
    twice = [*CLASSIFY.items(), *parent(f"{10:032x}").items(), *parent(f"{11:032x}").items()]
    service.post("/classify/spam", json={"texts": [TEXT]}, headers=twice)
    expected = count + 5 * (len(wrong) + 1)
    service.wait(lambda: len(collector.spans) >= expected)
    new = collector.spans[count:]
    starts = [span for span in new if span.kind == Span.SPAN_KIND_SERVER]
    assert len(starts) == len({span.trace_id for span in starts}) == len(wrong) + 1
    assert not any(span.parent_span_id for span in starts)


def test_what_is_not_sampled_is_not_sent(service: Service, collector: Collector) -> None:
    headers = {**CLASSIFY, **parent(f"{12:032x}", "00")}
    service.post("/classify/spam", json={"texts": [TEXT]}, headers=headers)
    for path in ("/livez", "/readyz", "/models", "/metrics", "/nowhere"):
        service.get(path, headers={**CLASSIFY, **parent(f"{12:032x}")})
    trace(service, collector, 13, "/classify/spam", json={"texts": [TEXT]})
    time.sleep(0.2)  # the other worker sends its spans every 50 ms
    assert not collector.of_trace(f"{12:032x}")


def test_durations_have_exemplars(service: Service, collector: Collector) -> None:
    trace(service, collector, 14, "/classify/cyberbullying", json={"texts": [TEXT]})
    name = "dandelion_request_duration_seconds"
    response = service.get(
        "/metrics", headers={**bearer(KEYS[Access.METRICS]), "Accept": OPENMETRICS}
    )
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    found = {one.name: one for one in text_string_to_metric_families(response.text)}
    samples = [
        sample for sample in found[name].samples if sample.labels["model"] == "cyberbullying"
    ]
    exemplars = {sample.labels["le"]: sample.exemplar for sample in samples if sample.exemplar}
    ((bound, exemplar),) = exemplars.items()
    assert isinstance(exemplar, Exemplar)
    assert exemplar.labels == {"trace_id": f"{14:032x}"}
    assert 0 < exemplar.value <= float(bound)
    assert exemplar.timestamp is not None
    assert abs(float(exemplar.timestamp) - time.time()) < 60
    assert found["dandelion_spans_dropped"].samples[0].value == 0
    plain = service.get("/metrics", headers=bearer(KEYS[Access.METRICS]))
    assert plain.headers["content-type"].startswith("text/plain")
    assert "trace_id" not in plain.text


def test_log_lines_name_the_trace(service: Service, collector: Collector) -> None:
    trace(service, collector, 15, "/classify/spam", json={"texts": [TEXT]})
    service.wait(lambda: f"{15:032x}" in [line.get("trace_id") for line in service.lines()])


def test_no_span_has_a_text_or_a_key(service: Service, collector: Collector) -> None:
    key = KEYS[Access.CLASSIFY]
    body = {"comment": {"text": TEXT}, "requestedAttributes": {"SPAM": {}}}
    path = f"/v1alpha1/comments:analyze?key={key}"
    trace(service, collector, 16, path, json=body)
    trace(service, collector, 17, f"/classify/{key}", json={"texts": [TEXT]})
    headers = {**CLASSIFY, **parent(f"{18:032x}"), "Host": "secretword", "X-Request-ID": key}
    service.post("/classify/spam?text=secretword", json={"texts": [TEXT]}, headers=headers)
    service.wait(lambda: bool(roots(collector, 18)))
    sent = b"".join(collector.bodies)
    assert b"spam" in sent
    for word in (b"luncheon", b"secretword", key.encode(), key[:20].encode()):
        assert word not in sent


def test_a_stop_sends_what_is_left(
    start_service: StartService, collector: Collector, variables: pytest.MonkeyPatch
) -> None:
    with variables.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
        service = start_service(traces=True, workers=2, request_timeout_ms=1)
        service.wait_until_ready()
        for number in range(100, 110):
            headers = parent(f"{number:032x}")
            service.post("/classify/spam", json={"texts": [TEXT]}, headers=headers)
        large = {"texts": [TEXT * 20] * 4000}
        late = service.post("/classify/spam", json=large, headers=parent(f"{110:032x}"))
        assert late.status_code == 504
        assert not any(roots(collector, number) for number in range(100, 110))
        assert service.stop() == -signal.SIGTERM
    for number in range(100, 110):
        assert [*collector.of_trace(f"{number:032x}")][1:] == STAGES
    (root,) = roots(collector, 110)
    assert root.status.code == Status.STATUS_CODE_ERROR
    assert attributes(root)["error.type"] == "504"


def test_a_collector_that_does_not_respond_delays_nothing(
    start_service: StartService, variables: pytest.MonkeyPatch
) -> None:
    with collecting() as silent, variables.context() as patch:
        silent.is_open.clear()
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", silent.endpoint)
        patch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "20")
        patch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
        service = start_service(traces=True)
        service.wait_until_ready()
        for _ in range(10):  # 50 spans
            assert service.post("/classify/spam", json={"texts": [TEXT]}).status_code == 200
        assert "dandelion_spans_dropped_total 30.0" in service.get("/metrics").text
        # Two seconds for the flush: then it ends, and is not killed.
        assert service.stop() == -signal.SIGTERM
        assert not [line for line in service.lines() if line["level"] == "ERROR"]


def test_a_collector_that_is_down_is_logged(
    start_service: StartService, variables: pytest.MonkeyPatch
) -> None:
    with collecting() as gone, variables.context() as patch:
        gone.status = 400
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.endpoint)
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "wrong header secretword")
        service = start_service(traces=True)
        service.wait_until_ready()
        for _ in range(3):
            assert service.post("/classify/spam", json={"texts": [TEXT]}).status_code == 200
        service.wait(lambda: "dandelion_spans_dropped_total 15.0" in service.get("/metrics").text)
        problems = [str(line["problem"]) for line in service.lines() if "problem" in line]
        assert len([one for one in problems if "code: 400" in one]) == 1  # throttled
        log = service.log.read_text()
        assert "secretword" not in log
        assert "luncheon" not in log


def test_a_wrong_variable_is_refused(
    start_service: StartService, variables: pytest.MonkeyPatch
) -> None:
    with variables.context() as patch:
        patch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "none")
        service = start_service(traces=True)
        assert service.exit_code() == 2
    assert "OTEL_BSP_" in service.log.read_text()


def test_the_extra_is_named_where_it_is_missing() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; sys.argv = ['serve']\n"
        "from app.__main__ import main; sys.exit(main())"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"DANDELION_TRACES": "true", "DANDELION_PORT": "0", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert found.returncode == 2
    assert "pip install 'dandelion-text[otel]'" in found.stderr
    assert "--traces / DANDELION_TRACES" in found.stderr


def test_nothing_is_imported_where_nothing_is_traced() -> None:
    # FastAPI itself imports OpenTelemetry's API.
    program = (
        "import sys\nfrom app.main import create_app\nfrom app.settings import Settings\n"
        "create_app(Settings())\n"
        "print([one for one in sys.modules if one.startswith(('opentelemetry.sdk', 'requests'))])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"

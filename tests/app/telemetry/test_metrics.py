"""The series, read back by Prometheus's own parsers."""

import asyncio
import itertools
import time
from collections import Counter

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse
from starlette.types import Message

from app.main import create_app
from app.settings import Settings
from app.telemetry.metrics import Metrics
from dandelion.chunks import chunks
from dandelion.decision.rule import Decided

from ...dandelion.examples import THREE, make_artifact
from ..conftest import ROOT

CANARY = "canary-7f3a9"
HAM = "Sorry, I'll be home a bit later tonight"
MOOD = make_artifact(labels=THREE).manifest
SPAM = "WINNER!! Claim your free £1000 prize now, call 09012345678"

STATUSES = ("200", "400", "404", "405", "413", "415", "422", "429", "499", "500", "503", "504")

IN_FLIGHT = (
    "in_flight_requests",
    "in_flight_body_bytes",
    "in_flight_texts",
    "waiting_requests",
    "waiting_body_bytes",
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: TestClient) -> Samples:
    text = client.get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_every_series_exists_before_the_first_request(own_client: TestClient) -> None:
    samples = scrape(own_client)
    for model, labels in {
        "spam": ("ham", "spam"),
        "cyberbullying": ("not_cyberbullying", "cyberbullying"),
    }.items():
        assert value(samples, "dandelion_request_duration_seconds_count", model=model) == 0
        assert value(samples, "dandelion_batch_size_count", model=model) == 0
        assert value(samples, "dandelion_score_count", model=model) == 0
        assert value(samples, "dandelion_model_load_seconds", model=model) > 0
        for stage in ("tokenize", "infer"):
            name = "dandelion_stage_duration_seconds_count"
            assert value(samples, name, model=model, stage=stage) == 0
        for status in STATUSES:
            assert value(samples, "dandelion_requests_total", model=model, status=status) == 0
        for label in labels:
            assert value(samples, "dandelion_texts_total", model=model, label=label) == 0
        details = own_client.get(f"/models/{model}").json()
        identity = {name: details[name] for name in ("model", "variant", "version")}
        assert value(samples, "dandelion_model_info", **identity) == 1
    assert value(samples, "dandelion_requests_total", model="unknown", status="404") == 0
    for reason in ("queue_full", "wait", "deadline", "client_gone"):
        assert value(samples, "dandelion_shed_requests_total", reason=reason) == 0
    for name in IN_FLIGHT:
        assert value(samples, f"dandelion_{name}") == 0
    assert any(name == "process_resident_memory_bytes" for name, _ in samples)


def test_buckets_reach_from_50_microseconds_to_a_second(own_client: TestClient) -> None:
    for name in ("dandelion_request_duration_seconds", "dandelion_stage_duration_seconds"):
        bounds = sorted(
            float(dict(labels)["le"])
            for series, labels in scrape(own_client)
            if series == f"{name}_bucket" and ("model", "spam") in labels
        )
        assert bounds[0] == 50e-6
        assert sorted(set(bounds))[-2:] == [1.0, float("inf")]


def test_a_request_is_counted_before_its_response_is_complete() -> None:
    metrics = Metrics()
    app = create_app(Settings(artifacts=ROOT / "artifacts"), metrics)
    scope = {"type": "http", "method": "POST", "path": "/classify/none", "headers": []}
    scope |= {"query_string": b"", "root_path": "", "http_version": "1.1", "scheme": "http"}
    counted = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" or not message.get("more_body", False):
            labels = {"model": "unknown", "status": "404"}
            counted.append(metrics.registry.get_sample_value("dandelion_requests_total", labels))

    asyncio.run(app(scope, receive, send))
    assert counted == [0, 1]


def test_requests_and_texts_are_counted(own_client: TestClient) -> None:
    own_client.post("/classify/spam", json={"texts": [HAM, SPAM, HAM]})
    own_client.post("/classify/spam", json={"texts": [HAM]})
    own_client.post("/classify/spam", json={"texts": []})
    json_type = {"Content-Type": "application/json"}
    own_client.post("/classify/cyberbullying", content=b"{", headers=json_type)
    own_client.post("/classify/canary-7f3a9", json={"texts": [CANARY]})
    own_client.get("/classify/spam")
    own_client.get("/models")
    samples = scrape(own_client)

    def requests(model: str, status: str) -> float:
        return value(samples, "dandelion_requests_total", model=model, status=status)

    assert (requests("spam", "200"), requests("spam", "422"), requests("spam", "405")) == (2, 1, 1)
    assert requests("cyberbullying", "400") == 1
    assert requests("unknown", "404") == 1
    durations = "dandelion_request_duration_seconds_count"
    assert value(samples, durations, model="spam") == 4  # failures included
    assert value(samples, durations, model="unknown") == 1
    assert value(samples, "dandelion_texts_total", model="spam", label="ham") == 3
    assert value(samples, "dandelion_texts_total", model="spam", label="spam") == 1
    assert value(samples, "dandelion_batch_size_count", model="spam") == 2
    assert value(samples, "dandelion_batch_size_sum", model="spam") == 4
    assert value(samples, "dandelion_score_count", model="spam") == 4
    for stage in ("tokenize", "infer"):
        name = "dandelion_stage_duration_seconds_count"
        assert value(samples, name, model="spam", stage=stage) == 2
    assert CANARY not in own_client.get("/metrics").text


@pytest.mark.parametrize("together", [True, False])
def test_words_are_counted(own_client: TestClient, *, together: bool) -> None:
    texts = ["see you at lunch", "see you xqzvw", "12 :)"]
    for batch in [texts] if together else [[text] for text in texts]:
        own_client.post("/classify/spam", json={"texts": batch}).raise_for_status()
    samples = scrape(own_client)
    assert value(samples, "dandelion_no_content_texts_total", model="spam") == 1
    words = "dandelion_text_words"
    assert value(samples, f"{words}_sum", model="spam") == 7
    for bound, count in (("0.0", 1), ("2.0", 1), ("3.0", 2), ("5.0", 3), ("+Inf", 3)):
        assert value(samples, f"{words}_bucket", model="spam", le=bound) == count
    unknown = "dandelion_unknown_word_ratio"
    assert value(samples, f"{unknown}_sum", model="spam") == pytest.approx(1 / 3)
    for bound, count in (("0.0", 1), ("0.3", 1), ("0.4", 2), ("+Inf", 2)):
        assert value(samples, f"{unknown}_bucket", model="spam", le=bound) == count
    assert value(samples, "dandelion_score_count", model="spam") == 2
    assert value(samples, "dandelion_batch_size_sum", model="spam") == 3


def test_many_labels_are_counted_each(made_up_client: TestClient) -> None:
    samples = scrape(made_up_client)
    for label in THREE:
        assert value(samples, "dandelion_texts_total", model="mood", label=label) == 0
    texts = [HAM, SPAM, "", "lunch", "tomorrow", "free"]
    results = made_up_client.post("/classify/mood", json={"texts": texts}).json()["results"]
    samples = scrape(made_up_client)
    given_labels = Counter(result["label"] for result in results)
    assert len(given_labels) > 1
    for label in THREE:
        found = value(samples, "dandelion_texts_total", model="mood", label=label)
        assert found == given_labels[label]
    assert value(samples, "dandelion_score_count", model="mood") == len(texts)
    # Of each text the score of the label it was given.
    assert value(samples, "dandelion_score_sum", model="mood") == pytest.approx(
        sum(result["score"] for result in results)
    )


def test_the_stages_of_a_batch_in_pieces_are_summed(
    made_up_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    texts = ["a"] * 2100
    pieces = len(list(chunks(texts)))
    assert pieces > 1
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))  # a second per call
    made_up_client.post("/classify/mood", json={"texts": texts})
    samples = scrape(made_up_client)
    for stage in ("tokenize", "infer"):
        name = "dandelion_stage_duration_seconds"
        assert value(samples, f"{name}_sum", model="mood", stage=stage) == pieces
        assert value(samples, f"{name}_count", model="mood", stage=stage) == 1
    assert value(samples, "dandelion_batch_size_sum", model="mood") == len(texts)


def test_histograms_are_cumulative_and_agree_with_their_counts(own_client: TestClient) -> None:
    for _ in range(5):
        own_client.post("/classify/spam", json={"texts": [HAM, SPAM]})
    samples = scrape(own_client)
    histograms = {name for name, _ in samples if name.endswith("_bucket")}
    assert len(histograms) == 6
    for name in histograms:
        series: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
        for (found, labels), count in samples.items():
            if found == name:
                others = frozenset(pair for pair in labels if pair[0] != "le")
                series.setdefault(others, []).append((float(dict(labels)["le"]), count))
        for labels, buckets in series.items():
            counts = [count for _, count in sorted(buckets)]
            assert counts == sorted(counts)
            assert counts[-1] == samples[name.replace("_bucket", "_count"), labels]


def test_openmetrics_is_returned_on_request(own_client: TestClient) -> None:
    response = own_client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert "dandelion_requests" in {family.name for family in parse_open(response.text)}
    plain = own_client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.integers(0, 2)), min_size=1, max_size=99))
@settings(max_examples=25)
def test_every_text_of_a_batch_is_counted(texts: list[tuple[float, int]]) -> None:
    metrics = Metrics()
    model = metrics.add_model(MOOD)
    scores, positions = ([*column] for column in zip(*texts, strict=True))
    model.observe(Decided(positions, scores), 0.25, 0.5, [2, 1] * len(positions))

    found = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }

    def shown(name: str, **labels: str) -> float:
        return value(found, f"dandelion_{name}", model="mood", **labels)

    for position, label in enumerate(THREE):
        assert shown("texts_total", label=label) == positions.count(position)
    assert shown("batch_size_sum") == len(texts)
    assert shown("score_count") == len(texts)
    assert shown("score_sum") == pytest.approx(sum(scores))
    for bound in (0.05, 0.5, 1.0):
        expected = sum(score <= bound for score in scores)
        assert shown("score_bucket", le=str(bound)) == expected
    assert shown("stage_duration_seconds_sum", stage="tokenize") == 0.25
    assert shown("stage_duration_seconds_sum", stage="infer") == 0.5


def test_an_unforeseen_status_is_counted() -> None:
    metrics = Metrics()
    labels = {"model": "unknown", "status": "418"}
    assert metrics.registry.get_sample_value("dandelion_requests_total", labels) is None
    for _ in range(2):
        metrics.count_response("unknown", 418)
    assert metrics.registry.get_sample_value("dandelion_requests_total", labels) == 2


def test_no_series_has_a_creation_time(own_client: TestClient) -> None:
    for accept in ("text/plain", "application/openmetrics-text"):
        assert "_created" not in own_client.get("/metrics", headers={"Accept": accept}).text


def test_the_reference_is_shown_in_the_buckets_of_the_histograms(own_client: TestClient) -> None:
    samples = scrape(own_client)
    assert value(samples, "dandelion_reference_info", model="spam", basis="training") == 1
    for histogram, reference in (
        ("dandelion_score", "dandelion_reference_score_ratio"),
        ("dandelion_text_words", "dandelion_reference_text_words_ratio"),
        ("dandelion_unknown_word_ratio", "dandelion_reference_unknown_word_ratio"),
    ):
        bounds = {
            dict(labels)["le"]
            for name, labels in samples
            if name == f"{histogram}_bucket" and ("model", "spam") in labels
        }
        rows = [
            (dict(labels), share)
            for (name, labels), share in samples.items()
            if name == reference and ("model", "spam") in labels
        ]
        assert {labels["le"] for labels, _ in rows} == bounds
        assert {labels["above"] for labels, _ in rows} == {"-Inf", *bounds} - {"+Inf"}
        shares = [share for _, share in sorted((float(one["le"]), share) for one, share in rows)]
        assert shares == sorted(shares)
        assert shares[-1] == 1
    share = value(samples, "dandelion_reference_positive_ratio", model="spam", label="spam")
    assert 0 < share < 1
    assert 0 <= value(samples, "dandelion_reference_no_content_ratio", model="spam") < 0.1

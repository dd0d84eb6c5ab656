"""The series, read back by Prometheus's own parsers."""

import asyncio
import itertools
import time
from collections import Counter

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse
from starlette.types import Message

from app.main import create_app
from app.settings import Settings
from app.telemetry.metrics import Metrics, ScoreHistogram
from dandelion import classifier as classifier_module

from ...dandelion.examples import THREE
from ..conftest import ROOT, fail

CANARY = "canary-7f3a9"
HAM = "Sorry, I'll be home a bit later tonight"
SPAM = "WINNER!! Claim your free £1000 prize now, call 09012345678"

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
        for status in ("200", "400", "404", "405", "413", "415", "422", "500", "503"):
            assert value(samples, "dandelion_requests_total", model=model, status=status) == 0
        for label in labels:
            assert value(samples, "dandelion_texts_total", model=model, label=label) == 0
        details = own_client.get(f"/models/{model}").json()
        identity = {name: details[name] for name in ("model", "variant", "version")}
        assert value(samples, "dandelion_model_info", **identity) == 1
    assert value(samples, "dandelion_requests_total", model="unknown", status="404") == 0
    assert any(name == "process_resident_memory_bytes" for name, _ in samples)


def test_buckets_reach_from_50_microseconds_to_a_second(own_client: TestClient) -> None:
    for name in ("dandelion_request_duration_seconds", "dandelion_stage_duration_seconds"):
        bounds = sorted(
            float(dict(labels)["le"])
            for series, labels in scrape(own_client)
            if series == f"{name}_bucket" and ("model", "spam") in labels
        )
        assert bounds[0] == 50e-6
        assert set(bounds[-2:]) == {1.0, float("inf")} or bounds[-3] == 1.0


def test_who_has_read_an_answer_finds_it_counted() -> None:
    metrics = Metrics()
    app = create_app(Settings(artifacts=ROOT / "artifacts"), fail, metrics)
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
    monkeypatch.setattr(classifier_module, "_CHUNK_TEXTS", 2)
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))  # a second a look
    made_up_client.post("/classify/mood", json={"texts": ["a"] * 5})
    samples = scrape(made_up_client)
    for stage in ("tokenize", "infer"):
        name = "dandelion_stage_duration_seconds"
        assert value(samples, f"{name}_sum", model="mood", stage=stage) == 3
        assert value(samples, f"{name}_count", model="mood", stage=stage) == 1
    assert value(samples, "dandelion_batch_size_sum", model="mood") == 5


def test_histograms_are_cumulative_and_agree_with_their_counts(own_client: TestClient) -> None:
    for _ in range(5):
        own_client.post("/classify/spam", json={"texts": [HAM, SPAM]})
    samples = scrape(own_client)
    histograms = {name for name, _ in samples if name.endswith("_bucket")}
    assert len(histograms) == 4
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


def test_openmetrics_is_spoken_to_who_asks_for_it(own_client: TestClient) -> None:
    answer = own_client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert "dandelion_requests" in {family.name for family in parse_open(answer.text)}
    plain = own_client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")


@given(st.lists(st.floats(0, 1, width=32), max_size=50))
def test_a_batch_of_scores_is_observed_like_one_after_the_other(scores: list[float]) -> None:
    registries = CollectorRegistry(), CollectorRegistry()
    at_once, one_by_one = (
        ScoreHistogram("score", "", ["model"], buckets=(0.25, 0.5, 1), registry=registry)
        for registry in registries
    )
    at_once.labels("spam").observe_many(np.array(scores, np.float32))
    one_by_one.labels("spam")
    for score in scores:
        one_by_one.labels("spam").observe(score)

    def samples(registry: CollectorRegistry) -> Counter[str]:
        found: Counter[str] = Counter()
        for family in registry.collect():
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    found[f"{sample.name}{sample.labels}"] = pytest.approx(sample.value)
        return found

    assert samples(registries[0]) == samples(registries[1])

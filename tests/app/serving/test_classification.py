"""Which thread classifies, and what is measured."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app.serving.admission import Admission
from app.serving.classification import Batch, Classification
from app.serving.extras import Extras
from app.serving.limits import TextLimits
from app.serving.pool import Pool
from app.serving.registry import Registry, Served
from app.telemetry.metrics import Metrics
from dandelion import Classifier, serving
from dandelion.decision.rule import Decided, Decision
from dandelion.manifest import Manifest

from ..contract import Clock, never

T = TypeVar("T")


@pytest.fixture(scope="module")
def registry(made_up: Path) -> Registry:
    registry = Registry(serving.choices(made_up, {}), Metrics())
    registry.load()
    return registry


@pytest.fixture(scope="module")
def classification() -> Iterator[Classification]:
    classification = Classification(
        TextLimits(100_000, 8_000_000), Pool(Metrics().load, timeout_ms=60_000)
    )
    yield classification
    classification.close()


def run(
    classification: Classification,
    served: Served,
    texts: Sequence[str],
    encode: Callable[[Manifest, Decision, Decided], T],
) -> T:
    admission = Admission(
        Metrics().load, max_bytes=1, max_texts=10_000, max_waiting=0, max_wait_ms=0
    )
    admitted = admission.enter(never)
    admitted.has_body(0)
    batch = Batch(served, texts, served.classifier.decision)
    return asyncio.run(classification.run(batch, encode, admitted))


def thread_of(manifest: Manifest, decision: Decision, decided: Decided) -> int:
    return threading.get_ident()


@pytest.mark.parametrize(
    ("texts", "is_inline"),
    [
        (["a"], True),
        (["a"] * 256, True),
        (["a"] * 257, False),
        (["a" * 128] * 256, True),
        (["a" * 128] * 255 + ["a" * 129], False),
        (["a" * 32_768], True),
        (["a" * 32_769], False),
        (["\ufdfa" * 1820], True),  # 18 characters each
        (["\ufdfa" * 1821], False),
        (["\ufdfa" * 910] * 2, True),
        (["\ufdfa" * 911] * 2, False),
    ],
)
def test_only_a_small_batch_stays_in_the_event_loop(
    registry: Registry, classification: Classification, texts: list[str], is_inline: bool
) -> None:
    thread = run(classification, registry.get("spam"), texts, thread_of)
    assert (thread == threading.get_ident()) is is_inline


def test_the_route_classifies_a_large_batch_in_another_thread(
    made_up_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    infer = Classifier.infer

    def spy(classifier: Classifier, *batch: Any) -> Any:
        threads.append(threading.get_ident())
        return infer(classifier, *batch)

    monkeypatch.setattr(Classifier, "infer", spy)
    # 256 texts are not a large batch, however many quotation marks are in them.
    for texts in (["a"], ["a"] * 257, ['a "quoted" one'] * 256):
        body = {"texts": texts, "threshold": 0.5}
        assert made_up_client.post("/classify/spam", json=body).is_success
    before, *large, after = threads
    assert before == after
    assert large
    assert before not in large


def test_explanations_leave_the_event_loop_and_count_as_a_large_batch(
    registry: Registry,
) -> None:
    admission = Admission(
        Metrics().load, max_bytes=1, max_texts=10_000, max_waiting=0, max_wait_ms=0
    )
    admitted = admission.enter(never)
    admitted.has_body(0)
    served = registry.get("spam")
    batch = Batch(served, ["free", "lunch"], served.classifier.decision, extras=Extras(top=3))
    classification = Classification(
        TextLimits(100, 100), Pool(Metrics().load, timeout_ms=60_000), costly_texts=700
    )

    def encode(*found: Any) -> tuple[int, int, Any]:
        return threading.get_ident(), admission.texts.used, found[-1]

    thread, counted, extras = asyncio.run(classification.run(batch, encode, admitted))
    classification.close()
    assert thread != threading.get_ident()
    assert counted == 700
    assert extras.explanations == served.classifier.explain(["free", "lunch"], 3)


@pytest.mark.parametrize("model", ["mood", "spam"])
def test_chunks_become_one_result(
    registry: Registry, classification: Classification, model: str
) -> None:
    texts = [f"free prize {number} lunch" * (number % 3) for number in range(600)]
    served = registry.get(model)

    def returned(manifest: Manifest, decision: Decision, decided: Decided) -> Decided:
        assert (manifest, decision) == (served.manifest, served.classifier.decision)
        return decided

    decided = run(classification, served, texts, returned)
    notices = served.classifier.notices(texts)
    assert (decided.notices, len(notices)) == (notices, 200)
    expected = served.classifier.decision.decide(served.classifier.scores(texts), notices)
    assert decided.positions == expected.positions
    assert decided.given_scores == pytest.approx(expected.given_scores, abs=1e-6)
    assert (decided.by_label is None) == (model == "spam")
    if decided.by_label is not None:
        np.testing.assert_allclose(decided.by_label, expected.by_label, atol=1e-6)


@pytest.mark.parametrize(("texts", "chunks"), [(1, 1), (600, 3)])
def test_each_stage_is_measured_over_all_chunks(
    made_up_client: TestClient, monkeypatch: pytest.MonkeyPatch, texts: int, chunks: int
) -> None:
    clock = Clock()
    encode, infer = Classifier.encode, Classifier.infer

    def slow_encode(classifier: Classifier, texts: Sequence[str], *, is_nfkc: bool) -> Any:
        clock.advance(3)
        return encode(classifier, texts, is_nfkc=is_nfkc)

    def slow_infer(classifier: Classifier, *batch: Any) -> Any:
        clock.advance(5)
        return infer(classifier, *batch)

    monkeypatch.setattr(time, "perf_counter", clock)
    monkeypatch.setattr(Classifier, "encode", slow_encode)
    monkeypatch.setattr(Classifier, "infer", slow_infer)
    made_up_client.post("/classify/spam", json={"texts": ["a"] * texts})
    samples = {
        (sample.name, sample.labels.get("model"), sample.labels.get("stage")): sample.value
        for family in text_string_to_metric_families(made_up_client.get("/metrics").text)
        for sample in family.samples
    }
    for stage, seconds in (("tokenize", 3), ("infer", 5)):
        name = "dandelion_stage_duration_seconds"
        assert samples[f"{name}_sum", "spam", stage] == seconds * chunks
        assert samples[f"{name}_count", "spam", stage] == 1
    assert samples["dandelion_batch_size_sum", "spam", None] == texts

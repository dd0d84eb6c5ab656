"""Scoring a sample of the texts with a shadow."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from app.errors import Problem
from app.serving.classification import Batch
from app.serving.policies import Policies
from app.serving.registry import Registry
from app.serving.shadow import MAX_TEXTS, ShadowScoring
from app.settings import Settings
from app.telemetry.metrics import Metrics
from dandelion import Classifier, Prediction, artifact, serving
from dandelion.artifact import Artifact, save
from dandelion.decision.calibration import Calibration
from dandelion.decision.rule import Decision

from ...conftest import PATIENCE_S, Service, StartService
from ...dandelion.examples import FEATURES, THREE, make_artifact, make_evidence
from ..conftest import connect
from ..contract import CANARY

PLATT = Calibration("platt", 2.0, 2.0, -0.5)
STEEPER = Calibration("platt", 2.5, 2.5, 0.5)

SERVING = """
[models.mood]
variant = "tiny"
shadow = "other"
shadow_share = 1

[models.spam]
variant = "tiny"
shadow = "other"
shadow_share = 1

[models.spam.policies.teens]
operating_point = "fpr<=0.05"
review = "fpr<=0.2"
prior = 0.01

[models.spam.policies.adults]
operating_point = "recall>=0.5"

[models.same]
variant = "tiny"
shadow = "tiny"
shadow_share = 1
"""

MODELS = ("mood", "same", "spam")
WORDS = (
    "free",
    "prize",
    "lunch",
    "tomorrow",
    "!",
    "£",
    "12345678901",
    "привет",
    "😂",
    "ｆｒｅｅ",
    "½",
)
TEXTS = st.lists(
    st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=6).map(" ".join),
    min_size=1,
    max_size=40,
)


def put(artifact: Artifact, directory: Path, model: str, variant: str) -> None:
    manifest = replace(artifact.manifest, model=model, variant=variant)
    save(replace(artifact, manifest=manifest), directory / model / variant)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shadows")
    for variant, seed, calibration in (("tiny", 0, PLATT), ("other", 1, STEEPER)):
        spam = make_artifact(
            seed=seed, features=FEATURES, calibration=calibration, evidence=make_evidence(seed)
        )
        put(spam, directory, "spam", variant)
        mood = make_artifact(seed=seed, labels=THREE if seed else THREE[::-1], features=FEATURES)
        put(mood, directory, "mood", variant)
    put(make_artifact(features=FEATURES), directory, "same", "tiny")
    (directory / "serving.toml").write_text(SERVING)
    return directory


def classifier(artifacts: Path, model: str, variant: str) -> Classifier:
    return Classifier.load(artifacts / model / variant)


class Shadows:
    """The series of the shadows, as a page of metrics shows them."""

    def __init__(self, page: str) -> None:
        self._values: dict[tuple[str, str], Counter[str]] = {}
        for family in text_string_to_metric_families(page):
            if family.name.startswith("dandelion_shadow_"):
                for sample in family.samples:
                    name = sample.name.removeprefix("dandelion_shadow_")
                    key = (sample.labels["model"], name)
                    label = sample.labels.get("kind") or sample.labels.get("le") or ""
                    self._values.setdefault(key, Counter())[label] += sample.value  # type: ignore[assignment]

    def __call__(self, model: str, name: str) -> dict[str, float]:
        return dict(self._values[model, name])

    def number(self, model: str, name: str) -> float:
        return self(model, name)[""]

    @property
    def sampled(self) -> float:
        names = ("texts_total", "dropped_total")
        return sum(self.number(model, name) for model in MODELS for name in names)


def wait_for(read: Callable[[], str], sampled: int) -> Shadows:
    """Return the series once so many texts were scored or dropped."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = Shadows(read())
        assert found.sampled <= sampled
        if found.sampled == sampled:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.01)


Disagreements = Mapping[str, int]


def compared(served: list[Prediction], shadow: list[Prediction]) -> tuple[Disagreements, float]:
    """Return what a shadow's series have to count: disagreements, and the sum of differences."""
    kinds: Counter[str] = Counter()
    difference = 0.0
    for one, other in zip(served, shadow, strict=True):
        if one.scores is not None and other.scores is not None:
            difference += abs(other.scores[one.label] - one.scores[one.label])
            kinds["label"] += one.label != other.label
        else:
            is_same = one.label == other.label
            kind = "positive_to_negative" if one.label == "spam" else "negative_to_positive"
            kinds[kind] += not is_same
            if one.score is not None and other.score is not None:
                difference += abs(other.score - one.score)
    return {kind: number for kind, number in kinds.items() if number}, difference


def grown(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@pytest.fixture(scope="module")
def client(artifacts: Path) -> Iterator[TestClient]:
    with connect(Settings(artifacts=artifacts, max_text_chars=200)) as client:
        yield client


WISHES = st.sampled_from(
    [
        {},
        {"threshold": 0.3},
        {"threshold": 0.5},
        {"policy": "teens"},
        {"policy": "adults"},
        {"policy": "adults", "prior": 0.1},
        {"operating_point": "fpr<=0.1"},
        {"operating_point": "macro_f1", "prior": 0.2},
        {"prior": 0.05},
        {"prior": 0.05, "threshold": 0.1},
    ]
)


def predicted(found: Classifier, texts: list[str], wish: Mapping[str, Any]) -> list[Prediction]:
    if wish.get("policy") == "teens":
        policy = found.policy("fpr<=0.05", prior=0.01)
        return found.classify(texts, policy=policy)
    if wish.get("policy") == "adults":
        policy = found.policy("recall>=0.5", prior=wish.get("prior"))
        return found.classify(texts, policy=policy)
    return found.classify(texts, **wish)


@settings(max_examples=25)
@given(model=st.sampled_from(["mood", "spam"]), texts=TEXTS, wish=WISHES)
def test_the_series_are_those_computed_offline(
    client: TestClient, artifacts: Path, model: str, texts: list[str], wish: dict[str, Any]
) -> None:
    wish = wish if model == "spam" else {}
    before = Shadows(client.get("/metrics").text)
    response = client.post(f"/classify/{model}", json={"texts": texts} | wish)
    assert response.status_code == 200
    after = wait_for(lambda: client.get("/metrics").text, int(before.sampled) + len(texts))
    kinds, difference = compared(
        predicted(classifier(artifacts, model, "tiny"), texts, wish),
        predicted(classifier(artifacts, model, "other"), texts, wish),
    )
    names = ("texts_total", "disagreements_total", "dropped_total")
    changes = [grown(before(model, name), after(model, name)) for name in names]
    assert changes == [{"": len(texts)}, kinds, {}]
    sums = [found.number(model, "score_difference_sum") for found in (before, after)]
    assert sums[1] - sums[0] == pytest.approx(difference, abs=1e-4)


def test_both_kinds_of_disagreements_occur(artifacts: Path) -> None:
    texts = [f"{one} {other} {third}" for one in WORDS for other in WORDS for third in WORDS]
    kinds, difference = compared(
        *(classifier(artifacts, "spam", name).classify(texts) for name in ("tiny", "other"))
    )
    assert len(kinds) == 2
    assert difference > 1


def test_texts_with_an_error_are_not_in_the_sample(client: TestClient) -> None:
    before = Shadows(client.get("/metrics").text)
    texts = ["free", 3, "\ufdfa" * 200, "lunch"]
    body = {"texts": texts, "on_error": "report"}
    results = client.post("/classify/spam", json=body).json()["results"]
    assert ["error" in one for one in results] == [False, True, True, False]
    after = wait_for(lambda: client.get("/metrics").text, int(before.sampled) + 2)
    assert grown(before("spam", "texts_total"), after("spam", "texts_total")) == {"": 2}


def test_requests_that_name_a_variant_have_no_shadow(client: TestClient) -> None:
    before = Shadows(client.get("/metrics").text)
    assert client.post("/classify/spam?variant=other", json={"texts": ["a"]}).status_code == 200
    client.post("/classify/spam?variant=tiny", json={"texts": ["a"]})  # is served
    after = wait_for(lambda: client.get("/metrics").text, int(before.sampled) + 1)
    assert grown(before("spam", "texts_total"), after("spam", "texts_total")) == {"": 1}


class Scoring:
    """A registry, and the counts of the shadow of its model `spam`."""

    def __init__(self, artifacts: Path) -> None:
        self.metrics = Metrics()
        registry = Registry(serving.choices(artifacts, {}), self.metrics)
        registry.load()
        self.served = registry.get("spam")

    def observe(self, scoring: ShadowScoring, texts: list[str]) -> None:
        decision = self.served.classifier.decision
        decided = decision.decide(self.served.classifier.scores(texts))
        scoring(Batch(self.served, texts, decision), decided)

    @property
    def counts(self) -> list[float]:
        """How many texts were scored, and how many were dropped."""
        labels = {"model": "spam", "shadow": "other"}
        names = [f"dandelion_shadow_{name}_total" for name in ("texts", "dropped")]
        found = [self.metrics.registry.get_sample_value(name, labels) for name in names]
        return [value for value in found if value is not None]

    def wait_for(self, texts: int) -> list[float]:
        deadline = time.monotonic() + PATIENCE_S
        while sum(self.counts) < texts:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return self.counts


@pytest.fixture
def spam(artifacts: Path) -> Scoring:
    return Scoring(artifacts)


@pytest.fixture
def start() -> Iterator[Callable[..., ShadowScoring]]:
    """Create a `ShadowScoring` that is closed in the end."""
    with ExitStack() as stack:

        def start(*arguments: Any, **options: Any) -> ShadowScoring:
            scoring = ShadowScoring(*arguments, **options)
            stack.callback(scoring.close)
            return scoring

        yield start


def test_what_does_not_fit_is_dropped(spam: Scoring, start: Callable[..., ShadowScoring]) -> None:
    few = start(max_texts=3)
    spam.observe(few, ["a", "b", "c", "d"])
    assert spam.counts == [0, 4]
    spam.observe(few, ["a", "b", "c"])
    assert spam.wait_for(7) == [3, 4]
    spam.observe(few, ["a", "b", "c"])  # the room is free again
    assert spam.wait_for(10) == [6, 4]
    short = start(max_bytes=1000)
    spam.observe(short, ["a" * 1000])
    assert spam.counts == [6, 5]
    spam.observe(short, ["a" * 100])
    assert spam.wait_for(12) == [7, 5]


def test_under_load_the_sample_is_dropped(
    spam: Scoring, start: Callable[..., ShadowScoring]
) -> None:
    scoring = start(lambda: is_busy)
    is_busy = True
    spam.observe(scoring, ["a", "b"])
    assert spam.counts == [0, 2]
    is_busy = False
    spam.observe(scoring, ["a", "b"])
    assert spam.wait_for(4) == [2, 2]


def test_at_the_end_what_waits_is_dropped(spam: Scoring) -> None:
    before = threading.active_count()
    scoring = ShadowScoring()
    spam.observe(scoring, ["a"])
    assert threading.active_count() == before + 1
    for _ in range(100):
        spam.observe(scoring, ["free prize"] * 40)
    scoring.close()
    scored, dropped = spam.counts
    assert scored + dropped == 4001
    assert dropped > 0
    assert threading.active_count() == before


class Broken(Classifier):
    """Cannot encode, and says in an error what."""

    def encode(self, texts: Sequence[str], *, is_nfkc: bool = False) -> Any:
        raise RuntimeError(CANARY + "".join(texts))


def test_an_error_is_counted_and_logged_once(
    artifacts: Path,
    spam: Scoring,
    start: Callable[..., ShadowScoring],
    caplog: pytest.LogCaptureFixture,
) -> None:
    shadow = spam.served.shadow
    assert shadow is not None
    broken = Broken(artifact.load(artifacts / "spam" / "other"))
    whole = spam.served
    failing = shadow._replace(served=replace(shadow.served, classifier=broken))
    spam.served = replace(spam.served, shadow=failing)
    scoring = start()
    for _ in range(3):
        spam.observe(scoring, [CANARY, CANARY])
    assert spam.wait_for(6) == [0, 6]
    (record,) = [one for one in caplog.records if one.message == "shadow failed"]
    facts = record.__dict__
    assert (record.levelname, facts["model"], facts["shadow"]) == ("ERROR", "spam", "other")
    assert (facts["error"], "test_shadow.py:" in facts["where"][-1]) == ("RuntimeError", True)
    assert CANARY not in str(facts)
    spam.served = whole
    spam.observe(scoring, ["a"])  # the thread goes on
    assert spam.wait_for(7) == [1, 6]


def test_what_the_shadow_cannot_decide_on_is_dropped(artifacts: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(artifacts, tmp_path / "artifacts"))
    put(make_artifact(seed=1), copy, "spam", "other")  # neither calibration nor evidence
    with connect(Settings(artifacts=copy)) as client:
        for wish in ({"policy": "teens"}, {"operating_point": "macro_f1"}, {"prior": 0.1}):
            assert client.post("/classify/spam", json={"texts": ["a"]} | wish).status_code == 200
        assert client.post("/classify/spam", json={"texts": ["a", "b"]}).status_code == 200
        found = wait_for(lambda: client.get("/metrics").text, 5)
    assert found.number("spam", "dropped_total") == 3
    assert found.number("spam", "texts_total") == 2


@pytest.mark.parametrize("default", [None, "adults"])
@given(
    threshold=st.none() | st.floats(0, 1),
    prior=st.none() | st.sampled_from([0.01, 0.2, 0.5]),
    policy=st.none() | st.sampled_from(["teens", "adults"]),
    point=st.none() | st.sampled_from(["fpr<=0.1", "macro_f1", "rate<=0.2,recall>=0.1"]),
)
def test_what_was_asked_for_is_found_again(  # noqa: PLR0917
    artifacts: Path,
    default: str | None,
    threshold: float | None,
    policy: str | None,
    point: str | None,
    prior: float | None,
) -> None:
    policies = policies_of(artifacts, default)
    try:
        decision = fitted(policies, threshold, policy, point, prior)
    except Problem:  # they exclude one another
        return
    asked = policies.asked(decision)
    assert fitted(policies, *asked) == decision
    name = default if threshold is None and point is None and policy is None else policy
    assert asked[0] in (threshold, None)
    assert asked[1] == name
    assert (asked[2] is None, asked[3]) == (point is None, prior)


@cache
def policies_of(artifacts: Path, default: str | None) -> Policies:
    choice = serving.choices(artifacts, {})["spam"]
    return Policies(classifier(artifacts, "spam", "tiny"), replace(choice, default_policy=default))


def fitted(policies: Policies, *asked: Any) -> Decision:
    found = policies.find(*asked)
    return found if isinstance(found, Decision) else found()


@pytest.fixture(scope="module")
def service(start_shared: StartService, artifacts: Path) -> Service:
    service = start_shared(artifacts=artifacts, workers=2)
    service.wait_until_ready()
    return service


def test_with_two_workers(service: Service, artifacts: Path) -> None:
    messages = [f"{one} {other} {third}" for one in WORDS for other in WORDS for third in WORDS]
    batches = [messages[start : start + 10] for start in range(0, len(messages), 10)]

    def post(model: str) -> int:
        with httpx2.Client(base_url=service.url, timeout=PATIENCE_S) as client:
            for batch in batches:
                response = client.post(f"/classify/{model}", json={"texts": batch})
                assert response.status_code == 200
        return len(messages)

    with ThreadPoolExecutor(3) as threads:
        sampled = sum(threads.map(post, MODELS))
    assert sampled < MAX_TEXTS  # so that nothing is dropped, however slow the shadow is
    found = wait_for(lambda: service.get("/metrics").text, sampled)
    for model in MODELS:
        assert found.number(model, "dropped_total") == 0
        assert found.number(model, "texts_total") == len(messages)
    # A shadow that is the served variant: no noise.
    assert set(found("same", "disagreements_total").values()) == {0}
    assert found.number("same", "score_difference_sum") == pytest.approx(0, abs=1e-6)
    for model in ("spam", "mood"):
        kinds, difference = compared(
            *(classifier(artifacts, model, name).classify(messages) for name in ("tiny", "other"))
        )
        counted = found(model, "disagreements_total")
        assert {kind: number for kind, number in counted.items() if number} == kinds
        total = found.number(model, "score_difference_sum")
        assert total == pytest.approx(difference, abs=1e-3)


def test_under_load_no_response_is_missing_and_the_shadow_is_dropped(service: Service) -> None:
    before = Shadows(service.get("/metrics").text)
    texts = ["Free prize tomorrow 12345678901"] * 4000

    def post(_: int) -> int:
        response = service.post("/classify/spam", json={"texts": texts})
        assert len(response.json()["results"]) == len(texts)
        return len(texts)

    with ThreadPoolExecutor(8) as threads:
        sampled = sum(threads.map(post, range(12)))
    after = wait_for(lambda: service.get("/metrics").text, int(before.sampled) + sampled)
    assert after.number("spam", "dropped_total") > 0
    assert not [line for line in service.lines() if line["message"] == "shadow failed"]

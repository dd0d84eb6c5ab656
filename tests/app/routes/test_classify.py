"""``POST /classify/{model}``: successful requests, and the paths that it handles."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from app.api.inference import Inference
from app.api.schemas import limited_request
from app.routes.classify import ClassifyEndpoint
from app.serving.admission import Admission
from app.serving.classification import Classification
from app.serving.limits import TextLimits
from app.serving.pool import Pool
from app.serving.registry import Registry
from app.settings import Settings
from app.telemetry.metrics import Metrics
from dandelion import Classifier, serving

from ...dandelion.examples import THREE
from ..contract import post, post_in_pieces

SPAM = "WINNER!! You have won a £1000 cash prize. To claim call 09061701461 now. Claim code KL341"
HAM = "Sorry, I'll be home a bit later tonight, don't wait with dinner"
UNKIND = "you are such a dumb girl, everyone at school hates you, go back to the kitchen"


@pytest.mark.parametrize(
    ("model", "text", "label"),
    [
        ("spam", SPAM, "spam"),
        ("spam", HAM, "ham"),
        ("cyberbullying", UNKIND, "cyberbullying"),
        ("cyberbullying", "Baking bread this morning, it smells lovely", "not_cyberbullying"),
    ],
)
def test_messages_get_the_label_a_person_would_give(
    client: TestClient, model: str, text: str, label: str
) -> None:
    response = client.post(f"/classify/{model}", json={"texts": [text]})
    assert response.status_code == 200
    assert [result["label"] for result in response.json()["results"]] == [label]


def test_a_response_names_the_artifact_and_keeps_the_order(
    client: TestClient, settings: Settings
) -> None:
    response = client.post("/classify/spam", json={"texts": [HAM, SPAM, HAM]})
    details = client.get("/models/spam").json()
    classifier = Classifier.load(settings.artifacts / "spam" / details["variant"])
    expected = classifier.classify([HAM, SPAM, HAM])
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "model": "spam",
        "variant": details["variant"],
        "version": details["version"],
        "threshold": classifier.manifest.threshold,
        "results": [{"label": one.label, "score": one.score} for one in expected],
    }


def test_a_threshold_decides_and_is_returned(client: TestClient) -> None:
    texts = [HAM, SPAM]
    for threshold, labels in ((0, ["spam", "spam"]), (1.0, None), (0.5, ["ham", "spam"])):
        body = {"texts": texts, "threshold": threshold}
        response = client.post("/classify/spam", json=body).json()
        assert response["threshold"] == threshold
        found = [result["label"] for result in response["results"]]
        expected = labels or [
            "spam" if result["score"] >= threshold else "ham" for result in response["results"]
        ]
        assert found == expected


def test_a_null_threshold_is_the_artifact_s_own(client: TestClient) -> None:
    response = client.post("/classify/spam", json={"texts": [HAM], "threshold": None})
    assert response.json()["threshold"] == client.get("/models/spam").json()["threshold"]


@given(st.lists(st.text(max_size=200), min_size=1, max_size=8), st.floats(0, 1))
def test_any_text_gets_a_label_that_agrees_with_its_score(
    client: TestClient, texts: list[str], threshold: float
) -> None:
    response = client.post("/classify/spam", json={"texts": texts, "threshold": threshold})
    assert response.status_code == 200
    results = response.json()["results"]
    assert len(results) == len(texts)
    for result in results:
        if result["score"] is None:
            assert result == {
                "label": "ham",
                "score": None,
                "decision": "none",
                "reason": "no_content",
            }
        else:
            assert 0 <= result["score"] <= 1
            assert (result["label"] == "spam") == (result["score"] >= threshold)


@pytest.mark.parametrize("threshold", [None, 0.0])
def test_a_text_without_content_is_not_judged(
    made_up_client: TestClient, threshold: float | None
) -> None:
    texts = ["", "https://example.com/free-prize", "@somebody", "123 !? 😂", "Free prize!"]
    body = {"texts": texts, "threshold": threshold}
    for times in (1, 100):  # in the event loop, and in a thread
        results = made_up_client.post("/classify/spam", json=body | {"texts": texts * times})
        *without, judged = results.json()["results"][-5:]
        assert (
            without
            == [{"label": "ham", "score": None, "decision": "none", "reason": "no_content"}] * 4
        )
        assert list(judged) == ["label", "score"]
    mood = made_up_client.post("/classify/mood", json={"texts": texts}).json()["results"]
    assert [one.get("reason") for one in mood] == ["no_content"] * 4 + [None]
    assert all("decision" not in one and one["score"] > 0 for one in mood)


@pytest.mark.parametrize("text", ["Wann treffen wir uns", "¿Cuándo nos vemos?", "我们什么时候见面"])
def test_a_text_of_unknown_words_has_low_evidence(made_up_client: TestClient, text: str) -> None:
    for model in ("spam", "mood"):
        response = made_up_client.post(f"/classify/{model}", json={"texts": [text, "free lunch"]})
        first, second = response.json()["results"]
        assert first["low_evidence"] is True
        assert 0 < first["score"] < 1
        assert "low_evidence" not in second


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", " application/json "]
)
def test_a_content_type_may_have_parameters(client: TestClient, content_type: str) -> None:
    headers = {"content-type": content_type}
    response = client.post("/classify/spam", content=b'{"texts": ["a"]}', headers=headers)
    assert response.status_code == 200


def test_a_body_may_come_in_pieces(client: TestClient) -> None:
    body = b'{"texts": ["a", "b"]}'
    pieces = [body[start : start + 5] for start in range(0, len(body), 5)]
    status, content = post_in_pieces(client.app, pieces)
    assert (status, content) == (200, post(client, body).content)


@pytest.mark.parametrize("threshold", ["0", "1", "-0.0", "5e-1", "1e-400"])
def test_a_threshold_may_be_any_json_number_in_its_range(
    client: TestClient, threshold: str
) -> None:
    body = f'{{"texts": ["a"], "threshold": {threshold}}}'.encode()
    assert post(client, body).json()["threshold"] == float(threshold)


def test_an_escaped_surrogate_pair_is_one_character(client: TestClient) -> None:
    escaped = post(client, rb'{"texts": ["\ud83c\udf3c"]}')
    assert escaped.json() == post(client, '{"texts": ["🌼"]}'.encode()).json()


def test_a_percent_encoded_name_is_decoded(client: TestClient) -> None:
    response = client.post("/classify/%73pam", json={"texts": ["a"]})
    assert response.json()["model"] == "spam"


def test_a_large_batch_gets_the_same_scores_off_the_event_loop(client: TestClient) -> None:
    long = " ".join([HAM] * 30)  # eight of them are too much for the event loop
    alone = client.post("/classify/spam", json={"texts": [long]}).json()["results"][0]
    body = {"texts": [long] * 8}
    together = client.post("/classify/spam", json=body).json()["results"]
    assert [result["score"] for result in together] == pytest.approx([alone["score"]] * 8, abs=1e-6)


def test_more_than_two_labels_have_a_score_each(made_up_client: TestClient, made_up: Path) -> None:
    texts = [HAM, SPAM, "", "Free lunch tomorrow!"]
    response = made_up_client.post("/classify/mood", json={"texts": texts})
    classifier = Classifier.load(made_up / "mood" / "tiny")
    assert response.status_code == 200
    assert response.json() == {
        "model": "mood",
        "variant": "tiny",
        "version": classifier.manifest.version,
        "threshold": None,
        "results": [
            {"label": one.label, "score": one.score, "scores": one.scores}
            | ({"reason": "no_content"} if one.reason else {})
            | ({"low_evidence": True} if one.low_evidence else {})
            for one in classifier.classify(texts)
        ],
    }
    for result in response.json()["results"]:
        assert list(result["scores"]) == list(THREE)
        assert sum(result["scores"].values()) == pytest.approx(1, abs=1e-6)
        assert result["score"] == result["scores"][result["label"]]
        assert result["score"] == max(result["scores"].values())


def test_a_null_threshold_is_allowed_for_more_than_two_labels(made_up_client: TestClient) -> None:
    response = made_up_client.post("/classify/mood", json={"texts": [HAM], "threshold": None})
    assert response.status_code == 200
    assert response.json()["threshold"] is None


def test_two_labels_have_one_score_whatever_the_network(
    client: TestClient, made_up_client: TestClient
) -> None:
    for a_client in (client, made_up_client):
        body = {"texts": ["Free lunch tomorrow!"], "threshold": 0.5}
        response = a_client.post("/classify/spam", json=body)
        assert set(response.json()) == {"model", "variant", "version", "threshold", "results"}
        assert [set(result) for result in response.json()["results"]] == [{"label", "score"}]


@pytest.mark.parametrize("model", ["mood", "spam"])
def test_a_batch_in_chunks_gets_the_scores_of_its_parts(
    made_up_client: TestClient, model: str
) -> None:
    texts = [HAM, SPAM, "lunch", UNKIND, ""] * 120  # a chunk has 256 texts at most

    def results(texts: list[str]) -> list[dict[str, Any]]:
        response = made_up_client.post(f"/classify/{model}", json={"texts": texts})
        found: list[dict[str, Any]] = response.json()["results"]
        return found

    parts = [result for start in range(0, 600, 200) for result in results(texts[start:][:200])]
    for result in parts:
        result["score"] = pytest.approx(result["score"], abs=1e-6)
        if model == "mood":
            result["scores"] = pytest.approx(result["scores"], abs=1e-6)
    assert results(texts) == parts


@pytest.fixture(scope="module")
def registry(made_up: Path) -> Registry:
    registry = Registry(serving.choices(made_up, {}), Metrics())
    registry.load()
    return registry


@pytest.mark.parametrize(
    ("kind", "method", "path", "is_passed_on"),
    [
        ("http", "POST", "/classify/spam", False),
        ("http", "POST", "/classify/other", False),
        ("http", "POST", "/classify/spam\n", False),
        ("http", "GET", "/classify/spam", False),
        ("http", "HEAD", "/classify/spam", False),
        ("http", "OPTIONS", "/classify/other", False),
        ("http", "POST", "/classify", True),
        ("http", "POST", "/classify/", True),
        ("http", "POST", "/classify/spam/more", True),
        ("http", "GET", "/models/spam", True),
        ("http", "POST", "/v1/classify/spam", True),
        ("websocket", "", "/classify/spam", True),
        ("lifespan", "", "", True),
    ],
)
def test_only_other_paths_reach_the_framework(
    registry: Registry, kind: str, method: str, path: str, is_passed_on: bool
) -> None:
    passed_on: list[Scope] = []
    sent: list[Message] = []

    async def framework(scope: Scope, receive: Receive, send: Send) -> None:
        passed_on.append(scope)

    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"texts": ["a"]}'}

    async def send(message: Message) -> None:
        sent.append(message)

    load = Metrics().load
    classification = Classification(TextLimits(100, 100), Pool(load, timeout_ms=60_000))
    endpoint = ClassifyEndpoint(
        framework,
        registry=registry,
        inference=Inference(
            classification,
            Admission(load, max_bytes=100, max_texts=8, max_waiting=0, max_wait_ms=0),
            max_body_bytes=100,
            max_texts=8,
        ),
        schema=limited_request(8, 100),
        max_text_chars=100,
    )
    headers = [(b"content-type", b"application/json")]
    scope = {"type": kind, "first_headers": dict(headers), "request_id": "r-1"}
    scope |= {"method": method, "path": path} if path else {}
    asyncio.run(endpoint(scope, receive, send))
    classification.close()
    assert passed_on == ([scope] if is_passed_on else [])
    assert [message["type"] for message in sent] == (
        [] if is_passed_on else ["http.response.start", "http.response.body"]
    )

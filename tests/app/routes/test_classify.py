"""``POST /classify/{model}``: right answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from app.api.schemas import ClassifyAnswer, MulticlassAnswer
from app.settings import Settings
from dandelion import Classifier
from dandelion import classifier as classifier_module

from ...dandelion.examples import THREE

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
    answer = client.post(f"/classify/{model}", json={"texts": [text]})
    assert answer.status_code == 200
    assert [result["label"] for result in answer.json()["results"]] == [label]


def test_answer_names_the_artifact_and_keeps_the_order(
    client: TestClient, settings: Settings
) -> None:
    answer = client.post("/classify/spam", json={"texts": [HAM, SPAM, HAM]})
    details = client.get("/models/spam").json()
    classifier = Classifier.load(settings.artifacts / "spam" / details["variant"])
    expected = classifier.classify([HAM, SPAM, HAM])
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "model": "spam",
        "variant": details["variant"],
        "version": details["version"],
        "threshold": classifier.manifest.threshold,
        "results": [{"label": one.label, "score": one.score} for one in expected],
    }


def test_threshold_decides_and_is_told(client: TestClient) -> None:
    texts = [HAM, SPAM]
    for threshold, labels in ((0, ["spam", "spam"]), (1.0, None), (0.5, ["ham", "spam"])):
        answer = client.post("/classify/spam", json={"texts": texts, "threshold": threshold}).json()
        assert answer["threshold"] == threshold
        found = [result["label"] for result in answer["results"]]
        expected = labels or [
            "spam" if result["score"] >= threshold else "ham" for result in answer["results"]
        ]
        assert found == expected


def test_null_threshold_is_the_artifacts_own(client: TestClient) -> None:
    answer = client.post("/classify/spam", json={"texts": [HAM], "threshold": None})
    assert answer.json()["threshold"] == client.get("/models/spam").json()["threshold"]


@given(st.lists(st.text(max_size=200), min_size=1, max_size=8), st.floats(0, 1))
def test_any_text_gets_a_label_that_agrees_with_its_score(
    client: TestClient, texts: list[str], threshold: float
) -> None:
    answer = client.post("/classify/spam", json={"texts": texts, "threshold": threshold})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert len(results) == len(texts)
    for result in results:
        assert 0 <= result["score"] <= 1
        assert (result["label"] == "spam") == (result["score"] >= threshold)


def test_a_large_batch_gets_the_same_scores_off_the_event_loop(client: TestClient) -> None:
    long = " ".join([HAM] * 30)  # eight of them are more than is answered inline
    alone = client.post("/classify/spam", json={"texts": [long]}).json()["results"][0]
    body = {"texts": [long] * 8}
    together = client.post("/classify/spam", json=body).json()["results"]
    assert [result["score"] for result in together] == pytest.approx([alone["score"]] * 8, abs=1e-6)


def test_many_labels_have_a_score_each(made_up_client: TestClient, made_up: Path) -> None:
    texts = [HAM, SPAM, "", "Free lunch tomorrow!"]
    answer = made_up_client.post("/classify/mood", json={"texts": texts})
    classifier = Classifier.load(made_up / "mood" / "tiny")
    assert answer.status_code == 200
    assert answer.json() == {
        "model": "mood",
        "variant": "tiny",
        "version": classifier.manifest.version,
        "threshold": None,
        "results": [one._asdict() for one in classifier.classify(texts)],
    }
    for result in answer.json()["results"]:
        assert list(result["scores"]) == list(THREE)
        assert sum(result["scores"].values()) == pytest.approx(1, abs=1e-6)
        assert result["score"] == result["scores"][result["label"]]
        assert result["score"] == max(result["scores"].values())


def test_null_threshold_is_none_between_many_labels(made_up_client: TestClient) -> None:
    answer = made_up_client.post("/classify/mood", json={"texts": [HAM], "threshold": None})
    assert answer.status_code == 200
    assert answer.json()["threshold"] is None


def test_two_labels_have_one_score_whatever_the_network(
    client: TestClient, made_up_client: TestClient
) -> None:
    for a_client in (client, made_up_client):
        answer = a_client.post("/classify/spam", json={"texts": [HAM], "threshold": 0.5})
        assert set(answer.json()) == {"model", "variant", "version", "threshold", "results"}
        assert [set(result) for result in answer.json()["results"]] == [{"label", "score"}]


@pytest.mark.parametrize("model", ["mood", "spam"])
def test_a_batch_is_read_in_pieces(
    made_up_client: TestClient, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    body = {"texts": [HAM, SPAM, "lunch", UNKIND, HAM]}
    whole = made_up_client.post(f"/classify/{model}", json=body).json()
    pieces: list[Sequence[str]] = []
    encode = Classifier.encode

    def spy(classifier: Classifier, texts: Sequence[str]) -> Any:
        pieces.append(texts)
        return encode(classifier, texts)

    monkeypatch.setattr(Classifier, "encode", spy)
    monkeypatch.setattr(classifier_module, "_CHUNK_TEXTS", 2)
    in_pieces = made_up_client.post(f"/classify/{model}", json=body).json()
    assert pieces == [[HAM, SPAM], ["lunch", UNKIND], [HAM]]
    for result in whole["results"]:
        result["score"] = pytest.approx(result["score"], abs=1e-6)
        if model == "mood":
            result["scores"] = pytest.approx(result["scores"], abs=1e-6)
    assert in_pieces == whole


def test_documented_answers_are_both_shapes(client: TestClient, made_up_client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    answer = description["paths"]["/classify/{model}"]["post"]["responses"]["200"]
    content = answer["content"]["application/json"]
    shapes = [shape["$ref"].rpartition("/")[2] for shape in content["schema"]["anyOf"]]
    assert shapes == ["ClassifyAnswer", "MulticlassAnswer"]
    schemas = description["components"]["schemas"]
    assert schemas["MulticlassAnswer"]["properties"]["threshold"]["type"] == "null"
    assert set(schemas["Result"]["properties"]) == {"label", "score"}
    assert set(schemas["MulticlassResult"]["properties"]) == {"label", "score", "scores"}
    two, more = (example["value"] for example in content["examples"].values())
    body = {"texts": [HAM]}
    for shape, answers in (
        (ClassifyAnswer, [two, client.post("/classify/spam", json=body).json()]),
        (MulticlassAnswer, [more, made_up_client.post("/classify/mood", json=body).json()]),
    ):
        for one in answers:
            assert shape.model_validate(one, strict=True).model_dump() == one  # no field more


def test_documented_examples_run(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    operation = description["paths"]["/classify/{model}"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert examples
    for model in ("spam", "cyberbullying"):
        for example in examples.values():
            answer = client.post(f"/classify/{model}", json=example["value"])
            assert answer.status_code == 200
            assert len(answer.json()["results"]) == len(example["value"]["texts"])


def test_documented_limits_are_the_settings(client: TestClient, settings: Settings) -> None:
    description = client.get("/openapi.json").json()
    operation = description["paths"]["/classify/{model}"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    texts = schema["properties"]["texts"]
    assert (texts["minItems"], texts["maxItems"]) == (1, settings.max_texts)
    assert texts["items"]["maxLength"] == settings.max_text_chars
    assert schema["additionalProperties"] is False

"""``GET /models``, ``GET /models/{model}``, health, request ids."""

import json
import logging
from dataclasses import asdict

import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from dandelion import Classifier, serving

from ...dandelion.examples import FEATURES, THREE

CANARY = "canary-7f3a9"


def test_models_are_listed(client: TestClient, settings: Settings) -> None:
    models = client.get("/models").json()["models"]
    assert [model["model"] for model in models] == list(serving.read(settings.artifacts, {}))
    assert {"cyberbullying", "spam"} <= {model["model"] for model in models}
    for model in models:
        assert set(model) == {"model", "variant", "version", "labels", "threshold", "engine"}
        assert model["engine"] in ("compiled", "numpy")
        if len(model["labels"]) == 2:
            assert 0 <= model["threshold"] <= 1
        else:
            assert model["threshold"] is None


def test_many_labels_have_no_threshold(made_up_client: TestClient) -> None:
    mood, spam = made_up_client.get("/models").json()["models"]
    assert (mood["labels"], mood["threshold"]) == (list(THREE), None)
    assert (spam["labels"], spam["threshold"]) == (["ham", "spam"], 0.5)
    details = made_up_client.get("/models/mood").json()
    assert details.items() >= mood.items()
    assert details["task"] == "multiclass"
    assert details["score_kind"] == "softmax"
    assert details["features"] == asdict(FEATURES) | {"chars": [2, 3]}
    assert details["sampling"] is None


def test_details_are_the_artifacts_own(client: TestClient, settings: Settings) -> None:
    for model, directory in serving.read(settings.artifacts, {}).items():
        details = client.get(f"/models/{model}").json()
        written = json.loads((directory / "model.json").read_text())
        # An artifact of the first format knows neither.
        written = {"features": None, "sampling": None} | written
        assert details["engine"] == Classifier.load(directory).engine
        for name in set(details) - {"version", "engine"}:
            assert details[name] == written[name], name
        assert {"metrics", "loss", "dataset", "protocol", "seed", "config"} <= set(details)
        assert {"task", "features", "sampling"} <= set(details)
        assert details["content_hash"].startswith(details["version"])


def test_health(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_docs_are_served(client: TestClient) -> None:
    assert "openapi.json" in client.get("/docs").text


@pytest.mark.parametrize("path", ["/classify/spam", "/classify/other", "/livez", "/nowhere"])
def test_request_id_comes_back(client: TestClient, path: str) -> None:
    answer = client.post(path, json={"texts": ["a"]}, headers={"X-Request-ID": "order-66"})
    assert answer.headers["x-request-id"] == "order-66"


@pytest.mark.parametrize("given_id", ["", "a b", "a" * 129, "<script>", "a\tb"])
def test_a_missing_or_harmful_request_id_is_replaced(client: TestClient, given_id: str) -> None:
    ids = {
        client.get("/livez", headers={"X-Request-ID": given_id}).headers["x-request-id"]
        for _ in range(3)
    }
    assert len(ids) == 3
    assert given_id not in ids


def test_access_log_tells_everything_but_the_text(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.post("/classify/spam", json={"texts": [CANARY]}, headers={"X-Request-ID": "r-1"})
        client.post("/classify/canary-7f3a9", json={"texts": [CANARY]})
        client.post(f"/classify/spam?text={CANARY}", json={CANARY: CANARY})
    lines = [vars(record) for record in caplog.records if record.name == "dandelion.requests"]
    assert [(line["model"], line["status"]) for line in lines] == [
        ("spam", 200),
        ("unknown", 404),
        ("spam", 422),
    ]
    assert lines[0]["request_id"] == "r-1"
    assert lines[0]["duration_ms"] > 0
    ours = [record for record in caplog.records if record.name.startswith(("dandelion", "uvicorn"))]
    assert CANARY not in str([vars(record) for record in ours])

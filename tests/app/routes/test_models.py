"""``GET /models``, ``GET /models/{model}``, and health."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from dandelion import Classifier, serving
from dandelion.artifact import save

from ...dandelion.examples import FEATURES, THREE, make_artifact
from ..conftest import connect
from ..contract import assert_problem


def test_models_are_listed(client: TestClient, settings: Settings) -> None:
    models = client.get("/models").json()["models"]
    assert [model["model"] for model in models] == list(serving.read(settings.artifacts, {}))
    assert {"cyberbullying", "spam"} <= {model["model"] for model in models}
    for model in models:
        assert set(model) == {
            *("model", "variant", "version", "labels", "threshold", "engine"),
            *("calibrated", "operating_point", "policies", "default_policy"),
            *("variants", "shadow"),
        }
        assert (model["variants"], model["shadow"]) == ([model["variant"]], None)
        assert (model["policies"], model["default_policy"]) == ([], None)
        assert model["engine"] in ("compiled", "numpy")
        if len(model["labels"]) == 2:
            assert 0 <= model["threshold"] <= 1
        else:
            assert model["threshold"] is None


def test_more_than_two_labels_have_no_threshold(made_up_client: TestClient) -> None:
    mood, spam = made_up_client.get("/models").json()["models"]
    assert (mood["labels"], mood["threshold"]) == (list(THREE), None)
    assert (spam["labels"], spam["threshold"]) == (["ham", "spam"], 0.5)
    details = made_up_client.get("/models/mood").json()
    assert details.items() >= mood.items()
    assert details["task"] == "multiclass"
    assert details["score_kind"] == "softmax"
    assert details["features"] == asdict(FEATURES) | {"chars": [2, 3]}
    assert details["sampling"] is None


def test_details_are_those_of_the_artifact(client: TestClient, settings: Settings) -> None:
    for model, directory in serving.read(settings.artifacts, {}).items():
        details = client.get(f"/models/{model}").json()
        written = json.loads((directory / "model.json").read_text())
        # What an artifact of an older format version does not have.
        added = ("features", "sampling", "threshold_rule", "by_source", "calibration")
        added = (*added, "operating_point")
        written = dict.fromkeys(added) | written
        assert details["engine"] == Classifier.load(directory).engine
        assert details["calibrated"] == (written["calibration"] is not None)
        ours = {"version", "engine", "calibrated", "policies", "default_policy", "evaluation"}
        ours |= {"variants", "shadow"}
        for name in set(details) - ours:
            assert details[name] == written[name], name
        assert {"metrics", "loss", "dataset", "protocol", "seed", "config"} <= set(details)
        assert {"task", "features", "sampling"} <= set(details)
        assert details["content_hash"].startswith(details["version"])


def test_a_model_has_its_card(client: TestClient, settings: Settings) -> None:
    for model, directory in serving.read(settings.artifacts, {}).items():
        response = client.get(f"/models/{model}/card")
        assert response.headers["content-type"] == "text/markdown; charset=utf-8"
        assert response.text == (directory / "MODEL_CARD.md").read_text(encoding="utf-8")
        assert "## What it is not for" in response.text


def test_without_a_card_there_is_none(made_up_client: TestClient, made_up: Path) -> None:
    assert_problem(made_up_client.get("/models/spam/card"), 404, "no model card")
    assert_problem(made_up_client.get("/models/none/card"), 404, "Unknown model")
    assert_problem(made_up_client.get("/models/spam/card?x=1"), 422, "variant")


@pytest.mark.parametrize("content", [b"\xff", b"a" * (2**20 + 1)])
def test_a_model_is_served_without_an_unusable_card(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    save(make_artifact(), tmp_path / "spam" / "tiny")
    (tmp_path / "spam" / "tiny" / "MODEL_CARD.md").write_bytes(content)
    (tmp_path / "serving.toml").write_text("[models]\nspam = 'tiny'\n")
    with connect(Settings(artifacts=tmp_path)) as client:
        assert client.get("/models/spam").status_code == 200
        assert client.get("/models/spam/card").status_code == 404
    assert "model card unavailable" in caplog.text


def test_health(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}

"""``GET /models``, ``GET /models/{model}``, and health."""

import json
from dataclasses import asdict

from fastapi.testclient import TestClient

from app.settings import Settings
from dandelion import Classifier, serving

from ...dandelion.examples import FEATURES, THREE


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


def test_health(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}

"""Loading the served models."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.errors import Problem
from app.main import create_app
from app.serving.registry import Registry
from app.settings import Settings
from app.telemetry.metrics import Metrics
from dandelion import ArtifactError, artifact, serving
from dandelion.evaluation_file import EVALUATION_FILE
from dandelion.installation import SERVING_FILE
from dandelion.manifest import load_manifest

from ...conftest import ROOT, StartService
from ..contract import assert_problem


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "artifacts" / "spam", tmp_path / "spam")
    (tmp_path / SERVING_FILE).write_text('[models]\nspam = "dice"\n')
    return tmp_path


def test_an_artifact_of_another_model_is_refused(artifacts: Path) -> None:
    (artifacts / "spam").rename(artifacts / "other")
    (artifacts / SERVING_FILE).write_text('[models]\nother = "dice"\n')
    with pytest.raises(ArtifactError, match="is an artifact of 'spam', not of 'other'"):
        Registry(serving.choices(artifacts, {}), Metrics())


def test_no_model_is_served_before_all_are_loaded(artifacts: Path) -> None:
    registry = Registry(serving.choices(artifacts, {}), Metrics())
    assert registry.names == ("spam",)
    assert not registry.is_ready
    with pytest.raises(Problem, match="still loading"):
        registry.get("spam")
    with pytest.raises(Problem, match="still loading"):
        registry.all()
    with pytest.raises(Problem, match="Available models: spam"):
        registry.get("other")
    registry.load()
    assert registry.is_ready
    assert registry.all() == (registry.get("spam"),)


def test_a_damaged_artifact_leaves_the_registry_as_it_was(artifacts: Path) -> None:
    registry = Registry(serving.choices(artifacts, {}), Metrics())
    weights = artifacts / "spam" / "dice" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        registry.load()
    assert not registry.is_ready


def test_an_artifact_that_misses_its_golden_scores_is_not_served(artifacts: Path) -> None:
    directory = artifacts / "spam" / "dice"
    loaded = artifact.load(directory)
    golden = loaded.golden
    # What another version of the text path would give: whole and signed, but scores differ.
    moved = replace(golden, scores=tuple(abs(score - 0.01) for score in golden.scores))
    artifact.save(replace(loaded, golden=moved), directory)
    registry = Registry(serving.choices(artifacts, {}), Metrics())
    with pytest.raises(ArtifactError, match=r"golden\.json of spam/dice: scores differ by up to"):
        registry.load()
    assert not registry.is_ready


def damage(directory: Path, name: str) -> None:
    path = directory / name
    path.write_bytes(path.read_bytes()[:-2])


@pytest.fixture
def two_models(made_up: Path, tmp_path: Path) -> Path:
    """A copy of the made-up artifacts, to be damaged."""
    return Path(shutil.copytree(made_up, tmp_path / "artifacts"))


FILES = ["model.json", "model.safetensors", "vocabulary.txt", "golden.json"]


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_artifact_refuses_the_start(two_models: Path, name: str) -> None:
    damage(two_models / "mood" / "tiny", name)
    with pytest.raises(ArtifactError, match=rf"mood/tiny/{name}: damaged: "):
        create_app(Settings(artifacts=two_models))


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_artifact_can_be_skipped(
    two_models: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(two_models / "mood" / "tiny", name)
    settings = Settings(artifacts=two_models, skip_damaged=True)
    with TestClient(create_app(settings)) as client:
        (record,) = [one for one in caplog.records if one.message == "model unavailable"]
        assert (record.levelname, record.__dict__["model"]) == ("ERROR", "mood")
        assert f"mood/tiny/{name}: damaged: " in record.__dict__["reason"]

        assert client.get("/readyz").status_code == 200
        assert client.post("/classify/spam", json={"texts": ["a"]}).status_code == 200
        assert [one["model"] for one in client.get("/models").json()["models"]] == ["spam"]
        for response in (
            client.post("/classify/mood", json={"texts": ["a"]}),
            client.get("/models/mood"),
        ):
            assert_problem(response, 503, "The model is unavailable")
            assert "retry-after" not in response.headers
        assert client.post("/classify/none", json={"texts": ["a"]}).json()["detail"] == (
            "Unknown model. Available models: spam."
        )
        metrics = client.get("/metrics").text
        assert 'dandelion_model_available{model="mood"} 0.0\n' in metrics
        assert 'dandelion_model_available{model="spam"} 1.0\n' in metrics
        assert 'dandelion_requests_total{model="mood",status="503"} 1.0\n' in metrics
        assert 'dandelion_model_info{model="mood"' not in metrics


def test_not_all_artifacts_can_be_skipped(two_models: Path) -> None:
    damage(two_models / "mood" / "tiny", "model.json")
    damage(two_models / "spam" / "tiny", "golden.json")
    with pytest.raises(ArtifactError, match=r"mood/tiny/model\.json.*; .*spam/tiny/golden\.json"):
        create_app(Settings(artifacts=two_models, skip_damaged=True))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_without_a_damaged_model(
    two_models: Path, start_service: StartService, workers: int
) -> None:
    damage(two_models / "mood" / "tiny", "golden.json")
    service = start_service(artifacts=two_models, skip_damaged=True, workers=workers)
    service.wait_until_ready()
    assert service.post("/classify/mood", json={"texts": ["a"]}).status_code == 503
    (line,) = [one for one in service.lines() if one["message"] == "model unavailable"]
    assert line["level"] == "ERROR"
    assert "mood/tiny/golden.json: damaged: its checksum differs" in str(line["reason"])
    assert 'dandelion_model_available{model="mood"} 0.0\n' in service.get("/metrics").text


def test_the_details_have_the_evaluation_of_the_artifact(
    two_models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = two_models / "spam" / "tiny"
    evaluation = {
        "format": "dandelion-evaluation",
        "format_version": 1,
        "content_hash": load_manifest(place).content_hash,
        "test_metrics": {"auroc": 0.5},
    }
    (place / EVALUATION_FILE).write_text(json.dumps(evaluation))
    (two_models / "mood" / "tiny" / EVALUATION_FILE).write_text("{}")
    with TestClient(create_app(Settings(artifacts=two_models))) as client:
        assert client.get("/models/spam").json()["evaluation"] == evaluation
        assert client.get("/models/mood").json()["evaluation"] is None
        assert "evaluation" not in client.get("/models").json()["models"][0]
    (record,) = [one for one in caplog.records if one.message == "evaluation unavailable"]
    assert (record.levelname, record.__dict__["model"]) == ("WARNING", "mood")
    assert "its 'format' is not 'dandelion-evaluation'" in record.__dict__["reason"]

"""Loading the served models."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import Problem
from app.serving.registry import Registry
from app.telemetry.metrics import Metrics
from dandelion import ArtifactError, artifact, serving
from dandelion.installation import SERVING_FILE

from ...conftest import ROOT


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "artifacts" / "spam", tmp_path / "spam")
    (tmp_path / SERVING_FILE).write_text('[models]\nspam = "dice"\n')
    return tmp_path


def test_an_artifact_of_another_model_is_refused(artifacts: Path) -> None:
    (artifacts / "spam").rename(artifacts / "other")
    (artifacts / SERVING_FILE).write_text('[models]\nother = "dice"\n')
    with pytest.raises(ArtifactError, match="is an artifact of 'spam', not of 'other'"):
        Registry(serving.read(artifacts, {}), Metrics())


def test_no_model_is_served_before_all_are_loaded(artifacts: Path) -> None:
    registry = Registry(serving.read(artifacts, {}), Metrics())
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
    registry = Registry(serving.read(artifacts, {}), Metrics())
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
    registry = Registry(serving.read(artifacts, {}), Metrics())
    with pytest.raises(ArtifactError, match=r"golden\.json of spam/dice: scores differ by up to"):
        registry.load()
    assert not registry.is_ready

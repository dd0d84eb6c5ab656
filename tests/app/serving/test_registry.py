"""Choosing and loading the models."""

import shutil
from pathlib import Path

import pytest

from app.errors import Problem
from app.serving.registry import Registry, ServingError, choose
from app.telemetry.metrics import Metrics
from dandelion import ArtifactError

from ...conftest import ROOT


def serving(directory: Path, text: str) -> Path:
    (directory / "serving.toml").write_text(text)
    return directory


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "artifacts" / "spam", tmp_path / "spam")
    return serving(tmp_path, '[models]\nspam = "dice"\n')


def test_committed_file_chooses_the_paper_s_models() -> None:
    assert {"cyberbullying", "spam"} <= set(choose(ROOT / "artifacts", {}))


def test_settings_override_the_file(artifacts: Path) -> None:
    shutil.copytree(artifacts / "spam" / "dice", artifacts / "spam" / "other")
    assert choose(artifacts, {}) == {"spam": artifacts / "spam" / "dice"}
    assert choose(artifacts, {"spam": "other"}) == {"spam": artifacts / "spam" / "other"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "chooses no model"),
        ("models = 3", "expected one table"),
        ("[models]\n[more]\n", "expected one table"),
        ("[models]\nspam = 3", "spam = 3; expected a variant's name"),
        ("[models]\nspam = dice", "not TOML"),
        ('[models]\nspam = "dcie"', "variants in .* are: dice.*make train-all"),
        ('[models]\nspam = "../spam/dice"', "variants in .* are: dice"),
        ('[models]\nnone = "dice"', "none = 'dice'.*are: none"),
    ],
)
def test_a_wrong_file_is_refused(artifacts: Path, text: str, message: str) -> None:
    with pytest.raises(ServingError, match=message):
        choose(serving(artifacts, text), {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=r"serving\.toml.*DANDELION_ARTIFACTS"):
        choose(tmp_path, {})


def test_an_artifact_of_another_model_is_refused(artifacts: Path) -> None:
    (artifacts / "spam").rename(artifacts / "other")
    serving(artifacts, '[models]\nother = "dice"\n')
    with pytest.raises(ArtifactError, match="is an artifact of 'spam', not of 'other'"):
        Registry(choose(artifacts, {}), Metrics())


def test_nothing_answers_before_everything_is_loaded(artifacts: Path) -> None:
    registry = Registry(choose(artifacts, {}), Metrics())
    assert registry.names == ("spam",)
    assert not registry.is_ready
    with pytest.raises(Problem, match="being loaded"):
        registry.get("spam")
    with pytest.raises(Problem, match="being loaded"):
        registry.all()
    with pytest.raises(Problem, match="There are: spam"):
        registry.get("other")
    registry.load()
    assert registry.is_ready
    assert registry.all() == (registry.get("spam"),)


def test_a_damaged_artifact_leaves_the_registry_as_it_was(artifacts: Path) -> None:
    registry = Registry(choose(artifacts, {}), Metrics())
    weights = artifacts / "spam" / "dice" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        registry.load()
    assert not registry.is_ready

"""``serving.toml``."""

import shutil
from pathlib import Path

import pytest

from dandelion.installation import SERVING_FILE
from dandelion.serving import ServingError, read, variants

from ..conftest import ROOT


def serving(directory: Path, text: str) -> Path:
    (directory / SERVING_FILE).write_text(text)
    return directory


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "artifacts" / "spam" / "dice", tmp_path / "spam" / "dice")
    shutil.copytree(ROOT / "artifacts" / "spam" / "dice", tmp_path / "spam" / "other")
    return serving(tmp_path, '[models]\nspam = "dice"\n')


def test_the_committed_file_serves_both_models() -> None:
    assert {"cyberbullying", "spam"} <= set(read(ROOT / "artifacts", {}))


def test_overrides_take_precedence(artifacts: Path) -> None:
    assert read(artifacts, {}) == {"spam": artifacts / "spam" / "dice"}
    assert read(artifacts, {"spam": "other"}) == {"spam": artifacts / "spam" / "other"}


def test_overrides_alone_suffice(artifacts: Path) -> None:
    assert list(read(serving(artifacts, ""), {"spam": "other"})) == ["spam"]


def test_models_are_sorted(artifacts: Path) -> None:
    for name in ("a", "z"):
        shutil.copytree(artifacts / "spam" / "dice", artifacts / name / "dice")
    assert list(read(artifacts, {"z": "dice", "a": "dice"})) == ["a", "spam", "z"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no model is chosen\. Add one under \[models\]"),
        ("models = 3", r"expected one table, \[models\]"),
        ("[models]\n[more]\n", r"expected one table, \[models\]"),
        ("[models]\nspam = 3", "spam = 3; expected the name of a variant in quotes"),
        ("[models]\nspam = dice", "invalid TOML"),
        (
            '[models]\nspam = "dcie"',
            r"spam = 'dcie' is chosen .*did you mean dice\? available: dice, other\. .*train-all",
        ),
        ('[models]\nspam = "../spam/dice"', "has no such variant; available: dice"),
        (
            '[models]\nspamm = "dice"',
            r"spamm = 'dice'.* has no such model; did you mean spam\? available: spam\.",
        ),
        ('[models]\nnone = "dice"', "none = 'dice'.* has no such model; available: spam"),
    ],
)
def test_an_invalid_file_is_refused(artifacts: Path, text: str, message: str) -> None:
    with pytest.raises(ServingError, match=message):
        read(serving(artifacts, text), {})


def test_the_models_of_an_empty_directory_are_none(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="has no such model; available: none"):
        read(serving(tmp_path, "[models]\nspam = 'dice'"), {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=r"serving\.toml: cannot be read.*DANDELION_ARTIFACTS"):
        read(tmp_path, {})


def test_variants_are_directories_with_a_manifest(artifacts: Path) -> None:
    (artifacts / "spam" / "notes").mkdir()
    assert variants(artifacts, "spam") == ["dice", "other"]
    assert variants(artifacts, "ham") == []

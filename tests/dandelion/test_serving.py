"""``serving.toml``."""

import os
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
        ("[models]\n" + "a" * 300 + ' = "dice"', "'aaa.*aaa' = 'dice' is chosen .* spam"),
        ('[models]\nspam = "' + "a" * 300 + '"', "spam = 'aaa.*aaa' is chosen .* dice, other"),
        (
            '[models]\n"../spam" = "dice"',
            "'../spam' = 'dice' is chosen .* has no such model; did you mean spam",
        ),
        ('[models]\n"" = "dice"', "'' = 'dice' is chosen .* has no such model; available: spam"),
        (
            '[models]\n"a\\u0000b" = "dice"',
            "x00b' = 'dice' is chosen .* has no such model; available: spam",
        ),
        ('[models]\nspam = ""', "spam = '' is chosen .* available: dice"),
        ('[models]\nspam = "."', "spam = '.' is chosen .* available: dice"),
        ("[models]\nspam = " + "[" * 10_000, "invalid TOML"),
        ("[models]\nspam = ['" + "a" * 10_000 + "']", "spam = .* expected the name of a variant"),
        ("\ufeff[models]\n", "begins with a byte order mark. Save it as UTF-8 without one"),
        ("[models]\nspam = 'dice'\nspam = 'other'", "invalid TOML: Cannot overwrite a value"),
    ],
)
def test_an_invalid_file_is_refused_in_one_line(artifacts: Path, text: str, message: str) -> None:
    with pytest.raises(ServingError, match=message) as refused:
        read(serving(artifacts, text), {})
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_a_file_that_is_not_utf_8_is_refused(artifacts: Path) -> None:
    (artifacts / SERVING_FILE).write_bytes(b"[models]\nspam = '\xff'")
    with pytest.raises(ServingError, match=r"serving\.toml: not UTF-8, from byte 18"):
        read(artifacts, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX files")
@pytest.mark.parametrize("kind", ["directory", "pipe", "huge"])
def test_what_is_no_file_of_a_sensible_size_is_refused(artifacts: Path, kind: str) -> None:
    path = artifacts / SERVING_FILE
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(2**40)
    with pytest.raises(ServingError, match=r"serving\.toml: cannot be read \("):
        read(artifacts, {})


@pytest.mark.parametrize("name", ["a" * 300, "..", "../spam", "", "a\0b", "a/b"])
def test_an_override_is_a_name(artifacts: Path, name: str) -> None:
    with pytest.raises(ServingError, match="has no such variant"):
        read(artifacts, {"spam": name})
    with pytest.raises(ServingError, match="has no such model"):
        read(artifacts, {name: "dice"})


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

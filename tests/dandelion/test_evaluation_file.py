"""What lies next to an artifact and is no part of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from dandelion import evaluation_file
from dandelion.artifact import load, save
from dandelion.evaluation_file import CARD_FILE, EVALUATION_FILE, MAX_BYTES, read
from dandelion.manifest import Manifest

from .examples import make_artifact


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Manifest]:
    return tmp_path / "tiny", save(make_artifact(), tmp_path / "tiny")


def write(directory: Path, manifest: Manifest, **changes: Any) -> dict[str, Any]:
    values = {
        "format": evaluation_file.FORMAT,
        "format_version": evaluation_file.FORMAT_VERSION,
        "content_hash": manifest.content_hash,
        "seeds": None,
    }
    values |= changes
    (directory / EVALUATION_FILE).write_text(json.dumps(values))
    return values


def test_an_artifact_is_complete_without_them(place: tuple[Path, Manifest]) -> None:
    directory, manifest = place
    assert read(directory, manifest) is None
    assert load(directory).manifest == manifest


def test_they_are_outside_the_content_hash(place: tuple[Path, Manifest]) -> None:
    directory, manifest = place
    written = write(directory, manifest)
    (directory / CARD_FILE).write_text("# spam")
    assert read(directory, manifest) == written
    assert load(directory).manifest == manifest
    assert not {EVALUATION_FILE, CARD_FILE} & set(manifest.files)
    save(make_artifact(seed=1), directory)  # a new artifact has no evaluation yet
    assert not (directory / EVALUATION_FILE).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "its 'format' is not 'dandelion-evaluation'"),
        ({"format_version": 2}, "its format version is not 1"),
        ({"content_hash": "0" * 64}, "about another artifact; write it again: make cards"),
    ],
)
def test_refuses(place: tuple[Path, Manifest], changes: dict[str, Any], message: str) -> None:
    directory, manifest = place
    write(directory, manifest, **changes)
    with pytest.raises(ValueError, match=message):
        read(directory, manifest)


def test_refuses_what_is_no_json_or_too_large(place: tuple[Path, Manifest]) -> None:
    directory, manifest = place
    (directory / EVALUATION_FILE).write_text("[NaN]")
    with pytest.raises(ValueError, match="NaN"):
        read(directory, manifest)
    (directory / EVALUATION_FILE).write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(OSError, match=f"larger than {MAX_BYTES} bytes"):
        read(directory, manifest)

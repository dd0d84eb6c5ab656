"""The format on disk: round trips, and everything that must be refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dandelion import artifact as artifacts
from dandelion.artifact import PRECISIONS, Artifact, ArtifactError, Precision, load, quantize, save

MakeArtifact = Callable[..., Artifact]

OLD = Path(__file__).parent / "artifact-v1"


def files_of(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_round_trip(make_artifact: MakeArtifact, tmp_path: Path, precision: Precision) -> None:
    original = make_artifact(precision)
    manifest = save(original, tmp_path / "spam" / "tiny")
    loaded = load(tmp_path / "spam" / "tiny")
    assert loaded.manifest == manifest
    assert loaded.vocabulary.tokens == original.vocabulary.tokens
    assert loaded.golden == original.golden
    for name, weight in original.network.weights().items():
        assert loaded.network.weights()[name].dtype == np.float32
        np.testing.assert_array_equal(loaded.network.weights()[name], weight)
    assert list(files_of(tmp_path / "spam" / "tiny")) != []
    assert [path.name for path in (tmp_path / "spam").iterdir()] == ["tiny"]  # nothing aside


def test_saving_again_gives_the_same_bytes(make_artifact: MakeArtifact, tmp_path: Path) -> None:
    save(make_artifact("int8"), tmp_path / "one")
    save(load(tmp_path / "one"), tmp_path / "two")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_the_content_hash_covers_all_but_timings(
    make_artifact: MakeArtifact, tmp_path: Path
) -> None:
    def version(**changes: Any) -> str:
        original = make_artifact()
        changed = replace(original, manifest=replace(original.manifest, **changes))
        return save(changed, tmp_path / "any").content_hash

    assert version() == version(timings={"train_seconds": 2.0})
    assert version() != version(threshold=0.25)
    assert version() != save(make_artifact(seed=1), tmp_path / "any").content_hash


@example(np.array([[7.354e-41, 0]], dtype=np.float32), "int8")
@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-8, 8, width=32)
    ),
    st.sampled_from(PRECISIONS),
)
def test_quantizing_twice_changes_nothing(embedding: Any, precision: Precision) -> None:
    packed = artifacts._pack(embedding, precision)
    once = artifacts._unpack(packed, precision)
    np.testing.assert_array_equal(
        artifacts._unpack(artifacts._pack(once, precision), precision), once
    )
    # int8 steps are the row's largest value / 127, and rounding is off by half a step.
    allowed = {"float32": 0.0, "float16": 0.005, "int8": np.abs(embedding).max() / 127 * 0.51}
    assert np.abs(once - embedding).max() <= allowed[precision] + 1e-30


def test_refuses_to_save_what_is_not_quantized(make_artifact: MakeArtifact, tmp_path: Path) -> None:
    original = make_artifact("float32")
    wrong = replace(original, manifest=replace(original.manifest, precision="int8"))
    with pytest.raises(ValueError, match=r"call quantize\(\) first"):
        save(wrong, tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []
    save(replace(wrong, network=quantize(wrong.network, "int8")), tmp_path / "tiny")


def test_an_interrupted_rename_keeps_the_old_artifact(
    make_artifact: MakeArtifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(make_artifact(), tmp_path / "tiny")
    before = files_of(tmp_path / "tiny")
    rename = Path.rename

    def interrupt(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(make_artifact(seed=1), tmp_path / "tiny")
    assert files_of(tmp_path / "tiny") == before
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_failed_save_keeps_the_old_artifact(
    make_artifact: MakeArtifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(make_artifact(), tmp_path / "tiny")
    before = files_of(tmp_path / "tiny")

    def fail(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        save(make_artifact(seed=1), tmp_path / "tiny")
    assert files_of(tmp_path / "tiny") == before
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def edit_manifest(directory: Path, changes: dict[str, Any]) -> None:
    """Change model.json and make it whole again."""
    path = directory / "model.json"
    values = json.loads(path.read_text()) | changes
    values["content_hash"] = artifacts._content_hash(values)
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "not a Dandelion artifact"),
        ({"format_version": 2}, "format version 2, but this Dandelion reads 1. Upgrade"),
        ({"surprise": 1}, "fields differ in .'surprise'"),
        ({"labels": ["ham"]}, "'labels' are two different strings"),
        ({"labels": ["ham", "ham"]}, "'labels' are two different strings"),
        ({"labels": [["ham"], ["spam"]]}, "'labels' are two different strings"),
        ({"threshold": 2}, "'threshold' is a number in"),
        ({"threshold": True}, "'threshold' is a number in"),
        ({"score_kind": "margin"}, "'score_kind' is 'sigmoid'"),
        ({"task": "regression"}, "'task' is 'binary'"),
        ({"precision": "int4"}, "'precision' is one of float32, float16, int8"),
        ({"precision": "float16"}, "embedding is int8, but model.json says float16"),
        ({"files": []}, "'files' is an object"),
    ],
)
def test_refuses_a_manifest(
    make_artifact: MakeArtifact, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    save(make_artifact("int8"), tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", changes)
    with pytest.raises(ArtifactError, match=message):
        load(tmp_path / "tiny")


def test_refuses_an_edited_manifest(make_artifact: MakeArtifact, tmp_path: Path) -> None:
    save(make_artifact(), tmp_path / "tiny")
    path = tmp_path / "tiny" / "model.json"
    path.write_text(path.read_text().replace('"threshold": 0.5', '"threshold": 0.25'))
    with pytest.raises(ArtifactError, match=r"model\.json: damaged: its content hash"):
        load(tmp_path / "tiny")


@pytest.mark.parametrize(
    "name", ["model.json", "model.safetensors", "vocabulary.txt", "golden.json"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped"])
def test_refuses_a_damaged_file(
    make_artifact: MakeArtifact, tmp_path: Path, name: str, damage: str
) -> None:
    save(make_artifact("int8"), tmp_path / "tiny")
    path = tmp_path / "tiny" / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes({"empty": b"", "cut": data[:middle], "flipped": flipped}[damage])
    with pytest.raises(ArtifactError, match=rf"{name}: .*make train-all"):
        load(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("vocabulary.txt", b"a\na\n", "twice"),
        ("vocabulary.txt", b"a\n", "2 tokens for 10 rows"),
        ("model.safetensors", b"no tensors", ""),
        ("golden.json", b"{}", "texts"),
        ("golden.json", b"[]", "indices"),
        ("golden.json", b'{"texts": ["a"], "scores": [], "tolerance": 1}', "number of texts"),
        ("golden.json", b'{"texts": [3], "scores": [0.5], "tolerance": 1}', "not a string"),
        ("golden.json", b'{"texts": ["a"], "scores": [NaN], "tolerance": 1}', "not a number"),
    ],
)
def test_refuses_content_with_a_right_checksum(
    make_artifact: MakeArtifact, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    manifest = save(make_artifact(), tmp_path / "tiny")
    (tmp_path / "tiny" / name).write_bytes(data)
    edit_manifest(
        tmp_path / "tiny", {"files": dict(manifest.files) | {name: artifacts._sha256(data)}}
    )
    with pytest.raises(ArtifactError, match=rf"{name}: damaged: .*{message}"):
        load(tmp_path / "tiny")


def test_refuses_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such directory"):
        load(tmp_path / "none")


def test_an_old_artifact_still_loads(tmp_path: Path) -> None:
    """The format's first version, as it was written then."""
    loaded = load(Path(shutil.copytree(OLD, tmp_path / "old")))
    scores = loaded.network.scores(loaded.vocabulary.encode(loaded.golden.texts))
    np.testing.assert_allclose(scores, loaded.golden.scores, atol=loaded.golden.tolerance)

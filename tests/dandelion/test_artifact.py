"""The format on disk: round trips, and everything that must be refused."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from math import exp, log
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from dandelion.artifact import Golden, load, save
from dandelion.classifier import Classifier
from dandelion.decision.calibration import Calibration
from dandelion.decision.evidence import Evidence
from dandelion.engines import library
from dandelion.engines.choice import EngineChoice, scorer
from dandelion.engines.network import MAX_MAGNITUDE, Network
from dandelion.manifest import (
    MAX_LABEL_CHARS,
    MAX_LABELS,
    ArtifactError,
    content_hash,
    sha256,
)
from dandelion.quantization import PRECISIONS, Precision, quantize
from dandelion.text.windows import Windows

from ..conftest import ROOT
from .examples import FEATURES, TEXTS, THREE, TWO, make_artifact

HERE = Path(__file__).parent
ENGINES: list[EngineChoice] = ["numpy", *(["compiled"] if library.is_available() else [])]
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "wide": {"features": FEATURES},
    "without surface": {"features": replace(FEATURES, chars=None, surface=False)},
    "multiclass": {"labels": THREE},
    "four labels": {"labels": (*THREE, "tired")},
    "wide multiclass": {"labels": THREE, "features": FEATURES},
    "binary of three logits": {"outputs": 3, "features": FEATURES},
}


def files_of(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_round_trip(tmp_path: Path, precision: Precision, kind: str) -> None:
    original = make_artifact(precision, **KINDS[kind])
    manifest = save(original, tmp_path / "spam" / "tiny")
    loaded = load(tmp_path / "spam" / "tiny")
    assert loaded.manifest == manifest
    assert loaded.manifest.wide_features == KINDS[kind].get("features")
    assert loaded.vocabulary.tokens == original.vocabulary.tokens
    assert loaded.golden == original.golden
    assert list(loaded.network.weights()) == list(original.network.weights())
    for name, weight in original.network.weights().items():
        assert loaded.network.weights()[name].dtype == np.float32
        np.testing.assert_array_equal(loaded.network.weights()[name], weight)
    assert list(files_of(tmp_path / "spam" / "tiny")) != []
    assert [path.name for path in (tmp_path / "spam").iterdir()] == [
        "tiny"
    ]  # nothing temporary is left
    Classifier(loaded).check_golden()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tables_are_stored_in_their_precision(tmp_path: Path, precision: Precision) -> None:
    save(make_artifact(precision, labels=THREE, features=FEATURES), tmp_path / "tiny")
    stored = load_file(tmp_path / "tiny" / "model.safetensors")
    for name in ("embedding", "grams", "surface"):
        assert stored[name].dtype == precision
    scales = {name: tensor.shape for name, tensor in stored.items() if name.endswith("_scale")}
    expected = {"embedding_scale": (10, 1), "grams_scale": (1, 3), "surface_scale": (1, 5)}
    assert scales == (expected if precision == "int8" else {})
    assert stored["hidden1_weight"].dtype == np.float32


def test_unpacking_int8_rounds_nothing(tmp_path: Path) -> None:
    save(make_artifact("int8", labels=THREE, features=FEATURES), tmp_path / "tiny")
    stored = load_file(tmp_path / "tiny" / "model.safetensors")
    weights = load(tmp_path / "tiny").network.weights()
    for name in ("embedding", "grams", "surface"):
        exact = stored[name].astype(np.float64) * stored[f"{name}_scale"].astype(np.float64)
        np.testing.assert_array_equal(weights[name], exact)


@pytest.mark.parametrize("kind", KINDS)
def test_saving_again_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    save(make_artifact("int8", **KINDS[kind]), tmp_path / "one")
    save(load(tmp_path / "one"), tmp_path / "two")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_the_content_hash_covers_everything_but_timings(tmp_path: Path) -> None:
    def version(**changes: Any) -> str:
        original = make_artifact()
        changed = replace(original, manifest=replace(original.manifest, **changes))
        return save(changed, tmp_path / "any").content_hash

    assert version() == version(timings={"train_seconds": 2.0})
    assert version() != version(threshold=0.25)
    assert version() != save(make_artifact(seed=1), tmp_path / "any").content_hash


def network_of(name: str, table: NDArray[np.float32]) -> Network:
    """Create a network with one given table; all other weights are zeros."""
    columns = table.shape[1]
    dimensions = columns if name == "embedding" else 1
    outputs = columns if name == "grams" else 1
    extra = columns - 1 if name == "surface" else 0
    shapes = {
        "embedding": (1, dimensions),
        "hidden1_weight": (1, dimensions + extra),
        "hidden1_bias": (1,),
        "hidden2_weight": (1, 1),
        "hidden2_bias": (1,),
        "output_weight": (outputs, 1),
        "output_bias": (outputs,),
    }
    zeros = {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}
    return Network.from_weights(zeros | {name: table})


@example("embedding", np.array([[7.354e-41, 0]], dtype=np.float32), "int8")
@example("grams", np.array([[7.354e-41, 1], [0, 0]], dtype=np.float32), "int8")
@given(
    st.sampled_from(["embedding", "grams", "surface"]),
    hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-8, 8, width=32)
    ),
    st.sampled_from(PRECISIONS),
)
def test_quantizing_twice_changes_nothing(
    name: str, table: NDArray[np.float32], precision: Precision
) -> None:
    original = network_of(name, table)
    once = quantize(original, precision)
    twice = quantize(once, precision)
    for found, weight in twice.weights().items():
        np.testing.assert_array_equal(weight, once.weights()[found])
        if found != name:
            np.testing.assert_array_equal(weight, original.weights()[found])
    # A step of int8 is the largest value of a row or column / 127; rounding is off by half a step.
    largest = np.abs(table).max(axis=1 if name == "embedding" else 0, keepdims=True)
    allowed = {"float32": 0.0, "float16": 0.005, "int8": largest / 127 * 0.51}
    assert (np.abs(once.weights()[name] - table) <= allowed[precision] + 1e-30).all()


def test_refuses_to_save_what_is_not_quantized(tmp_path: Path) -> None:
    original = make_artifact("float32")
    wrong = replace(original, manifest=replace(original.manifest, precision="int8"))
    with pytest.raises(ValueError, match=r"call quantize\(\) first"):
        save(wrong, tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []
    save(replace(wrong, network=quantize(wrong.network, "int8")), tmp_path / "tiny")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "../spam"}, "'model' is a name"),
        ({"labels": ("ham", "\ud800")}, "surrogates not allowed"),
        ({"threshold": 1.5}, "'threshold' is a number in"),
        ({"metrics": {"test": {"fitted": {"mcc": float("nan")}}}}, "not JSON compliant"),
        ({"dataset": {"rows": "8"}}, "'dataset' → 'rows' is a count"),
    ],
)
def test_refuses_to_save_what_cannot_be_loaded(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    original = make_artifact()
    wrong = replace(original, manifest=replace(original.manifest, **changes))
    with pytest.raises(ValueError, match=message):
        save(wrong, tmp_path / "tiny")
    with pytest.raises(ValueError, match="expected 1 to 1000 texts"):
        save(replace(original, golden=Golden((), ())), tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_rename_keeps_the_old_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    """Change model.json and update its content hash."""
    path = directory / "model.json"
    values = json.loads(path.read_text()) | changes
    values["content_hash"] = content_hash(values)
    path.write_text(json.dumps(values))


@pytest.mark.parametrize("name", ["embedding", "grams", "surface"])
def test_refuses_to_save_a_table_that_is_not_quantized(tmp_path: Path, name: str) -> None:
    original = make_artifact("int8", features=FEATURES)
    weights = original.network.weights()
    weights[name] = weights[name] + np.float32(1e-3)
    wrong = replace(original, network=Network.from_weights(weights))
    with pytest.raises(ValueError, match=rf"'{name}' is not quantized to int8; call quantize\(\)"):
        save(wrong, tmp_path / "tiny")


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("plain", {"features": asdict(FEATURES)}, "'grams' has 0 rows, but the features need 64"),
        ("wide", {"features": None}, "'grams' has 64 rows, but the features need 0"),
        ("wide", {"features": asdict(replace(FEATURES, bits=5))}, "64 rows, .* need 32"),
        ("wide", {"features": asdict(replace(FEATURES, bits=7))}, "64 rows, .* need 128"),
        (
            "wide",
            {"features": asdict(replace(FEATURES, surface=False))},
            "'surface' has 2496 rows, but the features need 0",
        ),
        (
            "without surface",
            {"features": asdict(FEATURES)},
            "'surface' has 0 rows, but the features need 2496",
        ),
        ("multiclass", {"labels": ("a", "b", "c", "d")}, "3 logits for 4 labels"),
        ("four labels", {"labels": ("a", "b", "c")}, "4 logits for 3 labels"),
    ],
)
def test_manifest_and_network_must_match(
    tmp_path: Path, kind: str, changes: dict[str, Any], message: str
) -> None:
    original = make_artifact(**KINDS[kind])
    with pytest.raises(ValueError, match=message):
        save(replace(original, manifest=replace(original.manifest, **changes)), tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []
    save(original, tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", changes)
    with pytest.raises(ArtifactError, match=rf"model\.safetensors: damaged: .*{message}"):
        load(tmp_path / "tiny")


PLATT = {"method": "platt", "a": 2.0, "b": 2.0, "c": -1.0}
BINARY = [
    ({"format": "other"}, "not a Dandelion artifact"),
    ({"format_version": 5}, "format version 5, but this Dandelion reads 1 to 4. Upgrade"),
    ({"format_version": 0}, "format version 0"),
    ({"format_version": "4"}, "format version '4'"),
    ({"format_version": True}, "format version True"),
    ({"format_version": 4.0}, "format version 4.0"),
    ({"format_version": 1}, "fields differ in .'by_source', 'calibration', 'calibration_fit', "),
    ({"format_version": 2}, "fields differ in .'by_source', 'calibration', 'calibration_fit', 'op"),
    ({"format_version": 3}, "fields differ in .'calibration', 'calibration_fit', 'operating_p"),
    ({"calibration": 2}, "'calibration' is an object"),
    ({"calibration": {}}, "invalid 'calibration': expected a, b, c, method"),
    ({"calibration": PLATT | {"d": 0}}, "invalid 'calibration': expected a, b, c, method"),
    ({"calibration": PLATT | {"method": 3}}, "'calibration' → 'method' is a string"),
    ({"calibration": PLATT | {"method": "isotonic"}}, "'calibration': .* 'method' is one of"),
    ({"calibration": PLATT | {"c": "0"}}, "'calibration' → 'c' is a number"),
    ({"calibration": PLATT | {"c": True}}, "'calibration' → 'c' is a number"),
    ({"calibration": PLATT | {"c": 1001}}, "'calibration': .* 'c' is at most 1000 in size"),
    ({"calibration": PLATT | {"a": 0, "b": 0}}, "'calibration': .* 'a' and 'b' are in"),
    ({"calibration": PLATT | {"a": -1, "b": -1}}, "'calibration': .* 'a' and 'b' are in"),
    ({"calibration": PLATT | {"a": 1001, "b": 1001}}, "'calibration': .* 'a' and 'b' are in"),
    ({"calibration": PLATT | {"b": 3}}, "'calibration': .* 'a' equals 'b' for platt"),
    ({"calibration": PLATT | {"method": "temperature"}}, "'calibration': .* 'c' is 0 for temp"),
    ({"operating_point": 0.5}, "'operating_point' is a string"),
    ({"operating_point": "f" * 201}, "'operating_point' is a string of 0 to 200"),
    ({"windows": 30}, "'windows' is an object"),
    ({"windows": {"words": 30, "stride": 15}}, "'windows': expected penalty, stride, words"),
    ({"windows": {"words": 30.5, "stride": 15, "penalty": 0}}, "'windows' → 'words' is"),
    (
        {"windows": {"words": 30, "stride": 14, "penalty": 0}},
        "'windows': words is 30 and stride 14",
    ),
    ({"windows": {"words": 30, "stride": 15, "penalty": -1}}, "'windows': penalty is -1"),
    ({"surprise": 1}, "fields differ in .'surprise'"),
    ({"labels": ["ham"]}, "'labels' are distinct strings, two for a binary task"),
    ({"labels": ["ham", "ham"]}, "'labels' are distinct strings"),
    ({"labels": [["ham"], ["spam"]]}, "'labels' → 0 is a string"),
    ({"labels": ["ham", "spam", "other"]}, "'labels' are distinct strings, two for"),
    ({"labels": "ab"}, "'labels' is an array"),
    ({"threshold": 2}, "'threshold' is a number in"),
    ({"threshold": True}, "'threshold' is a number in"),
    ({"threshold": None}, "'threshold' is a number in"),
    ({"score_kind": "softmax"}, "'score_kind' of a binary task is one of sigmoid, margin"),
    ({"score_kind": ["sigmoid"]}, "'score_kind' is a string"),
    ({"task": "regression"}, "'task' is one of binary, multiclass"),
    ({"task": ["binary"]}, "'task' is one of binary, multiclass"),
    ({"task": "multiclass"}, "'score_kind' of a multiclass task is one of softmax"),
    ({"precision": "int4"}, "'precision' is one of float32, float16, int8"),
    ({"precision": "float16"}, "'embedding' is int8, but model.json says float16"),
    ({"files": []}, "'files' is an object"),
    ({"sampling": ["oversample"]}, "'sampling' is an object"),
    ({"features": []}, "'features' is an object"),
    ({"features": {"bits": 6}}, "invalid 'features': expected the fields bits"),
    ({"features": asdict(FEATURES) | {"more": 1}}, "invalid 'features': expected the fields"),
    ({"features": asdict(FEATURES) | {"bits": 99}}, "invalid 'features': bits is 99"),
    ({"features": asdict(FEATURES) | {"chars": 3}}, "invalid 'features': chars is 3"),
    ({"model": 5}, "'model' is a name"),
    ({"model": ""}, "'model' is a name"),
    ({"model": "a/b"}, "'model' is a name"),
    ({"model": "a" * 300}, "'model' is a name"),
    ({"variant": None}, "'variant' is a name"),
    ({"variant": ".."}, "'variant' is a name"),
    ({"variant": "a\nb"}, "'variant' is a name"),
    ({"metrics": 7}, "'metrics' is an object"),
    ({"metrics": None}, "'metrics' is an object"),
    ({"metrics": {"test": 7}}, "'metrics' → 'test' is an object"),
    ({"metrics": {"test": {"fitted": {"mcc": "high"}}}}, "'fitted' → 'mcc' is a number"),
    ({"metrics": {"test": {"fitted": {"mcc": [1]}}}}, "'fitted' → 'mcc' is a number"),
    ({"metrics": {"test": {"argmax": {"per_class_f1": [None]}}}}, "'per_class_f1' → 0 is a number"),
    ({"metrics": {"test": {"argmax": {"confusion_matrix": [1]}}}}, "_matrix' → 0 is an array"),
    ({"threshold_rule": "macro_f1"}, "'threshold_rule' is an object"),
    ({"threshold_rule": {"criterion": 1}}, "'threshold_rule' → 'criterion' is a string"),
    ({"by_source": {"test": 1}}, "'by_source' → 'test' is an object"),
    ({"by_source": {"test": {"chat": {"recall": "high"}}}}, "'chat' → 'recall' is a number"),
    ({"dataset": {"rows": -1}}, "'dataset' → 'rows' is a count"),
    ({"split": {"train": "8"}}, "'split' → 'train' is a count"),
    ({"seed": 0.5}, "'seed' is an integer"),
    ({"seed": True}, "'seed' is an integer"),
    ({"library_versions": {"numpy": 2}}, "'library_versions' → 'numpy' is a string"),
    ({"timings": []}, "'timings' is an object"),
    ({"timings": {"train_seconds": "1"}}, "'timings' → 'train_seconds' is a number"),
    ({"sampling": {"prior": [2]}}, "'sampling' → 'prior' → 0 is a number in"),
    ({"config": "dice"}, "'config' is an object"),
    ({"loss": None}, "'loss' is a string"),
    ({"protocol": {}}, "'protocol' is a string"),
]
MULTICLASS = [
    ({"labels": ["calm", "glad"]}, "'labels' are distinct strings, two for a binary task, more"),
    ({"labels": ["calm", "glad", "calm"]}, "'labels' are distinct strings"),
    ({"threshold": 0.5}, "'threshold' is a number in .*, or null for more than two labels"),
    (
        {"windows": {"words": 30, "stride": 15, "penalty": 0}},
        "'windows' is null for more than two labels",
    ),
    ({"calibration": PLATT}, "'calibration': expected temperature for more than two labels"),
    ({"operating_point": "macro_f1"}, "'operating_point' is null for more than two labels"),
    ({"score_kind": "sigmoid"}, "'score_kind' of a multiclass task is one of softmax"),
    ({"task": "binary"}, "'score_kind' of a binary task is one of sigmoid, margin"),
    ({"task": "binary", "score_kind": "margin"}, "'labels' are distinct strings, two"),
]


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [("plain", *row) for row in BINARY] + [("multiclass", *row) for row in MULTICLASS],
)
def test_refuses_a_manifest(
    tmp_path: Path, kind: str, changes: dict[str, Any], message: str
) -> None:
    save(make_artifact("int8", **KINDS[kind]), tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", changes)
    with pytest.raises(ArtifactError, match=message):
        load(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grams": np.zeros((64, 1), dtype=np.float32)}, "'grams' is float32, but .* says int8"),
        ({"grams": np.zeros(64, dtype=np.int8)}, "'grams'"),
        ({"grams_scale": np.ones((64, 1), dtype=np.float32)}, r"'grams_scale' is float32\[64, 1\]"),
        ({"surface_scale": np.ones((1, 3))}, r"'surface_scale' is float64\[1, 3\]"),
        ({"embedding_scale": np.ones((1, 4), dtype=np.float32)}, "'embedding_scale' is float32"),
        ({"grams_scale": None}, "grams_scale"),
        ({"grams_scale": np.full((1, 1), np.nan, np.float32)}, "'grams_scale' .* not finite"),
        ({"embedding_scale": np.full((10, 1), 1e38, np.float32)}, "'embedding_scale' .* too large"),
        ({"hidden1_bias": np.full(3, np.inf, np.float32)}, "'hidden1_bias' .* not finite"),
        ({"hidden1_bias": np.zeros(3)}, "'hidden1_bias' has dtype float64"),
        ({"hidden1_bias": np.zeros(4, np.float32)}, r"'hidden1_bias' has shape \(4,\)"),
        ({"grams": None}, "weights are"),
        ({"surface": None, "surface_scale": None}, "only a surface adds to them"),
        ({"other_scale": np.ones((1, 1), dtype=np.float32)}, "weights are .*'other_scale'"),
    ],
)
def test_refuses_tensors(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    manifest = save(make_artifact("int8", features=FEATURES), tmp_path / "tiny")
    path = tmp_path / "tiny" / "model.safetensors"
    tensors = load_file(path) | changes
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    files = dict(manifest.files) | {path.name: sha256(path.read_bytes())}
    edit_manifest(tmp_path / "tiny", {"files": files})
    with pytest.raises(ArtifactError, match=rf"model\.safetensors: damaged: .*{message}"):
        load(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 200_000, "nested deeper than 32"),
        (b'{"a":' * 200_000, "nested deeper than 32"),
        (b"[" * 40 + b"]" * 40, "nested deeper than 32"),
        (b'{"seed": ' + b"9" * 400 + b"}", "the integer 99999999999999999999… is beyond 64 bits"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "the integer 99999999999999999999… is beyond 64 bits"),
        (b'{"seed": 9223372036854775808}', "is beyond 64 bits"),
        (b'{"threshold": 1e400}', "the number 1e400 is not finite"),
        (b'{"threshold": NaN}', "NaN is not a number"),
        (b'{"threshold": -Infinity}', "-Infinity is not a number"),
        (b'{"seed": 0, "seed": 1}', "the name 'seed' occurs twice"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"format": "\xff"}', "can't decode byte"),
        (None, "surrogates not allowed"),
    ],
)
def test_refuses_a_manifest_that_cannot_be_read(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    save(make_artifact(), tmp_path / "tiny")
    path = tmp_path / "tiny" / "model.json"
    half = path.read_text().replace('"protocol": "', r'"protocol": "\ud800')
    path.write_bytes(half.encode() if content is None else content)
    with pytest.raises(ArtifactError, match=rf"model\.json: damaged: .*{message}"):
        load(tmp_path / "tiny")


def test_refuses_an_edited_manifest(tmp_path: Path) -> None:
    save(make_artifact(), tmp_path / "tiny")
    path = tmp_path / "tiny" / "model.json"
    path.write_text(path.read_text().replace('"threshold": 0.5', '"threshold": 0.25'))
    with pytest.raises(ArtifactError, match=r"model\.json: damaged: its content hash"):
        load(tmp_path / "tiny")


@pytest.mark.parametrize(
    "name", ["model.json", "model.safetensors", "vocabulary.txt", "golden.json"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped"])
def test_refuses_a_damaged_file(tmp_path: Path, name: str, damage: str) -> None:
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


def golden(**changes: Any) -> bytes:
    """Return the content of a golden.json."""
    return json.dumps({"texts": ["a"], "scores": [0.5], "tolerance": 1e-4} | changes).encode()


@pytest.mark.parametrize(
    ("kind", "name", "data", "message"),
    [
        ("plain", "vocabulary.txt", b"a\na\n", "twice"),
        ("plain", "vocabulary.txt", b"a\n", "2 tokens for 10 rows"),
        ("plain", "model.safetensors", b"no tensors", ""),
        ("plain", "golden.json", b"{}", "texts"),
        ("plain", "vocabulary.txt", b"\xef\xbb\xbfa\n", "byte order mark"),
        ("plain", "vocabulary.txt", b"a\r\nb\r\n", "carriage return"),
        ("plain", "vocabulary.txt", b"a\n\nb\n", "a token is empty"),
        ("plain", "vocabulary.txt", b"\xff\n", "can't decode"),
        ("plain", "golden.json", b"[]", "expected an object of 'texts'"),
        ("plain", "golden.json", b"null", "expected an object of 'texts'"),
        ("plain", "golden.json", golden(more=1), "expected an object of 'texts'"),
        ("plain", "golden.json", golden(texts=[], scores=[]), "expected 1 to 1000 texts"),
        ("plain", "golden.json", golden(texts=["a"] * 1001), "expected 1 to 1000 texts"),
        ("plain", "golden.json", golden(texts=["a" * 10_001]), "of up to 10000 characters"),
        ("plain", "golden.json", golden(texts="a"), "'texts' is an array"),
        ("plain", "golden.json", golden(texts=["\ud800"]), "surrogates not allowed"),
        ("plain", "golden.json", golden(scores=[1.5]), "'scores' → 0 is a number in .0, 1."),
        ("plain", "golden.json", golden(tolerance=0), "'tolerance' is in .0, 0.001."),
        ("plain", "golden.json", golden(tolerance=1), "'tolerance' is in .0, 0.001."),
        ("plain", "golden.json", golden(tolerance=True), "'tolerance' is in .0, 0.001."),
        ("plain", "golden.json", golden(scores=[]), "numbers of texts"),
        ("plain", "golden.json", golden(texts=[3]), "'texts' → 0 is a string"),
        ("plain", "golden.json", golden(scores=[float("nan")]), "NaN is not a number"),
        ("plain", "golden.json", golden(scores=[[0.1, 0.2, 0.7]]), "'scores' → 0 is a number"),
        ("plain", "golden.json", golden(tolerance="1"), "'tolerance' is in .0, 0.001."),
        ("plain", "golden.json", golden(scores=[10**400]), "is beyond 64 bits"),
        ("plain", "golden.json", b"[" * 200_000, "nested deeper than 32"),
        ("multiclass", "golden.json", golden(), "'scores' → 0 is an array"),
        (
            "multiclass",
            "golden.json",
            golden(scores=["abc"]),
            "'scores' → 0 is an array",
        ),
        (
            "multiclass",
            "golden.json",
            golden(scores=[[0.5, 0.5]]),
            "not have one score for each of 3",
        ),
        ("multiclass", "golden.json", golden(scores=[[0, 1, None]]), "→ 2 is a number"),
    ],
)
def test_refuses_invalid_content_with_a_valid_checksum(
    tmp_path: Path, kind: str, name: str, data: bytes, message: str
) -> None:
    manifest = save(make_artifact(**KINDS[kind]), tmp_path / "tiny")
    (tmp_path / "tiny" / name).write_bytes(data)
    edit_manifest(tmp_path / "tiny", {"files": dict(manifest.files) | {name: sha256(data)}})
    with pytest.raises(ArtifactError, match=rf"{name}: damaged: .*{message}"):
        load(tmp_path / "tiny")


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_old_artifact_still_loads(tmp_path: Path, version: int) -> None:
    """Artifacts that were written in earlier format versions."""
    loaded = load(HERE / f"artifact-v{version}")
    assert loaded.manifest.format_version == version
    assert (loaded.manifest.features is None) == (version == 1)
    assert loaded.manifest.sampling is None
    assert (loaded.manifest.windows is None) == (version < 3)
    assert (loaded.manifest.text_windows is None) == (version < 3)
    assert (loaded.manifest.threshold_rule is None) == (version < 3)
    assert (loaded.manifest.by_source is None) == (version < 3)
    assert loaded.manifest.calibration is None
    assert loaded.manifest.score_map is None
    assert loaded.manifest.operating_point is None
    assert loaded.evidence is None
    for engine in ENGINES:
        Classifier(loaded, engine).check_golden()
    # It is written in the present one.
    written = save(loaded, tmp_path / "new")
    assert written.format_version == 4
    assert load(tmp_path / "new").manifest == written


EVIDENCE = Evidence.of(
    np.array([-3.0, -2.5, 0.7, 4.0, -20.0, 20.0]),
    np.array([0, 0, 1, 1, 0, 1]),
    np.array([0, 1, 1, 0, 0, 1]),
    ("chats", "comments"),
    groups={"all": ("chats", "comments")},
    promises=False,
)


def test_what_a_decision_needs_is_kept(tmp_path: Path) -> None:
    original = make_artifact(features=FEATURES, calibration=Calibration(**PLATT))
    manifest = replace(original.manifest, operating_point="fpr<=0.01")
    original = replace(original, manifest=manifest, evidence=EVIDENCE)
    save(original, tmp_path / "tiny")
    loaded = load(tmp_path / "tiny")
    assert loaded.manifest.calibration == PLATT
    assert loaded.manifest.score_map == Calibration(**PLATT)
    assert loaded.manifest.operating_point == "fpr<=0.01"
    found = loaded.evidence
    assert found is not None
    assert (found.groups, found.promises, found.fitted_on) == (
        {"all": ("chats", "comments")},
        False,
        "out_of_fold",
    )
    assert list(found.counts) == ["chats", "comments"]
    for source, counts in EVIDENCE.counts.items():
        np.testing.assert_array_equal(found.counts[source], counts)
    save(loaded, tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(tmp_path / "tiny")
    for engine in ENGINES:
        Classifier(loaded, engine).check_golden()


@pytest.mark.parametrize("labels", [TWO, THREE])
def test_scores_are_calibrated(labels: tuple[str, ...]) -> None:
    calibration = Calibration("temperature", 0.25, 0.25, 0.0)
    for engine in ENGINES:
        scores = Classifier(make_artifact(labels=labels), engine).scores(TEXTS)
        odds = np.log(scores / (1 - scores) if labels == TWO else scores / scores[:, :1])
        powers = np.exp(odds / 4)
        expected = powers / (1 + powers if labels == TWO else powers.sum(axis=1, keepdims=True))
        found = Classifier(make_artifact(labels=labels, calibration=calibration), engine)
        np.testing.assert_allclose(found.scores(TEXTS), expected, atol=1e-6)


def test_an_artifact_without_evidence_has_no_file_of_it(tmp_path: Path) -> None:
    save(make_artifact(), tmp_path / "tiny")
    assert "evidence.json" not in files_of(tmp_path / "tiny")
    (tmp_path / "tiny" / "evidence.json").write_text("left from elsewhere")
    assert load(tmp_path / "tiny").evidence is None


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_refuses_damaged_evidence(tmp_path: Path, damage: str) -> None:
    save(replace(make_artifact(), evidence=EVIDENCE), tmp_path / "tiny")
    path = tmp_path / "tiny" / "evidence.json"
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-9] if damage == "cut" else data.replace(b"1", b"2", 1))
    with pytest.raises(ArtifactError, match=r"evidence\.json: .*make train-all"):
        load(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 0.1}, "expected a grid of 602 cells of 0.05 from -15"),
        ({"sources": {}}, "at least one source"),
        ({"sources": {"chats": [{"first": 0, "counts": [-1]}] * 2}}, "'chats'"),
        ({"sources": {"chats": [{"first": 602, "counts": [1]}] * 2}}, "'chats'"),
        ({"groups": {"all": ["others"]}}, "group 'all' consists of sources"),
        ({"groups": {"all": [["chats"]]}}, "group 'all' consists of sources"),
        ({"promises": 1}, "'promises' is true or false"),
        ({"more": 1}, "expected an object of"),
    ],
)
def test_refuses_invalid_evidence_with_a_valid_checksum(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    manifest = save(replace(make_artifact(), evidence=EVIDENCE), tmp_path / "tiny")
    path = tmp_path / "tiny" / "evidence.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    files = dict(manifest.files) | {path.name: sha256(path.read_bytes())}
    edit_manifest(tmp_path / "tiny", {"files": files})
    with pytest.raises(ArtifactError, match=rf"evidence\.json: damaged: .*{message}"):
        load(tmp_path / "tiny")


def test_evidence_is_of_two_labels(tmp_path: Path) -> None:
    original = make_artifact(labels=THREE)
    message = "evidence is of two labels, but the artifact has more"
    with pytest.raises(ValueError, match=message):
        save(replace(original, evidence=EVIDENCE), tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []
    manifest = save(original, tmp_path / "tiny")
    save(replace(make_artifact(), evidence=EVIDENCE), tmp_path / "other")
    data = (tmp_path / "other" / "evidence.json").read_bytes()
    (tmp_path / "tiny" / "evidence.json").write_bytes(data)
    files = dict(manifest.files) | {"evidence.json": sha256(data)}
    edit_manifest(tmp_path / "tiny", {"files": files})
    with pytest.raises(ArtifactError, match=rf"evidence\.json: damaged: {message}"):
        load(tmp_path / "tiny")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_long_text_is_scored_by_the_windows_of_the_manifest(
    tmp_path: Path, engine: EngineChoice
) -> None:
    windows = Windows(words=3, stride=2, penalty=0.5)
    save(make_artifact(features=FEATURES, windows=windows), tmp_path / "tiny")
    loaded = load(tmp_path / "tiny")
    assert loaded.manifest.text_windows == windows
    classifier = Classifier(loaded, engine)
    long, short = "free prize! lunch tomorrow or today", "free prize!"
    parts = windows.cut(long)
    assert len(parts) == 3
    whole = Classifier(make_artifact(features=FEATURES), engine)
    odds = [log(score / (1 - score)) for score in whole.scores(parts).tolist()]
    logit = max(odds) - 0.5 * log(3)
    scores = classifier.scores([short, long, short])
    np.testing.assert_allclose(scores[1], 1 / (1 + exp(-logit)), atol=1e-6)
    np.testing.assert_allclose(scores[[0, 2]], whole.scores([short, short]), atol=1e-6)


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**40, 2**63, 2**64 - 1])
def test_refuses_weights_whose_header_has_another_length(tmp_path: Path, length: int) -> None:
    manifest = save(make_artifact(), tmp_path / "tiny")
    path = tmp_path / "tiny" / "model.safetensors"
    data = length.to_bytes(8, "little") + path.read_bytes()[8:]
    path.write_bytes(data)
    files = dict(manifest.files) | {path.name: sha256(data)}
    edit_manifest(tmp_path / "tiny", {"files": files})
    with pytest.raises(ArtifactError, match=r"model\.safetensors: damaged: "):
        load(tmp_path / "tiny")


def scaled(network: Network, powers: Mapping[str, int]) -> Network:
    """Multiply weights of a network by powers of two, as far as float32 has them."""
    largest = np.finfo(np.float32).max
    return Network.from_weights(
        {
            name: np.clip(
                weight.astype(np.float64) * 2.0 ** powers.get(name, 0), -largest, largest
            ).astype(np.float32)
            for name, weight in network.weights().items()
        }
    )


POWERS = st.dictionaries(
    st.sampled_from(list(make_artifact(features=FEATURES).network.weights())), st.integers(0, 127)
)
LONG_TEXTS = [*TEXTS, "free prize! " * 1000, "£😂" * 1000]


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("kind", ["wide", "wide multiclass", "binary of three logits"])
@example({"embedding": 88}).via("the largest that is accepted, about")
@example({"grams": 70, "surface": 88})
@example({"hidden1_weight": 40, "hidden2_weight": 40})
@example({"output_bias": 127, "output_weight": 127})
@settings(max_examples=40, deadline=None)
@given(POWERS)
def test_scores_are_finite_whatever_the_weights(
    engine: EngineChoice, kind: str, powers: dict[str, int]
) -> None:
    original = make_artifact(**KINDS[kind])
    network = scaled(original.network, powers)
    changed = replace(original, network=network)
    if network.magnitude() > MAX_MAGNITUDE:
        with TemporaryDirectory() as directory, pytest.raises(ValueError, match="are too large"):
            save(changed, Path(directory) / "tiny")
        return
    scores = Classifier(changed, engine).scores(LONG_TEXTS)
    assert ((scores >= 0) & (scores <= 1)).all()


@given(POWERS)
def test_no_logit_exceeds_the_magnitude(powers: dict[str, int]) -> None:
    original = make_artifact(labels=THREE, features=FEATURES)
    network = scaled(original.network, powers)
    magnitude = network.magnitude()
    if magnitude <= MAX_MAGNITUDE:
        texts = [*original.vocabulary.tokens, *LONG_TEXTS[:3]]
        numpy = scorer(original.vocabulary, FEATURES, network, is_binary=False, engine="numpy")
        encoded = numpy.encode(texts)
        assert np.abs(network.logits(encoded)).max() <= magnitude * 1.001


@pytest.mark.parametrize("name", ["embedding", "hidden1_weight", "grams", "output_bias"])
def test_refuses_weights_whose_scores_could_be_no_numbers(tmp_path: Path, name: str) -> None:
    manifest = save(make_artifact(features=FEATURES), tmp_path / "tiny")
    path = tmp_path / "tiny" / "model.safetensors"
    tensors = load_file(path)
    tensors[name] = np.full_like(tensors[name], 3e38)
    save_file(tensors, path)
    files = dict(manifest.files) | {path.name: sha256(path.read_bytes())}
    edit_manifest(tmp_path / "tiny", {"files": files})
    with pytest.raises(ArtifactError, match=r"model\.safetensors: damaged: the weights are too"):
        load(tmp_path / "tiny")


@pytest.mark.parametrize("directory", sorted((ROOT / "artifacts").glob("*/*/")), ids=str)
def test_the_committed_weights_are_far_below_the_limit(directory: Path) -> None:
    assert load(directory).network.magnitude() < 1e7 < MAX_MAGNITUDE / 1e15


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("ham", "")}, "'labels' → 1 is a string of 1 to 200 characters"),
        ({"labels": ("ham", "s" * (MAX_LABEL_CHARS + 1))}, "'labels' → 1 is a string of 1 to 200"),
        ({"labels": ("ham", "s" * 20_000_000)}, "'labels' → 1 is a string of 1 to 200"),
        ({"loss": ""}, "'loss' is a string of 1 to 200 characters"),
        ({"loss": "d" * 201}, "'loss' is a string of 1 to 200 characters"),
        ({"model": "m" * 201}, "'model' is a name"),
        ({"variant": "v" * 201}, "'variant' is a name"),
        ({"protocol": "p" * 201}, "'protocol' is a string of 0 to 200 characters"),
        ({"dataset": {"name": "d" * 201}}, "'dataset' → 'name' is a string of 0 to 200"),
        ({"library_versions": {"numpy": "1" * 201}}, "'library_versions' → 'numpy' is a string"),
    ],
)
def test_names_are_short_when_saved_and_when_loaded(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    original = make_artifact()
    wrong = replace(original, manifest=replace(original.manifest, **changes))
    with pytest.raises(ValueError, match=message):
        save(wrong, tmp_path / "tiny")
    save(original, tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", changes)
    with pytest.raises(ArtifactError, match=message):
        load(tmp_path / "tiny")


def test_the_number_of_labels_is_bounded(tmp_path: Path) -> None:
    labels = tuple(f"{number:0{MAX_LABEL_CHARS}}" for number in range(MAX_LABELS))
    save(make_artifact(labels=labels), tmp_path / "tiny")
    load(tmp_path / "tiny")
    with pytest.raises(ValueError, match="'labels' are at most 1000"):
        save(make_artifact(labels=(*labels, "one more")), tmp_path / "tiny")


def make_directory(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


UNREADABLE: dict[str, tuple[Callable[[Path], None], str]] = {
    "directory": (make_directory, "Is a directory|not a regular file"),
    "pipe": (make_pipe, "not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "No such file"),
    "loop": (lambda path: path.symlink_to(path), ".*symbolic links"),
    "huge": (make_huge, r"larger than \d+ bytes"),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX files")
@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize(
    "name", ["model.json", "model.safetensors", "vocabulary.txt", "golden.json"]
)
def test_refuses_what_is_no_file_of_a_sensible_size(tmp_path: Path, name: str, kind: str) -> None:
    save(make_artifact(), tmp_path / "tiny")
    path = tmp_path / "tiny" / name
    path.unlink()
    make, message = UNREADABLE[kind]
    make(path)
    with pytest.raises(ArtifactError, match=rf"{name}: cannot be read \({message}") as refused:
        load(tmp_path / "tiny")
    assert "\n" not in str(refused.value)


def test_follows_links_to_files(tmp_path: Path) -> None:
    save(make_artifact(), tmp_path / "tiny")
    (tmp_path / "linked").mkdir()
    for path in (tmp_path / "tiny").iterdir():
        (tmp_path / "linked" / path.name).symlink_to(path)
    assert load(tmp_path / "linked").manifest == load(tmp_path / "tiny").manifest


def test_the_directory_of_a_model_names_its_artifacts(tmp_path: Path) -> None:
    for variant in ("tiny", "other"):
        save(make_artifact(), tmp_path / "spam" / variant)
    for directory in (tmp_path / "spam", tmp_path):
        with pytest.raises(
            ArtifactError, match=r"a directory of artifacts\. Choose one of them: .*/other, .*/tiny"
        ):
            load(directory)


@pytest.mark.parametrize("name", ["none", "a" * 300, "a\0b", "file"])
def test_refuses_what_is_no_directory(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"no such directory\. Check the path"):
        load(tmp_path / name)


def test_a_directory_whose_files_cannot_be_looked_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    long = tmp_path / "tiny"
    while len(str(long)) < 4085:  # the system takes 4095 bytes: the directory's path, not a file's
        long = long / ".." / "tiny"
    with pytest.raises(ArtifactError, match=r"model\.json: cannot be read \(File name too long\)"):
        load(long)


def test_an_error_is_one_short_line(tmp_path: Path) -> None:
    save(make_artifact(), tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", {"a\n" * 100_000: 1, "b" * 100_000: 2})
    with pytest.raises(ArtifactError, match="damaged: its fields differ in") as refused:
        load(tmp_path / "tiny")
    assert len(str(refused.value)) < 1000
    assert "\n" not in str(refused.value)

"""The format of a trained variant on disk.

An artifact is a directory ``artifacts/<model>/<variant>/`` of four files:

- ``model.safetensors``: the weights; embedding, grams and surface in their stored precision;
- ``vocabulary.txt``: the known tokens, UTF-8, a line each, in the order of the embedding's rows;
- ``golden.json``: harmless made-up texts and the scores that whoever loads the artifact must get;
- ``model.json``: everything there is to know about the three, with their checksums.

It is written aside and renamed, so that a reader finds a whole artifact or none, and nothing in it
can run: no pickle. Whatever does not fit is refused with an `ArtifactError`.
"""

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from . import surface
from .grams import Features
from .network import Network
from .vocabulary import Vocabulary

FORMAT: Final = "dandelion"
FORMAT_VERSION: Final = 2
GOLDEN_TOLERANCE: Final = 1e-4

MANIFEST_FILE: Final = "model.json"
WEIGHTS_FILE: Final = "model.safetensors"
VOCABULARY_FILE: Final = "vocabulary.txt"
GOLDEN_FILE: Final = "golden.json"

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)

Task = Literal["binary", "multiclass"]
SCORE_KINDS: Final[dict[Task, tuple[str, ...]]] = {
    "binary": ("sigmoid", "margin"),
    "multiclass": ("softmax",),
}

_SCALE: Final = "_scale"

# Packed tables and the axis along which int8 has one scale: a row of the embedding is a word's
# vector; a column of grams or surface is a class's weights, thousands of them, of one size.
_PACKED: Final = {"embedding": 1, "grams": 0, "surface": 0}

# What version 1 did not know, and what it meant by that.
_ADDED_IN_2: Final[Mapping[str, Any]] = {"features": None, "sampling": None}


class ArtifactError(Exception):
    """An artifact is missing, damaged, foreign or newer than this code.

    The message names the file and what to do.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What ``model.json`` says of an artifact.

    Attributes:
        model: the task served, such as ``spam``.
        variant: the name of the configuration, such as ``dice``.
        task: ``binary``, two labels and one score a text; or ``multiclass``, a score a label.
        labels: the negative label, then the positive one; or all of them, in the scores' order.
        loss: the loss it was trained under.
        threshold: the label is positive at ``score >= threshold``; fitted on validation. None for
            ``multiclass``: the label with the highest score is given.
        score_kind: what the score is: ``sigmoid`` of the logit, ``margin`` for the sigmoid of a
            margin (0.5 is margin 0, and it is no probability), ``softmax`` of the logits.
        precision: how embedding, grams and surface are stored.
        features: what the wide path reads, see `Features`; None without a wide path.
        sampling: how training changed the classes' shares, if it did: ``method``, and ``prior`` and
            ``sampled_prior``, the share of each label before and after. Scores follow the latter.
        config: the whole configuration of the training run.
        dataset: name, SHA-256 and number of rows of the data set.
        protocol: how the data set was split.
        split: rows per fold and the SHA-256 of the rows' assignment.
        seed: of split and initialisation.
        metrics: by fold (``validation``, ``test``) and by threshold; ``slices``, where there are
            any, by slice of the test fold.
        library_versions: of what trained it.
        files: SHA-256 of each other file.
        content_hash: SHA-256 over everything here but ``timings``.
        timings: when and how long it was trained; differs between equal runs.
    """

    model: str
    variant: str
    task: str
    labels: tuple[str, ...]
    loss: str
    threshold: float | None
    score_kind: str
    precision: Precision
    config: Mapping[str, Any]
    dataset: Mapping[str, Any]
    protocol: str
    split: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, Any]
    library_versions: Mapping[str, str]
    features: Mapping[str, Any] | None = None
    sampling: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    content_hash: str = ""
    timings: Mapping[str, Any] = field(default_factory=dict)
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    @property
    def version(self) -> str:
        """The first twelve digits of the content hash: enough to tell artifacts apart."""
        return self.content_hash[:12]


@dataclass(frozen=True, slots=True)
class Golden:
    """Texts and the scores they must get.

    Attributes:
        texts: harmless, made up.
        scores: one a text; of a multiclass task one a text and label.
        tolerance: the largest difference allowed.
    """

    texts: tuple[str, ...]
    scores: tuple[Any, ...]
    tolerance: float = GOLDEN_TOLERANCE


@dataclass(frozen=True, slots=True)
class Artifact:
    """One artifact in memory, its tables in float32."""

    manifest: Manifest
    vocabulary: Vocabulary
    network: Network
    golden: Golden

    @property
    def features(self) -> Features | None:
        """What the network's wide path reads; None without one."""
        values = self.manifest.features
        return None if values is None else Features.from_json(values)


def quantize(network: Network, precision: Precision) -> Network:
    """Round the tables to what ``precision`` can store; the other weights stay float32.

    What is measured is what is shipped: call this before any metric is computed.
    """
    weights = network.weights()
    return Network.from_weights(weights | _unpack(_pack(weights, precision), precision))


def packed(artifact: Artifact) -> dict[str, tuple[NDArray[np.int8], NDArray[np.float32]]]:
    """Return the tables that are stored as int8, with their scales: none of another precision.

    The scales are those of each row of the embedding, [rows, 1], and of each column of the others,
    [1, columns].
    """
    if artifact.manifest.precision != "int8":
        return {}
    stored = _pack(artifact.network.weights(), "int8")
    return {name: (stored[name], stored[name + _SCALE]) for name in _PACKED if name in stored}


def save(artifact: Artifact, directory: Path) -> Manifest:
    """Write an artifact, replacing an older one in the same place.

    Its network must have come through `quantize`. The manifest's ``files`` and ``content_hash``
    are computed here; returned is the manifest as written.

    Raises:
        ValueError: a table does not survive its stored precision unchanged, or the network is not
            one that the manifest tells of.
        OSError: the directory cannot be written.
    """
    precision = artifact.manifest.precision
    weights = artifact.network.weights()
    packed = _pack(weights, precision)
    for name, table in _unpack(packed, precision).items():
        if not np.array_equal(table, weights[name]):
            raise ValueError(f"{name!r} is not quantized to {precision}; call quantize() first")
    _check_fit(artifact.manifest, artifact.network)
    contents = {
        WEIGHTS_FILE: save_safetensors(weights | packed, metadata={"format": FORMAT}),
        VOCABULARY_FILE: artifact.vocabulary.to_bytes(),
        GOLDEN_FILE: _to_json(asdict(artifact.golden)),
    }
    files = {name: _sha256(data) for name, data in contents.items()}
    manifest = replace(artifact.manifest, files=files)
    manifest = replace(manifest, content_hash=_content_hash(asdict(manifest)))
    contents[MANIFEST_FILE] = _to_json(asdict(manifest))

    directory.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        new = aside / "new"
        new.mkdir()
        for name, data in contents.items():
            (new / name).write_bytes(data)
        if directory.exists():
            directory.rename(aside / "old")
        try:
            new.rename(directory)
        except BaseException:
            if (aside / "old").exists():
                (aside / "old").rename(directory)
            raise
    finally:
        shutil.rmtree(aside)
    return manifest


def load(directory: Path) -> Artifact:
    """Read and verify an artifact.

    Raises:
        ArtifactError: a file is missing, damaged, foreign, or written by a newer version.
    """
    manifest = load_manifest(directory)
    contents = {}
    for name in (WEIGHTS_FILE, VOCABULARY_FILE, GOLDEN_FILE):
        data = _read(directory / name)
        if _sha256(data) != manifest.files.get(name):
            raise _damaged(directory / name, f"its checksum differs from {MANIFEST_FILE}'s")
        contents[name] = data
    try:
        vocabulary = Vocabulary.from_bytes(contents[VOCABULARY_FILE])
    except ValueError as error:
        raise _damaged(directory / VOCABULARY_FILE, error) from error
    try:
        tensors = load_safetensors(contents[WEIGHTS_FILE])
        tables = _unpack(tensors, manifest.precision)
        layers = {
            name: tensor
            for name, tensor in tensors.items()
            if name.removesuffix(_SCALE) not in tables
        }
        network = Network.from_weights(layers | tables)
        _check_fit(manifest, network)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _damaged(directory / WEIGHTS_FILE, error) from error
    if len(network.embedding) != len(vocabulary):
        raise _damaged(
            directory / VOCABULARY_FILE,
            f"{len(vocabulary)} tokens for {len(network.embedding)} rows of the embedding",
        )
    return Artifact(
        manifest,
        vocabulary,
        network,
        _golden(directory / GOLDEN_FILE, contents[GOLDEN_FILE], manifest),
    )


def load_manifest(directory: Path) -> Manifest:
    """Read and verify ``model.json`` alone.

    Raises:
        ArtifactError: it is missing, damaged, foreign, or written by a newer version.
    """
    path = directory / MANIFEST_FILE
    if not directory.is_dir():
        raise ArtifactError(
            f"{directory}: no such directory. Check the path, or train it: make train-all"
        )
    try:
        values = json.loads(_read(path))
    except ValueError as error:
        raise _damaged(path, error) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ArtifactError(
            f"{path}: not a Dandelion artifact (its 'format' is not {FORMAT!r}). "
            "Point to a directory written by training."
        )
    version = values.get("format_version")
    if version not in range(1, FORMAT_VERSION + 1):
        raise ArtifactError(
            f"{path}: format version {version!r}, but this Dandelion reads 1 to {FORMAT_VERSION}. "
            "Upgrade Dandelion, or train the artifact again: make train-all"
        )
    names = {field.name for field in fields(Manifest)}
    if version == 1:
        names -= set(_ADDED_IN_2)
    if set(values) != names:
        raise _damaged(path, f"its fields differ in {sorted(set(values) ^ names)}")
    if values["content_hash"] != _content_hash(values):
        raise _damaged(path, "its content hash does not match its content")
    values = {**_ADDED_IN_2, **values}
    _check_manifest(path, values)
    return Manifest(**values | {"labels": tuple(values["labels"])})


def _check_manifest(path: Path, values: Mapping[str, Any]) -> None:
    """Refuse a manifest that is whole but not one this code can serve."""
    task = values["task"]
    if task not in (*SCORE_KINDS,):  # a tuple, for the value may be anything, a list even
        raise _damaged(path, f"expected that 'task' is one of {', '.join(SCORE_KINDS)}")
    score_kinds = SCORE_KINDS[task]
    labels = values["labels"]
    threshold = values["threshold"]
    is_binary = task == "binary"
    checks = {
        f"'score_kind' of a {task} task is one of {', '.join(score_kinds)}": (
            values["score_kind"] in score_kinds
        ),
        "'labels' are different strings, two of a binary task, more of another": (
            isinstance(labels, list)
            and all(isinstance(label, str) for label in labels)
            and len(set(labels)) == len(labels)
            and (len(labels) == 2 if is_binary else len(labels) > 2)
        ),
        "'threshold' is a number in [0, 1], or null beyond two labels": (
            _is_number(threshold) and 0 <= threshold <= 1 if is_binary else threshold is None
        ),
        f"'precision' is one of {', '.join(PRECISIONS)}": values["precision"] in PRECISIONS,
        "'files' is an object": isinstance(values["files"], dict),
        "'sampling' is an object or null": isinstance(values["sampling"], dict | None),
    }
    for expectation, holds in checks.items():
        if not holds:
            raise _damaged(path, f"expected that {expectation}")
    if values["features"] is not None:
        try:
            Features.from_json(values["features"])
        except ValueError as error:
            raise _damaged(path, f"its 'features' are wrong: {error}") from error


def _check_fit(manifest: Manifest, network: Network) -> None:
    """Hold manifest and network together.

    Raises:
        ValueError: the tables are not those of the features, or the logits not those of the labels.
    """
    features = None if manifest.features is None else Features.from_json(manifest.features)
    surface_rows = surface.LEVELS * surface.COUNTS
    for name, table, expected in (
        ("grams", network.grams, 0 if features is None else 2**features.bits),
        ("surface", network.surface, surface_rows if features and features.surface else 0),
    ):
        rows = 0 if table is None else len(table)
        if rows != expected:
            raise ValueError(f"{name!r} has {rows} rows, but the features say {expected}")
    outputs = len(network.output_bias)
    if manifest.task == "multiclass" and outputs != len(manifest.labels):
        raise ValueError(f"{outputs} logits for {len(manifest.labels)} labels")


def _golden(path: Path, data: bytes, manifest: Manifest) -> Golden:
    try:
        values = json.loads(data)
        golden = Golden(tuple(values["texts"]), tuple(values["scores"]), values["tolerance"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error
    if len(golden.texts) != len(golden.scores):
        raise _damaged(path, "it has another number of texts than of scores")
    if not all(isinstance(text, str) for text in golden.texts):
        raise _damaged(path, "a text is not a string")
    scores = golden.scores
    if manifest.task == "multiclass":
        labels = len(manifest.labels)
        if not all(isinstance(row, list) and len(row) == labels for row in scores):
            raise _damaged(path, f"a text has not one score for each of {labels} labels")
        scores = tuple(score for row in scores for score in row)
    if not all(map(_is_number, (*scores, golden.tolerance))):
        raise _damaged(path, "a score or the tolerance is not a number")
    return golden


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _pack(
    weights: Mapping[str, NDArray[np.float32]], precision: Precision
) -> dict[str, NDArray[Any]]:
    """Store the tables among some weights.

    int8 has a scale for every row or column: its largest value ÷ 127. A scale has 16 significant
    bits, so that its product with an int8 is exact in float32 and packing what was unpacked gives
    the same bytes again. A row or column of denormals becomes zeros.
    """
    packed: dict[str, NDArray[Any]] = {}
    for name, axis in _PACKED.items():
        if name not in weights:
            continue
        table = weights[name]
        if precision != "int8":
            packed[name] = table.astype(precision)
            continue
        scale = np.abs(table).max(axis=axis, keepdims=True) / np.float32(127)
        scale = (scale.view(np.uint32) & np.uint32(0xFFFFFF00)).view(np.float32)
        scale[scale < np.finfo(np.float32).tiny] = 0
        packed[name] = np.rint(table / np.where(scale > 0, scale, 1)).astype(np.int8)
        packed[name + _SCALE] = scale
    return packed


def _unpack(
    packed: Mapping[str, NDArray[Any]], precision: Precision
) -> dict[str, NDArray[np.float32]]:
    """Return the tables among some stored weights, float32."""
    return {name: _unpack_table(packed, name, precision) for name in _PACKED if name in packed}


def _unpack_table(
    packed: Mapping[str, NDArray[Any]], name: str, precision: Precision
) -> NDArray[np.float32]:
    table = packed[name]
    if table.dtype != precision or table.ndim != 2:
        raise ValueError(f"{name!r} is {table.dtype}, but model.json says {precision}")
    if precision != "int8":
        return table.astype(np.float32)
    scale = packed[name + _SCALE]
    rows, columns = table.shape
    expected = (rows, 1) if _PACKED[name] else (1, columns)
    if scale.shape != expected or scale.dtype != np.float32:
        raise ValueError(f"{name + _SCALE!r} is {scale.dtype}{list(scale.shape)}")
    unpacked: NDArray[np.float32] = table.astype(np.float32) * scale
    return unpacked


def _content_hash(values: Mapping[str, Any]) -> str:
    hashed = {
        name: value for name, value in values.items() if name not in ("content_hash", "timings")
    }
    return _sha256(json.dumps(hashed, sort_keys=True, ensure_ascii=False).encode())


def _to_json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be read ({error.strerror}). "
            "Restore it (git checkout), or train the artifact again: make train-all"
        ) from error


def _damaged(path: Path, reason: object) -> ArtifactError:
    return ArtifactError(
        f"{path}: damaged: {reason}. "
        "Restore it (git checkout), or train the artifact again: make train-all"
    )

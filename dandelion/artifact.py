"""The format of a trained variant on disk.

An artifact is a directory ``artifacts/<model>/<variant>/`` of four files:

- ``model.safetensors``: the weights; the embedding in its stored precision;
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

from .network import Network
from .vocabulary import Vocabulary

FORMAT: Final = "dandelion"
FORMAT_VERSION: Final = 1
GOLDEN_TOLERANCE: Final = 1e-4

MANIFEST_FILE: Final = "model.json"
WEIGHTS_FILE: Final = "model.safetensors"
VOCABULARY_FILE: Final = "vocabulary.txt"
GOLDEN_FILE: Final = "golden.json"

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)

_SCALE = "embedding_scale"


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
        task: ``binary``: one logit, two labels.
        labels: the negative label, then the positive one.
        loss: the loss it was trained under.
        threshold: the label is positive at ``score >= threshold``; fitted on validation.
        score_kind: what the score is; ``sigmoid`` of the logit.
        precision: how the embedding is stored.
        config: the whole configuration of the training run.
        dataset: name, SHA-256 and number of rows of the data set.
        protocol: how the data set was split.
        split: rows per fold and the SHA-256 of the rows' assignment.
        seed: of split and initialisation.
        metrics: by fold (``validation``, ``test``) and by threshold.
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
    threshold: float
    score_kind: str
    precision: Precision
    config: Mapping[str, Any]
    dataset: Mapping[str, Any]
    protocol: str
    split: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, Any]
    library_versions: Mapping[str, str]
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
        scores: one a text.
        tolerance: the largest difference allowed.
    """

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    tolerance: float = GOLDEN_TOLERANCE


@dataclass(frozen=True, slots=True)
class Artifact:
    """One artifact in memory, the embedding in float32."""

    manifest: Manifest
    vocabulary: Vocabulary
    network: Network
    golden: Golden


def quantize(network: Network, precision: Precision) -> Network:
    """Round the embedding to what ``precision`` can store; the other weights stay float32.

    What is measured is what is shipped: call this before any metric is computed.
    """
    return replace(network, embedding=_unpack(_pack(network.embedding, precision), precision))


def save(artifact: Artifact, directory: Path) -> Manifest:
    """Write an artifact, replacing an older one in the same place.

    Its network must have come through `quantize`. The manifest's ``files`` and ``content_hash``
    are computed here; returned is the manifest as written.

    Raises:
        ValueError: the embedding does not survive its stored precision unchanged.
        OSError: the directory cannot be written.
    """
    precision = artifact.manifest.precision
    embedding = artifact.network.embedding
    packed = _pack(embedding, precision)
    if not np.array_equal(_unpack(packed, precision), embedding):
        raise ValueError(f"the embedding is not quantized to {precision}; call quantize() first")
    weights = artifact.network.weights()
    del weights["embedding"]
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
        packed = {name: tensors.pop(name) for name in ("embedding", _SCALE) if name in tensors}
        tensors["embedding"] = _unpack(packed, manifest.precision)
        network = Network.from_weights(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _damaged(directory / WEIGHTS_FILE, error) from error
    if len(network.embedding) != len(vocabulary):
        raise _damaged(
            directory / VOCABULARY_FILE,
            f"{len(vocabulary)} tokens for {len(network.embedding)} rows of the embedding",
        )
    return Artifact(manifest, vocabulary, network, _golden(directory, contents[GOLDEN_FILE]))


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
    if version != FORMAT_VERSION:
        raise ArtifactError(
            f"{path}: format version {version!r}, but this Dandelion reads {FORMAT_VERSION}. "
            "Upgrade Dandelion, or train the artifact again: make train-all"
        )
    names = {field.name for field in fields(Manifest)}
    if set(values) != names:
        raise _damaged(path, f"its fields differ in {sorted(set(values) ^ names)}")
    if values["content_hash"] != _content_hash(values):
        raise _damaged(path, "its content hash does not match its content")
    _check_manifest(path, values)
    return Manifest(**values | {"labels": tuple(values["labels"])})


def _check_manifest(path: Path, values: Mapping[str, Any]) -> None:
    """Refuse a manifest that is whole but not one this code can serve."""
    labels = values["labels"]
    threshold = values["threshold"]
    checks = {
        "'task' is 'binary'": values["task"] == "binary",
        "'score_kind' is 'sigmoid'": values["score_kind"] == "sigmoid",
        "'labels' are two different strings": isinstance(labels, list)
        and all(isinstance(label, str) for label in labels)
        and len(set(labels)) == len(labels) == 2,
        "'threshold' is a number in [0, 1]": _is_number(threshold) and 0 <= threshold <= 1,
        f"'precision' is one of {', '.join(PRECISIONS)}": values["precision"] in PRECISIONS,
        "'files' is an object": isinstance(values["files"], dict),
    }
    for expectation, holds in checks.items():
        if not holds:
            raise _damaged(path, f"expected that {expectation}")


def _golden(directory: Path, data: bytes) -> Golden:
    try:
        values = json.loads(data)
        golden = Golden(tuple(values["texts"]), tuple(values["scores"]), values["tolerance"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(directory / GOLDEN_FILE, error) from error
    if len(golden.texts) != len(golden.scores):
        raise _damaged(directory / GOLDEN_FILE, "it has another number of texts than of scores")
    if not all(isinstance(text, str) for text in golden.texts):
        raise _damaged(directory / GOLDEN_FILE, "a text is not a string")
    if not all(map(_is_number, (*golden.scores, golden.tolerance))):
        raise _damaged(directory / GOLDEN_FILE, "a score or the tolerance is not a number")
    return golden


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _pack(embedding: NDArray[np.float32], precision: Precision) -> dict[str, NDArray[Any]]:
    """Store float32[v, d]; int8 keeps one scale a row, the row's largest value ÷ 127.

    A scale has 16 significant bits, so that its product with an int8 is exact in float32 and
    packing what was unpacked gives the same bytes again. A row of denormals becomes zeros.
    """
    if precision != "int8":
        return {"embedding": embedding.astype(precision)}
    scale = np.abs(embedding).max(axis=1, keepdims=True) / np.float32(127)  # [v, 1]
    scale = (scale.view(np.uint32) & np.uint32(0xFFFFFF00)).view(np.float32)
    scale[scale < np.finfo(np.float32).tiny] = 0
    rows = np.rint(embedding / np.where(scale > 0, scale, 1)).astype(np.int8)
    return {"embedding": rows, _SCALE: scale}


def _unpack(packed: Mapping[str, NDArray[Any]], precision: Precision) -> NDArray[np.float32]:
    embedding = packed["embedding"]
    if embedding.dtype != precision:
        raise ValueError(f"the embedding is {embedding.dtype}, but model.json says {precision}")
    if precision != "int8":
        return embedding.astype(np.float32)
    scale = packed[_SCALE]
    if scale.shape != (len(embedding), 1) or scale.dtype != np.float32:
        raise ValueError(f"{_SCALE!r} is {scale.dtype}{list(scale.shape)}")
    unpacked: NDArray[np.float32] = embedding.astype(np.float32) * scale
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

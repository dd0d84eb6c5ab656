"""The format of a trained variant on disk.

An artifact is a directory ``artifacts/<model>/<variant>/`` of four files:

- ``model.safetensors``: the weights; embedding, grams and surface in their stored precision;
- ``vocabulary.txt``: the known tokens, one per line, UTF-8, in the order of the embedding's rows;
- ``golden.json``: harmless made-up texts, with the scores that a loaded artifact must give them;
- ``model.json``: everything known about the other three, with their checksums.

It is written to a temporary directory and renamed, so that a reader finds a complete artifact or
none. Nothing in it is executable: there is no pickle. Inconsistent files are refused with an
`ArtifactError`.
"""

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from .engines.network import Network
from .manifest import (
    FORMAT,
    MANIFEST_FILE,
    Manifest,
    content_hash,
    damaged,
    is_number,
    load_manifest,
    read_file,
    sha256,
    to_json,
)
from .quantization import layers, pack, unpack
from .text import surface
from .text.vocabulary import Vocabulary

GOLDEN_TOLERANCE: Final = 1e-4

WEIGHTS_FILE: Final = "model.safetensors"
VOCABULARY_FILE: Final = "vocabulary.txt"
GOLDEN_FILE: Final = "golden.json"


@dataclass(frozen=True, slots=True)
class Golden:
    """Texts and the scores that a loaded artifact must give them.

    Attributes:
        texts: harmless, made up.
        scores: one per text; for a multiclass task, one per label for each text.
        tolerance: the largest accepted difference.
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


def save(artifact: Artifact, directory: Path) -> Manifest:
    """Write an artifact; it replaces an older one in the same directory.

    Its network must have been rounded by `quantize`.

    Returns:
        The manifest as written, with ``files`` and ``content_hash`` computed.

    Raises:
        ValueError: a table is not rounded to its stored precision, or the network and the manifest
            do not match.
        OSError: the directory cannot be written.
    """
    precision = artifact.manifest.precision
    weights = artifact.network.weights()
    packed = pack(weights, precision)
    for name, table in unpack(packed, precision).items():
        if not np.array_equal(table, weights[name]):
            raise ValueError(f"{name!r} is not quantized to {precision}; call quantize() first")
    _check_fit(artifact.manifest, artifact.network)
    contents = {
        WEIGHTS_FILE: save_safetensors(weights | packed, metadata={"format": FORMAT}),
        VOCABULARY_FILE: artifact.vocabulary.to_bytes(),
        GOLDEN_FILE: to_json(asdict(artifact.golden)),
    }
    files = {name: sha256(data) for name, data in contents.items()}
    manifest = replace(artifact.manifest, files=files)
    manifest = replace(manifest, content_hash=content_hash(asdict(manifest)))
    contents[MANIFEST_FILE] = to_json(asdict(manifest))

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
        ArtifactError: a file is missing, damaged, of another format or newer than this code.
    """
    manifest = load_manifest(directory)
    contents = {}
    for name in (WEIGHTS_FILE, VOCABULARY_FILE, GOLDEN_FILE):
        data = read_file(directory / name)
        if sha256(data) != manifest.files.get(name):
            raise damaged(directory / name, f"its checksum differs from {MANIFEST_FILE}'s")
        contents[name] = data
    try:
        vocabulary = Vocabulary.from_bytes(contents[VOCABULARY_FILE])
    except ValueError as error:
        raise damaged(directory / VOCABULARY_FILE, error) from error
    try:
        tensors = load_safetensors(contents[WEIGHTS_FILE])
        network = Network.from_weights(layers(tensors) | unpack(tensors, manifest.precision))
        _check_fit(manifest, network)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise damaged(directory / WEIGHTS_FILE, error) from error
    if len(network.embedding) != len(vocabulary):
        raise damaged(
            directory / VOCABULARY_FILE,
            f"{len(vocabulary)} tokens for {len(network.embedding)} rows of the embedding",
        )
    return Artifact(
        manifest,
        vocabulary,
        network,
        _golden(directory / GOLDEN_FILE, contents[GOLDEN_FILE], manifest),
    )


def _check_fit(manifest: Manifest, network: Network) -> None:
    """Check that manifest and network match.

    Raises:
        ValueError: the tables do not match the features, or the logits do not match the labels.
    """
    features = manifest.wide_features
    surface_rows = surface.LEVELS * surface.COUNTS
    for name, table, expected in (
        ("grams", network.grams, 0 if features is None else 2**features.bits),
        ("surface", network.surface, surface_rows if features and features.surface else 0),
    ):
        rows = 0 if table is None else len(table)
        if rows != expected:
            raise ValueError(f"{name!r} has {rows} rows, but the features need {expected}")
    outputs = len(network.output_bias)
    if manifest.task == "multiclass" and outputs != len(manifest.labels):
        raise ValueError(f"{outputs} logits for {len(manifest.labels)} labels")


def _golden(path: Path, data: bytes, manifest: Manifest) -> Golden:
    try:
        values = json.loads(data)
        golden = Golden(tuple(values["texts"]), tuple(values["scores"]), values["tolerance"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if len(golden.texts) != len(golden.scores):
        raise damaged(path, "the numbers of texts and scores differ")
    if not all(isinstance(text, str) for text in golden.texts):
        raise damaged(path, "a text is not a string")
    scores = golden.scores
    if manifest.task == "multiclass":
        labels = len(manifest.labels)
        if not all(isinstance(row, list) and len(row) == labels for row in scores):
            raise damaged(path, f"a text does not have one score for each of {labels} labels")
        scores = tuple(score for row in scores for score in row)
    if not all(map(is_number, (*scores, golden.tolerance))):
        raise damaged(path, "a score or the tolerance is not a number")
    return golden

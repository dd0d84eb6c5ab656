"""The format of a trained variant on disk.

An artifact is a directory ``artifacts/<model>/<variant>/`` of four or five files:

- ``model.safetensors``: the weights; embedding, grams and surface in their stored precision;
- ``vocabulary.txt``: the known tokens, one per line, UTF-8, in the order of the embedding's rows;
- ``golden.json``: harmless made-up texts, with the scores that a loaded artifact must give them;
- ``evidence.json``, only of variants with out-of-fold logits: how these are distributed, see
  `dandelion.decision.evidence`;
- ``model.json``: everything known about the others, with their checksums.

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

from .decision import evidence
from .decision.evidence import Evidence
from .engines.network import MAX_MAGNITUDE, Network
from .json_values import SHARE, STRING, array, is_number, loads
from .manifest import (
    FORMAT,
    FORMAT_VERSION,
    MANIFEST_FILE,
    MAX_JSON_BYTES,
    Manifest,
    check,
    content_hash,
    damaged,
    load_manifest,
    read_file,
    sha256,
    to_json,
)
from .quantization import layers, pack, unpack
from .text import surface
from .text.vocabulary import Vocabulary

GOLDEN_TOLERANCE: Final = 1e-4
MAX_GOLDEN_TOLERANCE: Final = 1e-3
MAX_GOLDEN_TEXTS: Final = 1000
MAX_GOLDEN_CHARS: Final = 10_000  # of a text

WEIGHTS_FILE: Final = "model.safetensors"
VOCABULARY_FILE: Final = "vocabulary.txt"
GOLDEN_FILE: Final = "golden.json"
EVIDENCE_FILE: Final = "evidence.json"

# 400,000 vectors of 300 dimensions are half a gigabyte in float32.
MAX_BYTES: Final = {
    WEIGHTS_FILE: 2**31,
    VOCABULARY_FILE: 2**28,
    GOLDEN_FILE: MAX_JSON_BYTES,
    EVIDENCE_FILE: MAX_JSON_BYTES,
}
"""File → its size at most; of all files but ``model.json``."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Texts and the scores that a loaded artifact must give them.

    Attributes:
        texts: harmless, made up; at least one.
        scores: one per text; for a multiclass task, one per label for each text.
        tolerance: the largest accepted difference, at most `MAX_GOLDEN_TOLERANCE`.
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
    evidence: Evidence | None = None


def save(artifact: Artifact, directory: Path) -> Manifest:
    """Write an artifact; it replaces an older one in the same directory.

    Its network must have been rounded by `quantize`.

    Returns:
        The manifest as written, with ``files`` and ``content_hash`` computed.

    Raises:
        ValueError: a table is not rounded to its stored precision, the network and the manifest do
            not match, or a field of the manifest or of golden texts or evidence is wrong.
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
    if artifact.evidence is not None:
        values = evidence.to_json(artifact.evidence)
        contents[EVIDENCE_FILE] = json.dumps(values, ensure_ascii=False).encode() + b"\n"
        _evidence(contents[EVIDENCE_FILE], artifact.manifest)
    files = {name: sha256(data) for name, data in contents.items()}
    manifest = replace(artifact.manifest, files=files, format_version=FORMAT_VERSION)
    manifest = replace(manifest, content_hash=content_hash(asdict(manifest)))
    contents[MANIFEST_FILE] = to_json(asdict(manifest))
    check(loads(contents[MANIFEST_FILE]))  # nothing is written that `load` would refuse
    _golden(contents[GOLDEN_FILE], manifest)

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
    for name, max_bytes in MAX_BYTES.items():
        if name == EVIDENCE_FILE and name not in manifest.files:
            continue
        data = read_file(directory / name, max_bytes)
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
    try:
        golden = _golden(contents[GOLDEN_FILE], manifest)
    except ValueError as error:
        raise damaged(directory / GOLDEN_FILE, error) from error
    found = None
    if EVIDENCE_FILE in contents:
        try:
            found = _evidence(contents[EVIDENCE_FILE], manifest)
        except ValueError as error:
            raise damaged(directory / EVIDENCE_FILE, error) from error
    return Artifact(manifest, vocabulary, network, golden, found)


def _check_fit(manifest: Manifest, network: Network) -> None:
    """Check that manifest and network match.

    Raises:
        ValueError: the tables do not match the features, the logits do not match the labels, or
            the weights are so large that the score of a text could be no number.
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
    magnitude = network.magnitude()
    if not magnitude <= MAX_MAGNITUDE:
        raise ValueError(
            f"the weights are too large: a value could be {magnitude:.3g} in size, more than "
            f"{MAX_MAGNITUDE:.3g}"
        )


def _evidence(data: bytes, manifest: Manifest) -> Evidence:
    """Read ``evidence.json``.

    Raises:
        ValueError: it is not JSON, not what an `Evidence` consists of, or of more than two labels.
    """
    if manifest.task != "binary":
        raise ValueError("evidence is of two labels, but the artifact has more")
    return evidence.from_json(loads(data))


def _golden(data: bytes, manifest: Manifest) -> Golden:
    """Read ``golden.json``.

    Raises:
        ValueError: it is not JSON, or not what a `Golden` of this model consists of.
    """
    values = loads(data)
    if not isinstance(values, dict) or set(values) != {"texts", "scores", "tolerance"}:
        raise ValueError("expected an object of 'texts', 'scores' and 'tolerance'")
    texts, scores, tolerance = values["texts"], values["scores"], values["tolerance"]
    array(STRING)(texts, "'texts'")
    if not 1 <= len(texts) <= MAX_GOLDEN_TEXTS or max(map(len, texts)) > MAX_GOLDEN_CHARS:
        raise ValueError(
            f"expected 1 to {MAX_GOLDEN_TEXTS} texts of up to {MAX_GOLDEN_CHARS} characters"
        )
    array(SHARE if manifest.task == "binary" else array(SHARE))(scores, "'scores'")
    if len(texts) != len(scores):
        raise ValueError("the numbers of texts and scores differ")
    labels = len(manifest.labels)
    if manifest.task == "multiclass" and any(len(row) != labels for row in scores):
        raise ValueError(f"a text does not have one score for each of {labels} labels")
    if not is_number(tolerance) or not 0 < tolerance <= MAX_GOLDEN_TOLERANCE:
        raise ValueError(f"expected that 'tolerance' is in (0, {MAX_GOLDEN_TOLERANCE}]")
    return Golden(tuple(texts), tuple(scores), tolerance)

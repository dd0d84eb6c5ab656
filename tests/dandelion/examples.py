"""Small made-up artifacts."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from dandelion import Classifier
from dandelion.artifact import Artifact, Golden
from dandelion.decision.calibration import Calibration
from dandelion.decision.evidence import Evidence
from dandelion.engines.network import Network
from dandelion.manifest import Manifest
from dandelion.quantization import Precision, quantize
from dandelion.text import surface
from dandelion.text.grams import GAP, Features, GramBatch
from dandelion.text.vocabulary import Vocabulary
from dandelion.text.windows import Windows

TOKENS = ("free", "prize", "lunch", "tomorrow", "!", "£", "<11 digits>", "привет", "😂")
TEXTS = ("", "Free prize!", "Lunch tomorrow?")
TWO, THREE = ("ham", "spam"), ("calm", "glad", "sad")
FEATURES = Features(bits=6, chars=(2, 3), words=2, signs=True, shapes=True, surface=True)


def make_artifact(
    precision: Precision = "float32",
    seed: int = 0,
    *,
    labels: tuple[str, ...] = TWO,
    outputs: int | None = None,
    features: Features | None = None,
    windows: Windows | None = None,
    calibration: Calibration | None = None,
    evidence: Evidence | None = None,
) -> Artifact:
    """Draw the weights of an artifact.

    Args:
        precision: of its tables.
        seed: of its weights.
        labels: two, or more.
        outputs: logits; by default one for two labels, else one a label.
        features: what its wide path reads, if it has one.
        windows: how long texts are cut, if they are.
        calibration: of its logits, if there is one.
        evidence: of its logits, if there is any.
    """
    is_binary = len(labels) == 2
    vocabulary = Vocabulary(TOKENS)
    network = make_network(
        rows=len(vocabulary),
        outputs=outputs or (1 if is_binary else len(labels)),
        buckets=2**features.bits if features else 0,
        surface_rows=surface.LEVELS * surface.COUNTS if features and features.surface else 0,
        seed=seed,
    )
    manifest = Manifest(
        model="spam" if is_binary else "mood",
        variant="tiny",
        task="binary" if is_binary else "multiclass",
        labels=labels,
        loss="dice",
        threshold=0.5 if is_binary else None,
        score_kind="sigmoid" if is_binary else "softmax",
        precision=precision,
        config={"hidden": 3},
        dataset={"name": "made up"},
        protocol="grouped",
        split={"train": 8},
        seed=seed,
        metrics={},
        library_versions={"numpy": np.__version__},
        features=json.loads(json.dumps(asdict(features))) if features else None,
        windows=asdict(windows) if windows else None,
        calibration=asdict(calibration) if calibration else None,
        timings={"train_seconds": 1.0},
    )
    artifact = Artifact(
        manifest, vocabulary, quantize(network, precision), Golden((), ()), evidence
    )
    scores = Classifier(artifact).scores(TEXTS)
    return replace(artifact, golden=Golden(TEXTS, tuple(scores.tolist())))


def make_evidence(seed: int = 0) -> Evidence:
    """Draw evidence of two sources, near the logits of `make_artifact`; half of it is positive."""
    rng = np.random.default_rng(seed)
    labels = np.arange(2000) % 2
    logits = rng.normal(2 * labels - 1.5, 0.5)
    return Evidence.of(logits, labels, np.arange(2000) // 2 % 2, ["sms", "tweets"])


def make_grams(texts: Sequence[Sequence[int]], families: int = 3) -> GramBatch:
    """Create a batch from the grams of each text, distributed over families, which leaves gaps."""
    places = [-(-len(grams) // families) for grams in texts]
    offsets = np.cumsum([0, *places], dtype=np.int64)
    entries = np.full((families, offsets[-1]), GAP, dtype=np.int32)
    for grams, start in zip(texts, offsets.tolist(), strict=False):
        for number, gram in enumerate(grams):
            entries[number % families, start + number // families] = gram
    counts = np.array(list(map(len, texts)), dtype=np.int64)
    return GramBatch(entries.ravel(), counts, [(families, offsets)])


def make_network(
    *,
    rows: int,
    dimensions: int = 4,
    hidden: int = 3,
    outputs: int = 1,
    buckets: int = 0,
    surface_rows: int = 0,
    extra: int = 2,
    seed: int = 0,
) -> Network:
    """Draw the weights of a network; the vectors of the surface have ``extra`` numbers."""
    rng = np.random.default_rng(seed)
    extra = extra if surface_rows else 0

    def draw(*shape: int) -> NDArray[np.float32]:
        return rng.normal(size=shape).astype(np.float32)

    return Network(
        embedding=draw(rows, dimensions),
        hidden1_weight=draw(hidden, dimensions + extra),
        hidden1_bias=draw(hidden),
        hidden2_weight=draw(hidden, hidden),
        hidden2_bias=draw(hidden),
        output_weight=draw(outputs, hidden),
        output_bias=draw(outputs),
        grams=draw(buckets, outputs) if buckets else None,
        surface=draw(surface_rows, outputs + extra) if surface_rows else None,
    )

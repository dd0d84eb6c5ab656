"""A small artifact, made up."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from dandelion.artifact import Artifact, Golden, Manifest, Precision, quantize
from dandelion.network import Network
from dandelion.vocabulary import Vocabulary

TOKENS = ("free", "prize", "lunch", "tomorrow", "!", "£", "<11 digits>", "привет", "😂")
TEXTS = ("", "Free prize!", "Lunch tomorrow?")

MakeArtifact = Callable[..., Artifact]


@pytest.fixture
def make_artifact() -> MakeArtifact:
    def make(precision: Precision = "float32", seed: int = 0) -> Artifact:
        rng = np.random.default_rng(seed)

        def draw(*shape: int) -> NDArray[np.float32]:
            return rng.normal(size=shape).astype(np.float32)

        vocabulary = Vocabulary(TOKENS)
        network = quantize(
            Network(
                embedding=draw(len(vocabulary), 4),
                hidden1_weight=draw(3, 4),
                hidden1_bias=draw(3),
                hidden2_weight=draw(3, 3),
                hidden2_bias=draw(3),
                output_weight=draw(1, 3),
                output_bias=draw(1),
            ),
            precision,
        )
        scores = tuple(network.scores(vocabulary.encode(TEXTS)).tolist())
        manifest = Manifest(
            model="spam",
            variant="tiny",
            task="binary",
            labels=("ham", "spam"),
            loss="dice",
            threshold=0.5,
            score_kind="sigmoid",
            precision=precision,
            config={"hidden": 3},
            dataset={"name": "made up"},
            protocol="grouped",
            split={"train": 8},
            seed=seed,
            metrics={},
            library_versions={"numpy": np.__version__},
            timings={"train_seconds": 1.0},
        )
        return Artifact(manifest, vocabulary, network, Golden(TEXTS, scores))

    return make

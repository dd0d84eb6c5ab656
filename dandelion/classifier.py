"""An artifact made callable."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from . import artifact
from .artifact import Artifact, ArtifactError, Manifest
from .decision import decide
from .vocabulary import TokenBatch


class Prediction(NamedTuple):
    """The decision on one text."""

    label: str
    score: float


class Classifier:
    """Scores and labels texts with one artifact.

    Immutable once made, so threads may share it.
    """

    def __init__(self, source: Artifact) -> None:
        self._artifact = source

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Load the artifact in the directory ``path``.

        Raises:
            ArtifactError: it is missing, damaged, foreign, or written by a newer version.
        """
        return cls(artifact.load(Path(path)))

    @property
    def manifest(self) -> Manifest:
        """What is known about the artifact."""
        return self._artifact.manifest

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenise texts and look their tokens up: the first half of `scores`.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
        """
        if isinstance(texts, str):
            raise TypeError("texts is one string; expected a sequence of strings: [text]")
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"texts[{position}] is {type(text).__name__}; expected str")
        return self._artifact.vocabulary.encode(texts)

    def infer(self, batch: TokenBatch) -> NDArray[np.float32]:
        """Score an encoded batch, float32[n] in [0, 1]: the second half of `scores`."""
        return self._artifact.network.scores(batch)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score texts: float32[n] in [0, 1], what the threshold is compared with.

        A text's score does not depend on its neighbours (within 1e-6). A text without tokens has
        the score of an average of zeros.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
        """
        return self.infer(self.encode(texts))

    def classify(self, texts: Sequence[str], threshold: float | None = None) -> list[Prediction]:
        """Label texts, in their order; without a threshold by the artifact's own.

        Raises:
            ThresholdError: the threshold is not a number in [0, 1].
            TypeError: ``texts`` is one string, or an item is not a string.
        """
        return self.label(self.scores(texts), threshold)

    def label(
        self, scores: NDArray[np.float32], threshold: float | None = None
    ) -> list[Prediction]:
        """Label scored texts: the second half of `classify`.

        Raises:
            ThresholdError: the threshold is not a number in [0, 1].
        """
        positive = decide(scores, self.manifest.threshold if threshold is None else threshold)
        negative_label, positive_label = self.manifest.labels
        return [
            Prediction(positive_label if is_positive else negative_label, score)
            for is_positive, score in zip(positive.tolist(), scores.tolist(), strict=True)
        ]

    def check_golden(self) -> None:
        """Score the artifact's golden texts again.

        Raises:
            ArtifactError: a score differs by more than the tolerance.
        """
        golden = self._artifact.golden
        differences = np.abs(self.scores(golden.texts) - np.array(golden.scores))
        if not (differences <= golden.tolerance).all():
            raise ArtifactError(
                f"{artifact.GOLDEN_FILE} of {self.manifest.model}/{self.manifest.variant}: "
                f"scores differ by up to {differences.max():.2g} (allowed: {golden.tolerance:g}). "
                "The artifact was made by another version of the text path; train it again: "
                "make train-all"
            )

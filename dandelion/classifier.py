"""An artifact made callable."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from . import artifact, grams, surface
from .artifact import Artifact, ArtifactError, Manifest
from .characters import Page
from .decision import ThresholdError, decide
from .network import Encoded, binary_logits, sigmoid, softmax

# Grams of a text take some tens of bytes a character: long batches are read in pieces.
_CHUNK_CHARS = 2**17
_CHUNK_TEXTS = 1024


class Prediction(NamedTuple):
    """The decision on one text.

    Attributes:
        label: one of the artifact's labels.
        score: of the positive class; beyond two labels that of ``label``.
        scores: label → score, beyond two labels; None for two.
    """

    label: str
    score: float
    scores: Mapping[str, float] | None = None


class Classifier:
    """Scores and labels texts with one artifact.

    Immutable once made, so threads may share it.
    """

    def __init__(self, source: Artifact) -> None:
        self._artifact = source
        self._features = source.features
        self._is_binary = source.manifest.task == "binary"

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

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Find tokens and grams of texts: the first half of `scores`.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
        """
        _check_texts(texts)
        tokens = self._artifact.vocabulary.encode(texts)
        if self._features is None:
            return Encoded(tokens)
        page = Page(texts)
        return Encoded(
            tokens,
            grams.encode(page, self._features),
            surface.encode(page) if self._features.surface else None,
        )

    def infer(self, batch: Encoded) -> NDArray[np.float32]:
        """Score an encoded batch, see `scores`: the second half of it."""
        logits = self._artifact.network.logits(batch)
        return sigmoid(binary_logits(logits)) if self._is_binary else softmax(logits)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Score texts: float32[n] in [0, 1], what the threshold is compared with.

        Beyond two labels float32[n, k], a probability a label, in the order of the manifest's
        ``labels``. A text's score does not depend on its neighbours (within 1e-6). A text without
        tokens has the score of an average of zeros.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
        """
        _check_texts(texts)
        parts = [self.infer(self.encode(chunk)) for chunk in chunks(texts)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def classify(self, texts: Sequence[str], threshold: float | None = None) -> list[Prediction]:
        """Label texts, in their order; without a threshold by the artifact's own.

        Raises:
            ThresholdError: the threshold is not a number in [0, 1], or there is one for more than
                two labels.
            TypeError: ``texts`` is one string, or an item is not a string.
        """
        return self.label(self.scores(texts), threshold)

    def label(
        self, scores: NDArray[np.float32], threshold: float | None = None
    ) -> list[Prediction]:
        """Label scored texts: the second half of `classify`.

        Raises:
            ThresholdError: the threshold is not a number in [0, 1], or there is one for more than
                two labels.
        """
        labels = self.manifest.labels
        own = self.manifest.threshold
        if own is None:
            if threshold is not None:
                raise ThresholdError(
                    f"there is no threshold between {len(labels)} labels; "
                    "the one with the highest score is given"
                )
            return [
                Prediction(labels[best], row[best], dict(zip(labels, row, strict=True)))
                for best, row in zip(scores.argmax(axis=1).tolist(), scores.tolist(), strict=True)
            ]
        positive = decide(scores, own if threshold is None else threshold)
        return [
            Prediction(labels[is_positive], score)
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


def chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a batch into pieces that bound the memory their encoding takes; at least one piece."""
    start, chars = 0, 0
    for stop, text in enumerate(texts):
        if stop > start and (chars + len(text) > _CHUNK_CHARS or stop - start == _CHUNK_TEXTS):
            yield texts[start:stop]
            start, chars = stop, 0
        chars += len(text)
    yield texts[start:]


def _check_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise TypeError("texts is one string; expected a sequence of strings: [text]")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}] is {type(text).__name__}; expected str")

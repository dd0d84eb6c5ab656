"""An artifact made callable."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from . import artifact
from .advice import ADVICE
from .artifact import Artifact
from .decision.rule import Decision
from .engines.choice import Engine, EngineChoice, scorer
from .manifest import ArtifactError, Manifest
from .quantization import packed_tables

# Grams of a text take some tens of bytes a character: long batches are read in pieces, which fit
# the processor's cache.
_CHUNK_CHARS = 2**17
_CHUNK_TEXTS = 256


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

    def __init__(self, source: Artifact, engine: EngineChoice = "auto") -> None:
        # Not the artifact: the engine keeps of its tables what it needs.
        self._manifest, self._golden = source.manifest, source.golden
        manifest, network = source.manifest, source.network
        self._decision = manifest.decision
        self._scorer = scorer(
            source.vocabulary,
            manifest.wide_features,
            network,
            packed_tables(network.weights(), manifest.precision),
            is_binary=self._decision.is_binary,
            engine=engine,
        )

    @classmethod
    def load(cls, path: str | PathLike[str], engine: EngineChoice = "auto") -> Self:
        """Load the artifact in the directory ``path``.

        Args:
            path: of the artifact.
            engine: what computes the scores; ``auto`` is ``compiled`` where that was built,
                else ``numpy``. Their scores are equal within 1e-6.

        Raises:
            ArtifactError: it is missing, damaged, foreign, or written by a newer version.
            KernelError: the compiled engine is asked for, but was not built.
        """
        return cls(artifact.load(Path(path)), engine)

    @property
    def manifest(self) -> Manifest:
        """What is known about the artifact."""
        return self._manifest

    @property
    def decision(self) -> Decision:
        """How scores become labels, with the artifact's own threshold."""
        return self._decision

    @property
    def engine(self) -> Engine:
        """What computes the scores."""
        return self._scorer.name

    def encode(self, texts: Sequence[str]) -> Any:
        """Find tokens, grams and surface of texts: the first half of `scores`, for `infer`.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
        """
        _check_texts(texts)
        return self._scorer.encode(texts)

    def infer(self, batch: Any) -> NDArray[np.float32]:
        """Score an encoded batch, see `scores`: the second half of it.

        Raises:
            ValueError: another classifier encoded it.
        """
        return self._scorer.infer(batch)

    def scores(self, texts: Sequence[str], workers: int = 1) -> NDArray[np.float32]:
        """Score texts: float32[n] in [0, 1], what the threshold is compared with.

        Beyond two labels float32[n, k], a probability a label, in the order of the manifest's
        ``labels``. A text's score does not depend on its neighbours (within 1e-6). A text without
        tokens has the score of an average of zeros. However many texts there are, they are read in
        pieces: beside the scores themselves, memory is constant.

        Args:
            texts: raw.
            workers: threads that share the work. The compiled engine keeps as many processors
                busy; NumPy's, which holds the interpreter's lock half of the time, fewer.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
            ValueError: there are no workers.
        """
        _check_texts(texts)
        if workers < 1:
            raise ValueError(f"workers is {workers}; expected at least 1")
        if _is_one_piece(texts):
            return self._scorer.infer(self._scorer.encode(texts))
        scores = np.empty((len(texts), *self._decision.shape), np.float32)
        pieces = _placed(texts)
        taking = Lock()  # one thread at a time may ask a generator

        def work() -> None:
            while True:
                with taking:
                    start, piece = next(pieces, (0, ()))
                if not piece:
                    return
                scores[start : start + len(piece)] = self.infer(self._scorer.encode(piece))

        if workers == 1:
            work()
        else:
            with ThreadPoolExecutor(workers) as pool:
                for one in [pool.submit(work) for _ in range(workers)]:
                    one.result()
        return scores

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
        decision = self._decision.at(threshold)
        decided = decision.decide(scores)
        names = [decision.labels[position] for position in decided.positions]
        if decided.by_label is None:
            return list(map(Prediction, names, decided.scores))
        by_label = [dict(zip(decision.labels, row, strict=True)) for row in decided.by_label]
        return list(map(Prediction, names, decided.scores, by_label))

    def check_golden(self) -> None:
        """Score the artifact's golden texts again.

        Raises:
            ArtifactError: a score differs by more than the tolerance.
        """
        golden = self._golden
        differences = np.abs(self.scores(golden.texts) - np.array(golden.scores))
        if not (differences <= golden.tolerance).all():
            raise ArtifactError(
                f"{artifact.GOLDEN_FILE} of {self.manifest.model}/{self.manifest.variant}: "
                f"scores differ by up to {differences.max():.2g} (allowed: {golden.tolerance:g}). "
                "The artifact was written by another version of the text path. Train it again: "
                f"{ADVICE.train}"
            )


def chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a batch into pieces that bound the memory their encoding takes; at least one piece."""
    if _is_one_piece(texts):
        yield texts
        return
    start, chars = 0, 0
    for stop, text in enumerate(texts):
        if stop > start and (chars + len(text) > _CHUNK_CHARS or stop - start == _CHUNK_TEXTS):
            yield texts[start:stop]
            start, chars = stop, 0
        chars += len(text)
    yield texts[start:]


def _is_one_piece(texts: Sequence[str]) -> bool:
    return len(texts) <= _CHUNK_TEXTS and sum(map(len, texts)) <= _CHUNK_CHARS


def _placed(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the pieces of a batch with their place in it."""
    start = 0
    for piece in chunks(texts):
        yield start, piece
        start += len(piece)


def _check_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise TypeError("texts is one string; expected a sequence of strings: [text]")
    if set(map(type, texts)) <= {str}:
        return
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}] is {type(text).__name__}; expected str")

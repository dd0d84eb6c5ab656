"""A classifier: a loaded artifact that scores and labels texts."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike, fsdecode
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from . import artifact
from .artifact import Artifact
from .decision.rule import Decision
from .engines.choice import Engine, EngineChoice, scorer
from .installation import ADVICE
from .manifest import ArtifactError, Manifest
from .quantization import packed_tables

# The grams of a text take tens of bytes per character. Large batches are split into chunks that fit
# the processor's cache.
CHUNK_CHARS: Final = 2**17
CHUNK_TEXTS: Final = 256


class Prediction(NamedTuple):
    """The decision on one text.

    Attributes:
        label: one of the artifact's labels.
        score: of the positive label; with more than two labels, of ``label``.
        scores: label → score for more than two labels; None for two.
    """

    label: str
    score: float
    scores: Mapping[str, float] | None = None


class Classifier:
    """Scores and labels texts with one artifact; immutable, so threads may share it.

    Args:
        source: the artifact.
        engine: what computes the scores, see `load`.

    Raises:
        KernelError: the compiled engine is requested, but cannot be used.

    Example:
        >>> classifier = Classifier.load("artifacts/spam/dice")
        >>> predictions = classifier.classify(["WIN a FREE prize! Call now", "Lunch at 12?"])
        >>> [prediction.label for prediction in predictions]
        ['spam', 'ham']
    """

    def __init__(self, source: Artifact, engine: EngineChoice = "auto") -> None:
        # Not the whole artifact: the engine keeps what it needs of the tables.
        self._manifest, self._golden = source.manifest, source.golden
        manifest, network = source.manifest, source.network
        self._decision = manifest.decision
        self._scorer = scorer(
            source.vocabulary,
            manifest.wide_features,
            network,
            packed_tables(network.weights(), manifest.precision),
            windows=manifest.text_windows,
            calibration=manifest.score_map,
            is_binary=self._decision.is_binary,
            engine=engine,
        )

    @classmethod
    def load(
        cls, path: str | bytes | PathLike[str] | PathLike[bytes], engine: EngineChoice = "auto"
    ) -> Self:
        """Load an artifact.

        Args:
            path: the directory of the artifact. It is only read, and not needed afterwards.
            engine: what computes the scores: ``compiled``, ``numpy``, or ``auto`` for ``compiled``
                where it is available. Their scores are equal within 1e-6.

        Raises:
            ArtifactError: the artifact is missing, damaged, of another format or newer than this
                code.
            KernelError: the compiled engine is requested, but cannot be used.
        """
        name = fsdecode(path)
        if not name:  # which Path takes for the working directory
            raise ArtifactError("the path is empty; expected the directory of an artifact")
        return cls(artifact.load(Path(name)), engine)

    @property
    def manifest(self) -> Manifest:
        """Everything known about the artifact."""
        return self._manifest

    @property
    def decision(self) -> Decision:
        """How scores become labels, at the threshold of the artifact."""
        return self._decision

    @property
    def engine(self) -> Engine:
        """The engine that computes the scores."""
        return self._scorer.name

    def encode(self, texts: Sequence[str], *, is_nfkc: bool = False) -> Any:
        """Find tokens, grams and surface of texts: the first step of `scores`, for `infer`.

        Args:
            texts: raw.
            is_nfkc: whether they are results of `dandelion.text.tokenizer.to_nfkc` instead.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
        """
        _check_texts(texts)
        return self._scorer.encode(texts, is_nfkc=is_nfkc)

    def infer(self, batch: Any) -> NDArray[np.float32]:
        """Score an encoded batch: the second step of `scores`.

        Raises:
            ValueError: another classifier encoded the batch.
        """
        return self._scorer.infer(batch)

    def scores(self, texts: Sequence[str], workers: int = 1) -> NDArray[np.float32]:
        """Score texts: float32[n] in [0, 1], the numbers that are compared with the threshold.

        For more than two labels float32[n, k], the probability of each label, in the order of
        ``manifest.labels``. The score of a text does not depend on the other texts (within 1e-6).
        Large batches are processed in chunks, so that apart from the scores, memory is constant.

        Args:
            texts: raw, in any number.
            workers: threads that share the work. The compiled engine keeps that many processors
                busy; NumPy fewer, because it holds the interpreter's lock half of the time.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
            ValueError: ``workers`` is less than 1.
        """
        _check_texts(texts)
        if workers < 1:
            raise ValueError(f"workers is {workers}; expected at least 1")
        if _is_one_chunk(texts):
            return self._scorer.infer(self._scorer.encode(texts))
        scores = np.empty((len(texts), *self._decision.shape), np.float32)
        placed = _placed(texts)
        advancing = Lock()  # a generator can be advanced by one thread at a time

        def work() -> None:
            while True:
                with advancing:
                    following = next(placed, None)
                if following is None:
                    return
                start, chunk = following
                scores[start : start + len(chunk)] = self.infer(self._scorer.encode(chunk))

        if workers == 1:
            work()
        else:
            with ThreadPoolExecutor(workers) as pool:
                for one in [pool.submit(work) for _ in range(workers)]:
                    one.result()
        return scores

    def classify(self, texts: Sequence[str], threshold: float | None = None) -> list[Prediction]:
        """Label texts, in their order.

        Args:
            texts: raw.
            threshold: a text is positive at ``score >= threshold``; by default the artifact's.

        Raises:
            ThresholdError: the threshold is not a number in [0, 1], or is given for more than two
                labels.
            TypeError: ``texts`` is one string, or an item is not a string.
        """
        return self.label(self.scores(texts), threshold)

    def label(
        self, scores: NDArray[np.float32], threshold: float | None = None
    ) -> list[Prediction]:
        """Label scored texts: the second step of `classify`.

        Raises:
            ThresholdError: the threshold is not a number in [0, 1], or is given for more than two
                labels.
        """
        decision = self._decision.at(threshold)
        decided = decision.decide(scores)
        names = decision.names(decided)
        if decided.by_label is None:
            return list(map(Prediction, names, decided.scores))
        return list(map(Prediction, names, decided.scores, decision.by_name(decided)))

    def check_golden(self) -> None:
        """Check that the golden texts still get their recorded scores.

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
    """Split a batch into chunks, at least one, that bound the memory of their encoding."""
    if _is_one_chunk(texts):
        yield texts
        return
    start, chars = 0, 0
    for stop, text in enumerate(texts):
        if stop > start and (chars + len(text) > CHUNK_CHARS or stop - start == CHUNK_TEXTS):
            yield texts[start:stop]
            start, chars = stop, 0
        chars += len(text)
    yield texts[start:]


def _is_one_chunk(texts: Sequence[str]) -> bool:
    return len(texts) <= CHUNK_TEXTS and sum(map(len, texts)) <= CHUNK_CHARS


def _placed(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the chunks of a batch with their place in it."""
    start = 0
    for chunk in chunks(texts):
        yield start, chunk
        start += len(chunk)


def _check_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise TypeError("texts is one string; expected a sequence of strings: [text]")
    if set(map(type, texts)) <= {str}:
        return
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}] is {type(text).__name__}; expected str")

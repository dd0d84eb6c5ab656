"""From labelled texts to a network that scores raw texts: encode and fit, without judging.

An experiment judges what is learnt here; folds and studies learn from any rows they choose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dandelion.classifier import chunks
from dandelion.decision.calibration import Calibration
from dandelion.engines.choice import NumPyScorer
from dandelion.engines.network import Network
from dandelion.quantization import quantize
from dandelion.text.grams import Features
from dandelion.text.tokenizer import clean, tokenize
from dandelion.text.vocabulary import Vocabulary
from dandelion.text.windows import Windows

from .configuration import Configuration
from .data import augmentation
from .data.datasets import Dataset
from .fitting.batches import Fold
from .fitting.trainer import Fit, OnEpoch, fit, ignore_epoch
from .model import bags, embeddings, static_vectors, vocabulary
from .quality.metrics import Labels, Scores

T = TypeVar("T")

_load_vectors = lru_cache(maxsize=1)(embeddings.load)
_load_static = lru_cache(maxsize=1)(static_vectors.load)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts of a data set, encoded for a fit.

    Attributes:
        vocabulary: of v − 1 known tokens, from the training texts and the word vectors.
        embedding: float32[v, d], the initial word vectors, with the static ones behind them.
        embeddings: the names of the word vectors.
        features: what the wide path reads; None without one.
        train: the rows to learn from, with their changed copies.
        validation: the rows that are measured after each epoch.
    """

    vocabulary: Vocabulary
    embedding: NDArray[np.float32]
    embeddings: str
    features: Features | None
    train: Fold
    validation: Fold


@dataclass(frozen=True, slots=True)
class Learned:
    """A fitted network, rounded as it is stored, with what it needs to read a text.

    Attributes:
        vocabulary: of v − 1 known tokens.
        features: of the wide path; None without one.
        network: rounded to the configuration's precision.
        windows: how long texts are cut, with a penalty of 0 until one is fitted; None for not at
            all.
        is_binary: whether there are two labels.
        fit: history and duration.
        calibration: of the logits; None until one is fitted.
    """

    vocabulary: Vocabulary
    features: Features | None
    network: Network
    windows: Windows | None
    is_binary: bool
    fit: Fit
    calibration: Calibration | None = None

    def with_penalty(self, penalty: float) -> "Learned":
        """Return the same with the penalty of the windows, see `dandelion.text.windows`."""
        windows = None if self.windows is None else replace(self.windows, penalty=penalty)
        return replace(self, windows=windows)

    def with_calibration(self, calibration: Calibration) -> "Learned":
        """Return the same with calibrated scores; its logits stay as they are."""
        return replace(self, calibration=calibration)

    def logits(self, texts: Sequence[str]) -> Scores:
        """Return uncalibrated log-odds of the positive label, float32[n]; or float32[n, k]."""
        engine = self._engine()
        return np.concatenate([engine.logits(engine.encode(piece)) for piece in chunks(texts)])

    def scores(self, texts: Sequence[str]) -> Scores:
        """Score raw texts as an artifact will: float32[n], or float32[n, k]."""
        engine = self._engine()
        return np.concatenate([engine.infer(engine.encode(piece)) for piece in chunks(texts)])

    def window_counts(self, texts: Sequence[str]) -> Labels:
        """Return into how many windows each raw text is cut, int64[n]."""
        if self.windows is None:
            return np.ones(len(texts), dtype=np.int64)
        cut = self.windows.cut
        return np.array([len(cut(clean(text))) for text in texts], dtype=np.int64)

    def _engine(self) -> NumPyScorer:
        # NumPy defines the scores, and is there on every machine.
        return NumPyScorer(
            self.vocabulary,
            self.features,
            self.network,
            self.windows,
            calibration=self.calibration,
            is_binary=self.is_binary,
        )


def learn(  # noqa: PLR0913
    config: Configuration,
    dataset: Dataset,
    train: Labels,
    validation: Labels,
    *,
    seed: int,
    types: Labels | None = None,
    glove: Path | None = None,
    on_epoch: OnEpoch = ignore_epoch,
) -> Learned:
    """Fit a variant on given rows of a data set.

    Args:
        config: the variant.
        dataset: texts, labels and, if there are any, weights.
        train: int64, the rows to learn from; of these alone changed copies are made.
        validation: int64, the rows that are measured after each epoch; with ``restore = "last"``
            they decide nothing.
        seed: of initialisation, batches and dropout.
        types: int64[n], the finer classes of the data set; None if they are not learnt.
        glove: a file of word vectors; by default the pip package's.
        on_epoch: called after each epoch.

    Raises:
        TrainingError: word vectors are missing or wrong, or the fit diverged.
    """
    encoded = encode(config, dataset, train, validation, types=types, glove=glove)
    return fit_encoded(config, dataset, encoded, seed=seed, on_epoch=on_epoch)


def encode(  # noqa: PLR0913
    config: Configuration,
    dataset: Dataset,
    train: Labels,
    validation: Labels,
    *,
    types: Labels | None = None,
    glove: Path | None = None,
) -> Encoded:
    """Encode given rows of a data set for a fit, see `learn`.

    If the configuration has an augmentation, changed copies are added to the rows to learn from.
    They are the same for every seed of a fit.

    Raises:
        TrainingError: word vectors are missing or wrong.
    """
    if config.augmentation is not None:
        kinds, share = config.augmentation.kinds, config.augmentation.share
        dataset, train = augmentation.extended(dataset, train, kinds, share, seed=0)
    vectors = _load_vectors(glove, config.dimensions)
    features = None if config.wide is None else config.wide.features()
    tokens = _tokens(dataset)
    words, embedding = vocabulary.build(_pick(tokens, train), vectors, config)
    name = vectors.name
    if config.static is not None:
        static = _load_static(vectors.words, config.static.dimensions)
        embedding = vocabulary.append(words, embedding, static, config.static.scale)
        name = f"{name}, {static.name}"

    def fold(rows: Labels) -> Fold:
        return Fold(
            words.look_up(_pick(tokens, rows)),
            dataset.labels[rows],
            None if features is None else _bags(dataset, features).take(rows),
            None if types is None else types[rows],
            None if dataset.weights is None else dataset.weights[rows],
        )

    return Encoded(words, embedding, name, features, fold(train), fold(validation))


def fit_encoded(
    config: Configuration,
    dataset: Dataset,
    encoded: Encoded,
    *,
    seed: int,
    on_epoch: OnEpoch = ignore_epoch,
) -> Learned:
    """Fit a variant on what `encode` returned, see `learn`."""
    fitted = fit(
        config,
        encoded.train,
        encoded.validation,
        embedding=encoded.embedding,
        classes=len(dataset.label_names),
        seed=seed,
        on_epoch=on_epoch,
    )
    return Learned(
        encoded.vocabulary,
        encoded.features,
        quantize(fitted.network, config.precision),
        None if config.windows is None else config.windows.windows(),
        dataset.task == "binary",
        fitted,
    )


@lru_cache(maxsize=2)
def _tokens(dataset: Dataset) -> tuple[list[str], ...]:
    return tuple(map(tokenize, dataset.texts))


@lru_cache(maxsize=2)
def _bags(dataset: Dataset, features: Features) -> bags.Bags:
    return bags.count(dataset.texts, features)


def _pick(items: Sequence[T], rows: Labels) -> tuple[T, ...]:
    return tuple(items[row] for row in rows.tolist())

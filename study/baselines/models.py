"""What is fitted: TF-IDF with a linear model (scikit-learn), and fastText."""

import re
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import fasttext
import joblib
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from training.fitting.batches import draw_weighted
from training.quality.metrics import Labels

# float64[n], of the positive class, for two labels; float64[n, k] for k > 2.
BaselineScores = NDArray[np.float64]
ScoreKind = Literal["sigmoid", "softmax", "margin"]

# A token for fastText: a run of letters and digits, or one other character. No token looks like a
# label; the label prefix has to be the default one, as fastText saves no other.
_TOKEN = re.compile(r"[^\W_]+|\S")
_LABEL = "__label__"
_EPOCHS = 5  # the library's default


class Fitted(ABC):
    """A fitted baseline."""

    @property
    @abstractmethod
    def score_kind(self) -> ScoreKind:
        """What the scores are; ``margin`` is the sigmoid of a margin, 0.5 at margin 0."""

    @abstractmethod
    def scores(self, texts: Sequence[str]) -> BaselineScores:
        """Score raw texts, each score in [0, 1]."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write everything needed for scoring into one uncompressed file."""


class Baseline(ABC):
    """How to fit a baseline."""

    @property
    def family(self) -> object:
        """Equal for baselines that share the costly part of a fit; fit them one after another."""
        return self

    @abstractmethod
    def fit(
        self,
        texts: tuple[str, ...],
        labels: Labels,
        seed: int,
        weights: NDArray[np.float64] | None = None,
    ) -> tuple[Fitted, float]:
        """Fit on raw texts.

        Args:
            texts: n of them.
            labels: int64[n], 0 … k − 1, every class present.
            seed: of the random numbers.
            weights: float64[n], how often each text counts, relative to the others; None for
                equally often.

        Returns:
            The fitted baseline, and the seconds from raw texts to it, shared parts counted in full.
        """

    @abstractmethod
    def load(self, path: Path) -> Fitted:
        """Read what `Fitted.save` wrote."""


@dataclass(frozen=True, slots=True)
class _FittedLinear(Fitted):
    """Fitted vectorisers and a fitted linear model."""

    vectorisers: tuple[TfidfVectorizer, ...]
    estimator: Any

    @property
    def score_kind(self) -> ScoreKind:
        if isinstance(self.estimator, LinearSVC):
            return "margin"
        return "softmax" if len(self.estimator.classes_) > 2 else "sigmoid"

    def scores(self, texts: Sequence[str]) -> BaselineScores:
        features = _concatenate([one.transform(texts) for one in self.vectorisers])
        margins = self.estimator.decision_function(features)
        scores: BaselineScores = (
            softmax(margins, axis=1) if self.score_kind == "softmax" else expit(margins)
        )
        return scores

    def save(self, path: Path) -> None:
        joblib.dump(self, path)


@dataclass(frozen=True, slots=True, eq=False)
class _Linear(Baseline):
    """TF-IDF features and a linear model, both given unfitted."""

    vectorisers: tuple[TfidfVectorizer, ...]
    estimator: Any

    @property
    def family(self) -> object:
        return self.vectorisers

    def fit(
        self,
        texts: tuple[str, ...],
        labels: Labels,
        seed: int,
        weights: NDArray[np.float64] | None = None,
    ) -> tuple[Fitted, float]:
        vectorisers, features, seconds = _features(self.vectorisers, texts)
        started = time.perf_counter()
        estimator = clone(self.estimator).set_params(random_state=seed)
        estimator.fit(features, labels, sample_weight=mean_one(weights))
        return _FittedLinear(vectorisers, estimator), seconds + time.perf_counter() - started

    def load(self, path: Path) -> Fitted:
        fitted: _FittedLinear = joblib.load(path)
        return fitted


@lru_cache(maxsize=1)
def _features(
    examples: tuple[TfidfVectorizer, ...], texts: tuple[str, ...]
) -> tuple[tuple[TfidfVectorizer, ...], sparse.csr_matrix, float]:
    """Fit vectorisers; also return the features [texts, terms] and the seconds it took."""
    started = time.perf_counter()
    vectorisers = tuple(clone(example) for example in examples)
    features = _concatenate([one.fit_transform(texts) for one in vectorisers])
    return vectorisers, features, time.perf_counter() - started


def mean_one(weights: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Scale weights to a mean of 1, so that a penalty means the same with them."""
    return None if weights is None else weights / weights.mean()


def _concatenate(parts: list[sparse.csr_matrix]) -> sparse.csr_matrix:
    # scikit-learn's FeatureUnion takes a quarter of the time that a single text needs.
    return parts[0] if len(parts) == 1 else sparse.hstack(parts, format="csr")


@dataclass(frozen=True, slots=True)
class _FittedFastText(Fitted):
    """A fastText model whose labels are the numbers 0 … k − 1."""

    model: Any

    @property
    def score_kind(self) -> ScoreKind:
        return "softmax" if len(self.model.labels) > 2 else "sigmoid"

    def scores(self, texts: Sequence[str]) -> BaselineScores:
        count = len(self.model.labels)
        found = self.model.predict([_line(text) for text in texts], k=count)
        scores = np.zeros((len(texts), count))
        for row, (names, probabilities) in enumerate(zip(*found, strict=True)):
            scores[row, [int(name.removeprefix(_LABEL)) for name in names]] = probabilities
        # fastText adds 1e-5 to each probability before it takes the logarithm.
        scores.clip(max=1, out=scores)
        return scores if count > 2 else scores[:, 1]

    def save(self, path: Path) -> None:
        self.model.save_model(str(path))


@dataclass(frozen=True, slots=True, eq=False)
class _FastText(Baseline):
    """fastText with the library's defaults, except for the given options."""

    options: Mapping[str, float]

    def fit(
        self,
        texts: tuple[str, ...],
        labels: Labels,
        seed: int,
        weights: NDArray[np.float64] | None = None,
    ) -> tuple[Fitted, float]:
        started = time.perf_counter()
        rng = np.random.default_rng(seed)
        options = dict(self.options)
        lines = [
            f"{_LABEL}{label} {_line(text)}\n" for label, text in zip(labels, texts, strict=True)
        ]
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "lines.txt"
            with file.open("w", encoding="utf-8") as opened:
                # fastText reads its file in order and does not shuffle; the data set is sorted by
                # class.
                if weights is None:
                    opened.writelines(lines[row] for row in rng.permutation(len(texts)).tolist())
                else:
                    # It knows no weights: every epoch's draw is written, and read once.
                    for _ in range(int(options.pop("epoch", _EPOCHS))):
                        opened.writelines(
                            lines[row] for row in draw_weighted(weights, rng).tolist()
                        )
                    options["epoch"] = 1
            model = fasttext.train_supervised(str(file), seed=seed, thread=1, verbose=0, **options)
        return _FittedFastText(model), time.perf_counter() - started

    def load(self, path: Path) -> Fitted:
        return _FittedFastText(fasttext.load_model(str(path)))


def _line(text: str) -> str:
    return " ".join(_TOKEN.findall(text.lower()))


# No term is pruned and counts are sublinear, which does not lower the baselines' figures.
_WORDS = (TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),)
_WORDS_AND_CHARACTERS = (
    *_WORDS,
    TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
)
# More steps than any fit here needs to converge.
_LR = LogisticRegression(C=10, max_iter=1000)
_BALANCED_LR = LogisticRegression(C=10, max_iter=1000, class_weight="balanced")
_TUNED = {"epoch": 25, "lr": 0.5, "wordNgrams": 2, "dim": 50}
_SUBWORDS = {"epoch": 25, "lr": 0.3, "wordNgrams": 2, "minn": 2, "maxn": 5, "dim": 50}


def fasttext_subwords(options: Mapping[str, float]) -> Baseline:
    """Return fastText with subwords, given options instead of the tuned ones."""
    return _FastText({**_SUBWORDS, **options})


# Name of a row → how it is fitted.
BASELINES: Final[dict[str, Baseline]] = {
    "TF-IDF words + balanced LR": _Linear(_WORDS, _BALANCED_LR),
    "TF-IDF words, characters + LinearSVC": _Linear(_WORDS_AND_CHARACTERS, LinearSVC()),
    "TF-IDF words, characters + LR": _Linear(_WORDS_AND_CHARACTERS, _LR),
    "fastText default": _FastText({}),
    "fastText tuned": _FastText(_TUNED),
    "fastText subwords": _FastText(_SUBWORDS),
}

"""The peers: what people use today for the same texts, fitted on the same folds.

TF-IDF with a linear model (scikit-learn) and fastText, one thread each. A finished fit is kept by
the hash of what its numbers depend on, this file among it and no other code.
"""

import hashlib
import io
import json
import re
import statistics
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
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
from threadpoolctl import threadpool_limits

from training.cache import cache_directory, write_whole
from training.data import datasets
from training.data.datasets import Dataset
from training.data.splits import Protocol, split
from training.parallel import side_by_side
from training.quality.metrics import Labels

# float64[n], of the positive class, for two labels; float64[n, k] for k > 2.
PeerScores = NDArray[np.float64]
ScoreKind = Literal["sigmoid", "softmax", "margin"]

# The seed whose fits are kept as files and timed, and the number of texts to time with.
TIMED_SEED: Final = 0
TIMED_TEXTS: Final = 2048

_LIBRARIES = ("numpy", "scikit-learn", "fasttext-community")

# A token of fastText's: letters and digits, or one other sign. So none looks like a label, whose
# prefix must be the default: fastText saves no other.
_TOKEN = re.compile(r"[^\W_]+|\S")
_LABEL = "__label__"


class Fitted(ABC):
    """A peer that has learnt."""

    @property
    @abstractmethod
    def score_kind(self) -> ScoreKind:
        """What its scores are; ``margin`` stands for the sigmoid of a margin, .5 at margin 0."""

    @abstractmethod
    def scores(self, texts: Sequence[str]) -> PeerScores:
        """Score raw texts, each score in [0, 1]."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write all that scoring needs into one uncompressed file."""


class Peer(ABC):
    """How to fit a peer."""

    @property
    def family(self) -> object:
        """Equal for peers that share the costly part of a fit, and are best fitted in a row."""
        return self

    @abstractmethod
    def fit(self, texts: tuple[str, ...], labels: Labels, seed: int) -> tuple[Fitted, float]:
        """Learn from raw texts.

        Args:
            texts: n of them.
            labels: int64[n], 0 … k − 1, all of them present.
            seed: of whatever is drawn.

        Returns:
            The fitted peer, and the seconds from raw texts to it, shared parts counted in full.
        """

    @abstractmethod
    def load(self, path: Path) -> Fitted:
        """Read what its `Fitted.save` wrote."""


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

    def scores(self, texts: Sequence[str]) -> PeerScores:
        features = _beside([one.transform(texts) for one in self.vectorisers])
        margins = self.estimator.decision_function(features)
        scores: PeerScores = (
            softmax(margins, axis=1) if self.score_kind == "softmax" else expit(margins)
        )
        return scores

    def save(self, path: Path) -> None:
        joblib.dump(self, path)


@dataclass(frozen=True, slots=True, eq=False)
class _Linear(Peer):
    """TF-IDF features and a linear model, both given as unfitted examples."""

    vectorisers: tuple[TfidfVectorizer, ...]
    estimator: Any

    @property
    def family(self) -> object:
        return self.vectorisers

    def fit(self, texts: tuple[str, ...], labels: Labels, seed: int) -> tuple[Fitted, float]:
        vectorisers, features, seconds = _features(self.vectorisers, texts)
        started = time.perf_counter()
        estimator = clone(self.estimator).set_params(random_state=seed).fit(features, labels)
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
    features = _beside([one.fit_transform(texts) for one in vectorisers])
    return vectorisers, features, time.perf_counter() - started


def _beside(parts: list[sparse.csr_matrix]) -> sparse.csr_matrix:
    # scikit-learn's own union costs a quarter of the time of one text alone.
    return parts[0] if len(parts) == 1 else sparse.hstack(parts, format="csr")


@dataclass(frozen=True, slots=True)
class _FittedFastText(Fitted):
    """A fastText model whose labels are the numbers 0 … k − 1."""

    model: Any

    @property
    def score_kind(self) -> ScoreKind:
        return "softmax" if len(self.model.labels) > 2 else "sigmoid"

    def scores(self, texts: Sequence[str]) -> PeerScores:
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
class _FastText(Peer):
    """fastText, the library's defaults but for some options."""

    options: Mapping[str, float]

    def fit(self, texts: tuple[str, ...], labels: Labels, seed: int) -> tuple[Fitted, float]:
        started = time.perf_counter()
        # fastText reads its file in order: sorted classes would be forgotten one by one.
        order = np.random.default_rng(seed).permutation(len(texts)).tolist()
        lines = (f"{_LABEL}{labels[row]} {_line(texts[row])}\n" for row in order)
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "lines.txt"
            file.write_text("".join(lines), encoding="utf-8")
            model = fasttext.train_supervised(
                str(file), seed=seed, thread=1, verbose=0, **self.options
            )
        return _FittedFastText(model), time.perf_counter() - started

    def load(self, path: Path) -> Fitted:
        return _FittedFastText(fasttext.load_model(str(path)))


def _line(text: str) -> str:
    return " ".join(_TOKEN.findall(text.lower()))


# No term is pruned and counts are sublinear: the peers' figures are no worse for it.
_WORDS = (TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),)
_WORDS_AND_CHARACTERS = (
    *_WORDS,
    TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
)
# More steps than any of the fits here needs to converge.
_LR = LogisticRegression(C=10, max_iter=1000)
_BALANCED_LR = LogisticRegression(C=10, max_iter=1000, class_weight="balanced")
_TUNED = {"epoch": 25, "lr": 0.5, "wordNgrams": 2, "dim": 50}
_SUBWORDS = {"epoch": 25, "lr": 0.3, "wordNgrams": 2, "minn": 2, "maxn": 5, "dim": 50}

# Name of a row → how to fit it.
PEERS: Final[dict[str, Peer]] = {
    "TF-IDF words + balanced LR": _Linear(_WORDS, _BALANCED_LR),
    "TF-IDF words, characters + LinearSVC": _Linear(_WORDS_AND_CHARACTERS, LinearSVC()),
    "TF-IDF words, characters + LR": _Linear(_WORDS_AND_CHARACTERS, _LR),
    "fastText default": _FastText({}),
    "fastText tuned": _FastText(_TUNED),
    "fastText subwords": _FastText(_SUBWORDS),
}


@dataclass(frozen=True, slots=True)
class PeerRun:
    """One peer fitted on one split.

    Attributes:
        validation_scores: float64[n] of the positive class, or float64[n, k] for k > 2 labels.
        test_scores: the same of the test fold.
        score_kind: see `Fitted.score_kind`.
        train_seconds: wall time from raw texts to the fitted peer, others running beside it.
        bytes: of the uncompressed file that holds all that scoring needs.
        us_per_text_1: microseconds for one text alone, from raw text; null but for `TIMED_SEED`.
        us_per_text_256: microseconds a text in a batch of 256, from raw text; null likewise.
    """

    validation_scores: PeerScores
    test_scores: PeerScores
    score_kind: ScoreKind
    train_seconds: float
    bytes: int
    us_per_text_1: float | None
    us_per_text_256: float | None


@dataclass(frozen=True, slots=True)
class _Job:
    """Peers of one family to fit on one split, and where each is kept."""

    model: str
    protocol: Protocol
    seed: int
    homes: Mapping[str, Path]


def run_peers(
    model: str, seeds: Sequence[int], protocol: Protocol, workers: int | None = None
) -> dict[str, list[PeerRun]]:
    """Fit every peer on every seed's split, side by side, with a progress bar.

    Finished fits are kept, so that an interrupted series goes on where it broke off.

    Args:
        model: the task, a key of `datasets.SOURCES`.
        seeds: of split and fit.
        protocol: how the data set is split.
        workers: processes, one thread each; by default one a processor.

    Returns:
        Name of a peer → one run a seed, in the order of ``seeds``.

    Raises:
        TrainingError: the data set is missing, damaged or too small.
    """
    homes = {seed: _homes(model, protocol, seed) for seed in seeds}
    jobs = [
        _Job(model, protocol, seed, group) for seed in homes for group in _families(homes[seed])
    ]
    # A seed's last family takes longest; begun first, it leaves no processor idle at the end.
    jobs.reverse()
    missing = [job for job in map(_without_kept, jobs) if job.homes]
    title = f"Peers, {model}, {protocol}"
    side_by_side(_carry_out, missing, title, workers=workers, done=len(jobs) - len(missing))
    return {name: [_read(homes[seed][name]) for seed in seeds] for name in PEERS}


def time_peers(model: str) -> dict[str, tuple[float, float]]:
    """Time the kept fits of `TIMED_SEED`, grouped protocol; only what is not there is fitted.

    Returns:
        Name of a peer → microseconds for one text alone, and a text in a batch of 256, see
        `microseconds_per_text`.

    Raises:
        TrainingError: the data set is missing, damaged or too small.
    """
    run_peers(model, (TIMED_SEED,), Protocol.GROUPED)
    texts = _dataset(model, datasets.data_directory()).texts[:TIMED_TEXTS]
    homes = _homes(model, Protocol.GROUPED, TIMED_SEED)
    return {
        name: microseconds_per_text(PEERS[name].load(_model_file(home)).scores, texts)
        for name, home in homes.items()
    }


def microseconds_per_text(
    score: Callable[[Sequence[str]], object], texts: Sequence[str]
) -> tuple[float, float]:
    """Time scoring from raw text on one thread: alone and in a batch of 256, medians, microseconds.

    Args:
        score: of a sequence of raw texts.
        texts: at least one; with fewer than 256 the batch is all of them.
    """

    def median(batches: Sequence[Sequence[str]]) -> float:
        seconds = []
        for batch in batches:
            started = time.perf_counter()
            score(batch)
            seconds.append((time.perf_counter() - started) / len(batch))
        return round(statistics.median(seconds) * 1e6, 2)

    with threadpool_limits(1):
        score(texts[:256])  # warm
        alone = median([[text] for text in texts[:512]])
        starts = range(0, max(len(texts) - 255, 1), 256)
        batch = median([texts[start : start + 256] for start in starts])
    return alone, batch


def _homes(model: str, protocol: Protocol, seed: int) -> dict[str, Path]:
    """Name where each peer's fit is kept; its files add a suffix."""
    dataset = _dataset(model, datasets.data_directory())
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    folds = split(dataset, protocol, seed).sha256()
    homes = {}
    for name in PEERS:
        key = [name, model, protocol, seed, folds, dataset.sha256, versions, _code_sha256()]
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        homes[name] = cache_directory() / "peers" / digest[:24]
    return homes


def _families(homes: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    families: dict[object, dict[str, Path]] = {}
    for name, home in homes.items():
        families.setdefault(PEERS[name].family, {})[name] = home
    yield from families.values()


def _without_kept(job: _Job) -> _Job:
    homes = {
        name: home
        for name, home in job.homes.items()
        if not _figures_file(home).exists()
        or (job.seed == TIMED_SEED and not _model_file(home).exists())
    }
    return _Job(job.model, job.protocol, job.seed, homes)


def _carry_out(job: _Job) -> None:
    dataset = _dataset(job.model, datasets.data_directory())
    rows = split(dataset, job.protocol, job.seed).rows()
    texts = {
        fold: tuple(dataset.texts[row] for row in numbers.tolist())
        for fold, numbers in rows.items()
    }
    for name, home in job.homes.items():
        with threadpool_limits(1):
            fitted, seconds = PEERS[name].fit(
                texts["train"], dataset.labels[rows["train"]], job.seed
            )
            scores = {fold: fitted.scores(texts[fold]) for fold in ("validation", "test")}
        timed = job.seed == TIMED_SEED
        alone, batch = (
            microseconds_per_text(fitted.scores, dataset.texts[:TIMED_TEXTS])
            if timed
            else (None, None)
        )
        figures = {
            "score_kind": fitted.score_kind,
            "train_seconds": round(seconds, 2),
            "bytes": _keep(fitted, _model_file(home), keep=timed),
            "us_per_text_1": alone,
            "us_per_text_256": batch,
        }
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **scores)
        write_whole(_scores_file(home), buffer.getvalue())
        # Written last, this file says that the fit is complete.
        write_whole(_figures_file(home), json.dumps(figures).encode())


def _keep(fitted: Fitted, path: Path, *, keep: bool) -> int:
    """Save a fitted peer, count its bytes, and put it at ``path`` if it is to be kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".peer-", dir=path.parent) as directory:
        aside = Path(directory) / path.name
        fitted.save(aside)
        size = aside.stat().st_size
        if keep:
            aside.replace(path)
    return size


def _read(home: Path) -> PeerRun:
    with np.load(_scores_file(home), allow_pickle=False) as scores:
        return PeerRun(
            scores["validation"],
            scores["test"],
            **json.loads(_figures_file(home).read_text(encoding="utf-8")),
        )


def _scores_file(home: Path) -> Path:
    return home.with_suffix(".npz")


def _figures_file(home: Path) -> Path:
    return home.with_suffix(".json")


def _model_file(home: Path) -> Path:
    return home.with_suffix(".model")


@lru_cache(maxsize=1)
def _dataset(model: str, directory: Path) -> Dataset:
    return datasets.load(model, directory)


@cache
def _code_sha256() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()

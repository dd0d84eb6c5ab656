"""Fits of trials without some units: each is carried out once, and only its logits are kept."""

import io
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from threadpoolctl import threadpool_limits

from dandelion.text.tokenizer import clean
from training import cache, learning
from training.data import augmentation, long_texts
from training.data.datasets import Dataset
from training.model import embeddings
from training.out_of_fold import LONG_WORDS, LongTexts, OutOfFold, origins_of
from training.parallel import run_parallel

from ..baselines import counts, models
from ..baselines.copies import with_copies
from . import pool
from .pool import Folds, Pool
from .recipes import Trial
from .units import Help, Plan

Logits = NDArray[np.float64]

VALIDATION = "validation"
TEST = "test"
LONG = "long"
_NONE = np.zeros(0, np.int64)
# At most, of each length and source.
_LONG_TEXTS = 200
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "fasttext-community")


@dataclass(frozen=True)
class Fit:
    """A trial to be fitted without some units of a plan.

    Attributes:
        model: the task.
        plan: its units.
        trial: what is fitted.
        left_out: names of learned units; none for the fit on all sources.
        others: what the study's other fits learn from.
        seed: of split and fit.
    """

    model: str
    plan: Plan
    trial: Trial
    left_out: tuple[str, ...] = ()
    others: tuple[Help, ...] = ()
    seed: int = pool.SEED

    def pool(self) -> Pool:
        """Return the texts, read once in each process."""
        # Copies are made of training texts; without them, fits share what is read.
        others = tuple(dict.fromkeys(one.without_copies() for one in self.others))
        return pool.load(self.model, self.trial.help.without_copies(), others, self.plan)

    def learned(self) -> tuple[Dataset, NDArray[np.int64]]:
        """Return what a baseline learns from, with the copies that a network makes itself.

        Returns:
            The training texts with the copies behind them, and the rows to learn from, int64.
        """
        copies = self.trial.help.augmentation
        return with_copies(self.pool().training, self.folds().train, copies)

    def folds(self) -> Folds:
        """Return the rows of the training texts."""
        return self.pool().folds(self.plan.named(self.left_out), seed=self.seed)

    def measured(self) -> list[str]:
        """Return the sources that the fit is measured on: those that it does without."""
        units = self.plan.named(self.left_out) if self.left_out else self.plan.foreign
        return [name for unit in units for name in unit.sources]

    @cached_property
    def file(self) -> Path:
        """Where the logits are stored, by everything that decides them."""
        texts, rows = self.pool(), self.folds()
        weights = texts.training.weights
        key = cache.key(
            self.trial.settings(),
            self.seed,
            None if self.trial.config is None else _network_inputs(self.trial),
            texts.training.content_sha256,
            None if weights is None else weights.tobytes(),
            [part.tobytes() for part in (rows.train, rows.validation, rows.test)],
            {name: texts.measured[name].sha256 for name in self.measured()},
            _versions(),
            _code(self.trial),
        )
        return cache.directory("transfer", key) / "logits.npz"

    def read(self) -> "Kept":
        """Return what is kept of the fit once it is carried out."""
        with np.load(self.file, allow_pickle=False) as arrays:
            return Kept(dict(arrays))

    def held(self, kept: "Kept") -> OutOfFold:
        """Return the validation fold as held-out texts, with long ones if texts are cut."""
        training, rows = self.pool().training, self.folds().validation
        origins, names = origins_of(training)
        long = kept.arrays
        return OutOfFold(
            rows=rows,
            labels=training.labels[rows],
            origins=origins[rows],
            source_names=names,
            logits=kept.logits(VALIDATION).astype(np.float32),
            windows=kept.windows(VALIDATION),
            folds=np.zeros(len(rows), np.int64),
            epochs=(1,),
            long_texts=LongTexts(
                long.get("long_words", _NONE),
                long.get("long_origins", _NONE),
                kept.logits(LONG).astype(np.float32) if LONG in long else _NONE.astype(np.float32),
                kept.windows(LONG) if LONG in long else _NONE,
            ),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Kept:
    """What is kept of a fit.

    Attributes:
        arrays: fold or source → float64[n], log-odds of being flagged, of texts that are cut the
            largest of their windows; ``/windows`` behind the name → int64[n], how many those are.
    """

    arrays: Mapping[str, NDArray[Any]]

    def logits(self, name: str, penalty: float = 0.0) -> Logits:
        """Return the log-odds of a fold or source, float64[n], under a penalty of the windows."""
        return cast("Logits", self.arrays[name] - penalty * np.log(self.windows(name)))

    def windows(self, name: str) -> NDArray[np.int64]:
        """Return the number of windows of each text, int64[n]; 1 where texts are not cut."""
        ones = np.ones(len(self.arrays[name]), np.int64)
        return self.arrays.get(f"{name}/windows", ones)


def carry_out(fits: Sequence[Fit], title: str, workers: int | None = None) -> None:
    """Carry out fits in parallel that are not in the cache, and report progress.

    Raises:
        TrainingError: a data set or the word vectors are missing or wrong.
    """
    missing = [one for one in fits if not one.file.exists()]
    jobs: dict[object, list[Fit]] = {}
    for one in missing:
        # The linear models share the features; other fits stand alone.
        alone = () if one.trial.family == "linear" else (one.trial.recipe, one.trial.name)
        shared = (one.trial.family, one.left_out, one.seed, one.trial.help, alone)
        jobs.setdefault(shared, []).append(one)
    linear = [one for one in missing if one.trial.family == "linear"]
    for one in {fit.trial.help: fit for fit in linear}.values():
        if one.trial.help.augmentation is None:  # copies differ from fit to fit
            _count(one.pool())  # once, before several processes need it
    run_parallel(_carry_out, list(jobs.values()), title, _name_of, workers=workers, done=0)


def _name_of(fits: Sequence[Fit]) -> str:
    names = ", ".join(dict.fromkeys(one.trial.recipe for one in fits))
    without = " and ".join(fits[0].left_out)
    return f"{names}, {fits[0].trial.name}" + (f", without {without}" if without else "")


def _carry_out(fits: Sequence[Fit]) -> None:
    with threadpool_limits(1):
        _FAMILIES[fits[0].trial.family](fits)


def _network(fits: Sequence[Fit]) -> None:
    for fit in fits:
        texts, rows = fit.pool(), fit.folds()
        learned = learning.learn(
            cast("Any", fit.trial.config),
            texts.training,
            rows.train,
            rows.validation,
            seed=fit.seed,
        )
        given = _texts(fit)
        arrays: dict[str, NDArray[Any]] = {}
        if learned.windows is not None:
            given[LONG], kinds = _long_texts(fit)
            arrays |= {"long_words": kinds[:, 0], "long_origins": kinds[:, 1]}
            arrays |= {f"{name}/windows": learned.window_counts(one) for name, one in given.items()}
        arrays |= {name: learned.logits(one).astype(np.float64) for name, one in given.items()}
        _store(fit, arrays)


def _long_texts(fit: Fit) -> tuple[list[str], NDArray[np.int64]]:
    """Join harmless texts of validation, source by source.

    Returns:
        The texts; and int64[n, 2], the words of each and the position of its source.
    """
    training, rows = fit.pool().training, fit.folds().validation
    origins = origins_of(training)[0][rows]
    texts: list[str] = []
    kinds: list[tuple[int, int]] = []
    for origin in np.unique(origins).tolist():
        harmless, _ = training.take(rows[(origins == origin) & (training.labels[rows] == 0)])
        for words in LONG_WORDS:
            joined = long_texts.join(harmless, words, at_most=_LONG_TEXTS, seed=fit.seed)
            texts += joined
            kinds += [(words, origin)] * len(joined)
    return texts, np.array(kinds, np.int64).reshape(-1, 2)


def _linear(fits: Sequence[Fit]) -> None:
    texts, rows = fits[0].pool(), fits[0].folds()
    learned, train = fits[0].learned()
    counted = _count(texts, learned.texts[len(texts.training.texts) :])
    weighted = counted.counts.weigh(counted.training[train])
    features = weighted.take(counted.training[train])
    labels = learned.labels[train]
    weights = None if learned.weights is None else learned.weights[train]
    wanted = {
        VALIDATION: counted.training[rows.validation],
        TEST: counted.training[rows.test],
    } | {name: counted.measured[name] for name in fits[0].measured()}
    inputs = {name: weighted.take(numbers) for name, numbers in wanted.items() if len(numbers)}
    for fit in fits:
        fitted = counts.fit_linear(fit.trial.estimator(), features, labels, weights)
        _store(fit, {name: fitted.decision_function(found) for name, found in inputs.items()})


def _fasttext(fits: Sequence[Fit]) -> None:
    for fit in fits:
        learned, train = fit.learned()
        given, labels = learned.take(train)
        weights = None if learned.weights is None else learned.weights[train]
        fitted, _ = fit.trial.fasttext().fit(tuple(map(clean, given)), labels, fit.seed, weights)

        found = {}
        for name, one in _texts(fit).items():
            # As it adds 1e-5 to each probability, none is 0 or 1 by more than that.
            scores = fitted.scores([clean(text) for text in one]).clip(1e-6, 1 - 1e-6)
            found[name] = logit(scores)
        _store(fit, found)


_FAMILIES: Mapping[str, Callable[[Sequence[Fit]], None]] = {
    "network": _network,
    "linear": _linear,
    "fasttext": _fasttext,
}


def _texts(fit: Fit) -> dict[str, Sequence[str]]:
    """Return the texts that a fit is read on: folds, and sources."""
    texts, rows = fit.pool(), fit.folds()
    given = {
        VALIDATION: texts.training.take(rows.validation)[0],
        TEST: texts.training.take(rows.test)[0],
        **{name: texts.measured[name].texts for name in fit.measured()},
    }
    return {name: one for name, one in given.items() if len(one)}


def _store(fit: Fit, arrays: Mapping[str, NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **cast("Any", arrays))
    cache.write_atomically(fit.file, buffer.getvalue())


@dataclass(frozen=True, eq=False, slots=True)
class _Counted:
    """N-grams of every different text of a pool, and where each text is among them.

    Attributes:
        training: int64[n], the rows of the training texts, then of their copies.
        measured: source → int64[m], those of its texts.
    """

    counts: counts.Counts
    training: NDArray[np.int64]
    measured: Mapping[str, NDArray[np.int64]]


@lru_cache(maxsize=1)
def _count(texts: Pool, copies: tuple[str, ...] = ()) -> _Counted:
    """Count n-grams, after the same reading as ours; without copies at most once on a machine."""
    known: dict[str, int] = {}

    def rows(given: Sequence[str]) -> NDArray[np.int64]:
        return np.array([known.setdefault(clean(text), len(known)) for text in given], np.int64)

    training = rows(texts.training.texts + copies)
    measured = {name: rows(part.texts) for name, part in texts.measured.items()}
    # What serves a single fit is not worth keeping.
    count = counts.count if copies else counts.count_once
    return _Counted(count(list(known)), training, measured)


@lru_cache
def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _LIBRARIES} | {
        "python": platform.python_version()
    }


def _network_inputs(trial: Trial) -> object:
    config = trial.config
    wide = None if config is None or config.wide is None else asdict(config.wide.features())
    return [wide, embeddings.identify(None)]


def _code(trial: Trial) -> str:
    if trial.family == "network":
        return cache.code(*cache.imported_by(learning.__name__), long_texts.__name__)
    watched = {clean.__module__, counts.__name__, models.__name__}
    if trial.help.augmentation is not None:
        watched |= {with_copies.__module__, *cache.imported_by(augmentation.__name__)}
    return cache.code(*watched, *cache.imported_by(clean.__module__), __name__)

"""Out-of-fold logits: every row is scored by a network that did not learn from it.

Rows are split into folds; for each fold a network is fitted on the other ones and scores the fold
that was held out (Stone 1974). Thresholds and the penalty of windows are fitted on these logits. A
final network then learns from all rows, for the median of the folds' epochs. So what is measured
out of fold holds for the procedure, not exactly for the final network.

Each fold is cached as soon as it is fitted.
"""

import io
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from . import cache
from .configuration import WITHOUT_EFFECT, Configuration
from .data import folds as assignment
from .data import long_texts
from .data.datasets import Dataset
from .data.splits import strata
from .learning import Learned, learn
from .model import embeddings
from .parallel import run_parallel
from .provenance import library_versions, watched_modules
from .quality.metrics import Labels, Scores

FOLDS: Final = 5
LONG_WORDS: Final = (60, 150, 300)
"""Words of the long texts that harmless ones are joined to, to measure what length does."""

AFTER_LOGITS: Final = frozenset(
    {
        "dandelion.decision.calibration",
        "dandelion.decision.notices",
        "dandelion.decision.policy",
    }
)
"""Modules that a fit imports, but that decide only what is made of its uncalibrated logits."""

_LONG_TEXTS: Final = 100  # at most, of each length, source and fold
_INNER_SHARE: Final = 0.1  # of the rows that a fold learns from, for early stopping
# What changes no fit, is known from the data set already, or is fitted afterwards.
_UNLEARNT: Final = WITHOUT_EFFECT | {
    "sources",
    "match_length",
    "out_of_fold",
    "operating_point",
    "groups",
}


@dataclass(frozen=True, slots=True)
class LongTexts:
    """Long texts, each joined from harmless ones of one source that one fold held out.

    Attributes:
        words: int64[j], see `LONG_WORDS`.
        origins: int64[j], the position of the source in the data set's names.
        logits: float32[j], the largest of each text's windows.
        windows: int64[j], their numbers.
    """

    words: Labels
    origins: Labels
    logits: Scores
    windows: Labels


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """The logits of all rows, each by the network of the fold that held it out.

    Attributes:
        rows: int64[m], of the data set, ascending.
        labels: int64[m].
        origins: int64[m], the position of each row's source in ``source_names``.
        source_names: of the sources; the data set's name if there is a single one.
        logits: float32[m] of the positive label, the largest of each text's windows, without
            penalty; or float32[m, k] for more than two labels.
        windows: int64[m], the number of windows of each text; 1 if texts are not cut.
        folds: int64[m], the fold in which a row was held out.
        epochs: of each fold, the epoch that was kept, counted from 1.
        long_texts: joined from harmless ones; none if texts are not cut.
    """

    rows: Labels
    labels: Labels
    origins: Labels
    source_names: tuple[str, ...]
    logits: Scores
    windows: Labels
    folds: Labels
    epochs: tuple[int, ...]
    long_texts: LongTexts

    @property
    def median_epochs(self) -> int:
        """For how many epochs the final network is fitted."""
        return statistics.median_low(self.epochs)


@dataclass(frozen=True, slots=True)
class FoldFit:
    """The fit of one fold.

    Attributes:
        config: the variant.
        dataset: texts, labels and, if there are any, origins and weights.
        number: of the fold, from 0.
        train: int64, the rows to learn from.
        validation: int64, the rows that early stopping looks at.
        held_out: int64, the rows that are scored.
        seed: of the fit.
        types: int64[n], the finer classes of the data set; None if they are not learnt.
        glove: a file of word vectors; None for the pip package's.
    """

    config: Configuration
    dataset: Dataset
    number: int
    train: Labels
    validation: Labels
    held_out: Labels
    seed: int
    types: Labels | None = None
    glove: Path | None = None

    @property
    def name(self) -> str:
        """How the fit is named in reports of progress."""
        return f"{self.config.model}/{self.config.variant}, fold {self.number + 1}"

    def path(self) -> Path:
        """Return where the fold's logits are stored, by everything that decides them.

        Raises:
            TrainingError: the word vectors are missing or wrong.
        """
        config, dataset = self.config, self.dataset
        arrays = (self.train, self.validation, self.held_out, self.types)
        key = cache.key(
            config.model_dump(mode="json", exclude=set(_UNLEARNT)),
            None if config.wide is None else asdict(config.wide.features()),
            dataset.content_sha256,
            [None if array is None else array.tobytes() for array in arrays],
            self.seed,
            embeddings.identify(self.glove),
            library_versions(),
            cache.code(*watched_modules(__name__, without=AFTER_LOGITS)),
        )
        return cache.directory("folds", key) / "logits.npz"


def out_of_fold(  # noqa: PLR0913
    config: Configuration,
    dataset: Dataset,
    rows: Labels,
    groups: Labels,
    *,
    seed: int,
    folds: int = FOLDS,
    types: Labels | None = None,
    glove: Path | None = None,
    workers: int | None = 1,
) -> OutOfFold:
    """Score rows by networks that did not learn from them.

    Equal arguments give equal logits; folds that were fitted before are taken from the cache.

    Args:
        config: the variant. With ``restore = "best"``, a fold stops early by a tenth of the rows
            that it learns from, never by those that it scores.
        dataset: texts, labels and, if there are any, origins and weights.
        rows: int64[m], such as those of training and validation.
        groups: int64[n] of the data set; rows of one group are held out together.
        seed: of folds and fits.
        folds: at least 2.
        types: int64[n], the finer classes of the data set; None if they are not learnt.
        glove: a file of word vectors; by default the pip package's.
        workers: parallel fits; None for one per processor.

    Raises:
        TrainingError: word vectors are missing or wrong, the rows are too few for the folds, or a
            fit diverged.
    """
    fits = fold_fits(
        config, dataset, rows, groups, seed=seed, folds=folds, types=types, glove=glove
    )
    carry_out(fits, workers=workers)
    return _collect(dataset, np.sort(rows), fits)


def fold_fits(  # noqa: PLR0913
    config: Configuration,
    dataset: Dataset,
    rows: Labels,
    groups: Labels,
    *,
    seed: int,
    folds: int = FOLDS,
    types: Labels | None = None,
    glove: Path | None = None,
) -> list[FoldFit]:
    """Return the fits that `out_of_fold` needs, to carry out those of several variants in parallel.

    Raises:
        TrainingError: the rows are too few for the folds.
    """
    rows = np.sort(rows)
    kinds = strata(dataset)[rows]
    numbers = assignment.assign(kinds, groups[rows], folds=folds, seed=seed)
    fits = []
    for number in range(folds):
        is_held_out = numbers == number
        train, held_out = rows[~is_held_out], rows[is_held_out]
        validation = held_out  # of which only curves are measured
        if config.restore == "best":
            is_inner = assignment.hold_out(
                kinds[~is_held_out], groups[train], share=_INNER_SHARE, seed=seed
            )
            train, validation = train[~is_inner], train[is_inner]
        fits.append(
            FoldFit(config, dataset, number, train, validation, held_out, seed, types, glove)
        )
    return fits


def carry_out(
    fits: Sequence[FoldFit],
    *,
    workers: int | None = 1,
    title: str = "Folds",
) -> None:
    """Fit the folds that are not in the cache; with several workers, each in its own process.

    Raises:
        TrainingError: word vectors are missing or wrong, or a fit diverged.
    """
    missing = [fit for fit in fits if not fit.path().exists()]
    if workers == 1 or len(missing) < 2:
        for fit in missing:
            fit_fold(fit)
        return
    run_parallel(fit_fold, missing, title, _name_of, workers=workers or os.cpu_count())


def _name_of(fit: FoldFit) -> str:
    return fit.name


def fit_fold(fit: FoldFit) -> None:
    """Fit one fold, score what it held out, and store the logits.

    Raises:
        TrainingError: word vectors are missing or wrong, or the fit diverged.
    """
    path = fit.path()
    if path.exists():
        return
    dataset = _only_one(_Content(fit.dataset.content_sha256, fit.dataset))
    learned = learn(
        fit.config,
        dataset,
        fit.train,
        fit.validation,
        seed=fit.seed,
        types=fit.types,
        glove=fit.glove,
    )
    texts, _ = dataset.take(fit.held_out)
    long = _long_texts(fit, learned)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        allow_pickle=False,
        logits=learned.logits(texts),
        windows=learned.window_counts(texts),
        epoch=learned.fit.kept_epoch,
        **{f"long_{one.name}": getattr(long, one.name) for one in fields(LongTexts)},
    )
    cache.write_atomically(path, buffer.getvalue())


@dataclass(frozen=True, slots=True)
class _Content:
    """A data set, equal to others of the same content: a key for `_only_one`."""

    sha256: str
    dataset: Dataset = field(compare=False)


@lru_cache(maxsize=1)
def _only_one(content: _Content) -> Dataset:
    """Return the first of equal data sets.

    A process gets each fold with its own copy of the data set, but caches what it counts in the
    texts by the identity of the data set.
    """
    return content.dataset


def _long_texts(fit: FoldFit, learned: Learned) -> LongTexts:
    """Join harmless texts that the fold held out, source by source, and score them."""
    dataset = fit.dataset
    origins, names = origins_of(dataset)
    texts: list[str] = []
    kinds: list[tuple[int, int]] = []
    for origin in range(len(names) if learned.windows is not None else 0):
        rows = fit.held_out[(origins[fit.held_out] == origin) & (dataset.labels[fit.held_out] == 0)]
        harmless, _ = dataset.take(rows)
        for words in LONG_WORDS:
            joined = long_texts.join(harmless, words, at_most=_LONG_TEXTS, seed=fit.seed)
            texts += joined
            kinds += [(words, origin)] * len(joined)
    table = np.array(kinds, dtype=np.int64).reshape(-1, 2)
    logits = learned.logits(texts) if texts else np.zeros(0, dtype=np.float32)
    return LongTexts(table[:, 0], table[:, 1], logits, learned.window_counts(texts))


def _collect(dataset: Dataset, rows: Labels, fits: Sequence[FoldFit]) -> OutOfFold:
    found = []
    for fit in fits:
        with np.load(fit.path(), allow_pickle=False) as arrays:
            found.append(dict(arrays))
    held_out = np.concatenate([fit.held_out for fit in fits])
    order = np.argsort(held_out)

    origins, names = origins_of(dataset)
    long = {
        one.name: np.concatenate([arrays[f"long_{one.name}"] for arrays in found])
        for one in fields(LongTexts)
    }
    return OutOfFold(
        rows=rows,
        labels=dataset.labels[rows],
        origins=origins[rows],
        source_names=names,
        logits=np.concatenate([arrays["logits"] for arrays in found])[order],
        windows=np.concatenate([arrays["windows"] for arrays in found])[order],
        folds=np.concatenate([np.full(len(fit.held_out), fit.number) for fit in fits])[order],
        epochs=tuple(int(arrays["epoch"]) for arrays in found),
        long_texts=LongTexts(**long),
    )


def origins_of(dataset: Dataset) -> tuple[Labels, tuple[str, ...]]:
    """Return the position of each text's source, int64[n], and the sources' names."""
    if dataset.origins is None:
        return np.zeros(len(dataset.texts), dtype=np.int64), (dataset.name,)
    return dataset.origins, dataset.source_names

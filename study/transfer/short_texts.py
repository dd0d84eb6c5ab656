"""Short texts of a benchmark whose labels length alone predicts: every recipe, the same weights."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ..intervals import corrected_interval
from ..schema.transfer import Interval, Short, ShortTexts
from . import fits
from .fits import Fit
from .recipes import OURS, Trial
from .units import Plan

# The models that are measured.
MODELS: Final = ("cyberbullying",)
# A tweet's limit until 2017.
CHARACTERS: Final = 140
SEEDS: Final = (0, 1, 2)

_NO_UNITS: Final = Plan((), ())


def fits_of(model: str, trials: Mapping[str, Sequence[Trial]]) -> list[Fit]:
    """Return the fits, grouped protocol: a trial on each seed's split."""
    return [
        _fit(model, one, seed) for several in trials.values() for one in several for seed in SEEDS
    ]


def measure(model: str, trials: Mapping[str, Sequence[Trial]]) -> Short:
    """Compare recipes on the short texts of the test folds, each by its best trial on validation.

    Args:
        model: the task.
        trials: recipe → trials; the fits of `fits_of` are carried out.
    """
    per_seed = {}
    for recipe, several in trials.items():
        judged = [statistics.fmean(_aurocs(model, one, fits.VALIDATION)) for one in several]
        per_seed[recipe] = _aurocs(model, several[judged.index(max(judged))], fits.TEST)
    ours = per_seed[OURS]
    shorts = [_short(_fit(model, trials[OURS][0], seed), fits.TEST) for seed in SEEDS]
    return Short(
        CHARACTERS,
        list(SEEDS),
        [len(one.labels) for one in shorts],
        statistics.fmean(float(roc_auc_score(one.labels, one.lengths)) for one in shorts),
        [
            ShortTexts(
                recipe,
                _interval(values),
                values,
                None if recipe == OURS else _interval(np.subtract(ours, values).tolist()),
            )
            for recipe, values in per_seed.items()
        ],
    )


@dataclass(frozen=True, eq=False, slots=True)
class _ShortTexts:
    """The short texts of a fold: which they are, bool[fold], their labels and lengths, int64[n]."""

    are_short: NDArray[np.bool_]
    labels: NDArray[np.int64]
    lengths: NDArray[np.int64]


def _fit(model: str, trial: Trial, seed: int) -> Fit:
    return Fit(model, _NO_UNITS, trial, seed=seed)


def _short(fit: Fit, fold: str) -> _ShortTexts:
    rows = fit.folds().test if fold == fits.TEST else fit.folds().validation
    texts, labels = fit.pool().training.take(rows)
    lengths = np.array([len(text) for text in texts])
    are_short = lengths <= CHARACTERS
    return _ShortTexts(are_short, labels[are_short], lengths[are_short])


def _aurocs(model: str, trial: Trial, fold: str) -> list[float]:
    """Return the AUROC on a fold's short texts, one per seed."""
    found = []
    for seed in SEEDS:
        fit = _fit(model, trial, seed)
        short = _short(fit, fold)
        found.append(float(roc_auc_score(short.labels, fit.read().logits(fold)[short.are_short])))
    return found


def _interval(values: Sequence[float]) -> Interval:
    return Interval(statistics.fmean(values), *corrected_interval(values))

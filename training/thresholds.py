"""The default threshold of a variant, and the penalty of its windows, from out-of-fold logits.

Both are chosen together, because each changes what the other does. For each penalty c of a grid:

1. the threshold is fitted on the out-of-fold scores under c: the lowest one within the variant's
   limits, or without limits the one that maximises macro-F1;
2. harmless out-of-fold texts of one source, joined to 60, 150 and 300 words, are scored under c.

**The smallest c is taken with which, at its threshold and at each of these lengths, the joined
texts of each limit on ordinary talk (at most 1 %) are flagged at most twice as often as the limit
allows**: each of them consists of several messages. Limits above 1 % are about sources that were
collected for being near the positive class: joined, their texts are no longer harmless. If all
limits are above 1 %, the joined texts have to keep them as they are. Without limits, joined texts
may be flagged as often as the out-of-fold texts themselves, or one in a hundred if that is more.

The smallest, because the penalty costs recall where one sentence of a long text is harmful. If no c
of the grid suffices, the one that misses by the least factor is taken, and the record shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from dandelion.decision.threshold import (
    FalseAlarmLimit,
    LimitError,
    fit_limited_threshold,
    fit_threshold,
)
from dandelion.engines.network import sigmoid, softmax

from .configuration import Configuration, LimitChoice
from .data.datasets import Dataset
from .errors import ConfigurationError
from .out_of_fold import LONG_WORDS, LongTexts, OutOfFold, origins_of
from .quality.metrics import Labels, Scores

PENALTIES: Final = tuple(round(0.05 * step, 2) for step in range(101))
_LEAST_RATE: Final = 0.01
_ORDINARY_TALK: Final = 0.01
_JOINED: Final = 2


class LimitRecord(TypedDict):
    """A limit, and what holds at the threshold.

    Attributes:
        sources: whose harmless texts count together.
        max_fpr: the largest accepted share that is flagged.
        negatives: harmless texts, out of fold.
        false_positive_rate: share of them that are flagged.
    """

    sources: list[str]
    max_fpr: float
    negatives: int
    false_positive_rate: float


class LongTextRecord(TypedDict):
    """Harmless texts of given sources, joined to texts of one length.

    Attributes:
        sources: whose harmless texts were joined, never those of two sources.
        max_fpr: the largest share that the penalty was fitted to; see the module.
        words: of each text.
        texts: how many.
        false_positive_rate: share of them that are flagged.
    """

    sources: list[str]
    max_fpr: float
    words: int
    texts: int
    false_positive_rate: float


class ThresholdRule(TypedDict):
    """What an artifact's manifest has as its ``threshold_rule``.

    Attributes:
        criterion: ``limits``, the lowest threshold within all limits; or ``macro_f1``.
        fitted_on: ``validation``, or ``out_of_fold``: training and validation, out of fold.
        limits: for that criterion.
        folds: how many, if it was fitted out of fold.
        epochs: of each fold; the network was fitted for their median.
        long_texts: by which the penalty of the windows was fitted.
    """

    criterion: Literal["macro_f1", "limits"]
    fitted_on: Literal["validation", "out_of_fold"]
    limits: NotRequired[list[LimitRecord]]
    folds: NotRequired[int]
    epochs: NotRequired[list[int]]
    long_texts: NotRequired[list[LongTextRecord]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Threshold and penalty, as chosen on out-of-fold logits.

    Attributes:
        penalty: of the windows; 0 if texts are not cut.
        threshold: the default one.
        scores: float32[m] of the out-of-fold rows, under the penalty.
        rule: how the threshold was chosen.
    """

    penalty: float
    threshold: float
    scores: Scores
    rule: ThresholdRule


def require_possible(config: Configuration, dataset: Dataset, rows: Labels) -> None:
    """Check, before anything is fitted, that a variant has harmless texts for all of its limits.

    Args:
        config: the variant.
        dataset: what it learns from.
        rows: int64, those of training and validation.

    Raises:
        ConfigurationError: there are more than two labels, or a source of a limit is not among the
            variant's or has no harmless text.
    """
    if not config.limits:
        return
    if dataset.task != "binary":
        raise ConfigurationError(
            f"limits: {dataset.name} has {len(dataset.label_names)} labels, so there is no "
            "threshold; remove the limits"
        )
    origins, names = origins_of(dataset)
    harmless = np.bincount(origins[rows][dataset.labels[rows] == 0], minlength=len(names))
    usable = {name for name, count in zip(names, harmless.tolist(), strict=True) if count}
    for limit in config.limits:
        for source in limit.sources:
            if source not in usable:
                problem = (
                    "has no harmless text"
                    if source in names
                    else f"is not among the sources of {config.model}/{config.variant}"
                )
                raise ConfigurationError(
                    f"limits: {source!r} {problem}; choose from {', '.join(sorted(usable))}"
                )


def choose(config: Configuration, found: OutOfFold) -> Choice:
    """Choose threshold and penalty, see the module.

    Args:
        config: the variant, of two labels.
        found: its out-of-fold logits.

    Raises:
        ConfigurationError: whatever the penalty, no threshold within the limits flags a positive
            text.
    """
    candidates = []
    for penalty in PENALTIES if config.windows is not None else (0.0,):
        try:
            candidate = _Candidate.of(config, found, penalty)
        except LimitError as error:
            impossible = error
            continue
        candidates.append(candidate)
        if candidate.excess <= 1:
            break
    if not candidates:
        raise ConfigurationError(
            f"{config.model}/{config.variant}: {impossible}; raise max_fpr in its limits"
        )
    return min(candidates, key=lambda one: max(one.excess, 1)).choice(found)


def out_of_fold_scores(found: OutOfFold, penalty: float = 0.0) -> Scores:
    """Return the scores of the out-of-fold rows, float32[m], or float32[m, k] for k > 2 labels."""
    if found.logits.ndim > 1:
        return softmax(found.logits)
    return _scores(found.logits, found.windows, penalty)


def _scores(logits: Scores, windows: Labels, penalty: float) -> Scores:
    # As in `dandelion.text.windows.Windows.combine`, from the largest logit of each text.
    return sigmoid((logits - penalty * np.log(windows)).astype(np.float32))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A penalty, the threshold under it, and what that threshold does to long texts."""

    penalty: float
    threshold: float
    scores: Scores
    limits: list[LimitRecord]
    long_texts: list[LongTextRecord]

    @classmethod
    def of(cls, config: Configuration, found: OutOfFold, penalty: float) -> "_Candidate":
        scores = out_of_fold_scores(found, penalty)
        if config.limits:
            limits = [_false_alarm_limit(limit, found) for limit in config.limits]
            threshold = fit_limited_threshold(found.labels, scores, limits)
        else:
            threshold, _ = fit_threshold(found.labels, scores)
        flagged = scores.astype(np.float64) >= threshold
        records = [
            _limit_record(limit.sources, limit.max_fpr, found, flagged) for limit in config.limits
        ]
        aims = _aims_of_limits(records) if records else [_aim_without_limits(found, flagged)]
        long = found.long_texts
        flagged_long = _scores(long.logits, long.windows, penalty).astype(np.float64) >= threshold
        measured = [
            record
            for aim in aims
            for record in _long_text_records(aim, long, found.source_names, flagged_long)
        ]
        return cls(penalty, threshold, scores, records, measured)

    @property
    def excess(self) -> float:
        """How many times too often long harmless texts are flagged, at the worst length."""
        return max(
            (one["false_positive_rate"] / one["max_fpr"] for one in self.long_texts), default=0.0
        )

    def choice(self, found: OutOfFold) -> Choice:
        rule = ThresholdRule(
            criterion="limits" if self.limits else "macro_f1",
            fitted_on="out_of_fold",
            folds=len(found.epochs),
            epochs=list(found.epochs),
        )
        if self.limits:
            rule["limits"] = self.limits
        if self.long_texts:
            rule["long_texts"] = self.long_texts
        return Choice(self.penalty, self.threshold, self.scores, rule)


def _rows_of(sources: Sequence[str], origins: Labels, names: Sequence[str]) -> NDArray[np.bool_]:
    return np.isin(origins, [names.index(source) for source in sources])


def _false_alarm_limit(limit: LimitChoice, found: OutOfFold) -> FalseAlarmLimit:
    rows = _rows_of(limit.sources, found.origins, found.source_names)
    return FalseAlarmLimit(rows, limit.max_fpr)


def _aims_of_limits(records: Sequence[LimitRecord]) -> list[LimitRecord]:
    """Return what the joined texts are held to, see the module."""
    ordinary = [one for one in records if one["max_fpr"] <= _ORDINARY_TALK]
    return [one | {"max_fpr": _JOINED * one["max_fpr"]} for one in ordinary] or list(records)


def _aim_without_limits(found: OutOfFold, flagged: NDArray[np.bool_]) -> LimitRecord:
    aim = _limit_record(found.source_names, 1.0, found, flagged)
    return aim | {"max_fpr": max(aim["false_positive_rate"], _LEAST_RATE)}


def _limit_record(
    sources: Sequence[str], max_fpr: float, found: OutOfFold, flagged: NDArray[np.bool_]
) -> LimitRecord:
    harmless = _rows_of(sources, found.origins, found.source_names) & (found.labels == 0)
    return LimitRecord(
        sources=list(sources),
        max_fpr=max_fpr,
        negatives=int(harmless.sum()),
        false_positive_rate=float(flagged[harmless].mean()),
    )


def _long_text_records(
    aim: LimitRecord, long: LongTexts, names: Sequence[str], flagged: NDArray[np.bool_]
) -> list[LongTextRecord]:
    records = []
    for words in LONG_WORDS:
        texts = _rows_of(aim["sources"], long.origins, names) & (long.words == words)
        if texts.any():
            records.append(
                LongTextRecord(
                    sources=aim["sources"],
                    max_fpr=aim["max_fpr"],
                    words=words,
                    texts=int(texts.sum()),
                    false_positive_rate=float(flagged[texts].mean()),
                )
            )
    return records

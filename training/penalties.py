"""The penalty of a variant's windows, from out-of-fold logits.

For each penalty c of a grid:

1. a threshold is fitted on the out-of-fold logits under c: the lowest one at which no source is
   flagged more often, out of fold, than the false-positive constraints of the operating point
   allow; without such constraints the one that maximises macro-F1;
2. harmless out-of-fold texts of one source, joined to 60, 150 and 300 words, are scored under c.

**The smallest c is taken with which, at its threshold and at each of these lengths, the joined
texts of each constraint on ordinary talk (at most 1 %) are flagged at most twice as often as it
allows**: each of them consists of several messages. Constraints above 1 % are about sources that
were collected for being near the positive class: joined, their texts are no longer harmless. If all
constraints are above 1 %, the joined texts have to keep them as they are. Without constraints,
joined texts may be flagged as often as the out-of-fold texts themselves, or one in a hundred if
that is more.

The smallest, because the penalty costs recall where one sentence of a long text is harmful. If no c
of the grid suffices, the one that misses by the least factor is taken.

This threshold serves to choose the penalty, and studies to compare; it promises nothing. The one
that is served is fitted by `training.thresholds`, with confidence.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from dandelion.decision.operating_points import OperatingPoint
from dandelion.decision.threshold import (
    FalseAlarmLimit,
    LimitError,
    fit_limited_threshold,
    fit_threshold,
)
from dandelion.engines.network import sigmoid

from .out_of_fold import LONG_WORDS, OutOfFold
from .quality.metrics import Labels, Scores

PENALTIES: Final = tuple(round(0.05 * step, 2) for step in range(101))
_LEAST_RATE: Final = 0.01
_ORDINARY_TALK: Final = 0.01
_JOINED: Final = 2


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


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on false alarms.

    Attributes:
        sources: whose harmless texts count together.
        max_fpr: the largest accepted share of them that is flagged.
    """

    sources: tuple[str, ...]
    max_fpr: float


@dataclass(frozen=True, slots=True)
class Penalty:
    """A penalty, and what was measured under it.

    Attributes:
        value: 0 if texts are not cut.
        threshold: that it was chosen by, in [0, 1], of uncalibrated scores.
        excess: how many times too often long harmless texts are flagged at that threshold, at the
            worst length; 0 if there are none.
        aims: what joined texts are held to.
    """

    value: float
    threshold: float
    excess: float
    aims: tuple[Limit, ...]


def limits_of(
    point: OperatingPoint,
    groups: Mapping[str, Sequence[str]],
    sources: Collection[str],
) -> list[Limit]:
    """Return the limits on false alarms that an operating point sets: one per source that it names.

    Args:
        point: whose other constraints do not count.
        groups: name → sources that a constraint may name together.
        sources: those that have harmless texts; limits on others are left out. A constraint that
            names no source is about each of them.
    """
    limits = []
    for one in point.constraints:
        if one.quantity != "fpr":
            continue
        named: Collection[str] = sources
        if one.where is not None:
            named = groups.get(one.where, (one.where,))
        limits += [Limit((source,), one.bound) for source in named if source in sources]
    return limits


def limited_threshold(
    limits: Sequence[Limit],
    labels: Labels,
    origins: Labels,
    names: Sequence[str],
    scores: Scores,
) -> float:
    """Return the lowest threshold within limits, or without limits the best for macro-F1.

    Args:
        limits: on sources that have harmless texts.
        labels: int64[n] of 0 and 1.
        origins: int64[n], the position of each text's source in ``names``.
        names: of the sources.
        scores: float[n] in [0, 1].

    Raises:
        LimitError: every threshold within the limits is above the scores of all positive texts.
    """
    if not limits:
        return fit_threshold(labels, scores)[0]
    return fit_limited_threshold(
        labels,
        scores,
        [FalseAlarmLimit(_rows_of(one.sources, origins, names), one.max_fpr) for one in limits],
    )


def choose_penalty(limits: Sequence[Limit], found: OutOfFold, *, are_cut: bool) -> Penalty:
    """Choose the penalty of the windows, see the module.

    Args:
        limits: see `limits_of`.
        found: out-of-fold logits, of two labels.
        are_cut: whether texts are cut into windows; if not, only the threshold is fitted.

    Raises:
        LimitError: whatever the penalty, no threshold within the limits flags a positive text.
    """
    candidates = []
    for value in PENALTIES if are_cut else (0.0,):
        try:
            candidate = _measured(value, limits, found)
        except LimitError as error:
            impossible = error
            continue
        candidates.append(candidate)
        if candidate.excess <= 1:
            break
    if not candidates:
        raise impossible
    return min(candidates, key=lambda one: max(one.excess, 1))


def penalised(logits: Scores, windows: Labels, penalty: float) -> Scores:
    """Return the logits of texts under a penalty, float32[n], from the largest of each's windows.

    See `dandelion.text.windows.Windows.combine`.
    """
    return (logits - penalty * np.log(windows)).astype(np.float32)


def long_text_records(
    aims: Sequence[Limit], found: OutOfFold, flagged: NDArray[np.bool_]
) -> list[LongTextRecord]:
    """Return how often joined texts are flagged, for each aim and length that has texts.

    Args:
        aims: see `Penalty`.
        found: out-of-fold logits.
        flagged: bool[j] of its long texts.
    """
    long, names = found.long_texts, found.source_names
    records = []
    for aim in aims:
        for words in LONG_WORDS:
            texts = _rows_of(aim.sources, long.origins, names) & (long.words == words)
            if texts.any():
                records.append(
                    LongTextRecord(
                        sources=list(aim.sources),
                        max_fpr=aim.max_fpr,
                        words=words,
                        texts=int(texts.sum()),
                        false_positive_rate=float(flagged[texts].mean()),
                    )
                )
    return records


def _measured(value: float, limits: Sequence[Limit], found: OutOfFold) -> Penalty:
    scores = sigmoid(penalised(found.logits, found.windows, value))
    threshold = limited_threshold(limits, found.labels, found.origins, found.source_names, scores)
    aims = _aims(limits) or [_aim_without_limits(found, scores.astype(np.float64) >= threshold)]
    long = found.long_texts
    long_scores = sigmoid(penalised(long.logits, long.windows, value)).astype(np.float64)
    records = long_text_records(aims, found, long_scores >= threshold)
    excess = max((one["false_positive_rate"] / one["max_fpr"] for one in records), default=0.0)
    return Penalty(value, threshold, excess, tuple(aims))


def _aims(limits: Sequence[Limit]) -> list[Limit]:
    """Return what joined texts are held to, see the module."""
    ordinary = [one for one in limits if one.max_fpr <= _ORDINARY_TALK]
    return [Limit(one.sources, _JOINED * one.max_fpr) for one in ordinary] or list(limits)


def _aim_without_limits(found: OutOfFold, flagged: NDArray[np.bool_]) -> Limit:
    harmless = flagged[found.labels == 0]
    return Limit(tuple(found.source_names), max(float(harmless.mean()), _LEAST_RATE))


def _rows_of(sources: Sequence[str], origins: Labels, names: Sequence[str]) -> NDArray[np.bool_]:
    return np.isin(origins, [names.index(source) for source in sources])

"""Recall and false alarms by source: a mean over sources hides the one where a model fails."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from dandelion.decision.rule import Decision

from .metrics import Labels, Scores


class SourceRates(TypedDict):
    """How a threshold decides the texts of a source; a rate is None without a text of its class.

    Attributes:
        negatives: harmless texts.
        false_positive_rate: share of them that are flagged.
        positives: the other texts.
        recall: share of them that are flagged.
    """

    negatives: int
    false_positive_rate: float | None
    positives: int
    recall: float | None


def by_source(
    labels: Labels, origins: Labels, names: Sequence[str], scores: Scores, threshold: float
) -> dict[str, SourceRates]:
    """Compute the rates of each source that has texts, positive at ``score >= threshold``.

    Args:
        labels: int64[n] of 0 and 1.
        origins: int64[n], the position of each text's source in ``names``.
        names: of the sources.
        scores: float32[n].
        threshold: in [0, 1].
    """
    flagged = np.array(Decision.binary(threshold).decide(scores).positions, dtype=np.bool_)
    rates = {}
    for origin in np.unique(origins).tolist():
        negative, positive = ((origins == origin) & (labels == label) for label in (0, 1))
        rates[names[origin]] = SourceRates(
            negatives=int(negative.sum()),
            false_positive_rate=float(flagged[negative].mean()) if negative.any() else None,
            positives=int(positive.sum()),
            recall=float(flagged[positive].mean()) if positive.any() else None,
        )
    return rates

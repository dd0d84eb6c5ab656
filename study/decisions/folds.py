"""Test folds of finished runs: their texts without near copies, scored by the artifact."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dandelion import Classifier
from training.data.near_copies import groups
from training.data.splits import split
from training.evidence import independent
from training.experiment import Run, texts_of
from training.out_of_fold import origins_of

from ..rates import together
from ..schema.decisions import SourceCounts

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScoredFold:
    """Texts of a fold, one of each group of near copies, and their logits.

    Attributes:
        labels: int64[n] of 0 and 1.
        origins: int64[n], the position of each text's source in ``sources``.
        sources: their names.
        groups: int64[n], the same number for the same group in every fold.
        logits: float32[n], uncalibrated; or float32[n, k] for more than two labels.
    """

    labels: Integers
    origins: Integers
    sources: Sequence[str]
    groups: Integers
    logits: NDArray[np.floating[Any]]

    def counts(self, logit: float, without: Integers | None = None) -> list[SourceCounts]:
        """Count the texts of each source that has any, and those flagged at ``logit`` or above.

        Args:
            logit: uncalibrated.
            without: groups that are not counted.
        """
        is_counted = np.ones(len(self.labels), dtype=np.bool_)
        if without is not None:
            is_counted = ~np.isin(self.groups, without)
        is_flagged = self.logits.astype(np.float64) >= logit
        found = []
        for position, source in enumerate(self.sources):
            here = self.origins == position
            if not here.any():
                continue
            here &= is_counted
            positive, harmless = here & (self.labels == 1), here & (self.labels == 0)
            found.append(
                SourceCounts(
                    source,
                    int(positive.sum()),
                    int((positive & is_flagged).sum()),
                    int(harmless.sum()),
                    int((harmless & is_flagged).sum()),
                )
            )
        return found


def pooled(folds: Sequence[tuple[ScoredFold, float]]) -> list[SourceCounts]:
    """Count the texts of several folds, each group of near copies in the first that has it.

    Args:
        folds: one or more of the same sources, each with the logit of its threshold.
    """
    seen = np.zeros(0, dtype=np.int64)
    found: dict[str, list[SourceCounts]] = {}
    for fold, logit in folds:
        for one in fold.counts(logit, without=seen):
            found.setdefault(one.source, []).append(one)
        seen = np.union1d(seen, fold.groups)
    return [together(source, counts) for source, counts in found.items()]


def read(run: Run, classifier: Classifier, fold: str = "test") -> ScoredFold:
    """Score a fold of a run, one collected text of each group of near copies.

    Args:
        run: that was carried out.
        classifier: its artifact.
        fold: ``test``, or ``validation``, which a run without folds did not learn from.

    Raises:
        TrainingError: a data set is missing.
    """
    dataset = texts_of(run)
    near_copies = groups(dataset)
    rows = split(dataset, run.protocol, run.seed).rows()[fold]
    rows = rows[independent(dataset, rows, near_copies)]
    texts, labels = dataset.take(rows)
    origins, names = origins_of(dataset)
    return ScoredFold(labels, origins[rows], names, near_copies[rows], classifier.logits(texts))

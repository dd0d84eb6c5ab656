"""Recall where nearly every alert is right: ours, and linear baselines with the same labels."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.configuration import Configuration
from training.data import datasets
from training.data.near_copies import groups
from training.data.splits import Protocol, split
from training.evidence import independent

from ..baselines import run_baselines
from ..finer_labels import not_negative
from ..schema.decisions import RecallAtPrecision
from .folds import ScoredFold

PRECISION: Final = 0.99
BASELINES: Final = ("TF-IDF words, characters + LR", "TF-IDF words, characters + LinearSVC")


def compare(
    config: Configuration, folds: Sequence[tuple[int, ScoredFold]]
) -> list[RecallAtPrecision]:
    """Measure a variant and, on the same folds, baselines.

    Args:
        config: the variant, which learns from the benchmark's texts alone; with
            ``types_weight``, from its finer labels as well, and so do the baselines.
        folds: seed and test fold of each run.

    Raises:
        TrainingError: a data set is missing.
    """
    model = config.model
    labels_of = datasets.FINER[model] if config.types_weight else model
    labels = len(datasets.source_of(labels_of).label_names)
    ours = [recall_at_precision(one.labels, one.logits) for _, one in folds]
    found = [RecallAtPrecision(config.variant, "ours", labels, PRECISION, ours)]
    seeds = [seed for seed, _ in folds]
    dataset = datasets.load(model)
    rows = {seed: split(dataset, Protocol.GROUPED, seed).test for seed in seeds}
    alone = {seed: independent(dataset, one, groups(dataset)) for seed, one in rows.items()}
    runs = run_baselines(model, seeds, Protocol.GROUPED, names=BASELINES, labels_of=labels_of)
    for name, of_baseline in runs.items():
        per_seed = []
        for seed, run in zip(seeds, of_baseline, strict=True):
            scores = run.test_scores[alone[seed]]
            if scores.ndim > 1:
                scores = not_negative(scores, run.score_kind)
            truth = dataset.labels[rows[seed][alone[seed]]]
            per_seed.append(recall_at_precision(truth, scores))
        found.append(RecallAtPrecision(name, "baseline", labels, PRECISION, per_seed))
    return found


def recall_at_precision(
    labels: NDArray[np.int64], scores: NDArray[np.floating[Any]], precision: float = PRECISION
) -> float:
    """Return the largest recall of a threshold whose precision suffices; 0 if none does.

    Args:
        labels: int64[n] of 0 and 1.
        scores: float[n]; equal ones are flagged together.
        precision: on the same texts.
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    ends = np.append(np.diff(scores[order]) != 0, True)
    enough = ends & (hits >= precision * np.arange(1, len(labels) + 1))
    return float(hits[enough].max(initial=0) / labels.sum())

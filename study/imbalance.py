"""When does Dice pay? One loss against another as the minority class grows rarer."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from sklearn.metrics import average_precision_score

from dandelion import Classifier
from training.configuration import Configuration
from training.data import datasets
from training.data.splits import Protocol, split
from training.experiment import Run
from training.quality.metrics import FITTED, HALF, Labels, prevalence_weights
from training.runs import CachedRun, run_cells

from . import rendering, storage
from .figures import values
from .intervals import corrected_interval
from .schema.studies import Estimate, Imbalance, ImbalanceCell, SweptMetric

# Loss → its options. Dice as cured, see `study.sensitivity`.
LOSSES: Final[Mapping[str, Mapping[str, bool | float | str]]] = {
    "bce": {},
    "weighted_bce": {},
    "dice": {"classes": "both"},
    "g_mean": {},
    "auroc_logistic": {},
}
# A few hundred steps of 512 texts: fits of a few seconds each.
_EPOCHS = {"cyberbullying": 5}
_EPOCHS_OF_SMALL = 24


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run: models, shares of the minority class, seeds."""

    models: tuple[str, ...] = ("spam", "cyberbullying")
    shares: tuple[float, ...] = (0.13, 0.05, 0.02, 0.01, 0.005)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    epochs: int | None = None


QUICK: Final = Scale(shares=(0.13, 0.01), seeds=(0, 1))


def recipe(model: str, loss: str, epochs: int | None = None) -> Configuration:
    """Return the configuration of a loss; nothing else differs between losses."""
    return Configuration(
        model=model,
        variant=f"{loss}-sweep",
        loss=loss,
        loss_options=dict(LOSSES[loss]),
        extra_words=0,
        layer_rate=3e-3,
        embedding_rate=9e-3,
        weight_decay=1.0,
        batch_size=512,
        stratified=True,
        epochs=epochs or _EPOCHS.get(model, _EPOCHS_OF_SMALL),
        schedule="cosine",
        restore="last",
    )


def write(directory: Path, scale: Scale | None = None) -> None:
    """Run what is not in the cache yet; write ``imbalance.json``, ``.md`` and ``.svg``.

    Args:
        directory: where to.
        scale: how much is run.

    Raises:
        TrainingError: a data set or the word vectors are missing or wrong.
    """
    storage.write(measure(scale or Scale()), directory / rendering.IMBALANCE_FILE)
    rendering.imbalance_page(directory)


def measure(scale: Scale) -> Imbalance:
    """Carry out the runs that are not in the cache and summarise every cell."""
    cells = {
        (model, share, loss): [
            Run(recipe(model, loss, scale.epochs), Protocol.GROUPED, seed, minority_share=share)
            for seed in scale.seeds
        ]
        for model in scale.models
        for share in scale.shares
        for loss in LOSSES
    }
    kept = dict(zip(cells, run_cells(list(cells.values()), "Imbalance"), strict=True))
    return Imbalance(
        protocol=str(Protocol.GROUPED),
        seeds=list(scale.seeds),
        shares=list(scale.shares),
        minority_labels={model: _minority_label(model) for model in scale.models},
        cells=[
            _summary(model, share, loss, list(zip(scale.seeds, runs, strict=True)))
            for (model, share, loss), runs in kept.items()
        ],
    )


def _minority_label(model: str) -> str:
    dataset = datasets.load(model)
    return dataset.label_names[int(dataset.labels.mean() < 0.5)]


def _summary(
    model: str, share: float, loss: str, kept: Sequence[tuple[int, CachedRun]]
) -> ImbalanceCell:
    runs = [run for _, run in kept]
    rows = [run.result.rows for run in runs]
    metrics: dict[SweptMetric, list[float]] = {
        "macro_f1": values(runs, "test", "macro_f1", FITTED),
        "macro_f1_at_half": values(runs, "test", "macro_f1", HALF),
        "g_mean": values(runs, "test", "g_mean", FITTED),
        "average_precision": [_minority_precision(model, seed, run) for seed, run in kept],
    }
    return ImbalanceCell(
        model=model,
        share=share,
        loss=loss,
        train_minority=statistics.fmean(min(one["train"]) for one in rows),
        validation_minority=statistics.fmean(min(one["validation"]) for one in rows),
        evaluated=statistics.fmean(min(one["validation"]) / sum(one["validation"]) for one in rows),
        collapsed=sum(run.result.collapsed for run in runs),
        metrics={
            metric: Estimate(statistics.fmean(per_seed), corrected_interval(per_seed), per_seed)
            for metric, per_seed in metrics.items()
        },
    )


@lru_cache(maxsize=16)
def _test_fold(model: str, seed: int) -> tuple[tuple[str, ...], Labels]:
    dataset = datasets.load(model)
    rows = split(dataset, Protocol.GROUPED, seed).test
    return dataset.take(rows)


def _minority_precision(model: str, seed: int, kept: CachedRun) -> float:
    """Compute the average precision of ranking the minority class first, at the swept share.

    Where the positives are the majority, their average precision is near 1 in any order.
    """
    texts, labels = _test_fold(model, seed)
    scores = Classifier.load(kept.artifact, engine="numpy").scores(texts)
    negatives, positives = kept.result.rows["validation"]
    weights = prevalence_weights(labels, positives / (negatives + positives))
    if positives > negatives:
        labels, scores = 1 - labels, -scores
    return float(average_precision_score(labels, scores, sample_weight=weights))

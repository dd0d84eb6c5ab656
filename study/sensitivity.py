"""Where losses collapse over learning rates, why Dice does, and what cures it.

The paper's section 5.3 reports that Dice, at a wrong learning rate, predicts only the majority
class. The *naive* recipe reproduces it: one learning rate for embedding and layers, nothing that
limits the weights, the last epoch kept whatever its quality. Single changes to it show what
matters, and `cured` is the result.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from dandelion import Classifier, artifact
from dandelion.engines.network import binary_logits
from training.configuration import Configuration, Wide
from training.data import datasets
from training.data.splits import Protocol
from training.experiment import Run
from training.losses.overlap import Classes
from training.losses.registry import options_of
from training.quality.metrics import FITTED, HALF
from training.runs import CachedRun, run_cells

from . import rendering, storage
from .figures import epochs, values
from .schema.studies import FirstGradient, Network, Sensitivity, SensitivityCell

NAME: Final = "dice, naive recipe"
MODEL: Final = "cyberbullying"
RATES: Final = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SEEDS: Final = (100, 101, 102)  # never reported elsewhere
# From here on the cure must prevent every collapse: below, five epochs are too few.
PROMISED_FROM: Final = 1e-4

_SAMPLE_ROWS = 8000
_CHANGED_RATES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1)
_LOSSES = ("dice", "log_dice", "weighted_bce", "bce")
_EMBEDDING_RATIO = 3.0
_WIDE_RATIO = 30.0
_VANISHED = 1e-6  # of the sigmoid's slope, which is 1/4 at most
_MEASURED_TEXTS = 2000
_CURE_FIELDS = ("loss", "loss_options", "layer_rate", "embedding_rate", "weight_decay")

Fields = Mapping[str, bool | int | float | str | Mapping[str, str]]


class Change(NamedTuple):
    """One change to the naive recipe: fields, and the embedding's rate in layers' rates."""

    title: str
    fields: Fields
    embedding_ratio: float = 1.0


_BOTH: Final[Fields] = {"loss_options": {"classes": "both"}}
_DECAY: Final[Fields] = {"weight_decay": 1.0}
_CHANGES = (
    Change("both classes counted", _BOTH),
    Change("the minority counted", {"loss_options": {"classes": "minority"}}),
    Change("weight decay 1", _DECAY),
    Change("bias at the prior", {"prior_bias": True}),
    Change("an epoch of BCE first", {"warm_up_epochs": 1}),
    Change("penalty on logits, .01", {"logit_penalty": 0.01}),
    Change("stratified batches", {"stratified": True}),
    Change("embedding × 3", {}, _EMBEDDING_RATIO),
    Change("cosine", {"schedule": "cosine"}),
    Change("both counted, weight decay", {**_BOTH, **_DECAY}),
)


class Cell(NamedTuple):
    """A cell of a map, see `schema.SensitivityCell`."""

    part: str
    model: str
    row: str
    rate: float


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run.

    Attributes:
        models: of the maps.
        model: the one that single changes, networks and whole data are about.
        rates: of the maps.
        seeds: of every cell; wide networks get the first alone.
        losses: of the maps.
        changes: tried one at a time.
        whole: rates at which all the data is used.
    """

    models: tuple[str, ...] = ("spam", MODEL)
    model: str = MODEL
    rates: tuple[float, ...] = RATES
    seeds: tuple[int, ...] = SEEDS
    losses: tuple[str, ...] = _LOSSES
    changes: tuple[Change, ...] = _CHANGES
    whole: tuple[float, ...] = (3e-2, 1e-1)

    @property
    def promised(self) -> tuple[float, ...]:
        """The rates at which the cure must hold."""
        return tuple(rate for rate in self.rates if rate >= PROMISED_FROM)

    @property
    def changed(self) -> tuple[float, ...]:
        """The rates at which single changes are tried."""
        return tuple(rate for rate in self.rates if rate in _CHANGED_RATES)


QUICK: Final = Scale(
    rates=(1e-4, 1e-2, 1e-1),
    seeds=SEEDS[:1],
    losses=("dice", "bce"),
    changes=_CHANGES[:3],
    whole=(),
)


def naive(rate: float, model: str = MODEL, loss: str = "dice") -> Configuration:
    """Return the naive recipe at a learning rate."""
    return Configuration(
        model=model,
        variant=f"{loss}-naive",
        loss=loss,
        word_dropout=0,
        extra_words=0,
        layer_rate=rate,
        embedding_rate=rate,
        batch_size=64,
        epochs=5,
        restore="last",
    )


def cured(rate: float, model: str = MODEL, loss: str = "dice") -> Configuration:
    """Return the naive recipe with three changes at a learning rate of the layers.

    A loss that counts one class counts both, weights decay, and the embedding learns three times
    as fast as the layers.
    """
    fields = {**(_BOTH if "classes" in options_of(loss) else {}), **_DECAY}
    base = naive(rate, model, loss)
    changes = {"variant": f"{loss}-cured", **fields}
    return _changed(base, Change("the cure", changes, _EMBEDDING_RATIO))


def cured_wide(rate: float, model: str = MODEL) -> Configuration:
    """Return the cured recipe of Dice with a wide path, its rates thirty times the layers'."""
    base = cured(rate, model)
    wide_rate = min(1.0, _WIDE_RATIO * rate)
    wide = Wide(surface_dimensions=16, rate=wide_rate, surface_rate=wide_rate)
    types = 1.0 if base.model in datasets.FINER else 0.0
    return base.model_copy(update={"wide": wide, "types_weight": types})


def shared_push(share: float, score: float, classes: Classes) -> float:
    """Return the share of Dice's first gradient that moves every logit alike, and its direction.

        ∂D/∂x_i = p (1 − p) (2 y_i − D) / (Σ y + Σ p)         D = 2 π p / (π + p)

    for the class counted, where every text has the score p and π of them belong to the class, in
    large batches. Pushes of all texts, added, over the sum of their sizes: π / (π + 2p − 2πp),
    always towards the class that is counted, whatever π; at p = 1/2 it is π. The mean of both
    classes' Dice pushes towards p = π and is stationary there.

    Args:
        share: of positives, in (0, 1).
        score: p, of every text, in (0, 1).
        classes: whose Dice is counted.

    Returns:
        In [−1, 1]: above 0 it moves logits up.
    """
    positive = np.array([0.0, 1.0])
    of_positive = (2 * positive - _constant_dice(share, score)) / (share + score)
    of_negative = -(2 * (1 - positive) - _constant_dice(1 - share, 1 - score)) / (2 - share - score)
    pushes = {
        "positive": of_positive,
        "minority": of_positive if share <= 0.5 else of_negative,
        "both": of_positive + of_negative,
    }[classes]
    weighted = np.array([1 - share, share]) * pushes
    return float(weighted.sum() / np.abs(weighted).sum())


def write(directory: Path, scale: Scale | None = None) -> Sensitivity:
    """Run what is not in the cache yet; write ``sensitivity.json``, ``.md`` and ``.svg``.

    Args:
        directory: where to.
        scale: how much is run.

    Returns:
        What was found.

    Raises:
        TrainingError: a data set or the word vectors are missing or wrong.
    """
    found = measure(scale or Scale())
    storage.write(found, directory / rendering.SENSITIVITY_FILE)
    rendering.sensitivity_page(directory)
    return found


def _changed(base: Configuration, change: Change) -> Configuration:
    embedding_rate = min(1.0, change.embedding_ratio * base.layer_rate)
    values = base.model_dump() | {"embedding_rate": embedding_rate} | dict(change.fields)
    return Configuration.model_validate(values)


def _runs(
    config: Configuration,
    seeds: Sequence[int],
    *,
    sample_rows: int | None = _SAMPLE_ROWS,
    opened: bool = False,
) -> list[Run]:
    """Return a cell's runs; the first seed's artifact is kept where `_network` opens it."""
    return [
        Run(
            config,
            Protocol.GROUPED,
            seed,
            read_test=False,
            sample_rows=sample_rows,
            keep_artifact=opened and seed == seeds[0],
        )
        for seed in seeds
    ]


def measure(scale: Scale) -> Sensitivity:
    """Carry out the runs that are not in the cache, in one series, and summarise every cell."""
    listed = dict(cells(scale))
    kept = dict(zip(listed, run_cells(list(listed.values()), "Sensitivity"), strict=True))
    cure = cured(1e-3, scale.model).model_dump(mode="json")
    return Sensitivity(
        model=scale.model,
        protocol=str(Protocol.GROUPED),
        fold="validation",
        sample_rows=_SAMPLE_ROWS,
        seeds=list(scale.seeds),
        rates=list(scale.rates),
        promised_from=PROMISED_FROM,
        vanished_below=_VANISHED,
        cure={name: cure[name] for name in _CURE_FIELDS},
        cells=[_summary(cell, runs) for cell, runs in kept.items()],
        first_gradient=_first_gradient(scale.models),
        networks=[
            _network(cell, runs[0].artifact)
            for cell, runs in kept.items()
            if cell.part in {"naive", "cured"} and (cell.model, cell.row) == (scale.model, "dice")
        ],
    )


def cells(scale: Scale) -> Iterator[tuple[Cell, list[Run]]]:
    """List every cell with its runs; none of them reads the test fold."""
    for part, recipe in (("naive", naive), ("cured", cured)):
        for model in scale.models:
            for loss in scale.losses:
                if recipe is cured and "classes" not in options_of(loss):
                    continue  # it counts no class, so there is nothing to cure
                opened = (model, loss) == (scale.model, "dice")
                for rate in scale.rates:
                    runs = _runs(recipe(rate, model, loss), scale.seeds, opened=opened)
                    yield Cell(part, model, loss, rate), runs
        for rate in scale.whole:
            runs = _runs(recipe(rate, scale.model), scale.seeds, sample_rows=None)
            yield Cell(f"{part}, all data", scale.model, "dice", rate), runs
    for model in scale.models:
        for rate in scale.promised:
            yield Cell("wide", model, "dice", rate), _runs(cured_wide(rate, model), scale.seeds[:1])
    for change in scale.changes:
        for rate in scale.changed:
            runs = _runs(_changed(naive(rate, scale.model), change), scale.seeds)
            yield Cell("change", scale.model, change.title, rate), runs


def _summary(cell: Cell, kept: Sequence[CachedRun]) -> SensitivityCell:
    best = [1 + int(np.argmax([epoch.macro_f1 for epoch in epochs(run)])) for run in kept]
    return SensitivityCell(
        *cell,
        collapsed=sum(run.result.collapsed for run in kept),
        runs=len(kept),
        macro_f1=statistics.fmean(values(kept, "validation", "macro_f1", HALF)),
        macro_f1_fitted=statistics.fmean(values(kept, "validation", "macro_f1", FITTED)),
        best_epoch=statistics.fmean(best),
    )


def _constant_dice(share: float, score: float) -> float:
    """Return Dice of a class that is ``share`` of all texts, each of which has the score."""
    return 2 * share * score / (share + score)


def _first_gradient(models: Sequence[str]) -> list[FirstGradient]:
    """Compute the shared push of the data sets' classes at the start, where every score is 1/2."""
    counted: tuple[Classes, ...] = ("positive", "minority", "both")
    shares = {model: float(datasets.load(model).labels.mean()) for model in models}
    return [
        FirstGradient(model, share, one, shared_push(share, 0.5, one))
        for model, share in shares.items()
        for one in counted
    ]


def _network(cell: Cell, place: Path) -> Network:
    """Measure a fitted network's logits and units, on texts from the whole data set."""
    stored = artifact.load(place)
    texts = datasets.load(cell.model).texts
    batch = Classifier(stored, engine="numpy").encode(
        texts[:: max(1, len(texts) // _MEASURED_TEXTS)]
    )
    network = stored.network
    logits = binary_logits(network.logits(batch)).astype(np.float64)
    units = len(network.output_weight[0])
    # With the output replaced by the identity, the logits are the second hidden layer's units; with
    # the second layer replaced as well, they are the first's, which are never negative.
    shown = replace(
        network,
        output_weight=np.eye(units, dtype=np.float32),
        output_bias=np.zeros(units, np.float32),
    )
    second = shown.logits(batch)
    first = replace(
        shown, hidden2_weight=shown.output_weight, hidden2_bias=shown.output_bias
    ).logits(batch)
    scores = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
    return Network(
        recipe=cell.part,
        rate=cell.rate,
        median_logit_size=float(np.median(np.abs(logits))),
        vanished=float((scores * (1 - scores) < _VANISHED).mean()),
        dead_first=float((first == 0).all(axis=0).mean()),
        dead_second=float((second == 0).all(axis=0).mean()),
    )

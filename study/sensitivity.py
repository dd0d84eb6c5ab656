"""Where losses collapse over learning rates, why Dice does, and what cures it.

The paper's section 5.3 reports that Dice, at a wrong learning rate, predicts only the majority
class. The *naive* recipe shows it: one learning rate for embedding and layers, nothing that holds
the weights, the last epoch kept whatever it is worth. One change at a time to it shows what takes
part, and `cured` is what follows.
"""

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from dandelion import Classifier, artifact
from dandelion.engines.network import binary_logits
from training import tables
from training.cache import write_whole
from training.configuration import Configuration, Wide
from training.data import datasets
from training.data.splits import Protocol
from training.experiment import Run
from training.losses.overlap import Classes
from training.losses.registry import options_of
from training.quality.metrics import FITTED, HALF
from training.runs import Kept, run_cells

from . import pages, plots
from .plots import Cell

NAME: Final = "dice, naive recipe"
MODEL = "cyberbullying"
MODELS = ("spam", MODEL)
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SEEDS = (100, 101, 102)  # never reported elsewhere
# From here on the cure promises that nothing collapses: below, five epochs are too few.
PROMISED_FROM = 1e-4

_SAMPLE_ROWS = 8000
_CHANGED_RATES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1)
_LOSSES = ("dice", "log_dice", "weighted_bce", "bce")
_EMBEDDING_RATIO = 3.0
_WIDE_RATIO = 30.0
_VANISHED = 1e-6  # of the sigmoid's slope, which is 1/4 at most
_MEASURED_TEXTS = 2000

Json = dict[str, Any]


class _Change(NamedTuple):
    """One change to the naive recipe: fields, and the embedding's rate in layers' rates."""

    title: str
    fields: Mapping[str, Any]
    embedding_ratio: float = 1.0


_BOTH: Final[Mapping[str, Any]] = {"loss_options": {"classes": "both"}}
_DECAY: Final[Mapping[str, Any]] = {"weight_decay": 1.0}
_CHANGES = (
    _Change("both classes counted", _BOTH),
    _Change("the minority counted", {"loss_options": {"classes": "minority"}}),
    _Change("weight decay 1", _DECAY),
    _Change("bias at the prior", {"prior_bias": True}),
    _Change("an epoch of BCE first", {"warm_up_epochs": 1}),
    _Change("penalty on logits, .01", {"logit_penalty": 0.01}),
    _Change("stratified batches", {"stratified": True}),
    _Change("embedding × 3", {}, _EMBEDDING_RATIO),
    _Change("cosine", {"schedule": "cosine"}),
    _Change("both counted, weight decay", {**_BOTH, **_DECAY}),
)


@dataclass(frozen=True, slots=True)
class _Scale:
    """How much is run: rates of the maps, losses, changes; of whole data and of wide networks."""

    rates: tuple[float, ...] = field(default_factory=lambda: RATES)
    seeds: tuple[int, ...] = field(default_factory=lambda: SEEDS)
    losses: tuple[str, ...] = _LOSSES
    changes: tuple[_Change, ...] = _CHANGES
    whole: tuple[float, ...] = (3e-2, 1e-1)

    @property
    def promised(self) -> tuple[float, ...]:
        """The rates at which the cure must hold."""
        return tuple(rate for rate in self.rates if rate >= PROMISED_FROM)

    @property
    def changed(self) -> tuple[float, ...]:
        """The rates at which single changes are tried."""
        return tuple(rate for rate in self.rates if rate in _CHANGED_RATES)


_QUICK = _Scale((1e-4, 1e-2, 1e-1), (100,), ("dice", "bce"), _CHANGES[:3], ())


def naive(rate: float, model: str | None = None, loss: str = "dice") -> Configuration:
    """Return the naive recipe at a learning rate."""
    return Configuration(
        model=model or MODEL,
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


def cured(rate: float, model: str | None = None, loss: str = "dice") -> Configuration:
    """Return the naive recipe with three changes, and no other, at a layers' learning rate.

    A loss that counts one class counts both, weights decay, and the embedding learns three times
    as fast as the layers.
    """
    fields = {**(_BOTH if "classes" in options_of(loss) else {}), **_DECAY}
    base = naive(rate, model, loss)
    changes = {"variant": f"{loss}-cured", **fields}
    return _changed(base, _Change("the cure", changes, _EMBEDDING_RATIO))


def cured_wide(rate: float, model: str | None = None) -> Configuration:
    """Return the cured recipe of Dice with a wide path, its rates thirty times the layers'."""
    base = cured(rate, model)
    wide_rate = min(1.0, _WIDE_RATIO * rate)
    wide = Wide(surface_dimensions=16, rate=wide_rate, surface_rate=wide_rate)
    types = 1.0 if base.model in datasets.FINER else 0.0
    return base.model_copy(update={"wide": wide, "types_weight": types})


def search() -> dict[float, list[Kept]]:
    """Run the naive recipe of Dice at every rate, validation only; the map's first line."""
    cells = [_runs(naive(rate), SEEDS) for rate in RATES]
    return dict(zip(RATES, run_cells(cells, "Naive Dice"), strict=True))


def lowest_collapsing_rate(found: Mapping[float, Sequence[Kept]]) -> float | None:
    """Return the lowest rate from which on every seed collapsed."""
    lowest = None
    for rate, kept in sorted(found.items(), reverse=True):
        if not all(run.result.collapsed for run in kept):
            break
        lowest = rate
    return lowest


def shared_push(share: float, score: float, classes: Classes) -> float:
    """Tell how much of Dice's first gradient moves every logit alike, and where to.

        ∂D/∂x_i = p (1 − p) (2 y_i − D) / (Σ y + Σ p)         D = 2 π p / (π + p)

    for the class counted, where every text has the score p and π of them belong to the class, in
    large batches. Pushes of all texts, added, over the sum of their sizes: π / (π + 2p − 2πp),
    always towards the class that is counted, whatever π; at p = 1/2 it is π. The mean of both
    classes' Dice pushes towards p = π and rests there.

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


def write(directory: Path, quick: bool = False) -> str:
    """Run what is not in the cache yet; write ``sensitivity.md``, ``.svg`` and ``.json``.

    Args:
        directory: where to.
        quick: few rates, losses and changes, one seed.

    Returns:
        A paragraph for the report.

    Raises:
        TrainingError: a data set or the word vectors are missing or wrong.
    """
    found = _measure(_QUICK if quick else _Scale())
    text = json.dumps(found, indent=1) + "\n"
    write_whole(directory / "sensitivity.json", text.encode())
    write_whole(directory / "sensitivity.svg", _plot(found))
    write_whole(directory / "sensitivity.md", _page(found).encode())
    return _paragraph(found)


def _changed(base: Configuration, change: _Change) -> Configuration:
    embedding_rate = min(1.0, change.embedding_ratio * base.layer_rate)
    values = base.model_dump() | {"embedding_rate": embedding_rate} | dict(change.fields)
    return Configuration.model_validate(values)


def _runs(
    config: Configuration, seeds: Sequence[int], sample_rows: int | None = _SAMPLE_ROWS
) -> list[Run]:
    """Make a cell's runs; of Dice's, the first seed's artifact is kept to be looked into."""
    return [
        Run(
            config,
            Protocol.GROUPED,
            seed,
            read_test=False,
            sample_rows=sample_rows,
            keep_artifact=_is_opened(config, seed, sample_rows),
        )
        for seed in seeds
    ]


def _is_opened(config: Configuration, seed: int, sample_rows: int | None) -> bool:
    """Tell whether `_anatomy` looks at a run's network."""
    recipes = (naive(config.layer_rate), cured(config.layer_rate))
    return seed == SEEDS[0] and sample_rows is not None and config in recipes


def _measure(scale: _Scale) -> Json:
    """Run everything, in one series, and tell of every cell."""
    cells = dict(_cells(scale))
    kept = dict(zip(cells, run_cells(list(cells.values()), "Sensitivity"), strict=True))
    found: Json = {
        "protocol": str(Protocol.GROUPED),
        "fold": "validation",
        "sample_rows": _SAMPLE_ROWS,
        "seeds": list(scale.seeds),
        "rates": list(scale.rates),
        "cells": [
            {"part": part, "model": model, "row": row, "rate": rate} | _summary(runs)
            for (part, model, row, rate), runs in kept.items()
        ],
        "first_gradient": _first_gradient(),
        "networks": [
            {"recipe": part, "rate": rate} | _anatomy(runs[0].artifact)
            for (part, model, row, rate), runs in kept.items()
            if part in ("naive", "cured") and (model, row) == (MODEL, "dice")
        ],
    }
    return found


def _cells(scale: _Scale) -> Iterator[tuple[tuple[str, str, str, float], list[Run]]]:
    """Name every cell by its part, model, row and rate, and list its runs."""
    for part, recipe in (("naive", naive), ("cured", cured)):
        for model in MODELS:
            for loss in scale.losses:
                if recipe is cured and "classes" not in options_of(loss):
                    continue  # no class is counted, so there is nothing to cure
                for rate in scale.rates:
                    runs = _runs(recipe(rate, model, loss), scale.seeds)
                    yield (part, model, loss, rate), runs
        for rate in scale.whole:
            runs = _runs(recipe(rate), scale.seeds, sample_rows=None)
            yield (f"{part}, all data", MODEL, "dice", rate), runs
    for model in MODELS:
        for rate in scale.promised:
            yield ("wide", model, "dice", rate), _runs(cured_wide(rate, model), scale.seeds[:1])
    for change in scale.changes:
        for rate in scale.changed:
            runs = _runs(_changed(naive(rate), change), scale.seeds)
            yield ("change", MODEL, change.title, rate), runs


def _summary(kept: Sequence[Kept]) -> Json:
    results = [run.result for run in kept]

    def mean(cut: str) -> float:
        return statistics.fmean(one.metrics["validation"][cut]["macro_f1"] for one in results)

    best = [1 + int(np.argmax([epoch["macro_f1"] for epoch in one.history])) for one in results]
    return {
        "collapsed": sum(one.collapsed for one in results),
        "runs": len(results),
        "macro_f1": mean(HALF),
        "macro_f1_fitted": mean(FITTED),
        "best_epoch": statistics.fmean(best),
    }


def _constant_dice(share: float, score: float) -> float:
    """Return Dice of a class that is ``share`` of all texts, each of which has the score."""
    return 2 * share * score / (share + score)


def _first_gradient() -> list[Json]:
    """Tell how the data sets' classes push all logits at the start, where every score is 1/2."""
    counted: tuple[Classes, ...] = ("positive", "minority", "both")
    shares = {model: float(datasets.load(model).labels.mean()) for model in MODELS}
    return [
        {"model": model, "share": share, "classes": one, "push": shared_push(share, 0.5, one)}
        for model, share in shares.items()
        for one in counted
    ]


def _anatomy(place: Path) -> Json:
    """Look into a fitted network: its logits on texts from all over the data set, its units."""
    stored = artifact.load(place)
    texts = datasets.load(MODEL).texts
    batch = Classifier(stored, engine="numpy").encode(
        texts[:: max(1, len(texts) // _MEASURED_TEXTS)]
    )
    network = stored.network
    logits = binary_logits(network.logits(batch)).astype(np.float64)
    units = len(network.output_weight[0])
    # The output replaced by the identity gives the second hidden layer's units as they are; the
    # layer before replaced as well gives the first's, which are not negative already.
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
    return {
        "median_logit_size": float(np.median(np.abs(logits))),
        "vanished": float((scores * (1 - scores) < _VANISHED).mean()),
        "dead_first": float((first == 0).all(axis=0).mean()),
        "dead_second": float((second == 0).all(axis=0).mean()),
    }


def _cells_of(found: Json, part: str, model: str, row: str) -> list[Json]:
    """Return a line of a map, in the order of the rates."""
    wanted = (part, model, row)
    return [one for one in found["cells"] if (one["part"], one["model"], one["row"]) == wanted]


def _lines_of(found: Json, part: str, model: str) -> dict[str, list[Json]]:
    """Return a map: row → its cells."""
    rows = dict.fromkeys(
        one["row"] for one in found["cells"] if (one["part"], one["model"]) == (part, model)
    )
    return {row: _cells_of(found, part, model, row) for row in rows}


def _plot(found: Json) -> bytes:
    def cell(one: Json) -> Cell:
        mark = f"{one['collapsed']}/{one['runs']}" if one["collapsed"] else ""
        return Cell(one["macro_f1"], mark)

    return plots.heat_maps(
        "Macro-F1 at threshold 0.5 on validation; framed: how many runs collapsed",
        {
            (datasets.source_of(model).title, part): {
                pages.name_of(loss): [cell(one) for one in cells]
                for loss, cells in _lines_of(found, part, model).items()
            }
            for model in MODELS
            for part in ("naive", "cured")
        },
        columns=[_rate(rate) for rate in found["rates"]],
        axis="layers' learning rate",
        lowest=0.4,
    )


def _promised(cells: Sequence[Json]) -> list[Json]:
    return [one for one in cells if one["rate"] >= PROMISED_FROM]


def _count(cells: Sequence[Json]) -> str:
    """Tell how many runs of some cells collapsed."""
    return f"{sum(one['collapsed'] for one in cells)} of {sum(one['runs'] for one in cells)}"


def _paragraph(found: Json) -> str:
    """Say what was found in a few sentences, from the figures."""
    lines = {
        (part, model): _promised(_cells_of(found, part, model, "dice"))
        for part in ("naive", "cured")
        for model in MODELS
    }
    worst = min(
        after["macro_f1"] - before["macro_f1"]
        for model in MODELS
        for before, after in zip(lines["naive", model], lines["cured", model], strict=True)
    )
    before, after = (
        " and ".join(
            f"{_count(lines[part, model])} on {datasets.source_of(model).title}" for model in MODELS
        )
        for part in ("naive", "cured")
    )
    first = next(one for one in found["first_gradient"] if one["model"] == MODEL)
    return f"""\
From a layers' rate of {_rate(PROMISED_FROM)} to .1, naive Dice answers like a constant in so many
runs: {before}; cured, {after}. Of other losses' runs under the naive recipe:
{_others(found)}.

The first cause: Dice of one class is served by calling everything that class, and where it is
{_percent(first["share"])} of the texts, {_percent(abs(first["push"]))} of the first gradient say
nothing else. The second: a large rate makes every logit large, and the gradient has the sigmoid's
slope as a factor. The cure counts both classes, lets the layers' weights decay at 1, and gives the
embedding three times the layers' rate; at none of these rates does it
cost more than {max(0.0, -worst):.3f} of macro-F1 at threshold 0.5."""


def _others(found: Json) -> str:
    """Tell how often the naive recipe collapses under losses that count no class."""
    told = []
    for loss in dict.fromkeys(one["row"] for one in found["cells"] if one["part"] == "naive"):
        if "classes" not in options_of(loss):
            cells = [cell for model in MODELS for cell in _cells_of(found, "naive", model, loss)]
            told.append(f"{pages.name_of(loss)} {_count(_promised(cells))}")
    return ", ".join(told)


def _page(found: Json) -> str:
    rates = [_rate(rate) for rate in found["rates"]]
    changed = [_rate(rate) for rate in found["rates"] if rate in _CHANGED_RATES]
    fields = cured(1e-3).model_dump()
    kept = ("loss", "loss_options", "layer_rate", "embedding_rate", "weight_decay")
    before, after = (
        [one for one in found["networks"] if one["recipe"] == recipe][-1]
        for recipe in ("naive", "cured")
    )
    return f"""\
# Where losses collapse, why, and the cure

Made by `python -m study sensitivity`; every figure is in [sensitivity.json](sensitivity.json).

{_paragraph(found)}

![Macro-F1 and collapsed runs over learning rates, naive and cured](sensitivity.svg)

Grouped protocol, figures on validation, seeds {", ".join(map(str, found["seeds"]))}, the plain
DAN, five epochs of batches of 64, the last one kept; Cyberbullying on a fixed sample of
{found["sample_rows"]:,} rows, chosen by whole groups. *Collapsed*: at threshold 0.5, G-mean under
.1 and accuracy within .002 of a constant answer's. The axis is the layers' rate; the embedding's
keeps its ratio to it, naive 1, cured 3. Below {_rate(PROMISED_FROM)} five epochs are too few: a
constant answer there is an unfinished run, whatever the loss.

## The paper's section 5.3

"Dice Loss is very sensitive to the learning rate": naive Dice on Cyberbullying, collapsed runs,
macro-F1 at 0.5, and the epoch with the best macro-F1 at the fitted threshold, a mean:

{_table(rates, [_line(name, cells) for name, cells in _dice_lines(found)])}
## The cause

**Which class is counted.** Dice's gradient by a logit is p (1 − p) (2y − D) / (Σy + Σp). Over all
texts, each with the score p, the pushes do not cancel: where the counted class has the share π,
π / (π + 2p − 2πp) of their size moves every logit alike, towards that class; at the start, p = ½,
that is π itself. Nothing ends it short of p = 1, where the class's Dice is 2π / (1 + π). The mean
of both classes' Dice rests at p = π, as cross-entropy does.

{_gradient_table(found)}
**The flat sigmoid.** p (1 − p) is a factor of every text's gradient. In the network of the first
seed, on texts from all over Cyberbullying, naive → cured: the median size of a logit, the texts
whose p (1 − p) is below {_rate(_VANISHED)}, and the units of the second hidden layer that are zero
on every text:

{_network_table(found)}
Large steps make large weights and these large logits, all of one sign; then no text has a gradient
left to lead back. Dead units are not what does it: at {_rate(before["rate"])} the naive network has
{_percent(before["dead_second"])} of its second layer dead and is lost, the cured one has
{_percent(after["dead_second"])} and classifies. A decoupled decay of 1 shrinks the layers by the
rate itself at every step, so it holds them the tighter the larger the rate.

## One change at a time

Changes to naive Dice on Cyberbullying: collapsed runs and macro-F1 at 0.5. Without a collapse:
{_without_collapse(found)}.

{_table(changed, [_line(name, cells, best=False) for name, cells in _changed_lines(found)])}
## The cure

In a configuration, at any layers' rate, as long as the embedding's is three times it:

```toml
{_toml({name: fields[name] for name in kept})}```

The embedding's rate is there for the small ones; the other two prevent the collapse.

Held against all the data, and with a wide path (`surface_dimensions = 16`, on Cyberbullying
`types_weight = 1`, the wide rates 30 times the layers', at most 1; one seed):

{_checks(found)}"""


def _dice_lines(found: Json) -> Iterator[tuple[str, list[Json]]]:
    for part in ("naive", "cured"):
        yield part, _cells_of(found, part, MODEL, "dice")


def _changed_lines(found: Json) -> Iterator[tuple[str, list[Json]]]:
    def tried(part: str) -> list[Json]:
        cells = _cells_of(found, part, MODEL, "dice")
        return [one for one in cells if one["rate"] in _CHANGED_RATES]

    yield "naive", tried("naive")
    yield from _lines_of(found, "change", MODEL).items()
    yield "cured", tried("cured")


def _without_collapse(found: Json) -> str:
    """Name the changes that alone, or as a pair, prevent every collapse."""
    lines = _lines_of(found, "change", MODEL).items()
    return "; ".join(name for name, cells in lines if _count(cells).startswith("0 ")) or "none"


def _line(name: str, cells: Sequence[Json], *, best: bool = True) -> list[str]:
    return [name, *(_told(one) + (f", {one['best_epoch']:.1f}" if best else "") for one in cells)]


def _told(cell: Json) -> str:
    figure = f"{cell['macro_f1']:.3f}".removeprefix("0")
    return f"**{cell['collapsed']}** · {figure}" if cell["collapsed"] else f"0 · {figure}"


def _table(rates: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return tables.markdown_table(["", *rates], lines)


def _gradient_table(found: Json) -> str:
    lines = []
    for one in found["first_gradient"]:
        share, push = one["share"], one["push"]
        towards = "positive" if push > 0 else "negative"
        resting = f"p = {share:.3f}" if one["classes"] == "both" else f"all {towards}"
        lines.append(
            [
                datasets.source_of(one["model"]).title,
                one["classes"],
                f"{_percent(abs(push))} towards {towards}",
                resting,
            ]
        )
    header = ["", "counted", "of the first gradient, alike for all", "a constant answer rests at"]
    return tables.markdown_table(header, lines)


def _network_table(found: Json) -> str:
    before, after = (
        {one["rate"]: one for one in found["networks"] if one["recipe"] == recipe}
        for recipe in ("naive", "cured")
    )

    def both(rate: float, name: str, form: Callable[[float], str]) -> str:
        return f"{form(before[rate][name])} → {form(after[rate][name])}"

    lines = [
        [
            _rate(rate),
            both(rate, "median_logit_size", "{:,.1f}".format),
            both(rate, "vanished", _percent),
            both(rate, "dead_second", _percent),
        ]
        for rate in before
    ]
    return tables.markdown_table(["rate", "logit", "vanished", "dead units"], lines)


def _checks(found: Json) -> str:
    lines = [
        [
            datasets.source_of(one["model"]).title,
            one["part"],
            _rate(one["rate"]),
            f"{one['collapsed']} of {one['runs']}",
            tables.figure(one["macro_f1"]),
            tables.figure(one["macro_f1_fitted"]),
        ]
        for one in found["cells"]
        if one["part"] == "wide" or one["part"].endswith("all data")
    ]
    header = ["", "", "rate", "collapsed", "macro-F1 at 0.5", "fitted"]
    return tables.markdown_table(header, lines)


def _toml(fields: Mapping[str, Any]) -> str:
    def value(one: Any) -> str:
        if isinstance(one, Mapping):
            return f"{{ {', '.join(f'{key} = {value(item)}' for key, item in one.items())} }}"
        return json.dumps(one)

    return "".join(f"{name} = {value(one)}\n" for name, one in fields.items())


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _rate(rate: float) -> str:
    return f"{rate:g}".removeprefix("0").replace("e-0", "e-")

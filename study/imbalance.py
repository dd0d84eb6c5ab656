"""When does Dice pay? One loss against another as the minority class grows rarer."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sklearn.metrics import average_precision_score

from dandelion import Classifier
from training import tables
from training.cache import write_whole
from training.configuration import Configuration
from training.data import datasets
from training.data.splits import Protocol, split
from training.experiment import Run
from training.quality.metrics import FITTED, HALF, Labels, prevalence_weights
from training.runs import Kept, run_cells

from . import plots
from .intervals import corrected_interval
from .plots import Point

MODELS = ("spam", "cyberbullying")
SHARES = (0.13, 0.05, 0.02, 0.01, 0.005)

_SEEDS = (0, 1, 2, 3, 4)
_DICE = "dice"
# The loss, its options, its name. Dice as cured, see `training.sensitivity`.
_LOSSES: Mapping[str, tuple[str, dict[str, bool | float | str]]] = {
    "bce": ("BCE", {}),
    "weighted_bce": ("weighted BCE", {}),
    _DICE: ("Dice, both classes", {"classes": "both"}),
    "g_mean": ("G-mean", {}),
    "auroc_logistic": ("AUROC", {}),
}
# Some two or three hundred steps of 512 texts: fits of a few seconds each.
_EPOCHS = {"cyberbullying": 5, "spam": 24}
_METRICS = {
    "macro_f1_at_half": "macro-F1 at 0.5",
    "macro_f1": "macro-F1, fitted",
    "average_precision": "AP",
    "g_mean": "G-mean, fitted",
}
_COMPARED = tuple(_METRICS)[:3]
_OTHERS = ("bce", "weighted_bce")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Scale:
    """How much is run."""

    shares: tuple[float, ...] = SHARES
    seeds: tuple[int, ...] = _SEEDS


_QUICK = _Scale((0.13, 0.01), (0, 1))


def recipe(model: str, loss: str) -> Configuration:
    """Return the configuration of a loss: all alike but for it."""
    return Configuration(
        model=model,
        variant=f"{loss}-sweep",
        loss=loss,
        loss_options=_LOSSES[loss][1],
        extra_words=0,
        layer_rate=3e-3,
        embedding_rate=9e-3,
        weight_decay=1.0,
        batch_size=512,
        stratified=True,
        epochs=_EPOCHS[model],
        schedule="cosine",
        restore="last",
    )


def write(directory: Path, quick: bool = False) -> str:
    """Run what is not in the cache yet; write ``imbalance.md``, ``.svg`` and ``.json``.

    Args:
        directory: where to.
        quick: two shares, two seeds.

    Returns:
        A paragraph for the report.

    Raises:
        TrainingError: a data set or the word vectors are missing or wrong.
    """
    found = _measure(_QUICK if quick else _Scale())
    write_whole(directory / "imbalance.json", (json.dumps(found, indent=1) + "\n").encode())
    write_whole(directory / "imbalance.svg", _plot(found))
    write_whole(directory / "imbalance.md", _page(found).encode())
    return _answer(found)


def _measure(scale: _Scale) -> Json:
    cells = {
        (model, share, loss): [
            Run(recipe(model, loss), Protocol.GROUPED, seed, minority_share=share)
            for seed in scale.seeds
        ]
        for model in MODELS
        for share in scale.shares
        for loss in _LOSSES
    }
    kept = dict(zip(cells, run_cells(list(cells.values()), "Imbalance"), strict=True))
    return {
        "protocol": str(Protocol.GROUPED),
        "seeds": list(scale.seeds),
        "shares": list(scale.shares),
        "cells": [
            {"model": model, "share": share, "loss": loss}
            | _summary(model, list(zip(scale.seeds, runs, strict=True)))
            for (model, share, loss), runs in kept.items()
        ],
    }


def _summary(model: str, kept: Sequence[tuple[int, Kept]]) -> Json:
    rows = [run.result.rows for _, run in kept]
    per_seed = {
        name: [run.result.metrics["test"][cut][metric] for _, run in kept]
        for name, cut, metric in (
            ("macro_f1", FITTED, "macro_f1"),
            ("macro_f1_at_half", HALF, "macro_f1"),
            ("g_mean", FITTED, "g_mean"),
        )
    }
    per_seed["average_precision"] = [_minority_precision(model, seed, run) for seed, run in kept]
    return {
        "train_minority": statistics.fmean(min(one["train"]) for one in rows),
        "validation_minority": statistics.fmean(min(one["validation"]) for one in rows),
        "evaluated": statistics.fmean(
            min(one["validation"]) / sum(one["validation"]) for one in rows
        ),
        "collapsed": sum(run.result.collapsed for _, run in kept),
        "metrics": {
            metric: {
                "mean": statistics.fmean(values),
                "ci95": list(corrected_interval(values)),
                "per_seed": values,
            }
            for metric, values in per_seed.items()
        },
    }


@lru_cache(maxsize=16)
def _test_fold(model: str, seed: int) -> tuple[tuple[str, ...], Labels]:
    dataset = datasets.load(model)
    rows = split(dataset, Protocol.GROUPED, seed).test
    return tuple(dataset.texts[row] for row in rows.tolist()), dataset.labels[rows]


def _minority_precision(model: str, seed: int, kept: Kept) -> float:
    """Compute the average precision of ranking the minority class first, at the swept share.

    Where the positives are the majority, theirs says nothing: it is near 1 in any order.
    """
    texts, labels = _test_fold(model, seed)
    scores = Classifier.load(kept.artifact, engine="numpy").scores(texts)
    negatives, positives = kept.result.rows["validation"]
    weights = prevalence_weights(labels, positives / (negatives + positives))
    if positives > negatives:
        labels, scores = 1 - labels, -scores
    return float(average_precision_score(labels, scores, sample_weight=weights))


def _compare(found: Json, model: str, share: float, metric: str, other: str) -> Json:
    """Return Dice's difference to another loss, paired by seed, with its interval."""
    ours, theirs = (_cell(found, model, share, loss)["metrics"][metric] for loss in (_DICE, other))
    differences = [a - b for a, b in zip(ours["per_seed"], theirs["per_seed"], strict=True)]
    return {"mean": statistics.fmean(differences), "ci95": corrected_interval(differences)}


def _cell(found: Json, model: str, share: float, loss: str) -> Json:
    wanted = (model, share, loss)
    return next(
        one for one in found["cells"] if (one["model"], one["share"], one["loss"]) == wanted
    )


def _answer(found: Json) -> str:
    """Say in three sentences when Dice pays, from the figures."""
    collapsed = {
        loss: sum(one["collapsed"] for one in found["cells"] if one["loss"] == loss)
        for loss in _LOSSES
    }
    runs = len(MODELS) * len(found["shares"]) * len(found["seeds"])
    at_half, fitted, ranking = (_verdict(found, metric) for metric in _COMPARED)
    return f"""\
Left at threshold 0.5, Dice (both classes counted, [cured](sensitivity.md)) {at_half}; it answers
like a constant in {collapsed[_DICE]} of {runs} runs, BCE in {collapsed["bce"]}, weighted BCE in
{collapsed["weighted_bce"]}. With the threshold fitted on validation it {fitted}. In ranking, by the
average precision (AP) of the minority class, it {ranking}."""


def _verdict(found: Json, metric: str) -> str:
    """Count the points where Dice is ahead of either loss or behind, its interval without zero."""
    told, balance = [], 0
    for other in _OTHERS:
        intervals = [
            _compare(found, model, share, metric, other)["ci95"]
            for model in MODELS
            for share in found["shares"]
        ]
        ahead = sum(low > 0 for low, _ in intervals)
        behind = sum(high < 0 for _, high in intervals)
        balance += ahead - behind
        told.append(f"ahead of {_LOSSES[other][0]} at {ahead} and behind at {behind}")
    word = "pays" if balance > 0 else "does not pay"
    points = len(MODELS) * len(found["shares"])
    return f"{word}: of {points} points it is {', '.join(told)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _plot(found: Json) -> bytes:
    def points(model: str, loss: str, metric: str) -> list[Point]:
        figures = [_cell(found, model, share, loss)["metrics"][metric] for share in found["shares"]]
        return [Point(one["mean"], *one["ci95"]) for one in figures]

    return plots.sweep(
        f"As the minority class grows rarer: means and 95 % intervals, {len(found['seeds'])} seeds",
        {
            (datasets.source_of(model).title, title): {
                name: points(model, loss, metric) for loss, (name, _) in _LOSSES.items()
            }
            for model in MODELS
            for metric, title in _METRICS.items()
        },
        steps=[_percent(share) for share in found["shares"]],
        axis="minority class in training",
    )


def _page(found: Json) -> str:
    names = [name for name, _ in _LOSSES.values()]
    figures, differences = [], []
    for model in MODELS:
        for share in found["shares"]:
            cells = {loss: _cell(found, model, share, loss) for loss in _LOSSES}
            place = [datasets.source_of(model).title, _percent(share)]
            figures.append([*place, *_rows_told(cells[_DICE]), *_figures(cells)])
            compared = [
                _difference(_compare(found, model, share, metric, other))
                for metric in _COMPARED
                for other in _OTHERS
            ]
            differences.append([*place, *compared])
    header = ["", "minority", "in training", "in validation", "evaluated at", *names]
    columns = [
        f"{_METRICS[metric]}, {_LOSSES[other][0]}" for metric in _COMPARED for other in _OTHERS
    ]
    return f"""\
# When does Dice pay?

Made by `python -m study imbalance`; every figure is in [imbalance.json](imbalance.json).

{_answer(found)}

![macro-F1, average precision and G-mean over the share of the minority class](imbalance.svg)

## How

The minority class ({_minorities()}) of the training fold is thinned, validation alike, but never
below 20 texts; the test fold stays whole, its texts weighted to the share that validation has
(*evaluated at*; where 20 texts are more than the share wanted, it is more). Grouped protocol, seeds
{", ".join(map(str, found["seeds"]))}, the plain DAN, one recipe for every loss: batches of 512,
each with every class's share, layers' rate .003, embedding's .009, weight decay 1, cosine, the last
epoch kept. *Fitted*: at the threshold that maximises macro-F1 on validation. AP is that of
ranking the *minority* class first, on Cyberbullying the negative one: the positives' is near 1 in
any order. The AUROC loss has no cut of its own and needs the fitted one.

Macro-F1 at the fitted threshold:

{tables.markdown_table(header, figures)}
Dice's difference, paired by seed, with the corrected resampled t interval (95 %), bold where it
leaves zero out:

{tables.markdown_table(["", "minority", *columns], differences)}"""


def _minorities() -> str:
    names = []
    for model in MODELS:
        dataset = datasets.load(model)
        names.append(f"`{dataset.label_names[int(dataset.labels.mean() < 0.5)]}`")
    return ", ".join(names)


def _rows_told(cell: Json) -> list[str]:
    rows, share = (cell[f"{fold}_minority"] for fold in ("train", "validation")), cell["evaluated"]
    return [*(f"{count:.0f}" for count in rows), _percent(share)]


def _figures(cells: Mapping[str, Json]) -> list[str]:
    return [tables.figure(cell["metrics"]["macro_f1"]["mean"]) for cell in cells.values()]


def _difference(compared: Json) -> str:
    low, high = compared["ci95"]
    told = f"{compared['mean']:+.3f} ({low:+.3f} … {high:+.3f})"
    return told if low <= 0 <= high else f"**{told}**"

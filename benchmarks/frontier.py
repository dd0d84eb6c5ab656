"""Every model of the report as a point: what a text costs, and how good the answer is."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from threadpoolctl import threadpool_limits

from training import configuration, runs
from training.data import datasets
from training.data.splits import Protocol
from training.experiment import Run

from . import engines, peer_fits, samples
from .in_process import BATCH, us_per_text
from .machine import ROOT, cores, pinned
from .measure import Scale, interleaved, spreads

ALONE: Final = "(predict alone)"
_TEXTS: Final = 4096
_QUALITIES: Final = ("average_precision", "auroc", "macro_f1")


def measure(scale: Scale) -> dict[str, Any]:
    """Return model → its quality's name, its points, and who was left out."""
    report = json.loads((ROOT / "docs/results/results.json").read_text(encoding="utf-8"))
    return {
        model: _of_model(model, report["rows"], scale.of_long_parts()) for model in datasets.SOURCES
    }


def _of_model(model: str, rows: list[dict[str, Any]], scale: Scale) -> dict[str, Any]:
    metrics = {
        row["name"]: row["metrics"]
        for row in rows
        if (row["model"], row["protocol"]) == (model, Protocol.GROUPED)
        and row["kind"] in {"dan", "peer"}
        and row["threshold"] != "0.5"  # the other row of the same model
    }
    points, scorers = _ours(model)
    for name, fitted in peer_fits.load(model).items():
        points[name] = _peer_point(name)
        scorers[name] = fitted.scores
        if name in peer_fits.FASTTEXT:
            points[f"{name} {ALONE}"] = _peer_point(name)
            scorers[f"{name} {ALONE}"] = peer_fits.predict_alone(fitted)
    texts = samples.texts(model, _TEXTS)
    with pinned(cores()[0]), threadpool_limits(1):
        found = spreads(
            interleaved(
                {
                    name: partial(us_per_text, score, texts, BATCH, scale.slice_s)
                    for name, score in scorers.items()
                },
                scale.rounds,
            )
        )
    qualities = [name for name in _QUALITIES if next(iter(metrics.values()))[name]]
    return {
        "quality": qualities[0],
        "points": [
            point
            | {"name": name, "us": found[name]}
            | {quality: metrics[point["of"]][quality]["mean"] for quality in qualities}
            for name, point in points.items()
        ],
        "left_out": sorted(set(metrics) - {point["of"] for point in points.values()}),
    }


def _ours(model: str) -> tuple[dict[str, dict[str, Any]], dict[str, Callable[..., object]]]:
    points: dict[str, dict[str, Any]] = {}
    scorers: dict[str, Callable[..., object]] = {}
    for variant, (path, shipped) in _artifacts(model).items():
        for engine, classifier in engines.load(path).items():
            name = f"{variant}, {engine}"
            points[name] = {
                "of": variant,
                "kind": "ours",
                "engine": engine,
                "shipped": shipped,
                "default": variant == samples.served()[model],
            }
            scorers[name] = classifier.scores
    return points, scorers


def _artifacts(model: str) -> dict[str, tuple[Path, bool]]:
    """Return variant → artifact and whether it is shipped; others only if the cache has them."""
    found = {}
    for config in configuration.load_all():
        if config.model != model:
            continue
        path = samples.ARTIFACTS / model / config.variant
        if not config.shipped:
            # Private there: a run is looked up, never carried out, for the sake of its speed.
            path = runs._home(Run(config, Protocol.GROUPED, 0)) / "artifact"
        if path.is_dir():
            found[config.variant] = (path, config.shipped)
    return found


def _peer_point(name: str) -> dict[str, Any]:
    return {"of": name, "kind": "peer", "subwords": name in peer_fits.SUBWORD_PEERS}

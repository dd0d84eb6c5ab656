"""The report: ``docs/results/`` and the README's tables, from runs over every reported seed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from training.cache import cache_directory, write_whole
from training.configuration import Configuration, load_all
from training.data import datasets
from training.data.splits import Protocol, split
from training.experiment import Run
from training.quality.metrics import FITTED, Metrics, majority, majority_of_classes
from training.runs import Kept, run_all, run_cells

from . import baselines, imbalance, pages, plots, results, sensitivity
from .results import Row

RESULTS = Path("docs/results")
README = Path("README.md")

_LARGE = ("cyberbullying", "cyberbullying_type")

Cells = dict[tuple[str, str, Protocol], list[Kept]]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run.

    Attributes:
        quick: the reduced version: few seeds, no peers on the large sets, short studies.
    """

    quick: bool = False

    def seeds(self, model: str, protocol: Protocol) -> range:
        """Return the seeds that are reported, one split and one initialisation each."""
        if self.quick:
            return range(1 if model in _LARGE else 2)
        return range(5 if protocol is Protocol.GROUPED and model in _LARGE else 10)

    def has_peers(self, model: str) -> bool:
        """Tell whether the peers are run beside a model's variants."""
        return not (self.quick and model in _LARGE)


def make(output: Path = RESULTS, readme: Path = README, scale: Scale | None = None) -> None:
    """Run whatever is not in the cache yet and write everything anew.

    Writes ``results.json``, ``README.md``, figures and the studies' pages into ``output``, and the
    tables between two marks in ``readme``.

    Raises:
        TrainingError: a data set, the word vectors or a configuration is missing or wrong.
        ValueError: ``readme`` lacks the marks.
    """
    scale = scale or Scale()
    configs = load_all()
    cells = _run(configs, scale)
    naive_rate = sensitivity.lowest_collapsing_rate(sensitivity.search())
    naive = _run_naive(naive_rate, scale)
    studies = {
        "sensitivity": sensitivity.write(output, quick=scale.quick),
        "imbalance": imbalance.write(output, quick=scale.quick),
    }

    rows = [
        *results.paper_rows(),
        *_majority_rows(scale),
        *_peer_rows(scale),
        *_dan_rows(configs, cells, naive, scale),
    ]
    written = {
        "rows": [row.to_json() for row in rows],
        "comparisons": _comparisons(rows),
        "table1": results.table1(
            {
                (model, variant): kept
                for (model, variant, protocol), kept in cells.items()
                if protocol is Protocol.PAPER
            },
            naive,
        ),
        "chosen": _chosen(configs, cells),
        "slices": _slices(cells),
    }
    write_whole(output / "results.json", (json.dumps(written, indent=1) + "\n").encode())
    _draw_learning_curves(configs, cells, output)
    page = pages.results_page(written, studies)
    write_whole(output / "README.md", page.encode())
    if not scale.quick:
        pages.update_readme(readme, pages.readme_tables(written))


def make_quick() -> Path:
    """Make the reduced report aside, so that it never takes the whole one's place.

    Returns:
        Where it is.
    """
    output = cache_directory() / "report-quick"
    make(output, scale=Scale(quick=True))
    return output


def _protocols(config: Configuration) -> tuple[Protocol, ...]:
    """Both for the paper's networks, the headline alone for what the paper has not."""
    in_paper = (config.model, config.variant) in results.PAPER
    return tuple(Protocol) if in_paper else (Protocol.GROUPED,)


def _run(configs: Sequence[Configuration], scale: Scale) -> Cells:
    """Carry out every reported run in one series; a list a cell, in the order of the seeds."""
    runs = {
        (config.model, config.variant, protocol): [
            Run(config, protocol, seed) for seed in scale.seeds(config.model, protocol)
        ]
        for config in configs
        for protocol in _protocols(config)
    }
    return dict(zip(runs, run_cells(list(runs.values()), "Reported runs"), strict=True))


def _run_naive(rate: float | None, scale: Scale) -> list[Kept]:
    if rate is None:
        return []
    config = sensitivity.naive(rate)
    seeds = scale.seeds(config.model, Protocol.PAPER)
    return run_all([Run(config, Protocol.PAPER, seed) for seed in seeds], sensitivity.NAME)


def _majority_rows(scale: Scale) -> list[Row]:
    rows = []
    for model in datasets.SOURCES:
        dataset = datasets.load(model)
        protocols = Protocol if dataset.task == "binary" else (Protocol.GROUPED,)
        for protocol in protocols:
            seeds = scale.seeds(model, protocol)
            per_seed: list[Metrics] = []
            for seed in seeds:
                fold = split(dataset, protocol, seed)
                train, test = dataset.labels[fold.train], dataset.labels[fold.test]
                per_seed.append(
                    majority(train, test)
                    if dataset.task == "binary"
                    else majority_of_classes(train, test, len(dataset.label_names))
                )
            rows.append(results.majority_row(model, protocol, seeds, per_seed))
    return rows


def _peer_rows(scale: Scale) -> list[Row]:
    rows = []
    for model in filter(scale.has_peers, datasets.SOURCES):
        seeds = scale.seeds(model, Protocol.GROUPED)
        runs = baselines.run_peers(model, seeds, Protocol.GROUPED)
        rows += results.peer_rows(model, runs, baselines.time_peers(model), seeds)
    return rows


def _dan_rows(
    configs: Sequence[Configuration], cells: Cells, naive: list[Kept], scale: Scale
) -> list[Row]:
    texts = {
        model: datasets.load(model).texts[: baselines.TIMED_TEXTS] for model in datasets.SOURCES
    }
    rows = [
        row
        for config in configs
        for protocol in _protocols(config)
        for row in results.dan_rows(
            cells[config.model, config.variant, protocol],
            name=config.variant,
            shipped=config.shipped and protocol is Protocol.GROUPED,
            seeds=scale.seeds(config.model, protocol),
            texts=texts[config.model],
        )
    ]
    if naive:
        rows += results.dan_rows(
            naive,
            name=sensitivity.NAME,
            shipped=False,
            seeds=scale.seeds(sensitivity.MODEL, Protocol.PAPER),
            texts=texts[sensitivity.MODEL],
        )
    return rows


def _comparisons(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Compare every variant with every peer and with every other: grouped protocol, fitted."""
    comparable = [
        row for row in rows if row.protocol == Protocol.GROUPED and row.threshold in {FITTED, None}
    ]
    ours = [row for row in comparable if row.kind == "dan"]
    peers = [row for row in comparable if row.kind == "peer"]
    pairs = [*combinations(ours, 2), *((a, b) for a in ours for b in peers)]
    return [
        comparison
        for a, b in pairs
        if a.model == b.model and len(a.seeds) > 1
        for comparison in results.compare(a, b)
    ]


def _chosen(configs: Sequence[Configuration], cells: Cells) -> dict[str, dict[str, Any]]:
    """Choose the variant that serves each model, of the shipped ones, on validation."""
    chosen: dict[str, dict[str, Any]] = {}
    for config in configs:
        if config.shipped:
            kept = cells[config.model, config.variant, Protocol.GROUPED]
            model = chosen.setdefault(config.model, {"variant": None, "validation": {}})
            model["validation"][config.variant] = results.validation_figures(kept)
    for model in chosen.values():
        figures = model["validation"]
        model["variant"] = max(figures, key=lambda variant: figures[variant]["mean"])
    return chosen


def _slices(cells: Cells) -> list[dict[str, Any]]:
    """Average the error rates of each slice over seeds: grouped protocol, fitted threshold."""
    rows = []
    for (model, variant, protocol), kept in cells.items():
        if model != "cyberbullying" or protocol is not Protocol.GROUPED:
            continue
        for name in kept[0].result.slices or {}:
            of_seeds = [run.result.slices[name] for run in kept if run.result.slices is not None]
            rows.append(
                {"model": model, "name": variant, "slice": name} | results.mean_of(of_seeds)
            )
    return rows


def _draw_learning_curves(configs: Sequence[Configuration], cells: Cells, output: Path) -> None:
    variants = dict.fromkeys(one.variant for one in configs if Protocol.PAPER in _protocols(one))
    for variant in variants:
        histories = {
            source.title: cells[model, variant, Protocol.PAPER][0].result.history
            for model, source in datasets.SOURCES.items()
            if (model, variant, Protocol.PAPER) in cells
        }
        figure = plots.learning_curves(
            f"DAN, {pages.name_of(variant)} loss (paper protocol, seed 0)",
            histories,
            numbered=variant == "dice",
        )
        write_whole(output / f"learning-curves-{variant}.svg", figure)

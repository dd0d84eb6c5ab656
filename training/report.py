"""The report: ``docs/results/`` and the README's table, from runs over every reported seed."""

import json
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from . import collapse, datasets, pages, plots, results
from .configuration import Configuration, load_all
from .evaluation import FITTED, majority
from .experiment import Run
from .results import Row
from .runs import Kept, run_all, run_cells
from .splits import Protocol, split
from .storage import write_whole

RESULTS = Path("docs/results")
README = Path("README.md")

_TIMED_TEXTS = 2048

Cells = dict[tuple[str, str, Protocol], list[Kept]]


def reported_seeds(model: str, protocol: Protocol) -> range:
    """Return the seeds that are reported, one split and one initialisation each."""
    return range(5 if (protocol, model) == (Protocol.GROUPED, "cyberbullying") else 10)


def make(output: Path = RESULTS, readme: Path = README) -> None:
    """Run whatever is not in the cache yet and write everything anew.

    Writes ``results.json``, ``README.md`` and the figures into ``output``, and the tables between
    two marks in ``readme``.

    Raises:
        TrainingError: a data set, the word vectors or a configuration is missing or wrong.
        ValueError: ``readme`` lacks the marks.
    """
    configs = load_all()
    cells = _run(configs)
    by_rate = collapse.search()
    naive_rate = collapse.lowest_collapsing_rate(by_rate)
    naive = _run_naive(naive_rate)

    rows = [*results.paper_rows(), *_majority_rows(), *_dan_rows(configs, cells, naive)]
    table1 = results.table1(
        {
            (config.model, config.variant): cells[config.model, config.variant, Protocol.PAPER]
            for config in configs
        },
        naive,
    )
    written = {
        "rows": [row.to_json() for row in rows],
        "comparisons": _comparisons(rows),
        "table1": table1,
    }
    write_whole(output / "results.json", (json.dumps(written, indent=1) + "\n").encode())
    for loss, title in pages.LOSS_TITLES.items():
        histories = {
            source.title: cells[model, loss, Protocol.PAPER][0].result.history
            for model, source in datasets.SOURCES.items()
        }
        figure = plots.learning_curves(
            f"DAN, {title} loss (paper protocol, seed 0)", histories, numbered=loss == "dice"
        )
        write_whole(output / f"learning-curves-{loss}.svg", figure)
    page = pages.results_page(written, by_rate, naive_rate, naive)
    write_whole(output / "README.md", page.encode())
    pages.update_readme(readme, pages.readme_tables(written))


def _run(configs: Sequence[Configuration]) -> Cells:
    """Carry out every reported run in one series; a list a cell, in the order of the seeds."""
    runs = {
        (config.model, config.variant, protocol): [
            Run(config, protocol, seed) for seed in reported_seeds(config.model, protocol)
        ]
        for protocol in Protocol
        for config in configs
    }
    return dict(zip(runs, run_cells(list(runs.values()), "Reported runs"), strict=True))


def _run_naive(rate: float | None) -> list[Kept]:
    if rate is None:
        return []
    config = collapse.naive(rate)
    seeds = reported_seeds(config.model, Protocol.PAPER)
    return run_all([Run(config, Protocol.PAPER, seed) for seed in seeds], collapse.NAME)


def _majority_rows() -> list[Row]:
    rows = []
    for model in datasets.SOURCES:
        dataset = datasets.load(model)
        for protocol in Protocol:
            seeds = reported_seeds(model, protocol)
            folds = [split(dataset, protocol, seed) for seed in seeds]
            per_seed = [
                majority(dataset.labels[fold.train], dataset.labels[fold.test]) for fold in folds
            ]
            rows.append(results.majority_row(model, protocol, seeds, per_seed))
    return rows


def _dan_rows(configs: Sequence[Configuration], cells: Cells, naive: list[Kept]) -> list[Row]:
    texts = {model: datasets.load(model).texts[:_TIMED_TEXTS] for model in datasets.SOURCES}
    rows = [
        row
        for protocol in Protocol
        for config in configs
        for row in results.dan_rows(
            cells[config.model, config.variant, protocol],
            name=config.variant,
            shipped=protocol is Protocol.GROUPED,
            seeds=reported_seeds(config.model, protocol),
            texts=texts[config.model],
        )
    ]
    if naive:
        rows += results.dan_rows(
            naive,
            name=collapse.NAME,
            shipped=False,
            seeds=reported_seeds(collapse.MODEL, Protocol.PAPER),
            texts=texts[collapse.MODEL],
        )
    return rows


def _comparisons(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Compare our losses pairwise: grouped protocol, fitted threshold."""
    comparable = [
        row for row in rows if row.kind == "dan" and row.shipped and row.threshold == FITTED
    ]
    return [
        comparison
        for a, b in combinations(comparable, 2)
        if a.model == b.model
        for comparison in results.compare(a, b)
    ]

"""What some choices are worth: stored precision, extra GloVe words, frozen word vectors."""

import statistics
from pathlib import Path
from typing import Any

from .configuration import Configuration, load
from .evaluation import FITTED
from .experiment import Run
from .pages import markdown_table
from .runs import Kept, run_cells
from .splits import Protocol
from .storage import write_whole

# One change at a time to the committed configuration.
_CHANGES: dict[str, list[dict[str, Any]]] = {
    "Stored precision": [{"precision": name} for name in ("float32", "float16", "int8")],
    "Extra GloVe words": [{"extra_words": count} for count in (0, 5_000, 10_000, 20_000, 50_000)],
    "Tokens that GloVe lacks, from this many occurrences on": [
        {"min_count": count} for count in (1, 2, 3)
    ],
    "Word vectors trained": [{"fine_tune": choice} for choice in (True, False)],
}
_VARIANTS = (("spam", "weighted_bce"), ("cyberbullying", "weighted_bce"))
_SEEDS = (100, 101, 102)  # never reported elsewhere


def write(page: Path) -> None:
    """Measure every change on validation and write the page.

    Raises:
        TrainingError: a data set, the word vectors or a configuration is missing or wrong.
    """
    cells = [
        (title, load(model, variant).model_copy(update=change), change)
        for title, changes in _CHANGES.items()
        for model, variant in _VARIANTS
        for change in changes
    ]
    runs = [
        [Run(config, Protocol.GROUPED, seed, read_test=False) for seed in _SEEDS]
        for _, config, _ in cells
    ]
    lines: dict[str, list[list[str]]] = {title: [] for title in _CHANGES}
    for (title, config, change), kept in zip(cells, run_cells(runs, "Ablations"), strict=True):
        lines[title].append(_line(config, change, kept))
    header = ["", "", "macro-F1", "AUROC", "AP", "kB"]
    sections = [f"## {title}\n\n{markdown_table(header, rows)}" for title, rows in lines.items()]
    heading = f"""\
# Ablations

Made by `python -m training ablate`: one change at a time to two committed configurations, grouped
protocol, seeds {", ".join(map(str, _SEEDS))}, means on validation (macro-F1 at the fitted
threshold), computed from the exported artifact; kB is its size on disk.
"""
    write_whole(page, "\n".join([heading, *sections]).encode())


def _line(config: Configuration, change: dict[str, Any], kept: list[Kept]) -> list[str]:
    def mean(metric: str) -> str:
        values = [run.result.metrics["validation"][FITTED][metric] for run in kept]
        return f"{statistics.fmean(values):.4f}"

    size = statistics.fmean(run.result.bytes for run in kept)
    value = ", ".join(str(value) for value in change.values())
    figures = [mean(metric) for metric in ("macro_f1", "auroc", "average_precision")]
    return [f"{config.model}, {config.loss}", value, *figures, f"{size / 1000:.0f}"]

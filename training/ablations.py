"""What some choices are worth: stored precision, extra GloVe words, frozen word vectors."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dandelion.artifact import PRECISIONS

from .configuration import Configuration, load
from .evaluation import FITTED
from .experiment import Run
from .pages import markdown_table
from .runs import Kept, run_cells
from .splits import Protocol
from .storage import write_whole


@dataclass(frozen=True, slots=True)
class _Question:
    """What is changed, one change at a time to the committed configuration, and what follows."""

    title: str
    changes: list[dict[str, Any]]
    answer: str


_QUESTIONS = (
    _Question(
        "Stored precision",
        [{"precision": name} for name in PRECISIONS],
        "`int8` is shipped: it costs nothing that can be measured, at a third of the size.",
    ),
    _Question(
        "Extra GloVe words",
        [{"extra_words": count} for count in (0, 5_000, 10_000, 20_000, 50_000)],
        "10,000 are shipped. On these folds they hardly matter: near all words of a validation\n"
        "message stand in training too. They are there for messages from elsewhere, for 0.6 MB.",
    ),
    _Question(
        "Tokens that GloVe lacks, from this many occurrences on",
        [{"min_count": count} for count in (1, 2, 3)],
        "2 is shipped: a token seen once teaches nothing that another message can use.",
    ),
    _Question(
        "Word vectors trained",
        [{"fine_tune": choice} for choice in (True, False)],
        "They are trained: frozen vectors fall behind on both sets, in every metric.",
    ),
)
_VARIANTS = (("spam", "weighted_bce"), ("cyberbullying", "weighted_bce"))
_SEEDS = (100, 101, 102)  # never reported elsewhere


def write(page: Path) -> None:
    """Measure every change on validation and write the page.

    Raises:
        TrainingError: a data set, the word vectors or a configuration is missing or wrong.
    """
    cells = [
        (question, load(model, variant).model_copy(update=change), change)
        for question in _QUESTIONS
        for model, variant in _VARIANTS
        for change in question.changes
    ]
    runs = [
        [Run(config, Protocol.GROUPED, seed, read_test=False) for seed in _SEEDS]
        for _, config, _ in cells
    ]
    lines: dict[str, list[list[str]]] = {question.title: [] for question in _QUESTIONS}
    for (question, config, change), kept in zip(cells, run_cells(runs, "Ablations"), strict=True):
        lines[question.title].append(_line(config, change, kept))
    header = ["", "", "macro-F1", "AUROC", "AP", "kB"]
    sections = [
        f"## {one.title}\n\n{markdown_table(header, lines[one.title])}\n{one.answer}\n"
        for one in _QUESTIONS
    ]
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

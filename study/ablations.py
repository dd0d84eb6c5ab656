"""What single features of the networks are worth."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dandelion.quantization import PRECISIONS
from training.cache import write_whole
from training.configuration import Configuration, load
from training.data.splits import Protocol
from training.experiment import Run
from training.quality.metrics import FITTED
from training.runs import Kept, run_cells
from training.tables import markdown_table
from training.tuning import seeds_of


@dataclass(frozen=True, slots=True)
class _Question:
    """What is changed, one change at a time to the committed configuration; of one model only."""

    title: str
    changes: list[dict[str, Any]]
    only: str | None = None


_QUESTIONS = (
    _Question(
        "What the wide path reads",
        [
            {},
            {"wide": None},
            {"wide.chars": None},
            {"wide.chars": (2, 4)},
            {"wide.chars": (3, 6)},
            {"wide.words": 0},
            {"wide.words": 1},
            {"wide.words": 3},
            {"wide.signs": False},
            {"wide.shapes": False},
            {"wide.surface": False},
            {"wide.surface_dimensions": 0},
            {"wide.idf": False},
        ],
    ),
    _Question(
        "Buckets for grams (2 to the power of)", [{"wide.bits": bits} for bits in (14, 16, 17, 18)]
    ),
    _Question("Stored precision", [{"precision": name} for name in PRECISIONS]),
    _Question("Extra GloVe words", [{"extra_words": count} for count in (0, 10_000)]),
    _Question("Word vectors trained", [{"fine_tune": choice} for choice in (True, False)]),
    _Question("Weight averaging (EMA)", [{"averaging": decay} for decay in (0.0, 0.99)]),
    _Question("Finer classes learnt beside", [{"types_weight": 0.0}], only="cyberbullying"),
)
_VARIANTS = (("spam", "squared_hinge-wide"), ("cyberbullying", "dice-wide"))
_SAMPLES = {"cyberbullying": 12_000}


def write(page: Path) -> None:
    """Measure every change on validation and write the page.

    Raises:
        TrainingError: a data set, the word vectors or a configuration is missing or wrong.
    """
    cells = [
        (question, changed(load(model, variant), change), change)
        for question in _QUESTIONS
        for model, variant in _VARIANTS
        if question.only in {None, model}
        for change in question.changes
    ]
    runs = [
        [
            Run(
                config,
                Protocol.GROUPED,
                seed,
                read_test=False,
                sample_rows=_SAMPLES.get(config.model),
                keep_artifact=False,
            )
            for seed in seeds_of(config.model)[:3]
        ]
        for _, config, _ in cells
    ]
    lines: dict[str, list[list[str]]] = {question.title: [] for question in _QUESTIONS}
    for (question, config, change), kept in zip(cells, run_cells(runs, "Ablations"), strict=True):
        lines[question.title].append(_line(config, change, kept))
    header = ["", "changed", "macro-F1", "MCC", "AUROC", "AP", "kB"]
    sections = [
        f"## {one.title}\n\n{markdown_table(header, lines[one.title])}" for one in _QUESTIONS
    ]
    heading = """\
# Ablations

Made by `python -m study ablate`: one change at a time to the committed configurations, grouped
protocol, means on validation over at most three of the seeds that tuning uses, none of them
reported (macro-F1 and MCC at the fitted threshold), computed from the exported artifact; kB is its
size on disk. Differences of a few units of the third digit are noise. Cyberbullying is learnt from
a sample of 12,000 rows here. *nothing* is the configuration as it stands.
"""
    write_whole(page, "\n".join([heading, *sections]).encode())


def changed(config: Configuration, change: dict[str, Any]) -> Configuration:
    """Return a configuration with some fields changed; ``wide.x`` is one inside ``wide``."""
    values = config.model_dump()
    for name, value in change.items():
        table, _, field = name.rpartition(".")
        (values[table] if table else values)[field] = value
    return Configuration.model_validate(values)


def _line(config: Configuration, change: dict[str, Any], kept: list[Kept]) -> list[str]:
    def mean(metric: str) -> str:
        values = [run.result.metrics["validation"][FITTED][metric] for run in kept]
        return f"{statistics.fmean(values):.4f}"

    size = statistics.fmean(run.result.bytes for run in kept)
    value = ", ".join(f"{name} = {value}" for name, value in change.items()) or "nothing"
    figures = [mean(metric) for metric in ("macro_f1", "mcc", "auroc", "average_precision")]
    return [f"{config.model}/{config.variant}", value, *figures, f"{size / 1000:.0f}"]

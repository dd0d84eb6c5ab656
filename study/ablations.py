"""What single features of the networks contribute."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dandelion.quantization import PRECISIONS
from training.configuration import Configuration, load
from training.data.splits import Protocol
from training.experiment import Run
from training.quality.metrics import Metric
from training.runs import CachedRun, run_cells
from training.tuning import seeds_of

from . import rendering, storage
from .figures import values
from .schema.studies import AblationLine, AblationQuestion, Ablations

# Field of a configuration → its value; ``wide.x`` is a field of ``wide``.
Change = Mapping[str, bool | int | float | str | tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class Question:
    """Changes to try, one at a time, on the committed configurations; ``only`` of one model."""

    title: str
    changes: tuple[Change, ...]
    only: str | None = None


QUESTIONS: Final = (
    Question(
        "What the wide path reads",
        (
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
        ),
    ),
    Question(
        "Buckets for grams (2 to the power of)",
        tuple({"wide.bits": bits} for bits in (14, 16, 17, 18)),
    ),
    Question("Stored precision", tuple({"precision": name} for name in PRECISIONS)),
    Question("Extra GloVe words", tuple({"extra_words": count} for count in (0, 10_000))),
    Question("Word vectors trained", tuple({"fine_tune": choice} for choice in (True, False))),
    Question("Weight averaging (EMA)", tuple({"averaging": decay} for decay in (0.0, 0.99))),
    Question("Finer classes learned as well", ({"types_weight": 0.0},), only="cyberbullying"),
)
# The configurations that are changed: model → variant.
VARIANTS: Final[Mapping[str, str]] = {
    "spam": "squared_hinge-wide",
    "cyberbullying": "dice-wide",
}
_SAMPLE_ROWS = {"cyberbullying": 12_000}


def write(directory: Path, variants: Mapping[str, str] = VARIANTS) -> None:
    """Measure every change on validation; write ``ablations.json`` and ``ablations.md``.

    Args:
        directory: where to.
        variants: the configurations that are changed: model → variant.

    Raises:
        TrainingError: a data set, the word vectors or a configuration is missing or wrong.
    """
    storage.write(measure(variants), directory / rendering.ABLATIONS_FILE)
    rendering.ablations_page(directory)


def measure(variants: Mapping[str, str]) -> Ablations:
    """Carry out the runs that are not in the cache and average their figures."""
    cells = [
        (question, changed(load(model, variant), change), change)
        for question in QUESTIONS
        for model, variant in variants.items()
        if question.only in {None, model}
        for change in question.changes
    ]
    runs = [_runs(config) for _, config, _ in cells]
    lines: dict[str, list[AblationLine]] = {question.title: [] for question in QUESTIONS}
    for (question, config, change), kept in zip(cells, run_cells(runs, "Ablations"), strict=True):
        lines[question.title].append(_line(config, change, kept))
    samples = {model: rows for model, rows in _SAMPLE_ROWS.items() if model in variants}
    return Ablations(samples, [AblationQuestion(title, found) for title, found in lines.items()])


def changed(config: Configuration, change: Change) -> Configuration:
    """Return a configuration with some fields changed; ``wide.x`` is a field of ``wide``."""
    fields = config.model_dump()
    for name, value in change.items():
        table, _, field = name.rpartition(".")
        (fields[table] if table else fields)[field] = value
    return Configuration.model_validate(fields)


def _runs(config: Configuration) -> list[Run]:
    return [
        Run(
            config,
            Protocol.GROUPED,
            seed,
            read_test=False,
            sample_rows=_SAMPLE_ROWS.get(config.model),
            keep_artifact=False,
        )
        for seed in seeds_of(config.model)[:3]
    ]


def _line(config: Configuration, change: Change, kept: list[CachedRun]) -> AblationLine:
    def mean(metric: Metric) -> float:
        return statistics.fmean(values(kept, "validation", metric))

    return AblationLine(
        model=config.model,
        variant=config.variant,
        change=", ".join(f"{name} = {value}" for name, value in change.items()),
        macro_f1=mean("macro_f1"),
        mcc=mean("mcc"),
        auroc=mean("auroc"),
        average_precision=mean("average_precision"),
        bytes=statistics.fmean(run.result.bytes for run in kept),
    )

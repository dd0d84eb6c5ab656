"""Hyper-parameters: a small grid a loss, chosen on validation, on seeds that are never reported."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .configuration import CONFIGS, Configuration
from .evaluation import FITTED
from .experiment import Run
from .runs import Kept, run_cells
from .splits import Protocol
from .storage import write_whole

GRID = {
    "layer_rate": (1e-3, 3e-3),
    "embedding_rate": (1e-3, 3e-3),
    "batch_size": (64, 256),
    "word_dropout": (0.3, 0.5),
}

# Reported seeds are 0 to 9. A validation fold as large as Cyberbullying's needs one seed alone.
_SEEDS = (100, 101, 102)
_SEEDS_OF_LARGE = {"cyberbullying": (100,)}

_BASE = {"epochs": 20, "patience": 4}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration and what it reached on validation, at the fitted threshold.

    Attributes:
        config: one point of the grid.
        macro_f1: mean over the seeds; chooses.
        average_precision: mean over the seeds; decides between equals.
        epochs: mean of the kept epochs.
        seconds: mean wall time of a fit.
    """

    config: Configuration
    macro_f1: float
    average_precision: float
    epochs: float
    seconds: float


def seeds_of(model: str) -> tuple[int, ...]:
    """Return the seeds that choices for a model are made on, never reported."""
    return _SEEDS_OF_LARGE.get(model, _SEEDS)


def tune(model: str, losses: Sequence[str]) -> dict[str, list[Candidate]]:
    """Try the grid for some losses; the best candidate of each comes first."""
    points = [dict(zip(GRID, point, strict=True)) for point in itertools.product(*GRID.values())]
    configs = [
        Configuration.model_validate(
            {"model": model, "variant": loss, "loss": loss} | _BASE | point
        )
        for loss in losses
        for point in points
    ]
    seeds = seeds_of(model)
    cells = [
        [Run(config, Protocol.GROUPED, seed, read_test=False) for seed in seeds]
        for config in configs
    ]
    found: dict[str, list[Candidate]] = {loss: [] for loss in losses}
    for config, kept in zip(configs, run_cells(cells, f"Tuning {model}"), strict=True):
        found[config.loss].append(_candidate(config, kept))
    for candidates in found.values():
        candidates.sort(key=lambda one: (-one.macro_f1, -one.average_precision))
    return found


def _candidate(config: Configuration, kept: Sequence[Kept]) -> Candidate:
    def mean(metric: str) -> float:
        return statistics.fmean(run.result.metrics["validation"][FITTED][metric] for run in kept)

    return Candidate(
        config,
        macro_f1=mean("macro_f1"),
        average_precision=mean("average_precision"),
        epochs=statistics.fmean(run.result.kept_epoch for run in kept),
        seconds=statistics.fmean(run.result.train_seconds for run in kept),
    )


def write(model: str, found: dict[str, list[Candidate]], results: Path) -> None:
    """Write each loss's winner as a configuration file, and the whole table as a page."""
    for loss, candidates in found.items():
        write_whole(CONFIGS / model / f"{loss}.toml", _config_file(candidates[0]).encode())
    write_whole(results / f"tuning-{model}.md", _page(model, found).encode())


def _config_file(best: Candidate) -> str:
    config = best.config
    chosen = {name: getattr(config, name) for name in (*GRID, *_BASE)}
    seeds = ", ".join(map(str, seeds_of(config.model)))
    lines = "\n".join(f"{name} = {value}" for name, value in chosen.items())
    return f"""\
# The plain three-layer DAN on {config.model}, trained under {config.loss}.
# Chosen by `python -m training tune --model {config.model}`; every candidate is in
# docs/results/tuning-{config.model}.md. Expected on validation (grouped protocol, seeds
# {seeds}): macro-F1 {best.macro_f1:.4f} at the fitted threshold, about {best.seconds:.0f} s a fit.
loss = "{config.loss}"
{lines}
"""


def _page(model: str, found: dict[str, list[Candidate]]) -> str:
    seeds = ", ".join(map(str, seeds_of(model)))
    heading = f"""\
# Tuning, {model}

Made by `python -m training tune --model {model}`. Grouped protocol, seeds {seeds} (never reported
elsewhere), means over them; validation only, the test fold is not read. The best macro-F1 at the
fitted threshold wins, ties go by average precision.
"""
    parts = [heading]
    names = " | ".join(name.replace("_", " ") for name in GRID)
    rule = "---:|" * (len(GRID) + 4)
    columns = f"| {names} | macro-F1 | AP | kept epoch | seconds |\n|{rule}\n"
    for loss, candidates in found.items():
        parts.append(f"\n## {loss}\n\n{columns}")
        for one in candidates:
            point = " | ".join(f"{getattr(one.config, name):g}" for name in GRID)
            parts.append(
                f"| {point} | {one.macro_f1:.4f} | {one.average_precision:.4f} "
                f"| {one.epochs:.1f} | {one.seconds:.1f} |\n"
            )
    return "".join(parts)

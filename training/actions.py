"""What the commands do once their arguments are checked: fits, evaluation, search.

Importing this module imports torch, which `training.cli` does as late as possible.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dandelion import Classifier, serving
from dandelion.installation import SERVING_FILE
from dandelion.manifest import Manifest

from . import builtin_card, configuration, model_card, tables
from . import tuning as search
from .configuration import Configuration
from .data.balance import LossChoice
from .data.custom_data import CustomDataset
from .data.datasets import Dataset
from .data.near_copies import require_groups
from .data.splits import Protocol, split
from .destination import ARTIFACTS, require_writable
from .errors import ConfigurationError
from .evaluation import majority_metrics, read_test_fold
from .experiment import Result, Run, fits_of_folds, texts_of, train
from .fitting.trainer import Epoch
from .out_of_fold import FoldFit, carry_out, fit_fold
from .parallel import run_parallel
from .quality.metrics import METRICS, Metric, Metrics, evaluate, evaluate_classes
from .reference import write_reference

_TABLE_WIDTH = 120
_SHOWN: tuple[Metric, ...] = ("accuracy", "f1", "macro_f1", "mcc", "auroc", "average_precision")

_Job = FoldFit | tuple[Run, Path]

_console = Console()


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a fit.

    Attributes:
        variant: the name of the configuration; None for the command's default.
        loss: its name; None for the variant's.
        settings: see `configuration.override`.
        protocol: how the data set is split.
        seed: of split and initialisation.
        output: the directory of the artifacts.
        glove: a file of word vectors; None for the pip package's.
    """

    variant: str | None
    loss: str | None
    settings: Sequence[str]
    protocol: str
    seed: int
    output: Path
    glove: Path | None


def train_builtin(model: str, options: Options) -> None:
    """Train a variant of a built-in model.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    config = configuration.choose(model, options.variant, options.loss, options.settings)
    require_writable(options.output, model, config.variant)
    _train_and_print(_run_of(config, options), options.output)


def train_custom(found: CustomDataset, loss: LossChoice, options: Options) -> None:
    """Train on custom data, and write the report.

    Raises:
        TrainingError: word vectors or configuration are missing or wrong, or the data cannot be
            split.
    """
    recipe = configuration.wide_recipe(
        found.dataset.name, options.variant or "wide", loss.name, loss.options
    )
    config = configuration.override(recipe, options.settings)
    run = _run_of(config, options, found.dataset)
    if run.protocol is Protocol.GROUPED:
        require_groups(found.dataset)
    split(found.dataset, run.protocol, run.seed)  # cached; its errors come before the fit
    manifest, result = _train_and_print(run, options.output)
    page = (options.output / config.model / config.variant).with_suffix(".md")
    majority = majority_metrics(manifest, found.dataset)
    model_card.write(page, (manifest, result), majority, found, loss.notes)
    _console.print(
        f"Report: {page}\nServe it: {_how_to_serve(config, options.output)}",
        markup=False,
        soft_wrap=True,
    )


def _run_of(config: Configuration, options: Options, dataset: Dataset | None = None) -> Run:
    protocol = Protocol(options.protocol)
    return Run(config, protocol, options.seed, glove=options.glove, dataset=dataset)


def _train_and_print(run: Run, output: Path) -> tuple[Manifest, Result]:
    """Train, report progress, and print the metrics."""
    config = run.config
    title = f"{config.model}/{config.variant}"
    directory = output / config.model / config.variant
    if folds := fits_of_folds(run):
        _console.print(f"Fitting {len(folds)} folds of {title} first.", soft_wrap=True)
        carry_out(folds, workers=None)
    _console.print(
        f"Training {title} for at most {config.epochs} epochs; this takes seconds to minutes.",
        soft_wrap=True,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=_console) as progress:
        bar = progress.add_task(title, total=config.epochs)

        def show(number: int, epoch: Epoch) -> None:
            # Where the threshold is fitted out of fold, validation is learnt from.
            where = "texts learnt from" if config.folded else "validation"
            found = f"macro-F1 {epoch['macro_f1']:.4f} on {where}"
            progress.update(bar, completed=number, description=f"{title}: {found}")
            if not _console.is_terminal:
                line = f"{title}: epoch {number} of {config.epochs}, {found}"
                _console.print(line, soft_wrap=True)

        trained = train(run, directory, show)
    write_reference(trained[0], directory, run.dataset)
    _print_test_metrics([trained], run.dataset)
    _console.print(
        f"Written: {directory} (version {trained[0].version})", markup=False, soft_wrap=True
    )
    return trained


def _how_to_serve(config: Configuration, output: Path) -> str:
    """Return how to serve a new model from the directory of its artifact."""
    entry = f"{config.model} = '{config.variant}'"
    if not (output / SERVING_FILE).exists():
        return (
            f"write {output / SERVING_FILE} with the lines [models] and {entry}, then "
            f"DANDELION_ARTIFACTS={output} dandelion serve"
        )
    setting = f"DANDELION_MODELS__{config.model.upper()}={config.variant}"
    place = "" if output == ARTIFACTS else f"DANDELION_ARTIFACTS={output} "
    return f"{place}{setting} dandelion serve, or add {entry} to {output / SERVING_FILE}"


def train_shipped(model: str | None, output: Path, glove: Path | None, workers: int | None) -> None:
    """Train every shipped variant, or those of one model, and print their test metrics.

    The cards of those that are served are written if the artifacts are the project's own.

    Raises:
        TrainingError: data sets, word vectors or configurations are missing or wrong.
    """
    jobs = [
        (Run(config, Protocol.GROUPED, 0, glove=glove), output / config.model / config.variant)
        for config in configuration.load_all()
        if config.shipped and model in {None, config.model}
    ]
    _require_penalties([run.config for run, _ in jobs])
    # A missing data set is reported before the first fit, not after the last.
    for run, _ in jobs:
        texts_of(run)
    trained = _train_all(jobs, workers or os.cpu_count() or 1)
    _print_test_metrics(trained)
    size = sum(file.stat().st_size for _, directory in jobs for file in directory.iterdir())
    _console.print(
        f"{len(jobs)} artifacts in {output}, {size / 1e6:.1f} MB in total",
        markup=False,
        soft_wrap=True,
    )
    if output == ARTIFACTS:
        _write_cards([manifest for manifest, _ in trained], output)


def _train_all(jobs: Sequence[tuple[Run, Path]], workers: int) -> list[tuple[Manifest, Result]]:
    """Train variants in parallel, in two rounds: folds and what needs none, then the rest."""
    folds = [fit for run, _ in jobs for fit in fits_of_folds(run) if not fit.path().exists()]
    last: list[_Job] = [job for job in jobs if job[0].config.folded]
    first: list[_Job] = [*folds, *(job for job in jobs if not job[0].config.folded)]
    duration = "up to 10" if last else "1 to 3"
    _console.print(
        f"Training {len(jobs)} variants{f' and {len(folds)} folds' if folds else ''}, {workers} at "
        f"a time. All of them take {duration} minutes on two processors.",
        soft_wrap=True,
    )
    trained: dict[str, tuple[Manifest, Result]] = {}
    for part in (first, last):
        found = run_parallel(
            _carry_out, part, "Training", _name_of_job, workers=workers, announce=True
        )
        trained |= {_name_of_job(job): one for job, one in zip(part, found, strict=True) if one}
    return [trained[_name_of_job(job)] for job in jobs]


def _require_penalties(configs: Sequence[Configuration]) -> None:
    """Check that no variant is shipped whose windows have no fitted penalty.

    Raises:
        ConfigurationError: one is.
    """
    for config in configs:
        if config.windows is not None and not config.folded:
            raise ConfigurationError(
                f"{config.model}/{config.variant}: the penalty of its windows is fitted out of "
                "fold; set out_of_fold = true"
            )


def _carry_out(job: _Job) -> tuple[Manifest, Result] | None:
    if isinstance(job, FoldFit):
        fit_fold(job)
        return None
    trained = train(*job)
    write_reference(trained[0], job[1], job[0].dataset)
    return trained


def _name_of_job(job: _Job) -> str:
    if isinstance(job, FoldFit):
        return job.name
    run, _ = job
    return f"{run.config.model}/{run.config.variant}"


def _write_cards(trained: Sequence[Manifest], output: Path) -> None:
    """Write the cards of the artifacts that are served."""
    try:
        served = set(serving.read(output, {}).values())
    except serving.ServingError as error:
        _console.print(f"No model cards: {error}", markup=False, soft_wrap=True)
        return
    for manifest in trained:
        directory = output / manifest.model / manifest.variant
        if directory in served and builtin_card.has_card(manifest):
            card = builtin_card.write(manifest, directory)
            _console.print(f"Card: {card}", markup=False, soft_wrap=True)


def evaluate_artifact(
    classifier: Classifier, threshold: float | None, dataset: Dataset | None
) -> None:
    """Score an artifact's test fold again, and print the metrics.

    Args:
        classifier: the artifact.
        threshold: by default the artifact's.
        dataset: custom data that it was trained on; None for a built-in model.

    Raises:
        TrainingError: the data set is missing, or is not the one that the artifact was trained on.
    """
    manifest = classifier.manifest
    texts, labels = read_test_fold(manifest, dataset)
    cut = manifest.threshold if threshold is None else threshold
    scores = classifier.scores(texts)
    if cut is None:
        found = evaluate_classes(labels, scores)
    else:
        found = evaluate(
            labels,
            scores,
            cut,
            score_kind=manifest.score_kind,
            calibrated=manifest.calibration is not None,
        )
    _print_evaluation(manifest, len(texts), cut, found, majority_metrics(manifest, dataset))


def _print_evaluation(
    manifest: Manifest, texts: int, cut: float | None, found: Metrics, constant: Metrics
) -> None:
    tested = manifest.metrics.get("test", {})  # training can leave it out
    recorded: Mapping[str, Any] = tested.get(manifest.default_cut, {})
    table = Table(title=f"{manifest.model}/{manifest.variant}, test fold, {texts} texts")
    table.add_column("metric")
    table.add_column("at the highest score" if cut is None else f"at {cut:.4f}", justify="right")
    table.add_column("recorded" + ("" if cut is None else f" at {manifest.threshold:.4f}"))
    table.add_column("majority class", justify="right")
    for metric in METRICS:
        figures = [tables.figure(metrics.get(metric)) for metrics in (found, recorded, constant)]
        if any(figures):
            table.add_row(metric, *figures)
    _console.print(table)


def tune(  # noqa: PLR0913
    model: str,
    variant: str,
    *,
    trials: int,
    minutes: float,
    workers: int | None,
    storage: str | None,
) -> None:
    """Search for hyper-parameters, and write the variant's configuration.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    base = configuration.load(model, variant)
    budget = search.Budget(trials, minutes * 60, workers or os.cpu_count() or 1, storage)
    _console.print(
        f"Tuning {model}/{variant}: at most {trials} trials, {budget.workers} at a time, none "
        f"started after {minutes:g} minutes; seeds {', '.join(map(str, search.seeds_of(model)))}",
        soft_wrap=True,
    )
    best = search.write(base, search.tune(base, budget), tables.RESULTS)
    _console.print(
        f"Written: {configuration.path_of(model, variant)} (layer_rate {best.layer_rate:.3g})"
    )


def _print_test_metrics(
    trained: Sequence[tuple[Manifest, Result]], dataset: Dataset | None = None
) -> None:
    """Print a line per artifact, and one per model for the majority class."""
    title = "Test fold, at the default threshold; with more than two labels, at the highest score"
    table = Table(title=title, box=None, padding=(0, 1, 0, 0))
    for column in ("", "threshold", *(tables.COLUMNS[metric] for metric in _SHOWN)):
        table.add_column(column, no_wrap=True)

    def figures(metrics: Metrics) -> list[str]:
        return [tables.figure(metrics.get(metric)) for metric in _SHOWN]

    for (model, _), group in groupby(trained, key=_test_fold_of):
        artifacts = list(group)
        constant = majority_metrics(artifacts[0][0], dataset)
        table.add_row(f"{model}: majority", "", *figures(constant))
        for manifest, result in artifacts:
            table.add_row(
                f"{model}/{manifest.variant}{' (collapsed)' if result.collapsed else ''}",
                tables.figure(manifest.threshold),
                *figures(manifest.metrics["test"][manifest.default_cut]),
            )
    # Every figure is shown in full, also where there is no terminal, which rich takes for a narrow
    # one.
    Console(width=max(_console.width, _TABLE_WIDTH)).print(table)


def _test_fold_of(trained: tuple[Manifest, Result]) -> tuple[str, str]:
    """Identify the test fold of an artifact: variants of a model may have other sources."""
    manifest, _ = trained
    return manifest.model, manifest.split["sha256"]

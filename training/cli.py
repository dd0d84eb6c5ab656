"""The command line: ``python -m training``."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dandelion import ArtifactError, Classifier
from dandelion.installation import SERVING_FILE
from dandelion.manifest import Manifest
from dandelion.tables import describe_bad_rows

from . import configuration, model_card, tables
from . import tuning as search
from .configuration import Configuration
from .data import custom_data, datasets
from .data.custom_data import CustomData, CustomDataset
from .data.datasets import Dataset
from .data.download import download as download_archive
from .data.splits import Protocol
from .errors import ConfigurationError, TrainingError
from .evaluation import majority_metrics, read_test_fold
from .experiment import Result, Run, train
from .fitting.trainer import Epoch
from .losses.registry import LOSSES
from .parallel import run_parallel
from .quality.metrics import ARGMAX, FITTED, METRICS, Metric, Metrics, evaluate, evaluate_classes

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train and evaluate text classifiers.",
)
_console = Console()

_MODELS = ", ".join(datasets.SOURCES)
ARTIFACTS: Final = Path("artifacts")
_LISTED_ROWS = 20
_TABLE_WIDTH = 120
_SHOWN: tuple[Metric, ...] = ("accuracy", "f1", "macro_f1", "mcc", "auroc", "average_precision")

_Model = Annotated[str, typer.Option(help=f"The model: {_MODELS}.")]
_OneModel = Annotated[
    str | None, typer.Option(help=f"One model only: {_MODELS}. Default: all of them.")
]
_Output = Annotated[Path, typer.Option(help="The directory of the artifacts.")]
_Glove = Annotated[
    Path | None,
    typer.Option(help="Word vectors: a glove.*.txt or .zip. Default: those of the pip package."),
]
_Workers = Annotated[
    int | None, typer.Option(min=1, help="Parallel fits. Default: one per processor.")
]
_Data = Annotated[
    Path | None,
    typer.Option(
        help="A file with labelled texts: .csv, .tsv, .jsonl, .ndjson or .parquet, in UTF-8."
    ),
]
_TextColumn = Annotated[
    str | None, typer.Option(help="The column with the texts. Default: guessed if it is obvious.")
]
_LabelColumn = Annotated[
    str | None, typer.Option(help="The column with the labels. Default: guessed if it is obvious.")
]
_Positive = Annotated[
    str | None,
    typer.Option(help="The positive label; with more than two labels, all others are negative."),
]


@contextmanager
def readable_errors() -> Iterator[None]:
    """Report a problem that the user can solve in one line, without a traceback."""
    try:
        yield
    except (TrainingError, ArtifactError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        if error.filename is None:
            raise
        typer.echo(f"error: {error.filename}: {error.strerror}", err=True)
        raise typer.Exit(1) from error


def _require_writable(output: Path) -> None:
    """Find out before a fit, not after it, that its artifact cannot be written.

    Raises:
        ConfigurationError: the directory cannot be created or written to.
    """
    existing = next(path for path in (output, *output.absolute().parents) if path.exists())
    try:
        with TemporaryDirectory(dir=existing):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"--output {output}: cannot be written to ({error.strerror}); choose another directory"
        ) from error


@app.command("train")
def train_one(  # noqa: PLR0913, PLR0917
    model: Annotated[
        str | None, typer.Option(help=f"The model, if it is a built-in one: {_MODELS}.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The name of a new model, to be trained on --data.")
    ] = None,
    data: _Data = None,
    text_column: _TextColumn = None,
    label_column: _LabelColumn = None,
    positive: _Positive = None,
    loss: Annotated[
        str | None, typer.Option(help=f"One of: {', '.join(LOSSES)}. Default: the variant's.")
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(help="The configuration. Default: named as the loss; with --data, 'wide'."),
    ] = None,
    protocol: Annotated[Protocol, typer.Option(help="How the data set is split.")] = (
        Protocol.GROUPED
    ),
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="The seed of split and initialisation.")
    ] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a field, such as layer_rate=0.003. Repeatable."),
    ] = None,
    output: _Output = ARTIFACTS,
    glove: _Glove = None,
) -> None:
    """Train one variant and write its artifact to OUTPUT/MODEL/VARIANT.

    A built-in model takes its configuration from configs/MODEL/VARIANT.toml if that exists, else
    the defaults. A new model, with --name and --data, is wide and deep, and a report on it is
    written to OUTPUT/NAME/VARIANT.md.
    """
    with readable_errors():
        _require_writable(output)
        if name is not None and model is None and data is not None:
            found = custom_data.read(CustomData(name, data, text_column, label_column, positive))
            _print_custom(found)
            recipe = configuration.wide_recipe(name, variant or "wide", found.dataset.task, loss)
            config = configuration.override(recipe, settings or [])
            run = Run(config, protocol, seed, glove=glove, dataset=found.dataset)
            _train_custom(run, output, found)
        elif model is not None and name is None and data is None:
            datasets.source_of(model)
            config = configuration.choose(model, variant, loss, settings or [])
            _train_and_print(Run(config, protocol, seed, glove=glove), output)
        else:
            raise ConfigurationError(
                "give either --model, for a built-in model, or --name and --data, for a new one"
            )


def _train_custom(run: Run, output: Path, found: CustomDataset) -> None:
    """Train on custom data, and write the report."""
    manifest, result = _train_and_print(run, output)
    page = (output / run.config.model / run.config.variant).with_suffix(".md")
    model_card.write(page, (manifest, result), majority_metrics(manifest, run.dataset), found)
    _console.print(
        f"Report: {page}\nServe it: {_how_to_serve(run.config, output)}",
        markup=False,
        soft_wrap=True,
    )


def _train_and_print(run: Run, output: Path) -> tuple[Manifest, Result]:
    """Train, report progress, and print the metrics."""
    config = run.config
    title = f"{config.model}/{config.variant}"
    directory = output / config.model / config.variant
    _console.print(
        f"Training {title} for at most {config.epochs} epochs; this takes seconds to minutes.",
        soft_wrap=True,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=_console) as progress:
        bar = progress.add_task(title, total=config.epochs)

        def show(number: int, epoch: Epoch) -> None:
            found = f"macro-F1 {epoch['macro_f1']:.4f} on validation"
            progress.update(bar, completed=number, description=f"{title}: {found}")
            if not _console.is_terminal:
                line = f"{title}: epoch {number} of {config.epochs}, {found}"
                _console.print(line, soft_wrap=True)

        trained = train(run, directory, show)
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


def _print_custom(found: CustomDataset) -> None:
    """Print what was read and guessed, and every row that was left out, or how many more."""
    dataset = found.dataset
    counts = np.bincount(dataset.labels, minlength=len(dataset.label_names)).tolist()
    shares = ", ".join(f"{name} {n}" for name, n in zip(dataset.label_names, counts, strict=True))
    _console.print(f"{len(dataset.texts)} texts: {shares}", markup=False)
    for guess in found.guesses:
        _console.print(guess, markup=False)
    if found.bad_rows:
        _console.print(f"{len(found.bad_rows)} rows left out:", markup=False)
        for line in describe_bad_rows(found.bad_rows, _LISTED_ROWS):
            _console.print(f"  {line}", markup=False)


@app.command()
def train_all(
    model: _OneModel = None,
    output: _Output = ARTIFACTS,
    glove: _Glove = None,
    workers: _Workers = None,
) -> None:
    """Train every shipped variant of configs/ with seed 0, and print their test metrics."""
    with readable_errors():
        if model is not None:
            datasets.source_of(model)
        jobs = [
            (Run(config, Protocol.GROUPED, 0, glove=glove), output / config.model / config.variant)
            for config in configuration.load_all()
            if config.shipped and model in {None, config.model}
        ]
        _require_writable(output)
        # A missing data set is reported before the first fit, not after the last.
        for name in {run.config.model for run, _ in jobs}:
            datasets.load(name)
        workers = workers or os.cpu_count() or 1
        _console.print(
            f"Training {len(jobs)} variants, {workers} at a time. All of them take 1 to 3 minutes "
            "on two processors.",
            soft_wrap=True,
        )
        trained = run_parallel(_train_job, jobs, "Training", _name_of_job, workers=workers)
        _print_test_metrics(trained)
        size = sum(file.stat().st_size for _, directory in jobs for file in directory.iterdir())
        _console.print(
            f"{len(jobs)} artifacts in {output}, {size / 1e6:.1f} MB in total",
            markup=False,
            soft_wrap=True,
        )


def _train_job(job: tuple[Run, Path]) -> tuple[Manifest, Result]:
    return train(*job)


def _name_of_job(job: tuple[Run, Path]) -> str:
    run, _ = job
    return f"{run.config.model}/{run.config.variant}"


@app.command("evaluate")
def evaluate_artifact(  # noqa: PLR0913, PLR0917
    path: Annotated[Path, typer.Argument(help="An artifact, such as artifacts/spam/dice.")],
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Default: the artifact's.")
    ] = None,
    data: _Data = None,
    text_column: _TextColumn = None,
    label_column: _LabelColumn = None,
    positive: _Positive = None,
) -> None:
    """Score an artifact's test fold again, and compare the metrics with the recorded ones.

    If it was trained on custom data, give --data and the options that it was trained with.
    """
    with readable_errors():
        classifier = Classifier.load(path)
        manifest = classifier.manifest
        dataset = None
        if data is not None:
            custom = CustomData(manifest.model, data, text_column, label_column, positive)
            dataset = _read_again(path, manifest, custom)
        elif manifest.model not in datasets.SOURCES:
            raise ConfigurationError(
                f"{path} was trained on custom data: give the file with --data, and the options "
                "that it was trained with"
            )
        if threshold is not None and manifest.threshold is None:
            raise ConfigurationError(f"{path}: with more than two labels there is no threshold")
        texts, labels = read_test_fold(manifest, dataset)
        cut = manifest.threshold if threshold is None else threshold
        scores = classifier.scores(texts)
        if cut is None:
            found = evaluate_classes(labels, scores)
        else:
            found = evaluate(labels, scores, cut, score_kind=manifest.score_kind)
        constant = majority_metrics(manifest, dataset)
    _print_evaluation(manifest, len(texts), cut, found, constant)


def _read_again(path: Path, manifest: Manifest, custom: CustomData) -> Dataset:
    """Read the custom data that an artifact was trained on.

    Raises:
        ConfigurationError: its labels are not the artifact's.
    """
    dataset = custom_data.read(custom).dataset
    if dataset.label_names != manifest.labels:
        raise ConfigurationError(
            f"{custom.path}: its labels are {', '.join(dataset.label_names)}, but those of {path} "
            f"are {', '.join(manifest.labels)}; give --positive as in training"
        )
    return dataset


def _print_evaluation(
    manifest: Manifest, texts: int, cut: float | None, found: Metrics, constant: Metrics
) -> None:
    tested = manifest.metrics.get("test", {})  # training can leave it out
    recorded: Mapping[str, Any] = tested.get(ARGMAX if cut is None else FITTED, {})
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


@app.command()
def tune(  # noqa: PLR0913, PLR0917
    model: _Model,
    variant: Annotated[str, typer.Option(help="The variant to improve, a file of configs/MODEL/.")],
    trials: Annotated[int, typer.Option(min=1, help="Maximum number of trials.")] = 30,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Start no trial after this many minutes.")
    ] = 15,
    workers: _Workers = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Optuna's storage, such as sqlite:///tune.db, to resume a search. Default: memory."
        ),
    ] = None,
) -> None:
    """Search for hyper-parameters on validation, and write configs/MODEL/VARIANT.toml.

    Every trial is written to docs/results.
    """
    with readable_errors():
        datasets.source_of(model)
        base = configuration.load(model, variant)
        workers = workers or os.cpu_count() or 1
        budget = search.Budget(trials, minutes * 60, workers, storage)
        _console.print(
            f"Tuning {model}/{variant}: at most {trials} trials, {workers} at a time, none started "
            f"after {minutes:g} minutes; seeds {', '.join(map(str, search.seeds_of(model)))}",
            soft_wrap=True,
        )
        best = search.write(base, search.tune(base, budget), tables.RESULTS)
    _console.print(
        f"Written: {configuration.path_of(model, variant)} (layer_rate {best.layer_rate:.3g})"
    )


@app.command()
def download(model: _OneModel = None) -> None:
    """Download the data sets into DATA_DIR (default: data/), resuming what was interrupted."""
    with readable_errors():
        for name in [model] if model else datasets.SOURCES:
            path = download_archive(name)
            _console.print(
                f"{path}: {datasets.source_of(name).licence}", markup=False, soft_wrap=True
            )


def _print_test_metrics(
    trained: Sequence[tuple[Manifest, Result]], dataset: Dataset | None = None
) -> None:
    """Print a line per artifact, and one per model for the majority class."""
    title = "Test fold, at the fitted threshold; with more than two labels, at the highest score"
    table = Table(title=title, box=None, padding=(0, 1, 0, 0))
    for column in ("", "threshold", *(tables.COLUMNS[metric] for metric in _SHOWN)):
        table.add_column(column, no_wrap=True)

    def figures(metrics: Metrics) -> list[str]:
        return [tables.figure(metrics.get(metric)) for metric in _SHOWN]

    for model, group in groupby(trained, key=lambda pair: pair[0].model):
        artifacts = list(group)
        constant = majority_metrics(artifacts[0][0], dataset)
        table.add_row(f"{model}: majority", "", *figures(constant))
        for manifest, result in artifacts:
            table.add_row(
                f"{model}/{manifest.variant}{' (collapsed)' if result.collapsed else ''}",
                tables.figure(manifest.threshold),
                *figures(result.metrics["test"][ARGMAX if manifest.threshold is None else FITTED]),
            )
    # Every figure is shown in full, also where there is no terminal, which rich takes for a narrow
    # one.
    Console(width=max(_console.width, _TABLE_WIDTH)).print(table)

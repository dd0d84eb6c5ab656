"""The command line: ``python -m training``."""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dandelion import ArtifactError, Classifier
from dandelion.manifest import Manifest
from dandelion.serving import SERVING_FILE
from dandelion.tables import describe_bad_rows

from . import configuration, model_card, tables
from . import tuning as search
from .configuration import Configuration
from .data import custom_data, datasets
from .data.custom_data import CustomData, CustomDataset
from .data.splits import Protocol
from .errors import ConfigurationError, TrainingError
from .experiment import Result, Run, majority_metrics, read_test_fold, train
from .fitting.trainer import Epoch
from .losses.registry import LOSSES
from .parallel import side_by_side
from .quality.metrics import ARGMAX, FITTED, METRICS, Metrics, evaluate, evaluate_classes

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train, evaluate and report Dandelion's classifiers.",
)
_console = Console()

_MODELS = ", ".join(datasets.SOURCES)
ARTIFACTS = Path("artifacts")
# Where the tries of `tune` are written.
RESULTS = Path("docs/results")
_LISTED_ROWS = 20
_TABLE_WIDTH = 120

# In the directory of the artifacts: which variant serves each model, see the service.

_Model = Annotated[str, typer.Option(help=f"What to learn: {_MODELS}.")]
_Output = Annotated[Path, typer.Option(help="Directory of the artifacts.")]
_Glove = Annotated[
    Path | None,
    typer.Option(help="Word vectors: a glove.*.txt or .zip. Default: the pip package's."),
]
_Workers = Annotated[
    int | None, typer.Option(min=1, help="Fits side by side. Default: one a processor.")
]


@contextmanager
def readable_errors() -> Iterator[None]:
    """Tell what a person can put right in one line, without a traceback."""
    try:
        yield
    except (TrainingError, ArtifactError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


_Data = Annotated[
    Path | None,
    typer.Option(help="A file of your own: .csv, .tsv, .jsonl, .ndjson or .parquet, UTF-8."),
]
_TextColumn = Annotated[
    str | None, typer.Option(help="Its column of texts. Default: guessed where obvious.")
]
_LabelColumn = Annotated[
    str | None, typer.Option(help="Its column of labels. Default: guessed where obvious.")
]
_Positive = Annotated[
    str | None, typer.Option(help="The positive label; of more than two, against the rest.")
]


@app.command("train")
def train_one(  # noqa: PLR0913, PLR0917
    model: Annotated[str | None, typer.Option(help=f"What to learn: {_MODELS}.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Or the name of a model of your own, with --data.")
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
        typer.Option(
            help="Name of the configuration. Default: the loss's; of your own data 'wide'."
        ),
    ] = None,
    protocol: Annotated[Protocol, typer.Option(help="How to split.")] = Protocol.GROUPED,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of split and initialisation.")
    ] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a field, such as layer_rate=0.003. Repeatable."),
    ] = None,
    output: _Output = ARTIFACTS,
    glove: _Glove = None,
) -> None:
    """Train one variant and write its artifact to OUTPUT/MODEL/VARIANT.

    The configuration is configs/MODEL/VARIANT.toml where there is one, else the defaults. With
    --name and --data it is a model of your own, wide and deep, and its report stands beside the
    artifact in OUTPUT/NAME/VARIANT.md.
    """
    with readable_errors():
        custom = None
        if name is not None and model is None and data is not None:
            found = custom_data.read(CustomData(name, data, text_column, label_column, positive))
            _print_custom(found)
            custom, task = found.resolved, found.dataset.task
            config = _custom_configuration(name, task, loss, variant, settings or [])
        elif model is not None and name is None and data is None:
            config = _configuration(model, loss, variant, settings or [])
        else:
            raise ConfigurationError(
                "either --model, for one that is built in, or --name and --data, for your own"
            )
        directory = output / config.model / config.variant
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=_console) as progress:
            bar = progress.add_task(f"{config.model}/{config.variant}", total=config.epochs)

            def show(number: int, epoch: Epoch) -> None:
                progress.update(
                    bar,
                    completed=number,
                    description=f"{config.model}/{config.variant}: macro-F1 {epoch.macro_f1:.4f}",
                )

            done = train(Run(config, protocol, seed, glove=glove, custom=custom), directory, show)
        _print_test_metrics([done], custom)
        _console.print(f"Written: {directory} (version {done[0].version})")
        if custom is not None:
            page = directory.with_suffix(".md")
            model_card.write(page, done, majority_metrics(done[0], custom), found)
            _console.print(
                f"Report: {page}\nServe it: {_how_to_serve(config, output)}",
                markup=False,
                soft_wrap=True,
            )


def _how_to_serve(config: Configuration, output: Path) -> str:
    """Tell how a model of one's own is served from where its artifact is."""
    entry = f"{config.model} = '{config.variant}'"
    if not (output / SERVING_FILE).exists():
        return (
            f"write {output / SERVING_FILE} with the lines [models] and {entry}, then "
            f"DANDELION_ARTIFACTS={output} make serve"
        )
    setting = f"DANDELION_MODELS__{config.model.upper()}={config.variant}"
    place = "" if output == ARTIFACTS else f"DANDELION_ARTIFACTS={output} "
    return f"{place}{setting} make serve, or the line {entry} in {output / SERVING_FILE}"


def _print_custom(found: CustomDataset) -> None:
    """Tell what was read and guessed, and which rows were left out, none silently."""
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
    model: Annotated[str | None, typer.Option(help=f"One of: {_MODELS}. Default: all.")] = None,
    output: _Output = ARTIFACTS,
    glove: _Glove = None,
    workers: _Workers = None,
) -> None:
    """Train every shipped variant in configs/ (grouped protocol, seed 0); print test metrics."""
    with readable_errors():
        if model is not None:
            datasets.source_of(model)
        jobs = [
            (Run(config, Protocol.GROUPED, 0, glove=glove), output / config.model / config.variant)
            for config in configuration.load_all()
            if config.shipped and model in {None, config.model}
        ]
        # A missing data set is told before the first fit, not after the last.
        for name in {run.config.model for run, _ in jobs}:
            datasets.load(name)
        _print_test_metrics(side_by_side(_train_job, jobs, "Training", workers=workers))
        size = sum(file.stat().st_size for _, directory in jobs for file in directory.iterdir())
        _console.print(f"{len(jobs)} artifacts in {output}, {size / 1e6:.1f} MB together")


def _train_job(job: tuple[Run, Path]) -> tuple[Manifest, Result]:
    return train(*job)


@app.command("evaluate")
def evaluate_artifact(  # noqa: PLR0913, PLR0917
    path: Annotated[Path, typer.Argument(help="An artifact, such as artifacts/spam/dice.")],
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Default: the artifact's own.")
    ] = None,
    data: _Data = None,
    text_column: _TextColumn = None,
    label_column: _LabelColumn = None,
    positive: _Positive = None,
) -> None:
    """Score an artifact's own test fold again and print the metrics beside the recorded ones.

    One of your own data needs --data, and what it was trained with.
    """
    with readable_errors():
        classifier = Classifier.load(path)
        manifest = classifier.manifest
        custom = None
        if data is None and manifest.model not in datasets.SOURCES:
            raise ConfigurationError(
                f"{path} was trained on data of your own: give the file with --data, "
                "and the options that it was trained with"
            )
        if data is not None:
            asked = CustomData(manifest.model, data, text_column, label_column, positive)
            read = custom_data.read(asked)
            custom = read.resolved
            if read.dataset.label_names != manifest.labels:
                raise ConfigurationError(
                    f"{data}: its labels are {', '.join(read.dataset.label_names)}, but {path} "
                    f"learnt {', '.join(manifest.labels)}; give --positive as in training"
                )
        texts, labels = read_test_fold(manifest, custom)
        cut = manifest.threshold if threshold is None else threshold
        scores = classifier.scores(texts)
        if cut is None:
            found, recorded = evaluate_classes(labels, scores), manifest.metrics["test"][ARGMAX]
        elif manifest.threshold is None:
            raise ConfigurationError(f"{path}: there is no threshold between more than two labels")
        else:
            found = evaluate(labels, scores, cut, score_kind=manifest.score_kind)
            recorded = manifest.metrics["test"][FITTED]
        constant = majority_metrics(manifest, custom)
    table = Table(title=f"{manifest.model}/{manifest.variant}, test fold, {len(texts)} texts")
    table.add_column("metric")
    table.add_column("at the highest score" if cut is None else f"at {cut:.4f}", justify="right")
    table.add_column("recorded" + ("" if cut is None else f" at {manifest.threshold:.4f}"))
    table.add_column("majority class", justify="right")
    for metric in METRICS:
        figures = [_figure(metrics.get(metric)) for metrics in (found, recorded, constant)]
        if any(figures):
            table.add_row(metric, *figures)
    _console.print(table)


@app.command()
def tune(  # noqa: PLR0913, PLR0917
    model: _Model,
    variant: Annotated[str, typer.Option(help="A file in configs/MODEL/: what is searched from.")],
    trials: Annotated[int, typer.Option(min=1, help="At most.")] = 30,
    minutes: Annotated[float, typer.Option(min=0.1, help="After which no trial is begun.")] = 15,
    workers: _Workers = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Optuna's, such as sqlite:///tune.db, to go on from. Default: memory."),
    ] = None,
) -> None:
    """Search hyper-parameters on validation; write configs/MODEL/VARIANT.toml and the tries."""
    with readable_errors():
        datasets.source_of(model)
        base = configuration.load(model, variant)
        workers = workers or os.cpu_count() or 1
        budget = search.Budget(trials, minutes * 60, workers, storage)
        _console.print(
            f"{model}/{variant}: at most {trials} trials, {minutes:g} minutes, {workers} side by "
            f"side, seeds {', '.join(map(str, search.seeds_of(model)))}"
        )
        best = search.write(base, search.tune(base, budget), RESULTS)
    _console.print(
        f"Written: {configuration.path_of(model, variant)} (layer_rate {best.layer_rate:.3g})"
    )


@app.command()
def download(
    model: Annotated[str | None, typer.Option(help=f"One of: {_MODELS}. Default: all.")] = None,
) -> None:
    """Fetch the data sets into DATA_DIR (default: data/), going on where a try broke off."""
    with readable_errors():
        for name in [model] if model else datasets.SOURCES:
            path = datasets.download(name)
            _console.print(f"{path}: {datasets.source_of(name).licence}")


def _configuration(
    model: str, loss: str | None, variant: str | None, settings: list[str]
) -> Configuration:
    """Take a variant's file, or the defaults, and override what the command line sets."""
    datasets.source_of(model)
    if variant is None and loss is None:
        raise ConfigurationError("name a --variant of configs/, or a --loss")
    variant = variant or loss or ""
    values: dict[str, Any] = {"model": model, "variant": variant, "loss": loss}
    if configuration.path_of(model, variant).exists():
        committed = configuration.load(model, variant)
        if loss not in {None, committed.loss}:
            raise ConfigurationError(
                f"{configuration.path_of(model, variant)} has the loss {committed.loss!r}, "
                f"not {loss!r}; choose another --variant"
            )
        values = committed.model_dump()
    elif loss is None:
        known = sorted(path.stem for path in (configuration.CONFIGS / model).glob("*.toml"))
        raise ConfigurationError(
            f"{configuration.path_of(model, variant)}: no such file, so name a --loss. "
            f"Variants of {model!r} here: {', '.join(known) or 'none'}"
        )
    return configuration.parse(_overridden(values, settings), "command line")


def _custom_configuration(
    name: str, task: str, loss: str | None, variant: str | None, settings: list[str]
) -> Configuration:
    """Take the wide and deep recipe, and override what the command line sets."""
    values = configuration.wide_recipe(name, variant or "wide", task)
    if loss is not None:
        values["loss"] = loss
    return configuration.parse(_overridden(values, settings), "command line")


def _overridden(values: Mapping[str, Any], settings: list[str]) -> dict[str, Any]:
    """Override fields, those of tables inside too: ``wide.rate=0.01``.

    Raises:
        ConfigurationError: a setting is not FIELD=VALUE, or has an option of its own.
    """
    try:
        overrides = tomllib.loads("\n".join(settings))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"--set: {error}; expected FIELD=VALUE, a text in quotes"
        ) from error
    fixed = {"model", "variant", "loss"} & set(overrides)
    if fixed:
        raise ConfigurationError(f"--set: {', '.join(sorted(fixed))}: use the option of that name")
    merged = dict(values)
    for field, value in overrides.items():
        inner = merged.get(field)
        if isinstance(value, dict) and isinstance(inner, dict):
            merged[field] = inner | value
        else:
            merged[field] = value
    return merged


def _figure(value: float | None) -> str:
    return "" if value is None else tables.figure(value)


def _print_test_metrics(
    trained: Sequence[tuple[Manifest, Result]], custom: CustomData | None = None
) -> None:
    """Print a line an artifact, and one a model for the majority class."""
    shown = ("accuracy", "f1", "macro_f1", "mcc", "auroc", "average_precision")
    title = "Test fold, at the fitted threshold; of more than two labels, at the highest score"
    table = Table(title=title, box=None, padding=(0, 1, 0, 0))
    for column in ("", "threshold", *(tables.COLUMNS[metric] for metric in shown)):
        table.add_column(column, no_wrap=True)

    def figures(metrics: Metrics) -> list[str]:
        return [_figure(metrics.get(metric)) for metric in shown]

    for model, group in groupby(trained, key=lambda pair: pair[0].model):
        artifacts = list(group)
        table.add_row(f"{model}: majority", "", *figures(majority_metrics(artifacts[0][0], custom)))
        for manifest, result in artifacts:
            test = manifest.metrics["test"]
            table.add_row(
                f"{model}/{manifest.variant}{' (collapsed)' if result.collapsed else ''}",
                _figure(manifest.threshold),
                *figures(test[ARGMAX if manifest.threshold is None else FITTED]),
            )
    # Every figure whole, also where there is no terminal, which rich takes for a narrow one.
    Console(width=max(_console.width, _TABLE_WIDTH)).print(table)

"""The command line: ``python -m training``."""

import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dandelion import ArtifactError, Classifier
from dandelion.artifact import Manifest

from . import ablations, configuration, datasets, pages, report, tuning
from . import collapse as naive
from .configuration import Configuration
from .errors import ConfigurationError, TrainingError
from .evaluation import FITTED, METRICS, evaluate
from .experiment import Result, Run, majority_metrics, test_fold, train
from .losses import LOSSES
from .runs import side_by_side
from .splits import Protocol
from .trainer import Epoch

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train, evaluate and report Dandelion's classifiers.",
)
_console = Console()

_MODELS = ", ".join(datasets.SOURCES)
ARTIFACTS = Path("artifacts")

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
def _readable_errors() -> Iterator[None]:
    """Tell what a person can put right in one line, without a traceback."""
    try:
        yield
    except (TrainingError, ArtifactError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command("train")
def train_one(  # noqa: PLR0913, PLR0917
    model: _Model,
    loss: Annotated[str, typer.Option(help=f"One of: {', '.join(LOSSES)}.")],
    variant: Annotated[
        str | None, typer.Option(help="Name of the configuration. Default: the loss's.")
    ] = None,
    protocol: Annotated[Protocol, typer.Option(help="How to split.")] = Protocol.GROUPED,
    seed: Annotated[int, typer.Option(help="Of split and initialisation.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a field, such as layer_rate=0.003. Repeatable."),
    ] = None,
    output: _Output = ARTIFACTS,
    glove: _Glove = None,
) -> None:
    """Train one variant and write its artifact to OUTPUT/MODEL/VARIANT.

    The configuration is configs/MODEL/VARIANT.toml where there is one, else the defaults.
    """
    with _readable_errors():
        config = _configuration(model, loss, variant or loss, settings or [])
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=_console) as progress:
            task = progress.add_task(f"{model}/{config.variant}", total=config.epochs)

            def show(number: int, epoch: Epoch) -> None:
                progress.update(
                    task,
                    completed=number,
                    description=f"{model}/{config.variant}: macro-F1 {epoch.macro_f1:.4f}",
                )

            done = train(
                Run(config, protocol, seed, glove=glove), output / model / config.variant, show
            )
        _print_test_metrics([done])
        version = done[0].version
        _console.print(f"Written: {output / model / config.variant} (version {version})")


@app.command()
def train_all(output: _Output = ARTIFACTS, glove: _Glove = None, workers: _Workers = None) -> None:
    """Train every variant in configs/ (grouped protocol, seed 0) and print their test metrics."""
    with _readable_errors():
        jobs = [
            (Run(config, Protocol.GROUPED, 0, glove=glove), output / config.model / config.variant)
            for config in configuration.load_all()
        ]
        # A missing data set is told before the first fit, not after the last.
        for model in {run.config.model for run, _ in jobs}:
            datasets.load(model)
        _print_test_metrics(side_by_side(_train_job, jobs, "Training", workers=workers))
        size = sum(file.stat().st_size for _, directory in jobs for file in directory.iterdir())
        _console.print(f"{len(jobs)} artifacts in {output}, {size / 1e6:.1f} MB together")


def _train_job(job: tuple[Run, Path]) -> tuple[Manifest, Result]:
    return train(*job)


@app.command("evaluate")
def evaluate_artifact(
    path: Annotated[Path, typer.Argument(help="An artifact, such as artifacts/spam/dice.")],
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Default: the artifact's own.")
    ] = None,
) -> None:
    """Score an artifact's own test fold again and print the metrics beside the recorded ones."""
    with _readable_errors():
        classifier = Classifier.load(path)
        manifest = classifier.manifest
        texts, labels = test_fold(manifest)
        cut = manifest.threshold if threshold is None else threshold
        found = evaluate(labels, classifier.scores(texts), cut)
        constant = majority_metrics(manifest)
    table = Table(title=f"{manifest.model}/{manifest.variant}, test fold, {len(texts)} texts")
    table.add_column("metric")
    table.add_column(f"at {cut:.4f}", justify="right")
    table.add_column(f"recorded at {manifest.threshold:.4f}", justify="right")
    table.add_column("majority class", justify="right")
    for metric in METRICS:
        recorded = manifest.metrics["test"][FITTED][metric]
        always = pages.figure(constant[metric]) if metric in constant else ""
        table.add_row(metric, pages.figure(found[metric]), pages.figure(recorded), always)
    _console.print(table)


@app.command("report")
def make_report() -> None:
    """Run every reported seed and write docs/results/ and the README's tables anew."""
    with _readable_errors():
        report.make()
    _console.print(f"Written: {report.RESULTS} and the tables of {report.README}")


@app.command()
def tune(model: _Model) -> None:
    """Choose hyper-parameters on validation; write configs/MODEL/ and the table of the tries."""
    with _readable_errors():
        datasets.source_of(model)
        tuning.write(model, tuning.tune(model, list(LOSSES)), report.RESULTS)


@app.command()
def collapse() -> None:
    """Find the learning rate at which Dice, trained naively, answers like a constant."""
    with _readable_errors():
        found = naive.search()
        rate = naive.lowest_collapsing_rate(found)
    _console.print(pages.collapse_table(found), markup=False)
    _console.print(f"Lowest rate at which every seed collapses: {rate or 'none'}")


@app.command()
def ablate() -> None:
    """Measure stored precision, extra GloVe words and fine-tuning; write the table."""
    with _readable_errors():
        ablations.write(report.RESULTS / "ablations.md")
    _console.print(f"Written: {report.RESULTS / 'ablations.md'}")


@app.command()
def download(
    model: Annotated[str | None, typer.Option(help=f"One of: {_MODELS}. Default: all.")] = None,
) -> None:
    """Fetch the data sets into DATA_DIR (default: data/), going on where a try broke off."""
    with _readable_errors():
        for name in [model] if model else datasets.SOURCES:
            path = datasets.download(name)
            _console.print(f"{path}: {datasets.source_of(name).licence}")


def _configuration(model: str, loss: str, variant: str, settings: list[str]) -> Configuration:
    """Take a variant's file, or the defaults, and override what the command line sets."""
    datasets.source_of(model)
    try:
        overrides = tomllib.loads("\n".join(settings))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"--set: {error}; expected FIELD=VALUE") from error
    fixed = {"model", "variant", "loss"} & set(overrides)
    if fixed:
        raise ConfigurationError(f"--set: {', '.join(sorted(fixed))}: use the option of that name")
    values = {"model": model, "variant": variant, "loss": loss}
    if configuration.path_of(model, variant).exists():
        committed = configuration.load(model, variant)
        if committed.loss != loss:
            raise ConfigurationError(
                f"{configuration.path_of(model, variant)} has the loss {committed.loss!r}, "
                f"not {loss!r}; choose another --variant"
            )
        values = committed.model_dump()
    return configuration.parse(values | overrides, "--set")


def _print_test_metrics(trained: Sequence[tuple[Manifest, Result]]) -> None:
    """Print a line an artifact, and one a model for the majority class."""
    shown = ("accuracy", "f1", "macro_f1", "mcc", "auroc", "average_precision")
    table = Table(title="Test fold, at the fitted threshold", box=None, padding=(0, 1, 0, 0))
    for column in ("", "threshold", *(pages.COLUMNS[metric] for metric in shown)):
        table.add_column(column, no_wrap=True)
    for model, group in groupby(trained, key=lambda pair: pair[0].model):
        artifacts = list(group)
        constant = majority_metrics(artifacts[0][0])
        figures = [pages.figure(constant[metric]) for metric in shown if metric in constant]
        table.add_row(f"{model}: majority", "", *figures)
        for manifest, result in artifacts:
            metrics = manifest.metrics["test"][FITTED]
            table.add_row(
                f"{model}/{manifest.variant}{' (collapsed)' if result.collapsed else ''}",
                pages.figure(manifest.threshold),
                *(pages.figure(metrics[metric]) for metric in shown),
            )
    _console.print(table)

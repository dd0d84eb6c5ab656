"""The command line: ``python -m training``.

Options are checked, and custom data is read, before torch is imported.
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from dandelion import Classifier
from dandelion.manifest import Manifest
from dandelion.tables import listed

from .command_options import (
    DataOption,
    DelimiterOption,
    EncodingOption,
    GloveOption,
    LabelColumnOption,
    MergeLabelsOption,
    PositiveOption,
    TextColumnOption,
    readable_errors,
)
from .data import custom_data, sources
from .data.balance import DEFAULTS, LossChoice, choose_loss
from .data.custom_data import CustomData, CustomDataset
from .data.datasets import Dataset
from .destination import ARTIFACTS, require_writable
from .errors import ConfigurationError
from .requirements import interruptible
from .retrain_command import retrain
from .tables import visible

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,  # plain text, as for every command of `dandelion`
    pretty_exceptions_enable=False,
    help="Train and evaluate text classifiers.",
)
_console = Console()

_MODELS = ", ".join(sources.models())
_FILES = ", ".join(name for name, one in sources.SOURCES.items() if one.generate is None)
_LISTED_ROWS = 20
_LISTED_LABELS = 20
# Of the rows that cannot be used, from which the file is probably read wrongly.
_NOTABLE_SHARE = 0.05


class ProtocolName(StrEnum):
    """The values of `training.data.splits.Protocol`, whose module imports scikit-learn."""

    GROUPED = "grouped"
    PAPER = "paper"


_Model = Annotated[str, typer.Option(help=f"The model: {_MODELS}.")]
_OneModel = Annotated[
    str | None, typer.Option(help=f"One model only: {_MODELS}. Default: all of them.")
]
_Output = Annotated[Path, typer.Option(help="The directory of the artifacts.")]
_Workers = Annotated[
    int | None, typer.Option(min=1, help="Parallel fits. Default: one per processor.")
]
_Loss = Annotated[
    str | None,
    typer.Option(
        help="The loss, such as bce, weighted_bce, dice or dice_bce; a wrong name lists all. "
        "Default: the variant's; with --data, one that suits the balance of the labels."
    ),
]
_Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a field, such as layer_rate=0.003. Repeatable."),
]


@app.command("train")
def train_one(  # noqa: PLR0913, PLR0917
    model: Annotated[
        str | None, typer.Option(help=f"The model, if it is a built-in one: {_MODELS}.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The name of a new model, to be trained on --data.")
    ] = None,
    data: DataOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    positive: PositiveOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    merge_labels: MergeLabelsOption = False,
    loss: _Loss = None,
    variant: Annotated[
        str | None,
        typer.Option(help="The configuration. Default: named as the loss; with --data, 'wide'."),
    ] = None,
    protocol: Annotated[ProtocolName, typer.Option(help="How the data set is split.")] = (
        ProtocolName.GROUPED
    ),
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="The seed of split and initialisation.")
    ] = 0,
    operating_point: Annotated[
        str | None,
        typer.Option(
            help="How the default threshold is chosen, such as 'fpr<=0.01[forum],recall>=0.5'; a "
            "source of several --data has the name of its file. Default: the variant's; with "
            "--data, 'macro_f1'."
        ),
    ] = None,
    settings: _Settings = None,
    output: _Output = ARTIFACTS,
    glove: GloveOption = None,
) -> None:
    """Train one variant and write its artifact to OUTPUT/MODEL/VARIANT.

    A built-in model takes its configuration from configs/MODEL/VARIANT.toml if that exists, else
    the defaults. A new model, with --name and --data, is wide and deep, and a report on it is
    written to OUTPUT/NAME/VARIANT.md.
    """
    settings = [*(settings or [])]
    if operating_point is not None:
        settings.append(f"operating_point = {json.dumps(operating_point)}")  # also a TOML string
    with readable_errors():
        custom = None
        if name is not None and data and model is None:
            columns = (text_column, label_column, positive)
            requests = [
                CustomData(name, path, *columns, encoding, delimiter, merge_labels) for path in data
            ]
            custom_data.check(*requests)
            require_writable(output, name, variant or "wide")
            _check_configuration(name, variant or "wide", loss, settings)
            custom = _read_custom(requests, loss)
        else:
            _check_builtin(model, name, data, output, variant or loss or "wide")
        with interruptible():
            from . import actions  # noqa: PLC0415
        options = actions.Options(variant, loss, settings, protocol, seed, output, glove)
        if custom is not None:
            actions.train_custom(*custom, options)
        elif model is not None:
            actions.train_builtin(model, options)


def _check_builtin(
    model: str | None, name: str | None, data: Sequence[Path] | None, output: Path, variant: str
) -> None:
    """Check, without torch, that a built-in model and nothing else is to be trained.

    Raises:
        TrainingError: it is not, there is no such model, or its artifact could not be written.
    """
    if model is None or name is not None or data:
        raise ConfigurationError(
            "give either --model, for a built-in model, or --name and --data, for a new one"
        )
    sources.require_model(model)
    require_writable(output, model, variant)


def _check_configuration(
    name: str, variant: str, loss: str | None, settings: Sequence[str]
) -> None:
    """Check loss and settings before any data is read; without either, torch is not imported.

    Raises:
        ConfigurationError: the loss is unknown, or a setting suits neither it nor, if none is
            given, any default loss.
    """
    if loss is None and not settings:
        return
    with interruptible():
        from . import configuration  # noqa: PLC0415
    losses = DEFAULTS if loss is None else {loss: {}}
    problems = []
    for one, options in losses.items():
        try:
            recipe = configuration.wide_recipe(name, variant, one, options)
            configuration.override(recipe, settings)
        except ConfigurationError as error:
            problems.append(error)
    if len(problems) == len(losses):
        raise problems[0]


def _read_custom(
    requests: Sequence[CustomData], loss: str | None
) -> tuple[CustomDataset, LossChoice]:
    """Read custom data, choose the loss, and print what was read and chosen.

    Raises:
        TrainingError: the data cannot be used.
    """
    found = custom_data.read(*requests)
    choice = choose_loss(found.dataset, loss)
    _print_custom(found, choice.notes)
    return found, choice


def _print_custom(found: CustomDataset, remarks: Sequence[str]) -> None:
    """Print what was read and guessed, and every row that was left out, or how many more."""
    dataset = found.dataset
    counts = np.bincount(dataset.labels, minlength=len(dataset.label_names)).tolist()
    shares = [f"{visible(name)} {n:,}" for name, n in zip(dataset.label_names, counts, strict=True)]
    more = len(shares) - _LISTED_LABELS
    labels = ", ".join(shares[:_LISTED_LABELS]) + (f" and {more:,} more labels" if more > 0 else "")
    lines = [f"{len(dataset.texts):,} texts: {labels}", *found.guesses, *found.notes, *remarks]
    if found.bad_rows:
        bad = len(found.bad_rows)
        share = bad / (bad + len(dataset.texts))
        warning = "warning: " if share > _NOTABLE_SHARE else ""
        lines.append(f"{warning}{bad:,} row{'s' * (bad > 1)} left out ({share:.1%}):")
        lines += [f"  {line}" for line in found.describe_bad_rows(_LISTED_ROWS)]
    for line in lines:
        _console.print(line, markup=False, highlight=False, soft_wrap=True)


app.command()(retrain)


@app.command()
def train_all(
    model: _OneModel = None,
    output: _Output = ARTIFACTS,
    glove: GloveOption = None,
    workers: _Workers = None,
) -> None:
    """Train every shipped variant of configs/ with seed 0, and print their test metrics."""
    with readable_errors():
        if model is not None:
            sources.require_model(model)
        require_writable(output)
        with interruptible():
            from . import actions  # noqa: PLC0415
        actions.train_shipped(model, output, glove, workers)


@app.command("evaluate")
def evaluate_artifact(  # noqa: PLR0913, PLR0917
    path: Annotated[Path, typer.Argument(help="An artifact, such as artifacts/spam/dice.")],
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Default: the artifact's.")
    ] = None,
    data: DataOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    positive: PositiveOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    merge_labels: MergeLabelsOption = False,
) -> None:
    """Score an artifact's test fold again, and compare the metrics with the recorded ones.

    For a model that was trained on custom data, give its files with --data, in the same order, and
    the options that it was trained with.
    """
    with readable_errors():
        classifier = Classifier.load(path)
        manifest = classifier.manifest
        dataset = None
        if data:
            columns = (text_column, label_column, positive)
            dataset = _read_again(
                path,
                manifest,
                [
                    CustomData(manifest.model, file, *columns, encoding, delimiter, merge_labels)
                    for file in data
                ],
            )
        elif manifest.model not in sources.models():
            raise ConfigurationError(
                f"{path} was trained on custom data: give the file with --data, and the options "
                "that it was trained with"
            )
        if threshold is not None and manifest.threshold is None:
            raise ConfigurationError(f"{path}: with more than two labels there is no threshold")
        with interruptible():
            from . import actions  # noqa: PLC0415
        actions.evaluate_artifact(classifier, threshold, dataset)


def _read_again(path: Path, manifest: Manifest, requests: Sequence[CustomData]) -> Dataset:
    """Read the custom data that an artifact was trained on.

    Raises:
        ConfigurationError: its labels are not the artifact's.
    """
    dataset = custom_data.read(*requests).dataset
    if dataset.label_names != manifest.labels:
        raise ConfigurationError(
            f"{', '.join(str(one.path) for one in requests)}: the labels are "
            f"{listed(dataset.label_names)}, but those of {path} "
            f"are {listed(manifest.labels)}; give --positive as in training"
        )
    return dataset


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
        sources.require_model(model)
        with interruptible():
            from . import actions  # noqa: PLC0415
        actions.tune(
            model, variant, trials=trials, minutes=minutes, workers=workers, storage=storage
        )


@app.command()
def download(
    model: _OneModel = None,
    source: Annotated[str | None, typer.Option(help=f"One source only: {_FILES}.")] = None,
) -> None:
    """Download what models learn from into DATA_DIR (default: data/).

    That is the benchmark of each model, and all sources that shipped variants of configs/ learn
    from. An interrupted download is resumed.
    """
    with readable_errors():
        if model is not None and source is not None:
            raise ConfigurationError("give either --model or --source")
        with interruptible():
            from .data.download import download as download_file  # noqa: PLC0415
        if source is not None:
            wanted = [sources.source_named(source)]
        else:
            if model is not None:
                sources.require_model(model)
            with interruptible():
                from . import configuration  # noqa: PLC0415
            wanted = configuration.sources_of(model)
        for path, licence in {download_file(one): one.licence for one in wanted}.items():
            _console.print(f"{path}: {licence}", markup=False, soft_wrap=True)

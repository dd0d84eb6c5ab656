"""``dandelion retrain``: a served model, trained again with feedback and compared with itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from dandelion.installation import default_artifacts
from dandelion.remote import is_address

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
from .data import custom_data
from .data.custom_data import CustomData
from .data.datasets import Dataset
from .errors import ConfigurationError
from .requirements import interruptible

GATE: Final = 4
"""Exit code: it was trained, but does not pass the gate."""

_console = Console()


def retrain(  # noqa: PLR0913, PLR0917
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A served model of two labels.")],
    add: Annotated[
        list[Path],
        typer.Option(
            "--add",
            metavar="FILE",
            help="Feedback: a table with the columns text and label, and optionally id, decision, "
            "source and weight. Repeatable; give all feedback of earlier retrainings again.",
        ),
    ],
    feedback_text: Annotated[
        str, typer.Option("--add-text-column", help="The column of --add with the texts.")
    ] = "text",
    feedback_label: Annotated[
        str, typer.Option("--add-label-column", help="The column of --add with the labels.")
    ] = "label",
    feedback_positive: Annotated[
        str | None,
        typer.Option(
            "--add-positive",
            help="The positive label of --add, if its labels are neither the model's nor 0 and 1.",
        ),
    ] = None,
    feedback_encoding: Annotated[
        str | None,
        typer.Option("--add-encoding", help="The encoding of --add. Default: UTF-8."),
    ] = None,
    feedback_delimiter: Annotated[
        str | None,
        typer.Option("--add-delimiter", help="The delimiter of --add. Default: recognized."),
    ] = None,
    weight: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=1000,
            help="How often a text of the feedback is drawn, compared with the mean of the others.",
        ),
    ] = 1.0,
    variant: Annotated[
        str | None,
        typer.Option(help="The new variant. Default: the served one's name with the date."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Train on feedback that is refused; the verdict says so."),
    ] = False,
    data: DataOption = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    positive: PositiveOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    merge_labels: MergeLabelsOption = False,
    artifacts: Annotated[
        str | None,
        typer.Option(
            envvar="DANDELION_ARTIFACTS",
            metavar="DIRECTORY",
            help="The directory of the artifacts, with serving.toml; the new one is written there.",
        ),
    ] = None,
    glove: GloveOption = None,
) -> None:
    """Train a served model again with feedback, and compare the two.

    The recipe and the data are those of the served version. For your own model, give its data with
    --data and the options that it was trained with. Three tenths of the feedback are held out. The
    new variant is written next to the served one, with VERDICT.md, which says what was added, what
    changed, and whether the variant passes the gate in serving.toml. Exit code 4: it does not.
    """
    with readable_errors():
        columns = (text_column, label_column, positive)
        requests = [
            CustomData(model, path, *columns, encoding, delimiter, merge_labels)
            for path in data or ()
        ]
        with interruptible():
            from .retraining import run  # noqa: PLC0415
            from .retraining.feedback import Columns  # noqa: PLC0415
        directory = _directory(artifacts)
        run.serving_choice(directory, model)
        outcome = run.retrain(
            run.Request(
                model,
                add,
                Columns(
                    feedback_text,
                    feedback_label,
                    feedback_positive,
                    feedback_encoding,
                    feedback_delimiter,
                ),
                directory,
                _read_custom(requests),
                variant,
                weight,
                force,
                glove,
            ),
            _say,
        )
        _say(
            f"Written: {outcome.directory} (version {outcome.verdict.candidate.content_hash[:12]})"
        )
        for one in outcome.requirements:
            _say(f"{'passed' if one.passed else 'FAILED'}: {one.sentence}")
        _say(f"Read {outcome.directory / 'VERDICT.md'}, then: dandelion promote {model}")
        if not outcome.passed:
            raise typer.Exit(GATE)


def _directory(artifacts: str | None) -> Path:
    """Return the directory of the artifacts.

    Raises:
        ConfigurationError: it is an address such as ``s3://``.
    """
    if artifacts is None:
        return default_artifacts()
    if is_address(artifacts):
        raise ConfigurationError(
            "--artifacts: the new version is written into a directory of this machine, not to an "
            "address; retrain in a copy, then copy the new directory there"
        )
    return Path(artifacts)


def _read_custom(requests: Sequence[CustomData]) -> Dataset | None:
    return custom_data.read(*requests).dataset if requests else None


def _say(line: str) -> None:
    _console.print(line, markup=False, highlight=False, soft_wrap=True)

"""Options that several commands of training share, and how these report errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dandelion import ArtifactError

from .errors import TrainingError

GloveOption = Annotated[
    Path | None,
    typer.Option(help="Word vectors: a glove.*.txt or .zip. Default: those of the pip package."),
]
DataOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A file with labelled texts: .csv, .tsv, .jsonl, .ndjson or .json, also compressed "
        "with .gz, or .parquet. Repeatable; the other options are for all of the files."
    ),
]
TextColumnOption = Annotated[
    str | None, typer.Option(help="The column with the texts. Default: guessed if it is obvious.")
]
LabelColumnOption = Annotated[
    str | None, typer.Option(help="The column with the labels. Default: guessed if it is obvious.")
]
PositiveOption = Annotated[
    str | None,
    typer.Option(help="The positive label; with more than two labels, all others are negative."),
]
EncodingOption = Annotated[
    str | None,
    typer.Option(help="The encoding of --data, such as cp1252 or utf-16. Default: UTF-8."),
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(help="The delimiter of a CSV or TSV file, or 'tab'. Default: recognized."),
]
MergeLabelsOption = Annotated[
    bool,
    typer.Option(
        "--merge-labels",
        help="Merge labels that differ in case, white space or Unicode form alone into the most "
        "frequent spelling.",
    ),
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

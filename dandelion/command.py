"""The console command ``dandelion``.

`models` and `classify` are here. Commands of packages that this one must not import join through
entry points of the group `GROUP`: a command's name, and a callable ``(arguments, program) → exit
code``. A joined command is imported when it is run, not before: ``dandelion classify`` waits for no
web framework and needs no torch.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from .classifier import Classifier, Prediction
from .decision.rule import ThresholdError
from .engines.library import KernelError
from .installation import SERVING_FILE, default_artifacts, install_command
from .manifest import MANIFEST_FILE, ArtifactError, Manifest, load_manifest
from .serving import ServingError, read

GROUP: Final = "dandelion.commands"
Command = Callable[[Sequence[str], str], int]

_PROGRAM: Final = "dandelion"
_FAILED: Final = 1
_WRONG_USAGE: Final = 2
_LEGEND: Final = (
    "* served. Metrics: the test fold of one split; other splits and other data give other figures."
)
_INTERRUPTED: Final = 130  # 128 + SIGINT, the convention of shells

# Standard input is read in pieces of this size at most, and classified as it arrives.
_PIECE_BYTES: Final = 2**16
# The largest line: as much as a request to the service may contain.
_MAX_LINE_BYTES: Final = 8_000_000


class _Joined(NamedTuple):
    """What is known about a command before it is imported, and the extra that it needs."""

    help: str
    extra: str = ""


_JOINED: Final = {
    "serve": _Joined("Serve the models over HTTP."),
    "train": _Joined(
        "Train a model, on the included data sets or on your labelled texts.", "training"
    ),
}


class _UsageError(Exception):
    """The command line names something that does not exist."""


class _InputError(Exception):
    """A text cannot be read."""


class _OutputError(Exception):
    """There is no standard output."""


app = typer.Typer(
    name=_PROGRAM,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain text, the same in a terminal, a pipe and a log
    pretty_exceptions_enable=False,
    help="Lightweight text classifiers for imbalanced data.",
    epilog=(
        "Exit codes: 0 success; 1 failure, such as a damaged artifact; 2 wrong usage, such as an "
        "unknown model."
    ),
)

_Artifacts = Annotated[
    Path | None,
    typer.Option(
        envvar="DANDELION_ARTIFACTS",
        show_default=False,
        metavar="DIRECTORY",
        help=f"Directory of the artifacts, with a {SERVING_FILE}. Default: ./artifacts if it has "
        "one, else the models that came with the installation.",
    ),
]


@contextmanager
def _readable_errors() -> Iterator[None]:
    """Report errors that a user can fix in one line on standard error, without a traceback."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except (_UsageError, ThresholdError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(_WRONG_USAGE) from error
    except (_InputError, _OutputError, ArtifactError, KernelError, ServingError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(_FAILED) from error
    except OSError as error:
        # Not for a pipe whose reader, such as `head`, has stopped reading.
        if not isinstance(error, BrokenPipeError):
            typer.echo(f"error: {error}", err=True)
        # At exit the interpreter flushes again; discard what could not be written.
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(_FAILED) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(_INTERRUPTED) from error


def _check_output() -> None:
    if sys.stdout is None:
        raise _OutputError("standard output is closed")


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"{_PROGRAM} {version('dandelion-text')}")
        raise typer.Exit


@app.callback()
def _program(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Handle the options of the program itself."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """What `models` lists about an artifact; metrics on the test fold, at its own threshold."""

    model: str
    variant: str
    version: str
    served: bool
    bytes: int
    labels: tuple[str, ...]
    threshold: float | None
    macro_f1: float | None
    mcc: float | None
    auroc: float | None


@app.command()
def models(
    artifacts: _Artifacts = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per line.")
    ] = False,
) -> None:
    """List the available models.

    The metrics are those on the test fold of the data set that the model was trained with, at its
    own threshold. On your texts they may be lower.
    """
    with _readable_errors():
        _check_output()
        directory = artifacts or default_artifacts()
        served = set(read(directory, {}).values())
        listed, damaged = [], []
        for path in sorted(file.parent for file in directory.glob(f"*/*/{MANIFEST_FILE}")):
            try:
                listed.append(_list(path, load_manifest(path), is_served=path in served))
            except ArtifactError as error:
                damaged.append(str(error))
        if as_json:
            for one in listed:
                typer.echo(json.dumps(asdict(one)))
        else:
            typer.echo(f"Artifacts: {directory.absolute()}\n")
            typer.echo(f"{_table(listed)}\n\n{_LEGEND}")
        if damaged:
            raise ArtifactError("; ".join(damaged))


def _list(path: Path, manifest: Manifest, *, is_served: bool) -> _Listed:
    threshold = "argmax" if manifest.threshold is None else "fitted"
    metrics = manifest.metrics.get("test", {}).get(threshold, {})
    return _Listed(
        manifest.model,
        manifest.variant,
        manifest.version,
        is_served,
        sum(file.stat().st_size for file in path.iterdir()),
        manifest.labels,
        manifest.threshold,
        metrics.get("macro_f1"),
        metrics.get("mcc"),
        metrics.get("auroc"),
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(listed: Sequence[_Listed]) -> str:
    """Lay out what is listed in columns as wide as they need to be."""
    rows: list[tuple[str, ...]] = [
        ("", "MODEL", "VARIANT", "LABELS", "SIZE", "MACRO-F1", "MCC", "AUROC")
    ]
    for one in listed:
        size, labels = f"{one.bytes / 1e6:.1f} MB", str(len(one.labels))
        metrics = map(_figure, (one.macro_f1, one.mcc, one.auroc))
        rows.append(("*" if one.served else "", one.model, one.variant, labels, size, *metrics))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 3 else cell.rjust(width)  # names left, figures right
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


@app.command()
def classify(  # noqa: PLR0913, PLR0917
    model: Annotated[str, typer.Argument(metavar="MODEL", help="See `dandelion models`.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Default: lines of standard input."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="NUMBER",
            help="Positive at score >= threshold. Default: the model's.",
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Variant of the model. Default: the one that is served."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per text.")
    ] = False,
    artifacts: _Artifacts = None,
) -> None:
    """Classify texts.

    Writes a line with label and score, separated by a tab, for each text, in their order.

    Without TEXT, standard input is read: one text per line, UTF-8, classified as it arrives, in
    constant memory. Other users of a machine can see the arguments of a command: pass private texts
    on standard input.
    """
    with _readable_errors():
        _check_output()
        chosen = read(artifacts or default_artifacts(), {model: variant} if variant else {})
        if model not in chosen:
            raise _UsageError(f"unknown model {model!r}. Available models: {', '.join(chosen)}")
        classifier = Classifier.load(chosen[model])
        classifier.decision.at(threshold)  # refuse a wrong threshold before reading anything
        batches = iter([_arguments(texts)]) if texts else _lines()
        for batch in batches:
            predictions = classifier.classify(batch, threshold)
            written = "".join(map(_as_json if as_json else _as_columns, predictions))
            sys.stdout.buffer.write(written.encode())
            sys.stdout.buffer.flush()


def _as_columns(prediction: Prediction) -> str:
    return f"{prediction.label}\t{prediction.score:.4f}\n"


def _as_json(prediction: Prediction) -> str:
    values: dict[str, object] = {"label": prediction.label, "score": prediction.score}
    if prediction.scores is not None:
        values["scores"] = prediction.scores
    return json.dumps(values, ensure_ascii=False) + "\n"


def _arguments(texts: Sequence[str]) -> Sequence[str]:
    """Return the texts of the command line.

    Raises:
        _InputError: one is not UTF-8 (Python decoded it to surrogates).
    """
    for number, text in enumerate(texts, start=1):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _InputError(
                f"TEXT {number}: not UTF-8, from character {error.start + 1}"
            ) from None
    return texts


def _lines() -> Iterator[list[str]]:
    """Yield the lines of standard input, as many at a time as are available.

    Raises:
        _InputError: a line is not UTF-8, or too long; the lines before it have been yielded.
    """
    if sys.stdin is None:
        raise _InputError("standard input is closed; pass texts as arguments")
    if sys.stdin.isatty():
        typer.echo("Type one text per line; Ctrl-D ends.", err=True)
    for lines in _complete_lines(sys.stdin.fileno()):
        texts = []
        for number, line in lines:
            try:
                texts.append(line.removesuffix(b"\r").decode())
            except UnicodeDecodeError as error:
                yield texts
                raise _InputError(
                    f"standard input, line {number}: not UTF-8, from byte {error.start + 1}"
                ) from None
        yield texts


def _complete_lines(descriptor: int) -> Iterator[list[tuple[int, bytes]]]:
    """Yield lines with their numbers."""
    rest = b""
    number = 1  # of the rest
    while piece := os.read(descriptor, _PIECE_BYTES):  # what is there, without waiting for more
        *lines, rest = (rest + piece).split(b"\n")
        if lines:
            yield list(enumerate(lines, number))
        number += len(lines)
        if len(rest) > _MAX_LINE_BYTES:
            raise _InputError(f"standard input, line {number}: longer than {_MAX_LINE_BYTES} bytes")
    if rest:
        yield [(number, rest)]


def _join(entry: EntryPoint) -> None:
    """Add a command of another package; everything after its name is left to it."""
    known = _JOINED.get(entry.name, _Joined(f"From {entry.module}."))
    passed_on = {
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": [],
    }

    @app.command(entry.name, help=known.help, context_settings=passed_on)
    def run(context: typer.Context) -> None:
        with _readable_errors():
            command = _load(entry, known.extra)
        raise typer.Exit(command(context.args, f"{_PROGRAM} {entry.name}"))


def _load(entry: EntryPoint, extra: str) -> Command:
    """Import a command.

    Raises:
        _UsageError: it needs a package that is not installed.
    """
    try:
        command: Command = entry.load()
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if "." in missing:  # part of a package that is there: an error of that package
            raise
        raise _UsageError(
            f"`{_PROGRAM} {entry.name}` needs {missing}, which is not installed. Install it: "
            f"{install_command(extra)}"
        ) from error
    return command


def main() -> None:
    """Run ``dandelion``."""
    for entry in entry_points(group=GROUP):
        _join(entry)
    app(prog_name=_PROGRAM)


if __name__ == "__main__":
    main()

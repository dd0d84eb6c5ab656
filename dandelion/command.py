"""The console command ``dandelion``.

`models` and `classify` are here. Commands of packages that this one must not import join through
entry points of the group `GROUP`: a command's name, and a callable ``(arguments, program) → exit
code``. A joined command is imported when it is run, not before: ``dandelion classify`` waits for no
web framework and needs no torch.
"""

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from .classifier import Classifier, Prediction
from .decision.rule import ThresholdError
from .engines.library import KernelError
from .installation import SERVING_FILE, default_artifacts, install_command
from .json_values import quoted
from .lines import LineError, read_lines
from .manifest import MANIFEST_FILE, ArtifactError, Manifest, check_model, load_manifest
from .serving import ServingError, read, variants

GROUP: Final = "dandelion.commands"
Command = Callable[[Sequence[str], str], int]

_PROGRAM: Final = "dandelion"
_FAILED: Final = 1
_WRONG_USAGE: Final = 2
_LEGEND: Final = (
    "* served. Metrics: the test fold of one split; other splits and other data give other figures."
)
_INTERRUPTED: Final = 130  # 128 + SIGINT, the convention of shells


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
        "unknown model, variant or option."
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
    except (
        _InputError,
        _OutputError,
        ArtifactError,
        KernelError,
        LineError,
        ServingError,
    ) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(_FAILED) from error
    except OSError as error:
        _report(error)
        raise typer.Exit(_FAILED) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(_INTERRUPTED) from error


def _report(error: OSError) -> None:
    """Report that the system refused something, most often to write."""
    # Not for a pipe whose reader, such as `head`, has stopped reading.
    if not isinstance(error, BrokenPipeError):
        typer.echo(f"error: {error}", err=True)
    # At exit the interpreter flushes again; discard what could not be written.
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    threshold_rule: Mapping[str, Any] | None
    by_source: Mapping[str, Any] | None


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
        served = {path: model for model, path in read(directory, {}).items()}
        listed, unusable = [], []
        for path in sorted(file.parent for file in directory.glob(f"*/*/{MANIFEST_FILE}")):
            try:
                manifest = load_manifest(path)
            except ArtifactError as error:
                unusable.append(str(error))
                continue
            is_served = path in served
            if is_served:
                try:
                    check_model(manifest, served[path], path)
                except ArtifactError as error:
                    unusable.append(str(error))
                    is_served = False
            listed.append(_list(path, manifest, is_served=is_served))
        if as_json:
            for one in listed:
                typer.echo(json.dumps(asdict(one)))
        else:
            typer.echo(f"Artifacts: {directory.absolute()}\n")
            typer.echo(f"{_table(listed)}\n\n{_LEGEND}")
        if unusable:
            raise ArtifactError("; ".join(unusable))


def _list(path: Path, manifest: Manifest, *, is_served: bool) -> _Listed:
    metrics = manifest.metrics.get("test", {}).get(manifest.default_cut, {})
    return _Listed(
        manifest.model,
        manifest.variant,
        manifest.version,
        is_served,
        sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
        manifest.labels,
        manifest.threshold,
        metrics.get("macro_f1"),
        metrics.get("mcc"),
        metrics.get("auroc"),
        manifest.threshold_rule,
        manifest.by_source,
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


# The numbers that JSON has: no digits of other scripts, no NaN.
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def _threshold(text: str) -> float:
    """Parse a threshold.

    Raises:
        BadParameter: it is not a number in [0, 1].
    """
    if not _NUMBER.fullmatch(text) or not 0 <= float(text) <= 1:
        raise typer.BadParameter(f"{quoted(text)} is not a number in [0, 1].")
    return float(text)


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
            parser=_threshold,
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

    Writes a line with label and score, separated by a tab, for each text, in their order. In a
    label, tabs, line breaks and backslashes are escaped: \\t, \\n, \\\\.

    Without TEXT, standard input is read: one text per line, UTF-8, classified as it arrives, in
    constant memory. Other users of a machine can see the arguments of a command: pass private texts
    on standard input.
    """
    with _readable_errors():
        _check_output()
        classifier = Classifier.load(_choose(artifacts or default_artifacts(), model, variant))
        classifier.decision.at(threshold)  # refuse a wrong threshold before reading anything
        batches = iter([_arguments(texts)]) if texts else _lines()
        for batch in batches:
            predictions = classifier.classify(batch, threshold)
            written = "".join(map(_as_json if as_json else _as_columns, predictions))
            sys.stdout.buffer.write(written.encode())
            sys.stdout.buffer.flush()


def _choose(artifacts: Path, model: str, variant: str | None) -> Path:
    """Return the directory of the artifact that the command line names.

    Raises:
        _UsageError: there is no such model or variant.
        ServingError: ``serving.toml``, which chooses the variant, is missing or invalid.
    """
    available = variants(artifacts, model)
    if variant is not None and available:
        if variant not in available:
            raise _UsageError(
                f"unknown variant {quoted(variant)} of {model}. Available variants: "
                f"{', '.join(available)}"
            )
        return artifacts / model / variant
    chosen = read(artifacts, {})
    if model not in chosen:
        hint = f"Available models: {', '.join(chosen)}"
        if available:
            hint = f"It is not served; choose one with --variant: {', '.join(available)}"
        raise _UsageError(f"unknown model {quoted(model)}. {hint}")
    return chosen[model]


def _as_columns(prediction: Prediction) -> str:
    return f"{_escaped(prediction.label)}\t{prediction.score:.4f}\n"


@lru_cache
def _escaped(label: str) -> str:
    """Escape what would end a column or a line, or control the terminal."""
    return re.sub(r"[\\\0-\x1f\x7f-\x9f\u2028\u2029]", lambda found: repr(found[0])[1:-1], label)


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
        _InputError: it is closed.
        LineError: a line is not UTF-8, or too long; the lines before it have been yielded.
    """
    if sys.stdin is None:
        raise _InputError("standard input is closed; pass texts as arguments")
    if sys.stdin.isatty():
        typer.echo("Type one text per line; Ctrl-D ends.", err=True)
    return read_lines(sys.stdin.fileno())


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
            command = _load(entry, known, context.args)
        raise typer.Exit(command(context.args, f"{_PROGRAM} {entry.name}"))


def _load(entry: EntryPoint, known: _Joined, arguments: Sequence[str]) -> Command:
    """Import a command.

    Raises:
        _UsageError: it needs a package that is not installed.
        Exit: the arguments ask for help, which is therefore short.
    """
    try:
        command: Command = entry.load()
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if "." in missing:  # part of a package that is there: an error of that package
            raise
        extra = f"the extra `{known.extra}`: " if known.extra else ""
        needs = (
            f"`{_PROGRAM} {entry.name}` needs {extra}{missing}, which is not installed. "
            f"Install it: {install_command(known.extra)}"
        )
        if "--help" in arguments:
            typer.echo(f"Usage: {_PROGRAM} {entry.name} [OPTIONS]\n\n{known.help}\n\n{needs}")
            raise typer.Exit from error
        raise _UsageError(needs) from error
    return command


def main() -> None:
    """Run ``dandelion``."""
    for entry in entry_points(group=GROUP):
        _join(entry)
    try:
        app(prog_name=_PROGRAM)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _report(error)  # for help, which is written outside every command
        sys.exit(_FAILED)


if __name__ == "__main__":
    main()

"""The console command ``dandelion``.

Its own commands are in `dandelion.commands`. Commands of packages that this one must not import
join through entry points of the group `GROUP`: a command's name, and a callable
``(arguments, program) → exit code``. A joined command is imported when it is run, not before:
``dandelion classify`` waits for no web framework and needs no torch.
"""

import errno
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Final, NamedTuple

import typer

from .commands import keys, policy
from .commands.classify import classify
from .commands.errors import FAILED, UsageError, readable_errors, report
from .commands.estimate_prior import estimate
from .commands.evaluate import evaluate_model
from .commands.models import models
from .commands.promote import promote
from .commands.sample import sample
from .commands.score import score
from .installation import install_command

GROUP: Final = "dandelion.commands"
Command = Callable[[Sequence[str], str], int]

_PROGRAM: Final = "dandelion"


class _Joined(NamedTuple):
    """What is known about a command before it is imported, and the extra that it needs."""

    help: str
    extra: str = ""


_JOINED: Final = {
    "serve": _Joined("Serve the models over HTTP."),
    "reload": _Joined("Make a running service load its models and policies again."),
    "rollback": _Joined("Make a running service go back to what it served before."),
    "train": _Joined(
        "Train a model, on the included data sets or on your labelled texts.", "training"
    ),
    "retrain": _Joined(
        "Train a served model again with feedback, and compare it with what is served.", "training"
    ),
}

app = typer.Typer(
    name=_PROGRAM,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain text, the same in a terminal, a pipe and a log
    pretty_exceptions_enable=False,
    help="Lightweight text classifiers for imbalanced data.",
    epilog=(
        "Exit codes: 0 success; 1 failure, such as a damaged artifact; 2 wrong usage, such as an "
        "unknown model, variant or option; 3 `estimate-prior` cannot estimate; 4 `promote` or "
        "`retrain`: a variant does not pass the gate; 5 `score` left out rows that it could not "
        "read; 130 and 143 interrupted."
    ),
)


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


app.command()(models)
app.command()(classify)
app.command()(score)
app.command()(sample)
app.command("evaluate")(evaluate_model)
app.command("estimate-prior")(estimate)
app.command()(promote)
app.add_typer(policy.app, name="policy")
app.add_typer(keys.app, name="keys")


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
        with readable_errors():
            command = _load(entry, known, context.args)
        raise typer.Exit(command(context.args, f"{_PROGRAM} {entry.name}"))


def _load(entry: EntryPoint, known: _Joined, arguments: Sequence[str]) -> Command:
    """Import a command.

    Raises:
        UsageError: it needs a package that is not installed.
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
        raise UsageError(needs) from error
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
        report(error)  # for help, which is written outside every command
        sys.exit(FAILED)


if __name__ == "__main__":
    main()

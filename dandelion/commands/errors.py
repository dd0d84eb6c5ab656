"""Errors of commands: one line on standard error and an exit code, never a traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from ..api_keys import KeysError
from ..bulk.errors import BulkError, RefusedError
from ..decision.operating_points import InfeasibleError, OperatingPointError
from ..decision.policy import PolicyError
from ..decision.rule import ThresholdError
from ..engines.library import KernelError
from ..labelled import EvaluationError
from ..lines import LineError
from ..manifest import ArtifactError
from ..policy_file import PolicyFileError
from ..promotion import PromotionError
from ..serving import ServingError
from ..tables import TableError

FAILED: Final = 1
WRONG_USAGE: Final = 2
GATE: Final = 4
"""A variant does not pass the gate of a promotion. 3 is of `estimate-prior`."""
_INTERRUPTED: Final = 130  # 128 + SIGINT, the convention of shells


class UsageError(Exception):
    """The command line names something that does not exist."""


class InputError(Exception):
    """A text cannot be read."""


class OutputError(Exception):
    """There is no standard output."""


@contextmanager
def readable_errors() -> Iterator[None]:
    """Report errors that a user can fix in one line on standard error, without a traceback."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except (UsageError, RefusedError, ThresholdError, OperatingPointError, PolicyError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(WRONG_USAGE) from error
    except (
        InputError,
        OutputError,
        ArtifactError,
        BulkError,
        EvaluationError,
        InfeasibleError,
        KernelError,
        KeysError,
        LineError,
        PolicyFileError,
        PromotionError,
        ServingError,
        TableError,
    ) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(FAILED) from error
    except OSError as error:
        report(error)
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(_INTERRUPTED) from error


def report(error: OSError) -> None:
    """Report that the system refused something, most often to write."""
    # Not for a pipe whose reader, such as `head`, has stopped reading.
    if not isinstance(error, BrokenPipeError):
        typer.echo(f"error: {error}", err=True)
    # At exit the interpreter flushes again; discard what could not be written.
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def check_output() -> None:
    """Check that there is a standard output.

    Raises:
        OutputError: it is closed.
    """
    if sys.stdout is None:
        raise OutputError("standard output is closed")

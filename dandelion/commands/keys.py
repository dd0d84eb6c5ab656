"""``dandelion keys``: make the API keys of the service."""

from pathlib import Path
from typing import Annotated

import typer

from .. import api_keys
from ..api_keys import MAX_TEXTS_PER_SECOND, Access, ApiKey
from .errors import UsageError, check_output, readable_errors

app = typer.Typer(
    no_args_is_help=True,
    help="Create the API keys that a service requires, see docs/guide/access.md.",
)


@app.callback()
def _commands() -> None:
    """Keep `new` a command: typer would put a single one in the place of the group."""


@app.command("new")
def new(
    name: Annotated[
        str,
        typer.Argument(
            help="Its name in logs, metrics and records: 1 to 64 of a to z, 0 to 9, _ and -."
        ),
    ],
    scope: Annotated[
        list[Access], typer.Option(help="What the key allows. Repeatable.", show_default=False)
    ],
    texts_per_second: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_TEXTS_PER_SECOND,
            help="Texts per second that the key may have classified; unlimited by default.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Add the line to this file, which is created if it does not exist; by default "
            "the line goes to standard error."
        ),
    ] = None,
) -> None:
    """Create a key and write it to standard output, once: it is stored nowhere.

    The service needs only a line with the key's digest, in the file that DANDELION_KEYS_FILE names.
    A lost key cannot be recovered; create a new one.
    """
    with readable_errors():
        check_output()
        if not api_keys.is_name(name):
            raise UsageError("NAME: expected 1 to 64 of the characters a to z, 0 to 9, _ and -")
        key = api_keys.generate()
        digests = (api_keys.digest(key.encode()),)
        stored = ApiKey(name, frozenset(scope), digests, texts_per_second)
        if file is not None:
            api_keys.append(file, stored)
        typer.echo(key)
        if file is None:
            typer.echo(f"# For DANDELION_KEYS_FILE:\n{api_keys.to_line(stored)}", err=True)
        else:
            typer.echo(f"Added {name!r} to {file}. Reload the service.", err=True)

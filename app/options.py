"""The options of the command line, one for each field of `Settings`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

from .settings import Settings, bounds, is_secret, option, variable

_METAVARS: Final[dict[Any, str]] = {
    int: "INTEGER",
    float: "NUMBER",
    str: "TEXT",
    Path | str: "DIRECTORY|ADDRESS",
    Path | None: "FILE",
}


def parse(arguments: Sequence[str] | None, program: str) -> dict[str, Any]:
    """Return the settings that a command line gives, by field, to be checked by `settings.load`.

    Args:
        arguments: of the command line; None for this process's.
        program: the name of the command, for help and errors.

    Raises:
        SystemExit: after help (0), or an error that has been written (2).
    """
    parser = argparse.ArgumentParser(
        program,
        usage="%(prog)s [OPTIONS]",
        description="Serve the models over HTTP. Each option overrides an environment variable: "
        f"{option('port')} overrides {variable('port')}.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for name, field in Settings.model_fields.items():
        if is_secret(name):
            continue  # other users of the machine see command lines
        default = field.get_default(call_default_factory=True)
        text = f"{field.description}"
        if field.default_factory is None and default not in (None, ""):
            text = f"{text} Default: {default}."
        if limits := bounds(name):
            text = f"{text} From {limits}."
        text = text.replace("%", "%%")
        if field.annotation is bool:
            parser.add_argument(option(name), action=argparse.BooleanOptionalAction, help=text)
        elif isinstance(default, dict):
            example = f"{option(name)} spam=mse"
            text = f"{field.description} Repeatable.".replace(
                f"{variable(name, 'spam')}=mse", example
            )
            parser.add_argument(option(name), action="append", metavar="MODEL=VARIANT", help=text)
        else:
            metavar = _METAVARS.get(field.annotation) or "|".join(get_args(field.annotation))
            if name.endswith("_dir"):
                metavar = "DIRECTORY"
            parser.add_argument(option(name), metavar=metavar, help=text)
    given = vars(parser.parse_args(arguments))
    if "models" in given:
        pairs = [pair.partition("=") for pair in given["models"]]
        if wrong := [model for model, equals, _ in pairs if not equals]:
            parser.error(f"{option('models')} {wrong[0]}: expected MODEL=VARIANT")
        given["models"] = {model: chosen for model, _, chosen in pairs}
    return given

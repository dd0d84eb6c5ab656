"""The page of the commands: made of the commands' own options.

Each ``<!-- generated: commands dandelion -->`` gives place to the commands of one program, and
``<!-- generated: exit codes -->`` to the exit codes in the help of ``dandelion``.
"""

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from app import settings

ROOT: Final = Path(__file__).parent.parent.parent
_PLACE: Final = re.compile(r"^<!-- generated: commands (.+) -->$", re.MULTILINE)
_EXIT_CODES: Final = "<!-- generated: exit codes -->"
_PROGRAMS: Final = {
    "dandelion": "dandelion.command",
    "python -m training": "training.cli",
    "python -m study": "study.cli",
}


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the commands in their places."""
    if _EXIT_CODES in markdown:
        markdown = markdown.replace(_EXIT_CODES, exit_codes())
    return _PLACE.sub(lambda place: page(place[1]), markdown)


def exit_codes() -> str:
    """Return the exit codes in the help of ``dandelion`` as a table."""
    epilog = " ".join((_group("dandelion.command").epilog or "").split())
    codes = re.findall(r"\b(\d+) (.+?)(?=; \d+ |\.(?: |$))", epilog.partition("Exit codes: ")[2])
    rows = [f"| {code} | {_cell(meaning)} |" for code, meaning in codes]
    return "\n".join(["| code | means |", "|---|---|", *rows])


def page(program: str) -> str:
    """Return the Markdown of a program's commands."""
    group = _group(_PROGRAMS[program])
    parts = [_described(f"{program} {name}", one) for name, one in _commands(group, "")]
    if program == "dandelion":
        parts += [_joined(name, target) for name, target in joined().items()]
    return "\n\n".join(sorted(parts))


def joined() -> dict[str, str]:
    """Return the commands that other packages add to ``dandelion``, by name."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    found: dict[str, str] = project["entry-points"]["dandelion.commands"]
    return found


def _group(module: str) -> Any:
    return typer.main.get_command(importlib.import_module(module).app)


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield each command with its name, those of groups in groups, too."""
    for name, command in group.commands.items():
        if getattr(command, "commands", None):
            yield from _commands(command, f"{prefix}{name} ")
        elif not command.hidden:
            yield f"{prefix}{name}", command


def _joined(name: str, target: str) -> str:
    title = f"dandelion {name}"
    if name == "serve":
        return "\n".join(_serve(title))
    own = _group("training.cli").commands.get(name)
    if target.startswith("dandelion_training.") and own:
        return _described(title, own)
    done = subprocess.run(  # noqa: S603 - the commands of this project
        [sys.executable, "-c", _HELP, target.replace("dandelion_app.", "app."), title],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return f"### `{title}`\n\n```text\n{done.stdout.strip()}\n```"


_HELP: Final = (
    "import importlib, sys; module, _, name = sys.argv[1].partition(':'); "
    "getattr(importlib.import_module(module.replace('dandelion_training', 'training')), name)"
    "(['--help'], sys.argv[2])"
)


def _serve(title: str) -> Iterator[str]:
    """Each setting is an option, but for secrets: other users of a machine see command lines."""
    yield f"### `{title}`\n"
    yield "Serve the models over HTTP. Each option overrides the variable next to it.\n"
    yield "| option | variable | meaning |\n|---|---|---|"
    for name, field in settings.Settings.model_fields.items():
        if not settings.is_secret(name):
            names = f"`{settings.option(name)}` | `{settings.variable(name)}`"
            yield f"| {names} | {_cell(field.description or '')} |"


def _described(title: str, command: Any) -> str:
    context = typer.Context(command, info_name=title)
    records = [one.get_help_record(context) for one in command.params]
    lines = [f"### `{title}`\n", _prose(command.help), ""]
    if any(records):
        lines += ["| option | meaning |", "|---|---|"]
    for names, text in filter(None, records):
        lines.append(f"| `{_cell(names)}` | {_cell(text)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str | None) -> str:
    """Return help as Markdown: paragraphs, with the code's double backticks as single ones."""
    paragraphs = (text or "").replace("\b", "").split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs).replace("``", "`")

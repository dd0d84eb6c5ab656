"""Edits of ``serving.toml`` that keep its comments, its order and its line ends.

Lines are edited, not the parsed file, for no TOML writer of the base installation keeps comments.
What comes of it is parsed again and must be exactly what was meant; otherwise nothing is changed,
and the error shows what to write by hand.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from .json_values import quoted
from .serving import ServingError

Value = str | float | None

# A line with one key and one value: everything up to the value, the value, what follows it.
_LINE: Final = re.compile(
    r"""(?P<key>\s*(?:[\w-]+|"[^"\\]*"|'[^']*')\s*=\s*)"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^\s#"'\[{][^\s#]*)"""
    r"""(?P<rest>\s*(?:\#.*)?)$"""
)


def edited(data: bytes, path: Path, model: str, changes: Mapping[str, Value]) -> bytes:
    """Return the content of ``serving.toml`` with other values in a model's table.

    A model's line under ``[models]`` becomes a table if it needs more than a variant.

    Args:
        data: the present content, valid.
        path: of the file, for errors.
        model: whose table is changed.
        changes: key → its new value; None to remove it.

    Raises:
        ServingError: the model is not in the file, or the file is written in a form that is not
            edited here; the message has the lines to write.
    """
    text = data.decode()
    before = tomllib.loads(text)
    if model not in before.get("models", {}):
        raise ServingError(f"{path}: has no model {quoted(model)}; add it under [models] first")
    wanted = _changed(before, model, changes)
    for edit in (_edit_table, _edit_line):
        lines = edit(text.splitlines(keepends=True), model, changes)
        if lines is None:
            continue
        found = "".join(lines)
        if _parsed(found) == wanted:
            return found.encode()
    raise ServingError(
        f"{path}: the choice of {model} is written in a form that is not edited automatically; "
        f"write it as: {_as_table(model, wanted['models'][model])}"
    )


def _changed(values: dict[str, Any], model: str, changes: Mapping[str, Value]) -> dict[str, Any]:
    """Return what the file must say afterwards."""
    wanted = deepcopy(values)
    table = wanted["models"][model]
    if isinstance(table, str):
        table = {"variant": table}
    table |= {key: value for key, value in changes.items() if value is not None}
    for key, value in changes.items():
        if value is None:
            table.pop(key, None)
    wanted["models"][model] = table
    return wanted


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _header(line: str) -> Sequence[str] | None:
    """Return the names of a table that begins on a line; None if none does."""
    if not line.lstrip().startswith("["):
        return None
    found: Any = _parsed(line)
    names = []
    while isinstance(found, dict) and len(found) == 1:
        ((name, found),) = found.items()
        names.append(name)
    return names


def _section(lines: Sequence[str], *names: str) -> range | None:
    """Return the numbers of the lines below the header of a table, without further headers."""
    start = None
    for number, line in enumerate(lines):
        header = _header(line)
        if header is None:
            continue
        if start is not None:
            return range(start, number)
        if list(header) == list(names):
            start = number + 1
    return None if start is None else range(start, len(lines))


def _key(line: str) -> str | None:
    """Return the key of a line that is a whole assignment; None for other lines."""
    found = _parsed(line)
    return next(iter(found)) if found and len(found) == 1 and _header(line) is None else None


def _edit_table(lines: list[str], model: str, changes: Mapping[str, Value]) -> list[str] | None:
    """Edit the lines of the table ``[models.MODEL]``; None if there is none."""
    section = _section(lines, "models", model)
    if section is None:
        return None
    at = {key: number for number in section if (key := _key(lines[number])) is not None}
    after = at.get("variant", section.start - 1)
    added = []
    for key, value in changes.items():
        if key not in at:
            if value is not None:
                added.append(f"{_indentation(lines[after])}{key} = {_toml(value)}{_end(lines)}")
        elif value is None:
            lines[at[key]] = ""
        else:
            lines[at[key]] = _with_value(lines[at[key]], value)
    lines[after] = _ended(lines, after)
    return [*lines[: after + 1], *added, *lines[after + 1 :]]


def _edit_line(lines: list[str], model: str, changes: Mapping[str, Value]) -> list[str] | None:
    """Replace the line of a model under ``[models]`` by a table; None if there is no such line."""
    section = _section(lines, "models")
    if section is None:
        return None
    keys = [number for number in section if _key(lines[number]) is not None]
    own = [number for number in keys if _key(lines[number]) == model]
    if not own:
        return None
    (number,) = own
    match = _LINE.match(lines[number].rstrip("\r\n"))
    if match is None:
        return None
    end = _end(lines)
    kept = {key: value for key, value in changes.items() if value is not None}
    variant = kept.pop("variant", tomllib.loads(lines[number])[model])
    table = [
        f"{end}[models.{_toml_key(model)}]{end}",
        f"variant = {_toml(variant)}{match['rest']}{end}",
        *(f"{key} = {_toml(value)}{end}" for key, value in kept.items()),
    ]
    last = keys[-1]
    lines[last] = _ended(lines, last)
    found = [*lines[: last + 1], *table, *lines[last + 1 :]]
    del found[number]
    return found


def _with_value(line: str, value: Value) -> str:
    content = line.rstrip("\r\n")
    match = _LINE.match(content)
    if match is None:  # the result is not what is meant, which is reported
        return line
    return f"{match['key']}{_toml(value)}{match['rest']}{line[len(content) :]}"


def _ended(lines: Sequence[str], number: int) -> str:
    """Return a line with its end, which the last one of a file may lack."""
    line = lines[number]
    return line if line.endswith("\n") else f"{line}{_end(lines)}"


def _end(lines: Sequence[str]) -> str:
    return "\r\n" if any(line.endswith("\r\n") for line in lines) else "\n"


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _toml(value: Value) -> str:
    # A JSON string without surrogates is a TOML basic string, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)


def _as_table(model: str, table: Mapping[str, Any]) -> str:
    values = [f"{key} = {_toml(value)}" for key, value in table.items() if _is_plain(value)]
    return "; ".join([f"[models.{_toml_key(model)}]", *values])


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)

"""How far an output has come: written after the bytes it speaks of, so that it never runs ahead."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..json_values import ANYTHING, COUNT, OBJECT, is_a, loads, record
from .errors import RefusedError

_COUNTS: Final = ("offset", "line", "data_bytes", "error_bytes", "rows", "broken")
_check: Final = record(
    {
        "made_of": OBJECT,
        "is_done": is_a("a boolean", lambda value: isinstance(value, bool)),
        **dict.fromkeys(_COUNTS, COUNT),
    },
    ANYTHING,
)


class Aside(NamedTuple):
    """The files next to an output until it is complete.

    Attributes:
        part: the output, or the scores of Parquet.
        errors: the side file.
        made: the output, if that is not what is appended to.
        state: how far it has come.
    """

    part: Path
    errors: Path
    made: Path
    state: Path


def aside(output: Path) -> Aside:
    """Return the paths of the files next to an output."""
    part = f"{output.name}.part"
    return Aside(
        output.with_name(part),
        output.with_name(f"{part}.errors"),
        output.with_name(f"{part}.made"),
        output.with_name(f"{part}.state"),
    )


@dataclass(frozen=True, slots=True)
class State:
    """What is complete.

    Attributes:
        made_of: everything that the output depends on, as JSON.
        offset: of the next row in the unpacked input; in Parquet, the number of units.
        line: of the next row.
        data_bytes: of the output, or of the scores of Parquet.
        error_bytes: of the side file.
        rows: that were scored.
        broken: rows that were left out.
        is_done: whether nothing is left but to rename the files.
    """

    made_of: Mapping[str, Any]
    offset: int = 0
    line: int = 1
    data_bytes: int = 0
    error_bytes: int = 0
    rows: int = 0
    broken: int = 0
    is_done: bool = False

    def write(self, path: Path) -> None:
        """Write it; another process finds it whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        new = path.with_name(f"{path.name}.new")  # a fixed name: an interruption leaves one
        new.write_text(json.dumps(asdict(self)), encoding="utf-8")
        new.replace(path)

    def check_same(self, made_of: Mapping[str, Any], name: str) -> None:
        """Check that an output is still to be made of the same.

        Raises:
            RefusedError: it is not; the message names what has changed.
        """
        changed = [
            key
            for key in sorted({*made_of, *self.made_of})
            if made_of.get(key) != self.made_of.get(key)
        ]
        if changed:
            raise RefusedError(
                f"{name}: changed since the interrupted run: {', '.join(changed)}. Start again "
                "without --resume"
            )


def read_state(path: Path) -> State | None:
    """Read how far an output has come; None if it was not begun.

    Raises:
        RefusedError: the file is damaged.
        OSError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        values = loads(data)
        _check(values, "the state")
        return State(**values)
    except (ValueError, TypeError) as error:
        raise RefusedError(f"{path}: damaged: {error}. Start again without --resume") from None

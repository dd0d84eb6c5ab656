"""Instruction counts of marked pieces of a program, by ``valgrind --tool=callgrind``.

The program under callgrind brackets each piece of work with `Marks`; callgrind counts only between
the two marks and writes one file per piece.
"""

import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from .machine import ROOT

PROGRAMS: Final = ("valgrind", "cc")

_MARKS: Final = """\
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(const char *name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""

# What callgrind writes about a piece: its name, the number of calls, their instructions.
_DUMP: Final = re.compile(
    r"^desc: Trigger: Client Request: (.*) / (\d+)$.*?^summary: (\d+)$", re.MULTILINE | re.DOTALL
)


class CountError(Exception):
    """Nothing could be counted; the message says what is missing."""


class Marks:
    """The marks around counted work, set by the program that runs under callgrind."""

    def __init__(self, directory: Path) -> None:
        """Load the marks of the directory that `count` was given."""
        self._library = ctypes.CDLL(str(directory / "marks.so"))

    def begin(self) -> None:
        """Start counting, from 0."""
        self._library.begin()

    def end(self, name: str, calls: int) -> None:
        """Stop counting, and write the instructions of ``calls`` calls of the named work."""
        self._library.end(f"{name} / {calls}".encode())

    def count(self, name: str, calls: int, work: Callable[[], object]) -> None:
        """Count calls, after as many that fill caches and specialise Python's bytecode."""
        for _ in range(calls):
            work()
        self.begin()
        for _ in range(calls):
            work()
        self.end(name, calls)


def count(
    command: Sequence[str | Path], directory: Path, environment: Mapping[str, str]
) -> dict[str, int]:
    """Run a program under callgrind.

    Args:
        command: the program; it sets `Marks`.
        directory: an empty one, for the marks and callgrind's files.
        environment: of the program.

    Returns:
        Name of a piece of work → instructions of one call.

    Raises:
        CountError: valgrind or a C compiler is missing, or the program fails.
    """
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise CountError(
                f"{program}: not found; on Debian: apt-get install valgrind gcc libc6-dev"
            )
    (directory / "marks.c").write_text(_MARKS)
    run(["cc", "-O2", "-shared", "-fPIC", "-o", directory / "marks.so", directory / "marks.c"])
    run(
        [
            *("valgrind", "--tool=callgrind", "--instr-atstart=no"),
            f"--callgrind-out-file={directory / 'dump'}",
            *command,
        ],
        environment,
    )
    return _read_dumps(directory)


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """Run a program in the root of the repository and return what it writes.

    Raises:
        CountError: it fails.
    """
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CountError(f"{command[0]} failed: {done.stderr[-4000:]}")
    return done.stdout


def _read_dumps(directory: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in sorted(directory.glob("dump.*"), key=lambda path: int(path.suffix[1:])):
        ((name, calls, instructions),) = _DUMP.findall(path.read_text(encoding="utf-8"))
        found[name] = round(int(instructions) / int(calls))
    return found

"""A regression check without a clock: instructions of featuriser, forward pass and route.

A time measured on a shared machine cannot fail a change; a count of instructions can. Each engine
runs in a process of its own under callgrind, which counts only the repeated work: neither Python's
start nor loading a model is part of it. An increase of a quarter over the accepted figure fails::

    python -m benchmarks.instructions            # compares with instructions.json
    python -m benchmarks.instructions --accept   # writes it
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from . import callgrind
from .callgrind import CountError
from .engines import ENGINES
from .machine import environment_without_settings

ACCEPTED: Final = Path(__file__).with_suffix(".json")
# As a share of the accepted figure: a new compiler or a new release of a library changes less.
TOLERANCE: Final = 0.25


@dataclass(frozen=True)
class Counts:
    """Instruction counts, and the conditions they were counted under.

    Attributes:
        conditions: what changes the figures without any change of ours: versions, processor.
        instructions: name of a piece of work → instructions of doing it once.
    """

    conditions: dict[str, str]
    instructions: dict[str, int]


def main(arguments: list[str] | None = None) -> int:
    """Compare with the accepted figures, or accept the new ones; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions")
    parser.add_argument("--accept", action="store_true", help=f"write {ACCEPTED.name}")
    accept = parser.parse_args(arguments).accept
    try:
        found = count()
    except CountError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if accept:
        ACCEPTED.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
        sys.stdout.write(f"accepted: {ACCEPTED}\n")
        return 0
    accepted = Counts(**json.loads(ACCEPTED.read_text(encoding="utf-8")))
    sys.stdout.write(table(accepted, found))
    errors = increases(accepted, found)
    sys.stdout.write("\n".join([*differences(accepted, found), *errors, ""]))
    return 1 if errors else 0


def increases(accepted: Counts, found: Counts) -> list[str]:
    """Return an error for each piece of work that costs a quarter more, or is not in both."""
    errors = []
    for name in accepted.instructions | found.instructions:
        before, now = accepted.instructions.get(name), found.instructions.get(name)
        if before is None or now is None:
            errors.append(f"{name}: {'not accepted yet' if before is None else 'not counted'}")
        elif now >= before * (1 + TOLERANCE):
            errors.append(
                f"{name}: {now:,} instructions, {now / before - 1:+.0%} over the accepted "
                f"{before:,}; less than {TOLERANCE:+.0%} is allowed"
            )
    if errors:
        errors.append(
            "Make it cheaper; or, if it is worth the cost, accept it and give the reason in the "
            "commit: make instructions ACCEPT=1"
        )
    return errors


def differences(accepted: Counts, found: Counts) -> list[str]:
    """Return the conditions that differ from the accepted ones: they may explain a change."""
    there, here = accepted.conditions, found.conditions
    return [
        f"accepted with another {name}: {there.get(name)}; now: {here.get(name)}"
        for name in there | here
        if there.get(name) != here.get(name)
    ]


def table(accepted: Counts, found: Counts) -> str:
    """Return a table of each piece of work: accepted and new figure, and the change."""
    lines = [f"{'instructions':<36}{'accepted':>14}{'found':>14}{'change':>8}"]
    for name, now in found.instructions.items():
        before = accepted.instructions.get(name)
        change = "new" if before is None else f"{now / before - 1:+.1%}"
        lines.append(f"{name:<36}{before or 0:>14,}{now:>14,}{change:>8}")
    return "\n".join(lines) + "\n"


def count() -> Counts:
    """Count every piece of work, each engine in a process of its own.

    Raises:
        CountError: a program is missing, or the work fails.
    """
    conditions: dict[str, str] = {}
    instructions: dict[str, int] = {}
    environment = environment_without_settings()
    environment |= {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            program = (sys.executable, "-m", "benchmarks.counted_work", engine, name)
            instructions |= callgrind.count(program, directory, environment)
            conditions |= json.loads((directory / "conditions.json").read_text())
    compiler = callgrind.run(["cc", "--version"]).partition("\n")[0]
    return Counts({"C compiler": compiler} | conditions, instructions)


if __name__ == "__main__":
    sys.exit(main())

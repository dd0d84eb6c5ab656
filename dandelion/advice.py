"""What an error advises, by installation: a source checkout has a Makefile, a wheel has none."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Advice:
    """Commands and phrases that complete an error message.

    Attributes:
        train: the command that trains artifacts.
        restore: how to get a file of an artifact back, a clause without a period.
        build_engine: the command that builds the compiled engine.
    """

    train: str
    restore: str
    build_engine: str


def advice_for(root: Path) -> Advice:
    """Return the advice for an installation.

    Args:
        root: the directory that contains the package: a checkout, or ``site-packages``.
    """
    if (root / "Makefile").is_file():
        train = "make train-all"
        return Advice(
            train,
            restore=f"Restore it (git checkout), or train the artifact again: {train}",
            build_engine=pip_install("--editable", str(root)),
        )
    train = "dandelion train"
    return Advice(
        train,
        restore=(
            "Restore it from a copy (reinstall dandelion-text if it came with it), "
            f"or train the artifact again: {train}"
        ),
        build_engine=pip_install(
            "--force-reinstall", "--no-deps", "--no-binary=dandelion-text", "dandelion-text"
        ),
    )


def pip_install(*arguments: str) -> str:
    """Return the command that installs something where this interpreter finds it."""
    return shlex.join([sys.executable, "-m", "pip", "install", *arguments])


ADVICE: Final = advice_for(Path(__file__).parents[1])

"""What is installed with Dandelion, and how to add to it."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SERVING_FILE: Final = "serving.toml"

_PACKAGE: Final = Path(__file__).parent
_LOCAL: Final = Path("artifacts")


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


def advice_for(package: Path) -> Advice:
    """Return the advice for an installation: a checkout has a Makefile, a wheel has none.

    Args:
        package: the directory of the package `dandelion`.
    """
    if _is_checkout(package):
        train = "make train-all"
        return Advice(
            train,
            restore=f"Restore it (git checkout), or train the artifact again: {train}",
            build_engine=install_command(package=package),
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


def default_artifacts(package: Path = _PACKAGE) -> Path:
    """Return the default directory of artifacts.

    The first of these that has a ``serving.toml``: ``./artifacts``, the artifacts in the wheel, the
    checkout's artifacts; else ``./artifacts``.

    Args:
        package: the directory of the package `dandelion`.
    """
    # `_artifacts` is put into wheels by hatch_build.py.
    for directory in (_LOCAL, package / "_artifacts", package.parent / _LOCAL):
        if (directory / SERVING_FILE).is_file():
            return directory
    return _LOCAL


def install_command(extra: str = "", package: Path = _PACKAGE) -> str:
    """Return the command that installs Dandelion into this environment, with an extra.

    Args:
        extra: such as ``training``; none by default.
        package: the directory of the package `dandelion`.
    """
    extras = f"[{extra}]" if extra else ""
    if _is_checkout(package):
        return pip_install("--editable", f"{package.parent}{extras}")
    return pip_install(f"dandelion-text{extras}")


def pip_install(*arguments: str) -> str:
    """Return the command that installs something where this interpreter finds it."""
    return shlex.join([sys.executable, "-m", "pip", "install", *arguments])


def _is_checkout(package: Path) -> bool:
    return (package.parent / "Makefile").is_file()


ADVICE: Final = advice_for(_PACKAGE)

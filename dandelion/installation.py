"""What this installation brought with it, and how to add to it."""

import shlex
import sys
from pathlib import Path
from typing import Final

from .serving import SERVING_FILE

_PACKAGE: Final = Path(__file__).parent
_LOCAL: Final = Path("artifacts")


def default_artifacts(package: Path = _PACKAGE) -> Path:
    """Return the directory of artifacts for whoever sets none.

    It is the first with a ``serving.toml`` of ``./artifacts``, of the artifacts that the wheel
    brought, and of the checkout's in an editable install; ``./artifacts`` if none has one.

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
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    if (package.parent / "pyproject.toml").is_file():
        return f"{pip} --editable {shlex.quote(f'{package.parent}{extras}')}"
    return f"{pip} {shlex.quote(f'dandelion-text{extras}')}"

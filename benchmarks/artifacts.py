"""The artifacts of the repository, and which of them are served."""

from functools import cache
from pathlib import Path
from typing import Final

from dandelion import serving

from .machine import ROOT

HOME: Final = ROOT / "artifacts"


@cache
def served() -> dict[str, Path]:
    """Return model → artifact of the default variant, the one in ``serving.toml``."""
    return serving.read(HOME, {})

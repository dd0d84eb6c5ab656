"""Classifiers by engine: the NumPy one, and the compiled one where there is one."""

from pathlib import Path
from typing import Final

from dandelion import Classifier

NUMPY: Final = "numpy"
COMPILED: Final = "compiled"


def load(path: Path) -> dict[str, Classifier]:
    """Load an artifact once for each engine of this machine, the one of the service last."""
    served = Classifier.load(path)
    return {NUMPY: Classifier.load(path, NUMPY)} | {served.engine: served}

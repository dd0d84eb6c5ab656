"""A classifier with each engine: NumPy, and the compiled one where it is available."""

from pathlib import Path
from typing import Final

from dandelion import Classifier
from dandelion.engines.choice import Engine

NUMPY: Final = "numpy"
COMPILED: Final = "compiled"
ENGINES: Final[tuple[Engine, ...]] = (COMPILED, NUMPY)


def load(path: Path) -> dict[str, Classifier]:
    """Load an artifact with every available engine; last, the one that the service uses."""
    served = Classifier.load(path)
    return {NUMPY: Classifier.load(path, NUMPY)} | {served.engine: served}

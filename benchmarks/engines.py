"""Classifiers by engine: the NumPy one, and the compiled one where there is one."""

import inspect
from pathlib import Path
from typing import Any, Final

from dandelion import Classifier

NUMPY: Final = "numpy"
COMPILED: Final = "compiled"


def load(path: Path) -> dict[str, Classifier]:
    """Load an artifact once for each engine of this machine, the one of the service last."""
    found = {NUMPY: _load(path, NUMPY)}
    shipped = _load(path, "auto")
    return found | {engine_of(shipped): shipped}


def engine_of(classifier: Classifier) -> str:
    """Name the engine that runs."""
    return str(getattr(classifier, "engine", NUMPY))


def _load(path: Path, engine: str) -> Classifier:
    known = "engine" in inspect.signature(Classifier.load).parameters
    options: dict[str, Any] = {"engine": engine} if known else {}
    return Classifier.load(path, **options)

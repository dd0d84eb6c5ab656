"""Dandelion's offline half: data sets in, trained artifacts and reports out."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .estimator import DandelionClassifier

__all__ = ["DandelionClassifier"]


def __getattr__(name: str) -> Any:
    # When it is asked for: the commands import this package, and the estimator imports torch.
    if name in __all__:
        return getattr(import_module(f"{__name__}.estimator"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

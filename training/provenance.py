"""What decides the numbers of a fit, apart from its configuration and its data."""

import platform
from collections.abc import Collection
from importlib import metadata
from typing import Final

from . import cache

_PACKAGE: Final = __name__.rpartition(".")[0]
_LIBRARIES: Final = ("numpy", "safetensors", "scikit-learn", "torch")

# Of what a fit imports, these do not decide its numbers.
WITHOUT_NUMBERS: Final = frozenset(
    {
        "dandelion",  # re-exports
        "dandelion.classifier",  # fits take from it how long batches are cut, worth 1e-6 of a score
        "dandelion.engines.compiled",  # fits use NumPy's engine
        "dandelion.engines.library",
        "dandelion.installation",  # part of messages
        "dandelion.serving",  # names the variants in messages
        "dandelion.tables",  # texts and labels are in the key
        "dandelion.tables.decoding",
        "dandelion.tables.delimited",
        "dandelion.tables.formats",
        "dandelion.tables.reading",
        "dandelion.tables.table",
        *(
            f"{_PACKAGE}.{name}"
            for name in (
                "cache",
                "configuration",  # its values and features are in the key
                "configuration_tables",
                "data.datasets",  # so are texts, labels, origins and weights
                "data.length",
                "data.readers",
                "data.source_files",
                "data.sources",
                "data.templates",
                "data.templates.generation",
                "errors",
                "parallel",
            )
        ),
    }
)


def library_versions() -> dict[str, str]:
    """Return the versions of what the numbers of a fit depend on."""
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version()} | versions


def watched_modules(module: str, *, without: Collection[str] = ()) -> tuple[str, ...]:
    """Return the modules whose code decides the numbers of what a module computes.

    Args:
        module: its full name.
        without: modules that it imports, directly or not, and that decide nothing in it.
    """
    return cache.imported_by(module, without=WITHOUT_NUMBERS | frozenset(without))

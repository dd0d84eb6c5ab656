"""Parquet, if the extra that it needs is installed."""

import importlib
from typing import Any

from ..installation import install_command
from .errors import RefusedError


def parquet_module() -> Any:
    """Return the module `dandelion.bulk.parquet`.

    Raises:
        RefusedError: pyarrow is not installed.
    """
    try:
        return importlib.import_module(f"{__package__}.parquet")
    except ModuleNotFoundError as error:
        raise RefusedError(
            f"Parquet needs the extra `parquet`, which is not installed. Install it: "
            f"{install_command('parquet')}"
        ) from error

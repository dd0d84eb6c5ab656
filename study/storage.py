"""The JSON files of ``docs/results/``, read into the dataclasses of `study.schema` and written."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from training.cache import write_atomically
from training.errors import TrainingError

T = TypeVar("T")


class StorageError(TrainingError):
    """A stored JSON file, or a page to be changed, is missing or not of the expected form."""


def read(kind: type[T], path: Path) -> T:
    """Read a JSON file into its dataclass.

    Args:
        kind: a dataclass of `study.schema`.
        path: of the file.

    Raises:
        StorageError: the file is missing, lacks a key, or a value has the wrong type.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except FileNotFoundError:
        raise StorageError(f"{path}: no such file") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StorageError(f"{path}: {place}: {first['msg']}") from None


def write(stored: Any, path: Path) -> None:
    """Write a dataclass of `study.schema` as JSON."""
    write_atomically(path, (json.dumps(asdict(stored), indent=1) + "\n").encode())

"""``serving.toml``: which variant of each model is served.

The file is in the directory of the artifacts, next to a directory for each model::

    artifacts/
        serving.toml            [models]
                                spam = "dice-wide"
        spam/dice-wide/         an artifact, see `dandelion.artifact`
"""

import codecs
import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .files import read_bounded
from .installation import ADVICE, SERVING_FILE
from .json_values import quoted
from .manifest import MANIFEST_FILE, is_name

_MAX_BYTES: Final = 2**20


class ServingError(Exception):
    """``serving.toml`` is missing or invalid, or names a variant that does not exist."""


def read(artifacts: Path, overrides: Mapping[str, str]) -> dict[str, Path]:
    """Return the artifact that serves each model.

    Args:
        artifacts: the directory that contains ``serving.toml``.
        overrides: model → variant; takes precedence over the file.

    Returns:
        Model → directory of its artifact, sorted by model.

    Raises:
        ServingError: the file is missing or invalid, names a variant that does not exist, or no
            model is chosen at all.
    """
    path = artifacts / SERVING_FILE
    chosen = _models(path) | dict(overrides)
    if not chosen:
        raise ServingError(f"{path}: no model is chosen. Add one under [models]: spam = 'dice'")
    for model, variant in chosen.items():
        available = variants(artifacts, model)
        if variant in available:
            continue
        if available:
            problem = f"{artifacts / model} has no such variant; {_near(variant, available)}"
        else:
            problem = f"{artifacts} has no such model; {_near(model, _names(artifacts))}"
        raise ServingError(
            f"{_shown(model)} = {quoted(variant)} is chosen (by {path}, --models or "
            f"DANDELION_MODELS), but {problem}. Choose another, or train it: {ADVICE.train}"
        )
    return {model: artifacts / model / chosen[model] for model in sorted(chosen)}


def variants(artifacts: Path, model: str) -> list[str]:
    """Return the names of a model's artifacts, sorted; none if the model does not exist."""
    if not is_name(model):  # not looked for: it may lead out of the directory, or be too long
        return []
    return sorted(
        path.parent.name
        for path in (artifacts / model).glob(f"*/{MANIFEST_FILE}")
        if is_name(path.parent.name)
    )


def _names(artifacts: Path) -> list[str]:
    """Return the names of the models that have an artifact, sorted."""
    found = {path.parent.parent.name for path in artifacts.glob(f"*/*/{MANIFEST_FILE}")}
    return sorted(filter(is_name, found))


def _near(name: str, available: list[str]) -> str:
    """Return the name that was probably meant, and those that exist."""
    near = difflib.get_close_matches(name, available, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}available: {', '.join(available) or 'none'}"


def _models(path: Path) -> dict[str, str]:
    """Read which variant serves each model.

    Raises:
        ServingError: the file is missing or invalid.
    """
    try:
        data = read_bounded(path, _MAX_BYTES)
    except OSError as error:
        raise ServingError(
            f"{path}: cannot be read ({error.strerror}). "
            "Choose the directory that contains it with --artifacts or DANDELION_ARTIFACTS."
        ) from error
    if data.startswith(codecs.BOM_UTF8):
        raise ServingError(f"{path}: begins with a byte order mark. Save it as UTF-8 without one.")
    try:
        values = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ServingError(f"{path}: not UTF-8, from byte {error.start + 1}") from error
    except (ValueError, RecursionError) as error:
        raise ServingError(f"{path}: invalid TOML: {error}") from error
    return _check_models(path, values)


def _check_models(path: Path, values: Mapping[str, Any]) -> dict[str, str]:
    models = values.get("models", {})
    if set(values) - {"models"} or not isinstance(models, dict):
        raise ServingError(f"{path}: expected one table, [models], with lines: spam = 'dice'")
    for model, variant in models.items():
        if not isinstance(variant, str):
            raise ServingError(
                f"{path}: {_shown(model)} = {quoted(variant)}; expected the name of a variant "
                "in quotes"
            )
    return models


def _shown(model: str) -> str:
    return model if is_name(model) else quoted(model)

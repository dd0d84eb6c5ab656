"""``serving.toml``: which variant of each model is served.

The file is in the directory of the artifacts, next to a directory for each model::

    artifacts/
        serving.toml            [models]
                                spam = "dice-wide"
        spam/dice-wide/         an artifact, see `dandelion.artifact`
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .installation import ADVICE, SERVING_FILE
from .manifest import MANIFEST_FILE


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
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ServingError(
            f"{path}: cannot be read ({error.strerror}). "
            "Choose the directory that contains it with --artifacts or DANDELION_ARTIFACTS."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ServingError(f"{path}: invalid TOML: {error}") from error
    chosen = _models(path, values) | dict(overrides)
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
            f"{model} = {variant!r} is chosen (by {path}, --models or DANDELION_MODELS), but "
            f"{problem}. Choose another, or train it: {ADVICE.train}"
        )
    return {model: artifacts / model / chosen[model] for model in sorted(chosen)}


def variants(artifacts: Path, model: str) -> list[str]:
    """Return the names of a model's artifacts, sorted; none if the model does not exist."""
    return sorted(path.parent.name for path in (artifacts / model).glob(f"*/{MANIFEST_FILE}"))


def _names(artifacts: Path) -> list[str]:
    """Return the names of the models that have an artifact, sorted."""
    return sorted({path.parent.parent.name for path in artifacts.glob(f"*/*/{MANIFEST_FILE}")})


def _near(name: str, available: list[str]) -> str:
    """Return the name that was probably meant, and those that exist."""
    near = difflib.get_close_matches(name, available, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}available: {', '.join(available) or 'none'}"


def _models(path: Path, values: Mapping[str, Any]) -> dict[str, str]:
    models = values.get("models", {})
    if set(values) - {"models"} or not isinstance(models, dict):
        raise ServingError(f"{path}: expected one table, [models], with lines: spam = 'dice'")
    for model, variant in models.items():
        if not isinstance(variant, str):
            raise ServingError(
                f"{path}: {model} = {variant!r}; expected the name of a variant in quotes"
            )
    return models

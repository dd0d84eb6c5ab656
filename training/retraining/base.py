"""What the served version was trained and measured on, read again."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from dandelion.manifest import Manifest

from .. import configuration
from ..configuration import Configuration
from ..data import sources
from ..data.datasets import Dataset
from ..data.splits import Split
from ..errors import ConfigurationError
from ..evaluation import RETRAINED, read_folds

# What `experiment.describe` adds to a configuration, and what is not of the recipe.
_ADDED: Final = frozenset({"embeddings", RETRAINED})
_DATED: Final = re.compile(r"-\d{4}-\d{2}-\d{2}(?:-\d+)?$")


def configuration_of(manifest: Manifest, variant: str) -> tuple[Configuration, tuple[str, ...]]:
    """Return the recipe of an artifact under another name, and what had to change in it.

    Raises:
        ConfigurationError: it is not one that this version of training reads.
    """
    values = {name: value for name, value in manifest.config.items() if name not in _ADDED}
    place = f"{manifest.model}/{manifest.variant}"
    config = configuration.parse({**values, "variant": variant, "shipped": True}, place)
    if not config.types_weight:
        return config, ()
    note = (
        "The served version also learnt finer labels, which feedback does not have; the new one "
        "was trained without them."
    )
    return config.model_copy(update={"types_weight": 0.0}), (note,)


def base_name(variant: str) -> str:
    """Return the name of a variant without the date of a retraining.

    Example:
        >>> base_name("dice-wide-2026-03-01-2")
        'dice-wide'
    """
    return _DATED.sub("", variant)


def read_base(manifest: Manifest, custom: Dataset | None) -> tuple[Dataset, Split]:
    """Return the data set that an artifact was first trained on, and its folds.

    Feedback of earlier retrainings is not among them.

    Args:
        manifest: of the artifact.
        custom: the user's own data, if the model was trained on such.

    Raises:
        TrainingError: they are missing, or other ones; the message says what is needed.
    """
    record = manifest.config.get(RETRAINED)
    if isinstance(record, Mapping):
        base: Mapping[str, Any] = record["base"]
        config = {name: value for name, value in manifest.config.items() if name != RETRAINED}
        split = {"sha256": base["split"]}
        manifest = replace(manifest, dataset=base["dataset"], split=split, config=config)
    if custom is None and manifest.model not in sources.models():
        raise ConfigurationError(
            f"{manifest.model} was trained on your own data, which is needed to train it again: "
            f"give it with --data, and the options that it was trained with. {needed(manifest)}"
        )
    if custom is not None and manifest.model in sources.models():
        raise ConfigurationError(
            f"{manifest.model} is a built-in model, whose data is downloaded: leave out --data"
        )
    return read_folds(manifest, custom)


def needed(manifest: Manifest) -> str:
    """Return which data an artifact was trained on, a sentence."""
    dataset = manifest.dataset
    found: Sequence[Mapping[str, Any]] = dataset.get("sources", [dataset])
    files = ", ".join(
        f"{one['name']} ({one['rows']:,} rows, SHA-256 {one['sha256'][:12]}…)" for one in found
    )
    return f"It was: {files}."

"""The folds that an artifact was trained and measured on, read again."""

from typing import Final

from dandelion.manifest import Manifest

from . import configuration
from .data import sources
from .data.datasets import Dataset
from .data.splits import Protocol, Split, split
from .errors import DatasetError
from .quality.metrics import Labels, Metrics, majority

RETRAINED: Final = "retrained"
"""The entry of a manifest's configuration that says what was retrained, and with what."""


def read_test_fold(
    manifest: Manifest, dataset: Dataset | None = None
) -> tuple[tuple[str, ...], Labels]:
    """Return the texts and labels that an artifact's test metrics were computed on.

    Args:
        manifest: of the artifact.
        dataset: custom data that it was trained on; by default the data set of its model.

    Raises:
        TrainingError: the data set is missing, or is not the one that the artifact was trained on.
    """
    dataset, folds = read_folds(manifest, dataset)
    return dataset.take(folds.test)


def majority_metrics(manifest: Manifest, dataset: Dataset | None = None) -> Metrics:
    """Return the metrics of the majority class on an artifact's test fold, see `read_test_fold`.

    Raises:
        TrainingError: the data set is missing, or is not the one that the artifact was trained on.
    """
    dataset, folds = read_folds(manifest, dataset)
    train, test = dataset.labels[folds.train], dataset.labels[folds.test]
    return majority(train, test, len(dataset.label_names))


def _texts_of(manifest: Manifest) -> Dataset:
    """Read the sources that an artifact was trained on.

    Raises:
        TrainingError: they are missing, or the manifest does not describe them.
    """
    values = {name: manifest.config.get(name) for name in ("sources", "match_length")}
    described = {name: value for name, value in values.items() if value is not None}
    recipe = {"model": manifest.model, "variant": manifest.variant, "loss": manifest.loss}
    config = configuration.parse(recipe | described, f"{manifest.model}/{manifest.variant}")
    return sources.dataset_of(config.model, config.sources, match_length=config.match_length)


def read_folds(manifest: Manifest, dataset: Dataset | None = None) -> tuple[Dataset, Split]:
    """Return the data set that an artifact was trained on and its folds, see `read_test_fold`.

    Raises:
        TrainingError: the data set is missing, or is not the one that the artifact was trained on.
    """
    if RETRAINED in manifest.config:
        raise DatasetError(
            f"{manifest.model}/{manifest.variant}: was retrained with feedback, so its folds are "
            "those of an earlier version and of the feedback; how it compares is in VERDICT.md"
        )
    if dataset is None:
        dataset = _texts_of(manifest)
    if manifest.protocol not in set(Protocol):
        raise DatasetError(
            f"{manifest.model}/{manifest.variant}: its protocol is {manifest.protocol!r}; expected "
            f"one of {', '.join(Protocol)}, as training writes it"
        )
    folds = split(dataset, Protocol(manifest.protocol), manifest.seed)
    for what, found, expected in (
        ("data set", dataset.sha256, manifest.dataset.get("sha256")),
        ("split", folds.sha256(), manifest.split.get("sha256")),
    ):
        if found != expected:
            raise DatasetError(
                f"{manifest.model}/{manifest.variant}: its {what} has SHA-256 {expected}, but the "
                f"one here {found}, so its test fold may contain texts that it was trained on. "
                "Restore the file (and scikit-learn's version), or train the artifact again."
            )
    return dataset, folds

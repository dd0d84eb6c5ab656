"""``reference.json``: of how many words the texts of an artifact's test fold consist."""

from pathlib import Path

from dandelion import Classifier
from dandelion.manifest import Manifest
from dandelion.reference_file import ContentCounts, word_counts, write

from .data.datasets import Dataset
from .data.near_copies import groups
from .evaluation import read_folds
from .evidence import independent
from .out_of_fold import origins_of
from .quality.metrics import Labels


def write_reference(
    manifest: Manifest, directory: Path, dataset: Dataset | None = None
) -> Path | None:
    """Write the counts of an artifact's test fold; of one without collected texts, nothing.

    Args:
        manifest: of the artifact.
        directory: of the artifact.
        dataset: custom data that it was trained on; by default the data set of its model.

    Raises:
        TrainingError: the data set is missing, or is not the one that the artifact was trained on.
        ArtifactError: the artifact cannot be used.
        OSError: the file cannot be written.
    """
    dataset, folds = read_folds(manifest, dataset)
    return write_counts(manifest, directory, dataset, folds.test)


def write_counts(
    manifest: Manifest, directory: Path, dataset: Dataset, test: Labels
) -> Path | None:
    """Write the counts of a test fold, see `write_reference`.

    Args:
        manifest: of the artifact.
        directory: of the artifact.
        dataset: that it was trained on.
        test: int64, the rows of the test fold.

    Raises:
        ArtifactError: the artifact cannot be used.
        OSError: the file cannot be written.
    """
    rows = test[independent(dataset, test, groups(dataset))]
    if not len(rows):
        return None
    texts, labels = dataset.take(rows)
    origins, names = origins_of(dataset)
    counts = ContentCounts.of(
        word_counts(Classifier.load(directory), texts),
        labels,
        [names[origin] for origin in origins[rows].tolist()],
        len(manifest.labels),
    )
    return write(counts, directory, manifest)

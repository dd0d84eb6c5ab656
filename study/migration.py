"""The tables of docs/guide/migration-0.7.md, from two releases' artifacts."""

from pathlib import Path
from typing import Final

from dandelion.manifest import MANIFEST_FILE, load_manifest
from training.tables import RESULTS

from .pages import migration
from .schema.thresholds import Thresholds
from .storage import read

PAGE: Final = Path("docs/guide/migration-0.7.md")
BEFORE: Final = "thresholds-0.6.json"


def tables(artifacts: Path, results: Path = RESULTS) -> str:
    """Return the tables on the artifacts of a directory.

    Raises:
        StorageError: the older release's thresholds are missing.
        ArtifactError: an artifact is damaged.
    """
    manifests = [
        load_manifest(file.parent) for file in sorted(artifacts.glob(f"*/*/{MANIFEST_FILE}"))
    ]
    return migration.tables(read(Thresholds, results / BEFORE), manifests)


def write(artifacts: Path, page: Path = PAGE, results: Path = RESULTS) -> Path:
    """Write the tables into the page, and return its path.

    Raises:
        StorageError: the marks of the page or the older release's thresholds are missing.
        ArtifactError: an artifact is damaged.
    """
    migration.update(page, tables(artifacts, results))
    return page

"""Model cards: each served artifact gets ``MODEL_CARD.md`` and ``evaluation.json``.

They lie next to the artifact's files, outside its content hash.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from dandelion import artifact as artifacts
from dandelion import serving
from dandelion.evaluation_file import CARD_FILE, EVALUATION_FILE
from dandelion.manifest import to_json
from training import builtin_card
from training.cache import write_atomically
from training.tables import RESULTS

from . import rendering
from .evaluation import Studies, evaluation_of
from .pages import card
from .schema.decisions import CalibrationReport, Decisions
from .schema.results import Results
from .schema.robustness import Robustness
from .schema.transfer import Transfer
from .storage import read

T = TypeVar("T")


def write(directory: Path, results: Path = RESULTS) -> list[Path]:
    """Write the card and the evaluation of every served variant that says what it is for.

    Args:
        directory: of the artifacts, with ``serving.toml``.
        results: directory of the stored studies; any of them may be missing.

    Returns:
        The files that were written.

    Raises:
        ServingError: there is no usable ``serving.toml``.
        ArtifactError: an artifact is damaged.
        StorageError: a stored study is of another form.
    """
    studies = stored(results)
    written = []
    for place in serving.read(directory, {}).values():
        artifact = artifacts.load(place)
        if not builtin_card.has_card(artifact.manifest):
            continue
        evaluation = evaluation_of(artifact, studies)
        contents = {
            EVALUATION_FILE: to_json(asdict(evaluation)),
            CARD_FILE: card.page(evaluation, artifact.manifest).encode(),
        }
        for name, data in contents.items():
            write_atomically(place / name, data)
            written.append(place / name)
    return written


def stored(results: Path) -> Studies:
    """Read the studies that are there.

    Raises:
        StorageError: one is of another form.
    """

    def found(kind: type[T], file: str) -> T | None:
        path = results / file
        return read(kind, path) if path.exists() else None

    return Studies(
        found(Results, rendering.RESULTS_FILE),
        found(Transfer, rendering.TRANSFER_FILE),
        found(Robustness, rendering.ROBUSTNESS_FILE),
        found(Decisions, rendering.DECISIONS_FILE),
        found(CalibrationReport, rendering.CALIBRATION_FILE),
    )

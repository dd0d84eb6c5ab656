"""What is compared: anything that scores raw texts, with a threshold.

Ours is an artifact with its threshold. A baseline gets the same help: the same training texts and
weights, the same changed copies, read with `dandelion.text.tokenizer.clean`, and a threshold by the
same rule, fitted on validation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import sklearn
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dandelion import Classifier, artifact
from dandelion.classifier import chunks
from dandelion.decision import operating_points
from dandelion.decision.threshold import LimitError, fit_threshold
from dandelion.engines.choice import NumPyScorer
from dandelion.manifest import Manifest
from dandelion.text.tokenizer import clean, to_nfkc
from training.cache import code, directory, key
from training.configuration import MACRO_F1, Augmentation
from training.data.datasets import Dataset
from training.data.splits import Split
from training.out_of_fold import origins_of
from training.penalties import limited_threshold, limits_of

from .. import baselines
from ..baselines import BASELINES
from ..baselines.copies import with_copies

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


def without_reading(directory: Path, threshold: float) -> Scorer:
    """Return an artifact whose texts are normalized to NFKC and not read otherwise.

    Its network learned from texts as `dandelion.text.tokenizer.clean` reads them: the ablation is
    of the reading in scoring alone.

    Args:
        directory: of the artifact.
        threshold: a text is flagged from this score on.
    """
    stored = artifact.load(directory)
    manifest = stored.manifest
    engine = NumPyScorer(
        stored.vocabulary,
        manifest.wide_features,
        stored.network,
        manifest.text_windows,
        calibration=manifest.score_map,
        is_binary=True,
        read=to_nfkc,
    )

    def scores(texts: Sequence[str]) -> NDArray[np.floating]:
        return np.concatenate([engine.infer(engine.encode(piece)) for piece in chunks(texts)])

    name = f"{manifest.variant} without the reading"
    return Scorer(name, "without reading", scores, threshold)


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
    stored = manifest.config.get("augmentation")
    copies = None if stored is None else Augmentation.model_validate(stored)
    learned, train = with_copies(dataset, folds.train, copies)
    weights = None if learned.weights is None else learned.weights[train]
    # The reading is part of what is fitted.
    modules = (baselines.models.__name__, clean.__module__, "dandelion.text.folding")
    decided_by = (
        name,
        manifest.seed,
        learned.content_sha256,
        None if weights is None else weights.tobytes(),
        folds.sha256(),
        sklearn.__version__,
        code(*modules),
    )
    path = directory("robustness", key(*decided_by)) / "baseline.model"
    baseline = BASELINES[name]
    with threadpool_limits(1):
        if path.exists():
            fitted = baseline.load(path)
        else:
            texts, labels = learned.take(train)
            fitted, _ = baseline.fit(tuple(map(clean, texts)), labels, manifest.seed, weights)
            _keep(fitted, path)

    def scores(texts: Sequence[str]) -> NDArray[np.floating]:
        with threadpool_limits(1):
            return fitted.scores([clean(text) for text in texts])

    texts, _ = dataset.take(folds.validation)
    threshold = _threshold(manifest, dataset, folds.validation, scores(texts))
    return Scorer(name, "baseline", scores, threshold)


def _threshold(
    manifest: Manifest, dataset: Dataset, rows: NDArray[np.int64], scores: NDArray[np.floating]
) -> float:
    """Fit a threshold on rows of the data set, within the limits of an artifact.

    It meets them on these texts, where the artifact's promises them.
    """
    labels = dataset.labels[rows]
    origins, names = origins_of(dataset)
    origins = origins[rows]
    point = operating_points.parse(manifest.operating_point or MACRO_F1)
    harmless = [names[one] for one in np.unique(origins[labels == 0]).tolist()]
    limits = limits_of(point, manifest.config.get("groups", {}), harmless)
    try:
        return limited_threshold(limits, labels, origins, names, scores)
    except LimitError:  # as in transfer: nothing positive is found within the limits
        return fit_threshold(labels, scores)[0]


def _keep(fitted: baselines.Fitted, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    fitted.save(temporary)
    temporary.replace(path)

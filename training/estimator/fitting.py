"""From texts and a configuration to an artifact, by the parts of an experiment.

An experiment splits its data set and measures a test fold. An estimator learns from all that it is
given, because whoever uses it has split already; it holds out a part only to stop early.
"""

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import torch
from joblib import Parallel, delayed

from dandelion.artifact import Artifact, Golden
from dandelion.text.tokenizer import tokenize

from .. import learning
from ..configuration import Configuration
from ..data.datasets import Dataset
from ..data.folds import hold_out
from ..data.near_copies import groups
from ..data.splits import Protocol, Split, strata
from ..decisions import Decided, decide
from ..experiment import GOLDEN_TEXTS, Judged, Prepared, Run, describe, judge_network
from ..fitting.batches import Fold
from ..fitting.trainer import Fit
from ..learning import Encoded, Learned
from ..model import bags, vocabulary
from ..model.embeddings import WordVectors
from ..out_of_fold import OutOfFold, fit_fold, fold_fits, out_of_fold
from ..preconditions import require_fitting_loss, require_one_draw, require_possible_point
from ..quality.judgement import Judgement
from ..quality.metrics import Labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..calibration import CalibrationRecord

PROTOCOL: Final = "none"
"""What an artifact's manifest has as its ``protocol``: no test fold was held out."""

HALF: Final = 0.5
"""The threshold of a fit that chooses none."""

RANDOM: Final = "random"
"""Word vectors that are drawn at random, instead of read from a file."""

_RANDOM_DEVIATION: Final = 0.69  # of a number in the vectors of GloVe's 20,000 most frequent words
_MEASURED_TEXTS: Final = 1000

# Torch has one random generator and one number of threads for the whole process.
_fitting = threading.Lock()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How texts are learnt, apart from the configuration.

    Attributes:
        embeddings: `RANDOM`, None for the pip package's GloVe, or a file of word vectors.
        validation_fraction: what is held out with ``restore = "best"``.
        seed: of everything that is drawn.
        jobs: folds that are fitted at once, as joblib counts them.
    """

    embeddings: str | Path | None
    validation_fraction: float
    seed: int
    jobs: int | None

    @property
    def glove(self) -> Path | None:
        """The file of word vectors."""
        return self.embeddings if isinstance(self.embeddings, Path) else None


@dataclass(frozen=True, slots=True)
class Fitted:
    """An artifact, and how its network was fitted."""

    artifact: Artifact
    fit: Fit


def fit(config: Configuration, dataset: Dataset, recipe: Recipe) -> Fitted:
    """Fit a network on texts; equal arguments give an equal artifact on one machine.

    Raises:
        TrainingError: the loss is for another number of classes, a class has too few texts, the
            operating point is infeasible, word vectors are missing, or the fit diverged.
        ValueError: a class has too few texts to hold out a part of them.
    """
    require_fitting_loss(config, dataset)
    require_one_draw(config, dataset)
    everything = np.arange(len(dataset.texts))
    found, final, train = None, config, everything
    if config.folded:
        require_possible_point(config, dataset, everything)
        found = _out_of_fold(config, dataset, recipe)
        final = config.model_copy(update={"epochs": found.median_epochs, "restore": "last"})
    held_out = everything[:0]
    if final.restore == "best":
        is_held_out = _held_out(dataset, recipe)
        train, held_out = everything[~is_held_out], everything[is_held_out]
    measured = held_out if len(held_out) else _some(dataset.labels)
    with _fitting, torch.random.fork_rng(devices=[]):
        encoded = _encode(final, dataset, train, measured, recipe)
        learned = learning.fit_encoded(final, dataset, encoded, seed=recipe.seed)
    run = Run(config, Protocol.GROUPED, recipe.seed, read_test=False, dataset=dataset)
    split = Split(train, held_out, everything[:0])
    prepared = Prepared(dataset, split, final, encoded, found)
    return Fitted(_artifact(run, prepared, learned), learned.fit)


def _out_of_fold(config: Configuration, dataset: Dataset, recipe: Recipe) -> OutOfFold:
    rows, near_copies = np.arange(len(dataset.texts)), groups(dataset)
    fits = fold_fits(config, dataset, rows, near_copies, seed=recipe.seed, glove=recipe.glove)
    missing = [one for one in fits if not one.path().exists()]
    with _fitting, torch.random.fork_rng(devices=[]):
        # In processes, also inside of a search: the random generator of torch is one per process.
        Parallel(n_jobs=recipe.jobs, backend="loky")(delayed(fit_fold)(one) for one in missing)
    return out_of_fold(config, dataset, rows, near_copies, seed=recipe.seed, glove=recipe.glove)


def _held_out(dataset: Dataset, recipe: Recipe) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Choose rows to stop early by, bool[n]: whole groups of near copies, if classes have enough.

    Raises:
        ValueError: a class has a single text.
    """
    kinds, every = strata(dataset), len(dataset.label_names)
    for numbers in (groups(dataset), np.arange(len(dataset.texts))):
        chosen = hold_out(kinds, numbers, share=recipe.validation_fraction, seed=recipe.seed)
        sides = (dataset.labels[chosen], dataset.labels[~chosen])
        if all(len(np.unique(side)) == every for side in sides):
            return chosen
    raise ValueError(
        f"a class has too few texts to hold out {recipe.validation_fraction:g} of them for early "
        'stopping; add texts, or set restore="last"'
    )


def _some(labels: Labels) -> Labels:
    """Choose rows of every class whose curves are measured, int64[m], ascending."""
    per_class = max(1, _MEASURED_TEXTS // (int(labels.max()) + 1))
    chosen = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        chosen.append(rows[np.linspace(0, len(rows) - 1, min(len(rows), per_class)).astype(int)])
    return np.sort(np.concatenate(chosen))


def _encode(
    config: Configuration, dataset: Dataset, train: Labels, measured: Labels, recipe: Recipe
) -> Encoded:
    if recipe.embeddings != RANDOM:
        return learning.encode(config, dataset, train, measured, glove=recipe.glove)
    tokens = [tokenize(text) for text in dataset.texts]
    learnt = [tokens[row] for row in train.tolist()]
    vectors = _random_vectors({token for text in learnt for token in text}, config, recipe.seed)
    words, embedding = vocabulary.build(
        learnt, vectors, config.model_copy(update={"extra_words": 0})
    )
    features = None if config.wide is None else config.wide.features()
    counted = None if features is None else bags.count(dataset.texts, features)

    def fold(rows: Labels) -> Fold:
        return Fold(
            words.look_up([tokens[row] for row in rows.tolist()]),
            dataset.labels[rows],
            None if counted is None else counted.take(rows),
            weights=None if dataset.weights is None else dataset.weights[rows],
        )

    return Encoded(words, embedding, RANDOM, features, fold(train), fold(measured))


def _random_vectors(words: set[str], config: Configuration, seed: int) -> WordVectors:
    rng = np.random.default_rng(seed)
    shape = (max(1, len(words)), config.dimensions)  # of no vector there is no average
    vectors = rng.normal(0, _RANDOM_DEVIATION, shape).astype(np.float32)
    return WordVectors(RANDOM, tuple(sorted(words)), vectors)


def _artifact(run: Run, prepared: Prepared, learned: Learned) -> Artifact:
    dataset, found = prepared.dataset, prepared.out_of_fold
    changes: Mapping[str, Any] = {"protocol": PROTOCOL}
    if found is None:
        # Of what is fitted after a network, nothing is: there are no texts for it.
        decided = Decided(learned, cast("CalibrationRecord", None), None)
        is_binary = dataset.task == "binary"
        judged = Judged(
            Judgement(HALF if is_binary else None, {}, collapsed=False), None, None, None
        )
        if is_binary:
            rule = {"criterion": "fixed", "fitted_on": "nothing"}
            changes = {**changes, "threshold_rule": rule, "operating_point": None}
    else:
        nothing = prepared.split.test
        decided = decide(run.config, learned, dataset, nothing, found, groups(dataset))
        judged = judge_network(run, prepared, decided)
    manifest = replace(describe(run, prepared, decided, judged), **changes)
    golden = Golden(GOLDEN_TEXTS, tuple(decided.learned.scores(GOLDEN_TEXTS).tolist()))
    evidence = None if decided.choice is None else decided.choice.evidence
    return Artifact(manifest, decided.learned.vocabulary, decided.learned.network, golden, evidence)

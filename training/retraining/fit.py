"""The fit of a retrained variant: its recipe on the base data and feedback, in the base's folds.

`experiment.train` splits a data set anew. Here the folds are given, so that the new version is
measured on the texts that the served one was measured on, and neither has learnt from them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dandelion import artifact as artifacts
from dandelion.artifact import Artifact, Golden
from dandelion.manifest import Manifest

from ..data.near_copies import groups
from ..data.splits import Protocol
from ..decisions import decide
from ..evaluation import RETRAINED
from ..experiment import GOLDEN_TEXTS, Prepared, Run, describe, judge_network
from ..fitting.trainer import Epoch
from ..learning import encode, fit_encoded
from ..out_of_fold import carry_out, fold_fits, out_of_fold
from ..preconditions import require_fitting_loss, require_one_draw, require_possible_point
from ..quality.metrics import Labels
from ..reference import write_counts
from .parts import Extended

# Below that, a process for each fold takes longer to start than the fold.
_FEW_TEXTS = 20_000


@dataclass(frozen=True, slots=True)
class Fit:
    """What to fit.

    Attributes:
        run: the recipe, seed and protocol; its data set is the extended one.
        extended: data and folds.
        record: what the manifest says of the retraining.
    """

    run: Run
    extended: Extended
    record: Mapping[str, Any]


def fit(job: Fit, directory: Path, say: Callable[[str], None]) -> Manifest:
    """Fit a variant, and write its artifact with its reference.

    Args:
        job: what to fit.
        directory: of the artifact.
        say: is called with lines about the progress.

    Raises:
        TrainingError: word vectors or the recipe are missing or wrong, or a fit diverged.
    """
    run, dataset, folds = job.run, job.extended.dataset, job.extended.split
    near_copies = _near_copies(job)
    prepared = _prepare(job, near_copies, say)

    def on_epoch(number: int, epoch: Epoch) -> None:
        del epoch
        say(f"epoch {number} of {prepared.config.epochs}")

    learned = fit_encoded(
        prepared.config, dataset, prepared.encoded, seed=run.seed, on_epoch=on_epoch
    )
    decided = decide(
        run.config, learned, dataset, folds.validation, prepared.out_of_fold, near_copies
    )
    manifest = describe(run, prepared, decided, judge_network(run, prepared, decided))
    manifest = replace(manifest, config={**manifest.config, RETRAINED: dict(job.record)})
    golden = Golden(GOLDEN_TEXTS, tuple(decided.learned.scores(GOLDEN_TEXTS).tolist()))
    evidence = None if decided.choice is None else decided.choice.evidence
    learned = decided.learned
    artifact = Artifact(manifest, learned.vocabulary, learned.network, golden, evidence)
    manifest = artifacts.save(artifact, directory)
    write_counts(manifest, directory, dataset, folds.test)
    return manifest


def _near_copies(job: Fit) -> Labels:
    """Number what must stay in one fold, int64[n]."""
    dataset = job.extended.dataset
    if job.run.protocol is Protocol.PAPER:
        return np.arange(len(dataset.texts))
    return groups(dataset)


def _prepare(job: Fit, near_copies: Labels, say: Callable[[str], None]) -> Prepared:
    """Encode the texts, and find the out-of-fold logits if the recipe asks for them."""
    run, dataset, folds = job.run, job.extended.dataset, job.extended.split
    config, seed, glove = run.config, run.seed, run.glove
    require_fitting_loss(config, dataset)
    require_one_draw(config, dataset)
    found, rows = None, folds.train
    if config.folded:
        rows = np.sort(np.concatenate([folds.train, folds.validation]))
        require_possible_point(config, dataset, rows)
        fits = fold_fits(config, dataset, rows, near_copies, seed=seed, glove=glove)
        say(f"fitting {len(fits)} folds first")
        carry_out(fits, workers=1 if len(dataset.texts) < _FEW_TEXTS else None)
        found = out_of_fold(config, dataset, rows, near_copies, seed=seed, glove=glove)
        config = config.model_copy(update={"epochs": found.median_epochs, "restore": "last"})
    encoded = encode(config, dataset, rows, folds.validation, glove=glove)
    return Prepared(dataset, folds, config, encoded, found)

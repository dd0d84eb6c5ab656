"""Every measurement of robustness, for the variants asked for."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from sklearn.metrics import roc_auc_score

from dandelion import Classifier, serving
from dandelion.manifest import load_manifest
from training.destination import ARTIFACTS
from training.errors import ConfigurationError
from training.evaluation import read_folds
from training.parallel import run_parallel

from .. import rendering, storage
from ..schema.robustness import (
    CorpusRecord,
    Robustness,
    RobustVariant,
    ScorerFigures,
    Sentence,
    SentenceScore,
)
from . import corpora, evasion, identity, lengths
from .scorers import COMPARED, Scorer, fitted_baselines, ours, without_reading

SEED: Final = 0
PIECES: Final = 400
"""Harmless texts of each corpus and length."""
PLAIN: Final = "mse"
"""The plain network that stands next to the served one, where a model has it."""
SPAM: Final = "spam"
"""The model whose positive class is not abuse."""

_SENTENCES: Final = Path(__file__).with_name("sentences.toml")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        share: of the largest numbers of texts.
        baselines: that are compared.
    """

    share: float = 1.0
    baselines: tuple[str, ...] = COMPARED


QUICK: Final = Scale(0.1, ())


@dataclass(frozen=True, slots=True)
class Job:
    """One artifact to measure."""

    directory: Path
    served: bool
    scale: Scale


def write(
    directory: Path,
    model: str | None = None,
    variant: str | None = None,
    *,
    artifacts: Path = ARTIFACTS,
    scale: Scale | None = None,
) -> None:
    """Measure variants; write ``robustness.json`` and ``robustness.md``.

    Args:
        directory: where to. What it holds of other variants stays, if variants are chosen.
        model: whose variants; by default every served one of two labels.
        variant: the only one of the model; by default what serves it, and the plain one.
        artifacts: directory of the artifacts.
        scale: how much is measured; by default everything.

    Raises:
        TrainingError: a data set or a corpus is missing, or there is no such variant.
        ArtifactError: an artifact is missing or damaged.
    """
    jobs = [
        Job(path, served, scale or Scale())
        for path, served in choose(artifacts, model, variant).items()
    ]
    for corpus in corpora.CORPORA:
        corpora.fetch(corpus)  # once, before several processes need it
    found = run_parallel(measure, jobs, "Robustness", lambda job: _name(job.directory))
    path = directory / rendering.ROBUSTNESS_FILE
    kept = storage.read(Robustness, path).variants if model and path.exists() else []
    storage.write(_stored(_merged(kept, found)), path)
    rendering.robustness_page(directory)


def choose(artifacts: Path, model: str | None, variant: str | None) -> dict[Path, bool]:
    """Return the artifacts to measure, and whether each serves its model.

    Raises:
        ConfigurationError: a variant is given without its model, there is no such artifact, it
            has more than two labels, or ``serving.toml`` is missing or invalid.
    """
    try:
        served = serving.read(artifacts, {})
    except serving.ServingError as error:
        raise ConfigurationError(str(error)) from error
    if variant is not None:
        if model is None:
            raise ConfigurationError(f"--variant {variant}: give its --model, too")
        _require(artifacts, model, variant)
        path = artifacts / model / variant
        return {path: served.get(model) == path}
    if model is not None and model not in served:
        raise ConfigurationError(
            f"--model {model}: is not served; give a --variant, or one of {', '.join(served)}"
        )
    chosen = {}
    for name, path in served.items():
        if model not in (None, name) or load_manifest(path).threshold is None:
            continue
        chosen[path] = True
        if PLAIN in serving.variants(artifacts, name):
            chosen.setdefault(artifacts / name / PLAIN, False)
    return chosen


def measure(job: Job) -> RobustVariant:
    """Measure one artifact and what it is compared with.

    Raises:
        TrainingError: its data set or a corpus is missing, or has changed.
        ArtifactError: it is missing or damaged.
    """
    classifier = Classifier.load(job.directory)
    manifest = classifier.manifest
    dataset, folds = read_folds(manifest)
    threshold = manifest.threshold if manifest.threshold is not None else 0.5
    texts, labels = dataset.take(folds.test)
    share = job.scale.share
    drawn = evasion.draw(texts, labels, _ordinary_words(), seed=SEED, share=share)
    pieces = _pieces(max(1, round(share * PIECES)))
    groups = () if manifest.model == SPAM else identity.sentences().groups

    def figures(scorer: Scorer) -> ScorerFigures:
        recall, false_alarms, changes = evasion.measure(scorer, drawn)
        scores = scorer.scores(texts)
        return ScorerFigures(
            scorer.name,
            scorer.kind,
            scorer.threshold,
            recall,
            false_alarms,
            round(float(roc_auc_score(labels, scores)), 6),
            lengths.equal_length_auroc(labels, scores, lengths.count_words(texts)),
            changes,
            lengths.measure(scorer, pieces),
            identity.measure(scorer, groups) if groups else [],
        )

    own = ours(classifier, threshold)
    scorers = [own]
    if job.served:
        scorers.append(without_reading(job.directory, threshold))
        scorers += fitted_baselines(manifest, dataset, folds, job.scale.baselines)
    scores = own.scores([one.text for one in sentences()])
    return RobustVariant(
        manifest.model,
        manifest.variant,
        manifest.version,
        job.served,
        lengths.length_auroc(dataset),
        [figures(one) for one in scorers],
        [SentenceScore(round(float(one), 4), bool(one >= threshold)) for one in scores],
    )


@lru_cache(maxsize=1)
def sentences() -> list[Sentence]:
    """Return the single sentences, in their order."""
    stored = tomllib.loads(_SENTENCES.read_text(encoding="utf-8"))
    return [Sentence(**one) for one in stored["sentences"]]


def _ordinary_words() -> list[str]:
    return " ".join(corpora.load(corpora.SPEECHES)).split()


def _pieces(count: int) -> Mapping[tuple[str, int], list[str]]:
    """Cut harmless texts; a length with few pieces is left out, whatever is drawn of them."""
    found = {}
    for corpus in corpora.CORPORA:
        for words in lengths.LENGTHS:
            pieces = corpora.cut(corpora.load(corpus), words, PIECES, SEED)
            if len(pieces) >= lengths.LEAST_PIECES:
                found[corpus.name, words] = pieces[:count]
    return found


def _merged(kept: Sequence[RobustVariant], found: Sequence[RobustVariant]) -> list[RobustVariant]:
    """Replace what was measured before; served variants come first, sorted by model."""
    by_name = {(one.model, one.variant): one for one in (*kept, *found)}
    return sorted(by_name.values(), key=lambda one: (not one.served, one.model, one.variant))


def _stored(variants: list[RobustVariant]) -> Robustness:
    groups = identity.sentences()
    return Robustness(
        SEED,
        [
            CorpusRecord(one.name, one.title, one.source, one.licence, one.sha256)
            for one in corpora.CORPORA
        ],
        [group.record() for group in groups.groups],
        groups.templates,
        sentences(),
        variants,
    )


def _require(artifacts: Path, model: str, variant: str) -> None:
    available = serving.variants(artifacts, model)
    if variant not in available:
        raise ConfigurationError(
            f"--model {model} --variant {variant}: there is no such artifact in {artifacts}; "
            f"available: {', '.join(available) or 'none'}"
        )
    if load_manifest(artifacts / model / variant).threshold is None:
        raise ConfigurationError(f"--model {model}: has more than two labels; expected two")


def _name(directory: Path) -> str:
    return f"{directory.parent.name}/{directory.name}"

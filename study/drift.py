"""Whether the recorded figures detect changed traffic, simulated with real held-out texts.

Traffic is drawn, with replacement, from the out-of-fold logits of a source's texts: half of them.
The other half is what a user labelled for a policy file. Every minute, the figures of the last hour
are computed as the recording rules do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from dandelion import Classifier, serving
from dandelion.decision import buckets
from dandelion.decision.evidence import Evidence
from dandelion.decision.policy import Basis, Policy, PolicyChoice, resolve
from dandelion.reference import Reference, reference_of
from training import configuration
from training.data.near_copies import groups
from training.data.splits import Protocol, split
from training.evidence import independent
from training.experiment import Run, texts_of
from training.out_of_fold import out_of_fold
from training.penalties import penalised

from .rendering import DRIFT_FILE
from .schema.drift import Detection, Drift, Traffic
from .storage import write as store

MODELS: Final = ("spam", "abuse")
PRIORS: Final = (0.02, 0.05, 0.1)
TEXTS_PER_HOUR: Final = 2000
DAYS: Final = 100
REPETITIONS: Final = 500
DEVIATION: Final = 4.0
INDEX: Final = 0.1
LEAST: Final = 150
"""Texts of either class that a source needs for traffic of its own."""

_MINUTES: Final = 60
_BUCKETS: Final = len(buckets.SCORES) + 1

Floats = NDArray[np.float64]
Basing = Literal["policy_file", "prior"]


@dataclass(frozen=True, slots=True)
class Texts:
    """Logits of one source's texts: float64[n] of harmless and of positive ones."""

    harmless: Floats
    positive: Floats

    def halves(self) -> "tuple[Texts, Texts]":
        """Split at random into what is labelled and what is traffic."""
        rng = np.random.default_rng(0)
        drawn = [rng.permutation(one) for one in (self.harmless, self.positive)]
        return Texts(*(one[::2] for one in drawn)), Texts(*(one[1::2] for one in drawn))


def write(directory: Path, artifacts: Path = Path("artifacts"), days: int = DAYS) -> Path:
    """Simulate and store the figures; returns their file.

    Raises:
        ServingError: there is no usable ``serving.toml``.
        ArtifactError: an artifact is damaged.
        TrainingError: a data set is missing.
    """
    served = serving.read(artifacts, {})
    traffic = [one for model in MODELS for one in measure(served[model], days)]
    path = directory / DRIFT_FILE
    store(Drift(TEXTS_PER_HOUR, days, REPETITIONS, DEVIATION, INDEX, traffic), path)
    return path


def measure(artifact: Path, days: int = DAYS) -> Iterator[Traffic]:
    """Simulate traffic of each source of an artifact that has enough texts of both classes."""
    classifier = Classifier.load(artifact)
    sources = out_of_fold_texts(classifier)
    enough = [
        name for name, one in sources.items() if min(len(one.harmless), len(one.positive)) >= LEAST
    ]
    for source in enough:
        for prior in PRIORS:
            for basis in ("policy_file", "prior"):
                yield _simulate(classifier, sources, enough, source, prior, basis, days)


def out_of_fold_texts(classifier: Classifier) -> dict[str, Texts]:
    """Return the out-of-fold logits that an artifact's evidence was counted on, by source."""
    manifest = classifier.manifest
    (config,) = (
        one
        for one in configuration.load_all()
        if (one.model, one.variant) == (manifest.model, manifest.variant)
    )
    dataset = texts_of(Run(config, Protocol.GROUPED, manifest.seed))
    folds = split(dataset, Protocol.GROUPED, manifest.seed)
    near = groups(dataset)
    rows = np.sort(np.concatenate([folds.train, folds.validation]))
    found = out_of_fold(config, dataset, rows, near, seed=manifest.seed, workers=None)
    windows = manifest.text_windows
    at = independent(dataset, found.rows, near)
    penalty = 0.0 if windows is None else windows.penalty
    logits = penalised(found.logits, found.windows, penalty)[at].astype(np.float64)
    labels, origins = found.labels[at], found.origins[at]
    return {
        name: Texts(*(logits[(origins == number) & (labels == label)] for label in (0, 1)))
        for number, name in enumerate(found.source_names)
    }


def _simulate(  # noqa: PLR0913, PLR0917
    classifier: Classifier,
    sources: dict[str, Texts],
    enough: list[str],
    source: str,
    prior: float,
    basis: Basing,
    days: int,
) -> Traffic:
    labelled, _ = sources[source].halves()
    own = classifier.basis()
    if basis == "policy_file":
        own = own.on(None, evidence_of(labelled))
    policy, reference = _expected(own, prior, is_own=basis == "policy_file")

    def shares(name: str, share: float) -> Floats:
        return joint_shares(sources[name].halves()[1], policy, share)

    rng = np.random.default_rng(0)
    usual = shares(source, prior)
    alarms = np.logical_or(*_alarms(_minutes(rng, usual, days * 24 * _MINUTES), reference))
    detections = []
    for change in ("doubled", *(one for one in enough if one != source)):
        changed = shares(source, 2 * prior) if change == "doubled" else shares(change, prior)
        detections.append(_detect(rng, usual, changed, reference, change))
    begun = int(np.count_nonzero(alarms[1:] & ~alarms[:-1])) + int(alarms[0])
    assert own.evidence is not None  # noqa: S101 - both bases have it
    return Traffic(
        classifier.manifest.model,
        source,
        prior,
        basis,
        int(own.evidence.total().sum()),
        round(begun / days, 3),
        round(float(alarms.mean()), 4),
        detections,
    )


def evidence_of(texts: Texts) -> Evidence:
    """Return labelled texts as the evidence of a policy file."""
    labels = np.repeat([0, 1], [len(texts.harmless), len(texts.positive)])
    logits = np.concatenate([texts.harmless, texts.positive])
    return Evidence.of(logits, labels, np.zeros_like(labels), ["own"], fitted_on="labelled")


def _expected(basis: Basis, prior: float, *, is_own: bool) -> tuple[Policy, Reference]:
    policy = resolve(PolicyChoice(prior=prior), basis, name="drift")
    return policy, reference_of(basis, policy, is_own=is_own)


def joint_shares(texts: Texts, policy: Policy, prior: float) -> Floats:
    """Return the shares of traffic by label and bucket of the score, float64[2, buckets]."""
    shares = np.zeros((2, _BUCKETS))
    for logits, weight in ((texts.harmless, 1 - prior), (texts.positive, prior)):
        scores = policy.scores(logits.astype(np.float32)).astype(np.float64)
        at = np.searchsorted(buckets.SCORES, scores)
        np.add.at(shares, ((scores >= policy.threshold).astype(int), at), weight / len(logits))
    return shares


def _minutes(rng: np.random.Generator, shares: Floats, minutes: int) -> NDArray[np.int64]:
    """Draw the texts of each minute, int64[minutes, 2, buckets]; an hour has `TEXTS_PER_HOUR`."""
    ends = np.arange(minutes + 1) * TEXTS_PER_HOUR // _MINUTES
    drawn = rng.multinomial(np.diff(ends), shares.ravel() / shares.sum())
    return drawn.reshape(minutes, 2, _BUCKETS)


def _alarms(
    minutes: NDArray[np.int64], reference: Reference
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which minutes, from the end of the first hour on, have an alarm, by each figure."""
    sums = np.cumsum(minutes, axis=0)
    hours = sums[_MINUTES - 1 :].copy()
    hours[1:] -= sums[:-_MINUTES]  # [minutes - 59, 2, buckets]
    texts = hours.sum(axis=(1, 2))
    assert reference.positive is not None  # noqa: S101 - there is evidence
    assert reference.scores is not None  # noqa: S101
    error = np.sqrt(max(reference.positive * (1 - reference.positive), 1e-4) / texts)
    deviation = (hours[:, 1].sum(axis=1) / texts - reference.positive) / error
    p = np.maximum(hours.sum(axis=1) / texts[:, None], buckets.FLOOR)
    q = np.maximum(reference.scores, buckets.FLOOR)
    index = np.sum((p - q) * np.log(p / q), axis=1)
    return np.abs(deviation) > DEVIATION, index > INDEX


def _detect(
    rng: np.random.Generator, usual: Floats, changed: Floats, reference: Reference, change: str
) -> Detection:
    """Change the traffic after an hour, and look for an hour."""
    first = np.full((REPETITIONS, 2), _MINUTES + 1)
    for repetition in range(REPETITIONS):
        minutes = np.concatenate([_minutes(rng, usual, _MINUTES), _minutes(rng, changed, _MINUTES)])
        for figure, alarms in enumerate(_alarms(minutes, reference)):
            found = np.flatnonzero(alarms[1:])
            if len(found):
                first[repetition, figure] = found[0] + 1
    either = first.min(axis=1)
    positive, scores = (float((first[:, figure] <= _MINUTES).mean()) for figure in (0, 1))
    median = float(np.median(either))
    return Detection(
        change,
        round(float((either <= _MINUTES).mean()), 3),
        round(positive, 3),
        round(scores, 3),
        None if median > _MINUTES else round(median * TEXTS_PER_HOUR / _MINUTES),
    )

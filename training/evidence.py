"""Evidence for decisions from out-of-fold logits.

It has texts of collected sources alone, for what templates make is no sample of anything, and one
text of each group of near copies, for copies are not independent.

A promise on it is about five networks, and served is a sixth. So the five must agree in scale: for
each class, the median logit of every fold must be within `SCALE_TOLERANCE` of that of all folds, in
units of the distance between the medians of the two classes. Otherwise the evidence promises
nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np

from dandelion.decision.evidence import Evidence

from .data.datasets import Dataset
from .errors import ConfigurationError
from .out_of_fold import OutOfFold, origins_of
from .penalties import penalised
from .quality.metrics import Labels, Scores

SCALE_TOLERANCE: Final = 0.1
"""How far a fold's median logit of a class may be from that of all folds, as a share of the
distance between the two classes' medians."""


class ScaleRecord(TypedDict):
    """Whether the networks of the folds agree in scale.

    Attributes:
        medians: of the logits of harmless and of positive texts.
        by_fold: the same of each fold; None where it has no text of the class.
        tolerance: `SCALE_TOLERANCE`.
        largest: the largest difference of a fold, in the same unit; None if that of the classes is
            not positive.
        agree: whether it is within the tolerance.
    """

    medians: list[float]
    by_fold: list[list[float | None]]
    tolerance: float
    largest: float | None
    agree: bool


@dataclass(frozen=True, slots=True)
class Collected:
    """Texts that count as evidence.

    Attributes:
        rows: int64[j], their positions in the out-of-fold rows.
        logits: float32[j], uncalibrated, under the penalty of the windows.
        labels: int64[j].
        evidence: what is kept of them.
        scale: whether the folds agree.
    """

    rows: Labels
    logits: Scores
    labels: Labels
    evidence: Evidence
    scale: ScaleRecord


def collect(
    found: OutOfFold,
    dataset: Dataset,
    near_copies: Labels,
    named: Mapping[str, Sequence[str]],
    *,
    penalty: float,
) -> Collected:
    """Make evidence of out-of-fold logits, of two labels.

    Args:
        found: the logits.
        dataset: whose texts they are of.
        near_copies: int64[n], the group of each of its texts.
        named: name → sources that a constraint may name together.
        penalty: of the windows.

    Raises:
        ConfigurationError: no text of a class was collected.
    """
    rows = independent(dataset, found.rows, near_copies)
    logits = penalised(found.logits, found.windows, penalty)[rows]
    labels = found.labels[rows]
    if len(np.unique(labels)) < 2:
        raise ConfigurationError(
            f"{dataset.name}: all texts of a class are made of templates, so nothing can be "
            'promised out of fold; add a source, or set operating_point = "macro_f1" and '
            "out_of_fold = false"
        )
    scale = agreement(logits, labels, found.folds[rows])
    present = set(found.origins[rows].tolist())
    kept = [name for at, name in enumerate(found.source_names) if at in present]
    numbers = np.array([kept.index(name) if name in kept else -1 for name in found.source_names])
    evidence = Evidence.of(
        logits,
        labels,
        numbers[found.origins[rows]],
        kept,
        groups=_groups_of(named, kept),
        promises=scale["agree"],
    )
    return Collected(rows, logits, labels, evidence, scale)


def independent(dataset: Dataset, rows: Labels, near_copies: Labels) -> Labels:
    """Choose one collected text of each group: the one whose text has the lowest SHA-256.

    Of equal texts of several sources, that one is chosen whose text has the lowest SHA-256 together
    with the source's name: the choice is as good as random, so that no source loses all that it
    shares with others.

    Args:
        dataset: texts and their sources.
        rows: int64[m] of the data set.
        near_copies: int64[n], the group of each of its texts.

    Returns:
        int64[j], positions in ``rows``, ascending.
    """
    origins, names = origins_of(dataset)
    is_generated = np.array([name in dataset.generated for name in names])
    best: dict[int, tuple[bytes, bytes, int]] = {}
    for position, row in enumerate(rows.tolist()):
        if is_generated[origins[row]]:
            continue
        text = dataset.texts[row].encode("utf-8", "surrogatepass")
        with_source = names[origins[row]].encode() + b"\0" + text
        candidate = _sha256(text), _sha256(with_source), position
        group = int(near_copies[row])
        if group not in best or candidate < best[group]:
            best[group] = candidate
    return np.sort(np.array([position for _, _, position in best.values()], dtype=np.int64))


def agreement(logits: Scores, labels: Labels, folds: Labels) -> ScaleRecord:
    """Compare the median logits of folds, see the module.

    Args:
        logits: float[j].
        labels: int64[j] of 0 and 1, both present.
        folds: int64[j].
    """
    medians = [float(np.median(logits[labels == label])) for label in (0, 1)]
    by_fold = [
        [_median(logits[(labels == label) & (folds == fold)]) for label in (0, 1)]
        for fold in np.unique(folds)
    ]
    distance = medians[1] - medians[0]
    largest = None
    if distance > 0:
        differences = [
            abs(one - of_all)
            for fold in by_fold
            for one, of_all in zip(fold, medians, strict=True)
            if one is not None
        ]
        largest = max(differences) / distance
    return ScaleRecord(
        medians=medians,
        by_fold=by_fold,
        tolerance=SCALE_TOLERANCE,
        largest=largest,
        agree=largest is not None and largest <= SCALE_TOLERANCE,
    )


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _median(logits: Scores) -> float | None:
    return float(np.median(logits)) if len(logits) else None


def _groups_of(
    named: Mapping[str, Sequence[str]], kept: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the groups as far as they have texts."""
    groups = {name: tuple(one for one in of if one in kept) for name, of in named.items()}
    return {name: sources for name, sources in groups.items() if sources}

"""Labelled texts, counted: one per group of near copies, as evidence for decisions.

What an evaluation needs of a text is its logit, a key that near copies share, and its digest: so
texts can be scored in parts, and counted later without them.
"""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .classifier import Classifier
from .decision.evidence import MAX_WEIGHT, MIN_WEIGHT, Evidence
from .decision.notices import Notice
from .plural import number_of
from .sampling import is_band
from .text.copies import copies

UNNAMED: Final = "texts"
"""The source of texts without one."""

# Beyond any logit: the open end of a band.
_BEYOND: Final = 1e9

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class EvaluationError(ValueError):
    """Texts that cannot be evaluated, or a policy that cannot be made of them."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTexts:
    """What an evaluation needs of texts.

    Attributes:
        logits: float64[n], uncalibrated; −inf for texts without content, never positive.
        copies: a key of each text, equal for near copies.
        digests: of each text; that with the lowest one counts for a group of near copies.
    """

    logits: Floats
    copies: Sequence[str]
    digests: Sequence[str]


def score_texts(classifier: Classifier, texts: Sequence[str]) -> ScoredTexts:
    """Score texts for an evaluation.

    Args:
        classifier: with two labels.
        texts: raw.
    """
    return ScoredTexts(
        logits_of(classifier, texts), copies(texts), [_digest(text) for text in texts]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """The labels of texts, and what else is known of each; arguments of `evaluation.evaluate`.

    Attributes:
        texts: how many there are.

    Raises:
        EvaluationError: lengths differ, no text has a label, a weight is below `MIN_WEIGHT`, or
            strata come without weights or with sources.
    """

    texts: int
    labels: Sequence[int | None]
    strata: Sequence[str] | None
    weights: Sequence[float] | None
    sources: Sequence[str] | None
    by: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        columns = {
            "labels": self.labels,
            "strata": self.strata,
            "weights": self.weights,
            "sources": self.sources,
            **self.by,
        }
        for name, values in columns.items():
            if values is not None and len(values) != self.texts:
                raise EvaluationError(f"{name!r} has {len(values)} values for {self.texts} texts")
        if not set(self.labels) <= {0, 1, None}:
            raise EvaluationError("a label is none of 0, 1 and None")
        if set(self.labels) <= {None}:
            raise EvaluationError("no text has a label")
        if (self.strata is None) != (self.weights is None):
            raise EvaluationError("strata and weights belong together; expected both or neither")
        if self.strata is not None and self.sources is not None:
            raise EvaluationError("strata and sources exclude one another; expected one")
        if self.weights is not None and not all(0 < weight < np.inf for weight in self.weights):
            raise EvaluationError("a weight is not a positive number")
        if self.weights is not None and min(self.weights) < MIN_WEIGHT:
            raise EvaluationError(
                f"a weight is {min(self.weights):.3g}; expected at least {MIN_WEIGHT:g}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """One text per source and group of near copies.

    Attributes:
        rows: int64[n], positions of the texts.
        logits: float64[n], uncalibrated; −inf for texts without content.
        labels: int64[n] of 0 and 1, each the majority's of its group.
        sources: int64[n], the position of each one's source in ``names``.
        names: of the sources, or of the strata of a sample.
        weights: stratum → messages per counted text; None without weights.
        copies: labelled texts that do not count, as a near copy of theirs does.
        contradictions: groups with both labels.
    """

    rows: Integers
    logits: Floats
    labels: Integers
    sources: Integers
    names: tuple[str, ...]
    weights: Mapping[str, float] | None
    copies: int = 0
    contradictions: int = 0

    @property
    def each(self) -> Floats | None:
        """The weight of each text, float64[n]; None without weights."""
        if self.weights is None:
            return None
        return np.array([self.weights[name] for name in self.names])[self.sources]

    @property
    def share_of_positives(self) -> float:
        """The share of positive texts, weighted if there are weights."""
        return float(np.average(self.labels, weights=self.each))

    def where(self, chosen: NDArray[np.bool_]) -> "Counted":
        """Return some of the texts; the sources without any are left out."""
        present = np.unique(self.sources[chosen])
        return Counted(
            self.rows[chosen],
            self.logits[chosen],
            self.labels[chosen],
            np.searchsorted(present, self.sources[chosen]),
            tuple(self.names[source] for source in present),
            self.weights,
        )


def logits_of(classifier: Classifier, texts: Sequence[str]) -> Floats:
    """Return uncalibrated logits, float64[n]; −inf for texts without content, never positive."""
    logits = classifier.logits(texts).astype(np.float64)
    for position, notice in classifier.notices(texts).items():
        if notice is Notice.NO_CONTENT:
            logits[position] = -np.inf
    return logits


def count(labelled: Labelled, scored: ScoredTexts) -> Counted:
    """Choose one text per source and group of near copies: that with the lowest SHA-256.

    Texts that do not count, unlabelled ones and copies, leave their weight to the others of their
    stratum.

    Args:
        labelled: the labels of all texts.
        scored: all texts.

    Raises:
        EvaluationError: no text of a stratum has a label, or a weight is above `MAX_WEIGHT`.
    """
    labels, digests = labelled.labels, scored.digests
    origins: Sequence[str] = [UNNAMED] * labelled.texts
    for given in (labelled.strata, labelled.sources):
        if given is not None:
            origins = given
    groups: dict[tuple[str, str], list[int]] = {}
    for row, (origin, key) in enumerate(zip(origins, scored.copies, strict=True)):
        if labels[row] is not None:
            groups.setdefault((origin, key), []).append(row)
    names = tuple(dict.fromkeys(origin for origin, _ in groups))
    position = {name: at for at, name in enumerate(names)}
    sources = np.array([position[origin] for origin, _ in groups], dtype=np.int64)
    rows, majority, contradictions = [], [], 0
    for members in groups.values():
        positive = sum(labels[row] == 1 for row in members)
        contradictions += 0 < positive < len(members)
        majority.append(int(2 * positive >= len(members)))
        rows.append(min(members, key=lambda row: digests[row]))
    chosen = np.array(rows, dtype=np.int64)
    weights = labelled.weights
    return Counted(
        chosen,
        scored.logits[chosen],
        np.array(majority, dtype=np.int64),
        sources,
        names,
        None if weights is None else _weights(origins, weights, names, sources),
        copies=sum(map(len, groups.values())) - len(rows),
        contradictions=contradictions,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _weights(
    origins: Sequence[str], weights: Sequence[float], names: tuple[str, ...], sources: Integers
) -> dict[str, float]:
    totals: dict[str, float] = {}
    for origin, weight in zip(origins, weights, strict=True):
        totals[origin] = totals.get(origin, 0.0) + float(weight)
    unlabelled = sorted(set(totals) - set(names))
    if unlabelled:
        raise EvaluationError(
            f"no text of the stratum {unlabelled[0]!r} has a label, so nothing is known of the "
            f"{number_of(totals[unlabelled[0]], 'text')} that it stands for; "
            "label some of each stratum"
        )
    sizes = np.bincount(sources, minlength=len(names)).tolist()
    found = {name: totals[name] / size for name, size in zip(names, sizes, strict=True)}
    for name, weight in found.items():
        if weight > MAX_WEIGHT:
            raise EvaluationError(
                f"each counted text of the stratum {name!r} stands for {weight:.3g} texts; "
                f"expected at most {MAX_WEIGHT:g}"
            )
    return found


def evidence_of(counted: Counted, version: str) -> Evidence:
    """Return the counts of texts as evidence.

    Strata that are bands of this artifact's scores have ends: a threshold beyond them is known to
    flag all or nothing of a stratum. An end is not stored, but lies before the next stratum's
    logits.

    Args:
        counted: texts.
        version: of the artifact, which names its bands.
    """
    bands: dict[str, tuple[float, float]] | None = None
    if counted.weights is not None and all(is_band(name, version) for name in counted.names):
        ends = [
            (
                counted.logits[counted.sources == at].min(),
                counted.logits[counted.sources == at].max(),
            )
            for at in range(len(counted.names))
        ]
        order = sorted(range(len(ends)), key=lambda at: ends[at])
        is_apart = all(ends[low][1] < ends[high][0] for low, high in itertools.pairwise(order))
        if is_apart:
            lows = [-_BEYOND, *(ends[at][1] for at in order[:-1])]
            highs = [*(ends[at][0] for at in order[1:]), _BEYOND]
            bands = {
                counted.names[at]: (max(float(low), -_BEYOND), float(high))
                for at, low, high in zip(order, lows, highs, strict=True)
            }
    return Evidence.of(
        counted.logits,
        counted.labels,
        counted.sources,
        counted.names,
        fitted_on="labelled",
        weights=counted.weights,
        bands=bands,
    )

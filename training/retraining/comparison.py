"""Two variants on the same texts: what each does, and how far the difference may be trusted.

Recall, the false positive rate and the share of right decisions are paired proportions: their
difference has the adjusted Wald interval of Bonett & Price (2012, "Adjusted Wald confidence
interval for a difference of binomial proportions based on paired data"), which is not empty where
the variants decide alike. Precision, AUROC and average precision have the percentile interval of a
paired bootstrap of texts. One text of each group of near copies counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dandelion.decision.ranking import Z, auroc, average_precision
from dandelion.retraining_file import Comparison, Difference, Figures

DRAWS: Final = 500

Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Decided(NamedTuple):
    """What a variant makes of n texts.

    Attributes:
        flagged: bool[n].
        logits: float64[n], which rank as its scores do.
    """

    flagged: Mask
    logits: Floats

    def at(self, rows: NDArray[np.int64]) -> "Decided":
        """Return the same of some texts."""
        return Decided(self.flagged[rows], self.logits[rows])


def compare(
    labels: Labels,
    serving: Decided,
    candidate: Decided,
    *,
    with_ranking: bool = True,
    seed: int = 0,
) -> Comparison:
    """Compare two variants.

    Args:
        labels: int64[n] of 0 and 1.
        serving: the served variant on the n texts.
        candidate: the new one.
        with_ranking: whether AUROC and average precision are computed, too.
        seed: of the bootstrap; equal arguments give equal intervals.
    """
    weights = np.ones(len(labels))
    figures = [_figures(labels, one, weights, with_ranking) for one in (serving, candidate)]
    differences: dict[str, Difference] = {}
    is_positive = labels == 1
    right = [one.flagged == is_positive for one in (serving, candidate)]
    for name, mask, (before, after) in (
        ("recall", is_positive, (serving.flagged, candidate.flagged)),
        ("false_positive_rate", ~is_positive, (serving.flagged, candidate.flagged)),
        ("decided_as_labelled", np.ones(len(labels), dtype=np.bool_), right),
    ):
        if mask.any():
            differences[name] = paired_difference(before[mask], after[mask])
    drawn = _bootstrap(labels, serving, candidate, with_ranking, seed)
    first, second = map(asdict, figures)
    for name, values in drawn.items():
        if first[name] is None or second[name] is None or not len(values):
            continue
        low, high = np.quantile(values, [0.025, 0.975])
        estimate = second[name] - first[name]
        differences[name] = Difference(
            estimate, min(float(low), estimate), max(float(high), estimate)
        )
    positives = int(is_positive.sum())
    return Comparison(len(labels) - positives, positives, figures[0], figures[1], differences)


def paired_difference(before: Mask, after: Mask) -> Difference:
    """Return the difference of two paired shares, after − before, with its 95 % interval.

    Args:
        before: bool[n], n ≥ 1.
        after: bool[n], of the same texts.
    """
    n = len(before)
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    spread = Z * np.sqrt((up + down - (up - down) ** 2) / (n + 2))
    estimate = (gained - lost) / n
    low, high = max(-1.0, up - down - spread), min(1.0, up - down + spread)
    return Difference(estimate, min(float(low), estimate), max(float(high), estimate))


def _figures(labels: Labels, one: Decided, weights: Floats, with_ranking: bool) -> Figures:
    is_positive = labels == 1
    both = is_positive.any() and (~is_positive).any()
    ranked: Mapping[str, float] = {}
    if with_ranking and both:
        ranked = {name: metric(one.logits, labels, weights) for name, metric in _RANKING.items()}
    return Figures(
        recall=_share(one.flagged, is_positive),
        false_positive_rate=_share(one.flagged, ~is_positive),
        precision=_share(is_positive, one.flagged),
        decided_as_labelled=_share(one.flagged == is_positive, np.ones_like(is_positive)),
        **ranked,
    )


_RANKING: Final[Mapping[str, Callable[[Floats, Labels, Floats], float]]] = {
    "auroc": auroc,
    "average_precision": average_precision,
}


def _share(of: Mask, among: Mask) -> float | None:
    return float(of[among].mean()) if among.any() else None


def _bootstrap(
    labels: Labels, serving: Decided, candidate: Decided, with_ranking: bool, seed: int
) -> dict[str, list[float]]:
    """Draw texts again, and return the differences of what is not a share of fixed texts."""
    rng = np.random.default_rng(seed)
    is_positive = labels == 1
    found: dict[str, list[float]] = {"precision": []}
    if with_ranking:
        found |= {name: [] for name in _RANKING}
    for _ in range(DRAWS if len(labels) else 0):
        weights = rng.multinomial(len(labels), np.full(len(labels), 1 / len(labels))).astype(
            np.float64
        )
        precisions = [_precision(is_positive, one.flagged, weights) for one in (serving, candidate)]
        if None not in precisions:
            found["precision"].append(precisions[1] - precisions[0])  # type: ignore[operator]
        if not with_ranking or not (weights[is_positive].any() and weights[~is_positive].any()):
            continue
        for name, metric in _RANKING.items():
            change = metric(candidate.logits, labels, weights) - metric(
                serving.logits, labels, weights
            )
            found[name].append(change)
    return found


def _precision(is_positive: Mask, flagged: Mask, weights: Floats) -> float | None:
    total = weights[flagged].sum()
    return float(weights[flagged & is_positive].sum() / total) if total else None

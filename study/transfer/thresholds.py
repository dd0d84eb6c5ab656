"""Thresholds that are chosen without the source they are measured on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dandelion.decision.threshold import fit_threshold
from training.configuration import Configuration

from ..schema.transfer import AtThreshold


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """Held-out texts of the sources that a fit learned from.

    Attributes:
        labels: int64[n] of 0 and 1.
        scores: float64[n] in [0, 1].
        sources: str[n], the name of each text's source.
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    sources: NDArray[np.str_]


Rule = Callable[[Held], float]


def macro_f1(held: Held) -> float:
    """Return the threshold with the largest macro-F1."""
    return fit_threshold(held.labels, held.scores)[0]


def rules(configs: Sequence[Configuration]) -> dict[str, Rule]:  # noqa: ARG001
    """Return the rules by which the candidates' thresholds are chosen, by name."""
    return {"macro-F1 of validation": macro_f1}


def at(
    name: str, threshold: float, labels: NDArray[np.int64], scores: NDArray[np.float64]
) -> AtThreshold:
    """Return the rates of a source at a threshold.

    Args:
        name: of the rule that chose it.
        threshold: a text is flagged from this score on.
        labels: int64[n] of 0 and 1, both present.
        scores: float64[n] in [0, 1].
    """
    flagged = scores >= threshold
    return AtThreshold(
        name, threshold, float(flagged[labels == 0].mean()), float(flagged[labels == 1].mean())
    )

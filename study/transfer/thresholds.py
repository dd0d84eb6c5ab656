"""Thresholds, and the penalty of windows, that are chosen without the source they are measured on.

A served variant chooses both on five folds, see `training.thresholds`. Here the validation fold
stands in for them, by the same rule, because five folds would make every fit six.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dandelion.decision.threshold import fit_threshold
from training import thresholds
from training.configuration import Configuration
from training.errors import ConfigurationError
from training.out_of_fold import OutOfFold

from ..schema.transfer import AtThreshold

LIMITS: Final = "limits on false alarms"
MACRO_F1: Final = "macro-F1"


@dataclass(frozen=True, slots=True)
class Decided:
    """What is chosen on held-out texts.

    Attributes:
        penalty: of the windows; 0 if texts are not cut.
        thresholds: rule → threshold, the default one first.
    """

    penalty: float
    thresholds: Mapping[str, float]


def decide(config: Configuration, held: OutOfFold) -> Decided:
    """Choose the penalty of the windows, and a threshold by each rule.

    Args:
        config: its limits on sources that are left out do not count. Where no threshold within the
            rest finds anything, that rule gives none.
        held: held-out logits; of a baseline without windows and long texts.
    """
    harmless = {
        held.source_names[one] for one in np.unique(held.origins[held.labels == 0]).tolist()
    }
    limits = tuple(
        limit.model_copy(update={"sources": sources})
        for limit in config.limits
        if (sources := tuple(name for name in limit.sources if name in harmless))
    )
    found: dict[str, float] = {}
    penalty = None
    if limits:
        try:
            choice = thresholds.choose(config.model_copy(update={"limits": limits}), held)
        except ConfigurationError:
            pass
        else:
            penalty, found[LIMITS] = choice.penalty, choice.threshold
    if penalty is None:
        penalty = thresholds.choose(config.model_copy(update={"limits": ()}), held).penalty
    scores = thresholds.out_of_fold_scores(held, penalty)
    found[MACRO_F1] = fit_threshold(held.labels, scores)[0]
    return Decided(penalty, found)


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

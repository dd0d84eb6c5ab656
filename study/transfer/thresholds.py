"""Thresholds, and the penalty of windows, that are chosen without the source they are measured on.

A served variant chooses both on five folds, see `training.thresholds`. Here the validation fold
stands in for them, because five folds would make every fit six; and the threshold within limits
meets them on these texts, see `training.penalties`, where a served one promises them. Baselines
and ours are treated alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dandelion.decision import operating_points
from dandelion.decision.threshold import LimitError, fit_threshold
from dandelion.engines.network import sigmoid
from training.configuration import Configuration
from training.out_of_fold import OutOfFold
from training.penalties import choose_penalty, limits_of, penalised

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
        config: its constraints on sources that are left out do not count. Where no threshold
            within the rest finds anything, that rule gives none.
        held: held-out logits; of a baseline without windows and long texts.
    """
    harmless = np.unique(held.origins[held.labels == 0]).tolist()
    limits = limits_of(
        operating_points.parse(config.operating_point),
        config.groups,
        [held.source_names[one] for one in harmless],
    )
    are_cut = config.windows is not None
    found: dict[str, float] = {}
    penalty = None
    if limits:
        try:
            chosen = choose_penalty(limits, held, are_cut=are_cut)
        except LimitError:
            pass
        else:
            penalty, found[LIMITS] = chosen.value, chosen.threshold
    if penalty is None:
        penalty = choose_penalty([], held, are_cut=are_cut).value
    scores = sigmoid(penalised(held.logits, held.windows, penalty))
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

"""From scores to decisions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class ThresholdError(ValueError):
    """A threshold is not a number in [0, 1], or there are more than two labels."""


def decide(scores: NDArray[np.floating[Any]], threshold: float) -> NDArray[np.bool_]:
    """Tell which scores are positive: ``score >= threshold``, bool[n] from float32[n].

    The comparison is made in float64, as anyone who reads score and threshold from an answer
    would make it; in float32 the threshold .9 would equal the score .89999998.

    Raises:
        ThresholdError: the threshold is not a number in [0, 1].
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number):
        raise ThresholdError(f"the threshold is {threshold!r}; expected a number in [0, 1]")
    if not 0 <= threshold <= 1:  # NaN is not either
        raise ThresholdError(f"the threshold is {threshold}; expected a number in [0, 1]")
    return scores.astype(np.float64) >= float(threshold)

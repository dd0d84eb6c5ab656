"""Which grid points can be thresholds of scores: float32 has few digits near 0 and 1."""

import numpy as np
from numpy.typing import NDArray


def separable(scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which points of the grid differ in score from the next lower one, bool[601].

    With the score of such a point as threshold, ``score >= threshold`` flags every text at or above
    its logit, and none at or below the next lower point. (Of the texts between, those are flagged
    whose score is equal in float32.) At any other point the threshold would flag texts that the
    evidence counts as below it.

    Args:
        scores: float32[601] of `evidence.GRID`, calibrated and at a prior, as texts get them.

    Example:
        >>> separable(np.array([0.5, 0.9, 1.0, 1.0], dtype=np.float32)).tolist()
        [True, True, True, False]
    """
    return np.append(True, scores[1:] > scores[:-1])

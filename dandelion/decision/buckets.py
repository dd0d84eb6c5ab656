"""The buckets in which texts are counted to see that they change: scores, words, unknown words.

The service counts its traffic in them, and the reference of an artifact is counted in the same.
Upper bounds are inclusive, as those of Prometheus's histograms; beyond the last there is one more
bucket.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SCORES: Final = tuple(step / 20 for step in range(1, 21))
"""Of scores: 0.05 … 1."""

UNKNOWN: Final = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
"""Of the share of a text's words that are unknown."""

WORDS: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 18.0, 27.0, 40.0, 60.0, 100.0, 200.0, 400.0)
"""Of the number of words of a text."""

FLOOR: Final = 0.001
"""The least share of a bucket in `stability_index`: an empty one would make it infinite."""

Floats = NDArray[np.float64]


def counts(values: NDArray[np.floating[Any]], bounds: Sequence[float]) -> NDArray[np.int64]:
    """Count values in buckets, int64[len(bounds) + 1]; the last is that beyond all bounds."""
    at = np.searchsorted(np.asarray(bounds), np.asarray(values, dtype=np.float64))
    return np.bincount(at, minlength=len(bounds) + 1)


def stability_index(observed: Floats, expected: Floats) -> float:
    """Return the population stability index: Σ (p − q) · ln(p / q) over buckets (Siddiqi 2006).

    Counts or shares; either way those below `FLOOR` of all count as that.

    Args:
        observed: float64[buckets], p.
        expected: float64[buckets], q.

    Raises:
        ValueError: one of them is empty.

    Example:
        >>> import numpy as np
        >>> round(stability_index(np.array([90.0, 10.0]), np.array([80.0, 20.0])), 4)
        0.0811
    """
    p, q = _shares(observed), _shares(expected)
    return float(np.sum((p - q) * np.log(p / q)))


def _shares(buckets: Floats) -> Floats:
    total = buckets.sum()
    if not total > 0:
        raise ValueError("there are no texts to compare")
    shares: Floats = np.maximum(buckets / total, FLOOR)
    return shares

"""How far a mean over seeds, or a share of texts, may be trusted."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy import stats

# Overlapping splits are not independent: the variance of a mean over n of them is
# variance × (1/n + test rows / training rows), Nadeau & Bengio 2003; 10 % / 80 % here.
_TEST_TO_TRAIN = 1 / 8

_Z = 1.959963984540054  # of a 95 % interval


def corrected_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the corrected resampled t interval, 95 %, of the mean of figures, one per seed.

    Args:
        values: two or more.

    Raises:
        ValueError: there are fewer than two.
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"an interval needs two values or more, not {count}; take more seeds")
    variance = float(np.var(values, ddof=1)) * (1 / count + _TEST_TO_TRAIN)
    half_width = float(stats.t.ppf(0.975, count - 1)) * variance**0.5
    mean = float(np.mean(values))
    return mean - half_width, mean + half_width


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927).

    Example:
        >>> [round(bound, 3) for bound in wilson(200, 400)]
        [0.451, 0.549]
    """
    share, square = count / of, _Z**2 / of
    centre = (share + square / 2) / (1 + square)
    half = _Z * sqrt(share * (1 - share) / of + square / (4 * of)) / (1 + square)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def upper_bound(count: int, of: int) -> float:
    """Return the one-sided 95 % upper bound of a share (Clopper & Pearson 1934).

    Example:
        >>> round(upper_bound(0, 400), 4), upper_bound(5, 5)
        (0.0075, 1.0)
    """
    return 1.0 if count >= of else float(stats.beta.ppf(0.95, count + 1, of - count))


def exact(count: int, of: int, error: float = 0.05) -> tuple[float, float]:
    """Return the two-sided exact interval of a share (Clopper & Pearson 1934).

    Args:
        count: of texts.
        of: 1 or more.
        error: half of it on each side.

    Example:
        >>> [round(bound, 4) for bound in exact(2, 400)]
        [0.0006, 0.0179]
    """
    low = float(stats.beta.ppf(error / 2, count, of - count + 1)) if count > 0 else 0.0
    high = float(stats.beta.ppf(1 - error / 2, count + 1, of - count)) if count < of else 1.0
    return low, high

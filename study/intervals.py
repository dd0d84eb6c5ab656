"""How far a mean over seeds may be trusted."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

# Overlapping splits are not independent: the variance of a mean over n of them is
# variance × (1/n + test rows / training rows), Nadeau & Bengio 2003; 10 % / 80 % here.
_TEST_TO_TRAIN = 1 / 8


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

"""Choosing a share of a sequence without a random number."""

from collections.abc import Sequence
from typing import Final

import numpy as np

# 2**64 divided by the golden ratio: the multiples of that ratio are spread most evenly over the
# circle, and so are those of every nth one (Knuth, The Art of Computer Programming, vol. 3, 6.4).
_STEP: Final = 0x9E37_79B9_7F4A_7C15
_CIRCLE: Final = 2**64

# From here on NumPy costs less than a loop.
_MANY: Final = 32


class Sample:
    """Chooses a share of the items of a sequence, evenly: also of every second or tenth of them.

    Item number k is chosen if k times the golden ratio, modulo 1, is below the share. For one
    thread.

    Args:
        share: of the items, in (0, 1].

    Example:
        >>> sample = Sample(0.25)
        >>> [list(sample.take(8)), list(sample.take(8))]
        [[1, 4], [1, 4]]
    """

    def __init__(self, share: float) -> None:
        self._last = max(round(share * _CIRCLE), 1) - 1
        self._at = 0

    def take(self, count: int) -> Sequence[int]:
        """Return which of the next ``count`` items are chosen, by their positions among them."""
        start = self._at
        self._at = (start + count * _STEP) % _CIRCLE
        if count < _MANY:
            chosen = []
            for position in range(count):
                start = (start + _STEP) % _CIRCLE
                if start <= self._last:
                    chosen.append(position)
            return chosen
        places = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_STEP) + np.uint64(start)
        found: list[int] = np.flatnonzero(places <= np.uint64(self._last)).tolist()
        return found

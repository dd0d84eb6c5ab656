"""The ranges of losses' options."""

import math


def require_positive(**options: float) -> None:
    """Check options that must be positive.

    Raises:
        ValueError: one is not.
    """
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise ValueError(f"the {name} is {value}; it must be positive and finite")


def require_share(**options: float) -> None:
    """Check options that must be shares.

    Raises:
        ValueError: one is not between 0 and 1.
    """
    for name, value in options.items():
        if not 0 <= value <= 1:
            raise ValueError(f"the {name} is {value}; it must lie between 0 and 1")

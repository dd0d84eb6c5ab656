"""Calibration: from the logit of a network to the probability at a reference prior.

Every map here is strictly increasing, so it changes no ranking. In the calibrated logit
b·softplus(z) − a·softplus(−z) + c, temperature scaling (Guo et al. 2017) has a = b and c = 0, Platt
scaling (1999) has a = b, and beta calibration (Kull et al. 2017) has a, b > 0.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Method = Literal["temperature", "platt", "beta"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)

REFERENCE_PRIOR: Final = 0.5
"""The share of positive texts at which an uncorrected score is a probability."""

MIN_PRIOR: Final = 1e-6
MAX_PRIOR: Final = 0.9999
"""Of the priors that users state. Beyond them, float32 scores of different texts become equal."""
PRIORS: Final = "a number from 0.000001 to 0.9999"

MAX_PARAMETER: Final = 1e3


@dataclass(frozen=True, slots=True)
class Calibration:
    """A strictly increasing map of logits.

    Attributes:
        method: which family it is of.
        a: slope of very negative logits, in (0, `MAX_PARAMETER`].
        b: slope of very positive logits, in (0, `MAX_PARAMETER`]; equals ``a`` but for ``beta``.
        c: offset, at most `MAX_PARAMETER` in size; 0 for ``temperature``.

    Raises:
        ValueError: a parameter is out of range, or does not fit the method.

    Example:
        >>> import numpy as np
        >>> Calibration("platt", 2.0, 2.0, 1.0).logits(np.array([-1.0, 0.0])).tolist()
        [-1.0, 1.0]
    """

    method: Method
    a: float
    b: float
    c: float

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"expected that 'method' is one of {', '.join(METHODS)}")
        if not (0 < self.a <= MAX_PARAMETER and 0 < self.b <= MAX_PARAMETER):
            raise ValueError(f"expected that 'a' and 'b' are in (0, {MAX_PARAMETER:g}]")
        if not abs(self.c) <= MAX_PARAMETER:
            raise ValueError(f"expected that 'c' is at most {MAX_PARAMETER:g} in size")
        if self.method != "beta" and self.a != self.b:
            raise ValueError(f"expected that 'a' equals 'b' for {self.method}")
        if self.method == "temperature" and self.c:
            raise ValueError("expected that 'c' is 0 for temperature")

    def logits(self, logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the calibrated logits, float64 of the same shape."""
        values = logits.astype(np.float64)
        if self.a == self.b:
            return self.a * values + self.c
        calibrated: NDArray[np.float64] = (
            self.b * np.logaddexp(0, values) - self.a * np.logaddexp(0, -values) + self.c
        )
        return calibrated


def is_prior(prior: float) -> bool:
    """Return whether a share of positive texts can be a user's prior."""
    return MIN_PRIOR <= prior <= MAX_PRIOR


IDENTITY: Final = Calibration("temperature", 1.0, 1.0, 0.0)

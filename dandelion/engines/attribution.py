"""How much each input of the network moves a logit.

The deep part is piecewise linear. Integrated gradients (Sundararajan, Taly & Yan 2017, eq. 1) along
the line between two inputs are therefore a finite sum over its pieces, exact but for rounding:
along the line, a unit of the first layer changes between active and inactive at most once. Between
two such changes one of the second layer is linear, and is active for a share of the time that
follows from its values at both. Each change adds what one unit contributes, so that the layer need
not be computed anew for each piece.

Several logits become one, the log-odds of a group of them against the others, by their mean
gradient along the line between two sets of logits (Aumann & Shapley 1974).
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .network import Network

Float64 = NDArray[np.float64]

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(8)
_INTERVALS: Final = 32
_TINY: Final = np.finfo(np.float64).tiny


class Layers(NamedTuple):
    """The deep part in float64, for d + e inputs, h hidden units and k logits.

    Attributes:
        weight1: float64[h, d + e].
        bias1: float64[h].
        weight2: float64[h, h].
        bias2: float64[h].
        output: float64[k, h].
    """

    weight1: Float64
    bias1: Float64
    weight2: Float64
    bias2: Float64
    output: Float64

    @classmethod
    def of(cls, network: Network) -> "Layers":
        """Copy the layers of a network."""
        return cls(
            network.hidden1_weight.astype(np.float64),
            network.hidden1_bias.astype(np.float64),
            # By columns, because they are what is read of it.
            network.hidden2_weight.astype(np.float64, order="F"),
            network.hidden2_bias.astype(np.float64),
            network.output_weight.astype(np.float64),
        )

    def logits(self, values: Float64) -> Float64:
        """Return the deep part of the logits, float64[…, k], of inputs float64[…, d + e]."""
        hidden = np.maximum(values @ self.weight1.T + self.bias1, 0)
        return np.maximum(hidden @ self.weight2.T + self.bias2, 0) @ self.output.T

    def gradient(self, values: Float64, coefficients: Float64) -> Float64:
        """Return the gradient of Σ coefficient · logit at an input, float64[d + e]."""
        first = self.weight1 @ values + self.bias1
        second = self.weight2 @ np.maximum(first, 0) + self.bias2
        by_unit = (coefficients @ self.output * (second > 0)) @ self.weight2
        gradient: Float64 = (by_unit * (first > 0)) @ self.weight1
        return gradient

    def mean_gradient(self, start: Float64, stop: Float64, coefficients: Float64) -> Float64:
        """Return the mean gradient of Σ coefficient · logit on the line between two inputs.

        Its product with ``stop − start`` is the difference of the two values.

        Args:
            start: float64[d + e].
            stop: float64[d + e].
            coefficients: float64[k].

        Returns:
            float64[d + e].
        """
        origin, slope = self.weight1 @ start + self.bias1, self.weight1 @ (stop - start)
        units, times = _changes(origin, slope)  # [c], in the order of the times
        is_active = origin + slope / 2 > 0
        is_active[units] = slope[units] < 0  # at the start
        # Of the second layer, the rate at the start, and what each change adds to it from then on.
        rate = self.weight2 @ (slope * is_active)
        by_input = self.weight2.T[units]  # [c, h]
        ends = np.append(times, 1)[:, None]  # of the c + 1 pieces
        first = self.weight2 @ np.maximum(origin, 0) + self.bias2
        after = first + ends * rate
        after += np.maximum(ends - times, 0) @ (by_input * np.abs(slope[units])[:, None])
        before = np.concatenate([first[None], after[:-1]])
        # Linear in a piece, it is above 0 for max(before, after) / |after − before| of the time.
        rises = np.maximum(np.abs(after - before), _TINY)
        active = np.minimum(np.maximum(np.maximum(before, after), 0), rises) / rises
        active *= np.diff(ends, axis=0, prepend=0)
        active *= coefficients @ self.output
        # Units of the first layer count while they are active themselves.
        total = active.sum(axis=0) @ self.weight2
        until = np.triu(active @ by_input.T).sum(axis=0)
        changed = np.where(is_active[units], until, total[units] - until)
        total *= is_active
        total[units] = changed
        gradient: Float64 = total @ self.weight1
        return gradient


def _changes(origin: Float64, slope: Float64) -> tuple[NDArray[np.intp], Float64]:
    """Return which units change within (0, 1), and when: intp[c] and float64[c], ascending."""
    units = np.flatnonzero(slope)
    times = -origin[units] / slope[units]
    inside = (times > 0) & (times < 1)
    units, times = units[inside], times[inside]
    order = times.argsort()
    return units[order], times[order]


def log_odds(logits: Float64, is_positive: NDArray[np.bool_]) -> float:
    """Return log Σ e^(positive logits) − log Σ e^(other logits); a single logit is this already."""
    if len(logits) == 1:
        return float(logits[0])
    groups = logits[is_positive], logits[~is_positive]
    one, other = (float(np.logaddexp.reduce(group)) for group in groups)
    return one - other


def log_odds_coefficients(start: Float64, stop: Float64, is_positive: NDArray[np.bool_]) -> Float64:
    """Return the coefficient of each logit in the change of the log-odds, float64[k].

    Σ coefficient · (stop − start) is the difference of `log_odds` at ``stop`` and ``start``.

    Args:
        start: float64[k].
        stop: float64[k].
        is_positive: bool[k], which logits are those of the positive group.
    """
    if len(start) == 1:
        return np.ones(1)
    change = stop - start
    times = ((np.arange(_INTERVALS)[:, None] + (_NODES + 1) / 2) / _INTERVALS).ravel()
    weights = np.tile(_NODE_WEIGHTS / (2 * _INTERVALS), _INTERVALS)
    between = start + times[:, None] * change
    coefficients = np.empty(len(start))
    for group, sign in ((is_positive, 1), (~is_positive, -1)):
        logits = between[:, group]
        shares = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        coefficients[group] = sign * (weights @ shares)
    # What numerical integration missed.
    missed = log_odds(stop, is_positive) - log_odds(start, is_positive) - coefficients @ change
    largest = int(np.abs(change).argmax())
    if change[largest]:
        coefficients[largest] += missed / change[largest]
    return coefficients

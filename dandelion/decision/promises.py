"""Which thresholds can be promised to keep a constraint.

A constraint is tested at one grid point after another, in an order fixed before any label is seen,
until the first failure (fixed-sequence testing; Learn then Test, Angelopoulos et al. 2021, is its
use for thresholds). Each test has the whole error, and yet the probability that any accepted
threshold breaks the constraint is at most that error.

All functions take counts with further dimensions of independent draws, for simulations.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from . import intervals
from .evidence import GRID, Counts, Evidence, flagged
from .grammar import Constraint, OperatingPointError, Quantity
from .intervals import Floats

Side = Literal["lower", "upper"]
Mask = NDArray[np.bool_]

# Rates are a little off in binary: 1 − .95 is above .05.
_ROUNDING: Final = 1e-12

_BOUNDS: Final = {"lower": intervals.lower, "upper": intervals.upper}


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """Texts at or above thresholds, by source or stratum.

    Attributes:
        names: of the sources, s of them.
        harmless: int64[s, …, t], flagged by each of t thresholds.
        positive: int64[s, …, t], likewise.
        harmless_in_all: int64[s, …, 1].
        positive_in_all: int64[s, …, 1].
        logits: float64[t], the thresholds.
        weights: float64[s], messages per text; None for sources that stand for themselves.
        lows: float64[s], the lowest logit of each stratum; None where none is known.
        ends: float64[s], above all logits of each stratum; likewise.
    """

    names: tuple[str, ...]
    harmless: Counts
    positive: Counts
    harmless_in_all: Counts
    positive_in_all: Counts
    logits: Floats
    weights: Floats | None = None
    lows: Floats | None = None
    ends: Floats | None = None

    @classmethod
    def of(cls, evidence: Evidence, where: str | None = None) -> "Strata":
        """Count the texts of the sources that a constraint names, at every grid point.

        Raises:
            OperatingPointError: there is no such source or group.
        """
        try:
            names = evidence.sources_of(where)
        except ValueError:
            known = ", ".join([*evidence.groups, *evidence.counts])
            raise OperatingPointError(
                f"unknown source or group; expected one of: {known}"
            ) from None
        return cls._of_counts(names, np.stack([evidence.counts[name] for name in names]), evidence)

    @classmethod
    def pooled(cls, evidence: Evidence) -> "Strata":
        """Count the texts of all sources together; by stratum where texts have weights."""
        if evidence.weights is not None:
            return cls.of(evidence)
        total = np.sum(np.stack(list(evidence.counts.values())), axis=0)
        return cls._of_counts(("",), total[None], evidence)

    @classmethod
    def _of_counts(cls, names: tuple[str, ...], counts: Counts, evidence: Evidence) -> "Strata":
        """Count texts, of int64[s, …, 2, CELLS]."""
        above, in_all = flagged(counts), counts.sum(axis=-1, keepdims=True)
        strata = cls(
            names,
            above[..., 0, :],
            above[..., 1, :],
            in_all[..., 0, :],
            in_all[..., 1, :],
            GRID,
        )
        if evidence.weights is None:
            return strata
        weights = np.array([evidence.weights[name] for name in names])
        known = evidence.bands
        if not known:
            return replace(strata, weights=weights)
        return replace(
            strata,
            weights=weights,
            lows=np.array([known[name][0] if name in known else -np.inf for name in names]),
            ends=np.array([known[name][1] if name in known else np.inf for name in names]),
        )

    def at(self, thresholds: NDArray[np.int64]) -> "Strata":
        """Return the counts at some of the thresholds alone, by their positions."""
        return replace(
            self,
            harmless=self.harmless[..., thresholds],
            positive=self.positive[..., thresholds],
            logits=self.logits[thresholds],
        )

    def changes(self) -> Mask:
        """Return which thresholds differ from the next lower one in any draw, bool[t]."""
        changes = np.ones(len(self.logits), dtype=np.bool_)
        if self.ends is None:  # bands make thresholds of equal counts differ
            flat = self.harmless + self.positive
            changed = flat[..., 1:] != flat[..., :-1]
            changes[1:] = changed.reshape(-1, changed.shape[-1]).any(axis=0)
        return changes

    def of_sources(self, chosen: Mask) -> "Strata":
        """Return the counts of some of the sources, by bool[s]."""
        return replace(
            self,
            names=tuple(name for name, is_in in zip(self.names, chosen, strict=True) if is_in),
            harmless=self.harmless[chosen],
            positive=self.positive[chosen],
            harmless_in_all=self.harmless_in_all[chosen],
            positive_in_all=self.positive_in_all[chosen],
            weights=None if self.weights is None else self.weights[chosen],
            lows=None if self.lows is None else self.lows[chosen],
            ends=None if self.ends is None else self.ends[chosen],
        )

    def all_positive(self) -> "Strata":
        """Return what the counts would be if every flagged text were positive, as far as it can.

        This needs the scores and the number of texts of each class, and no label.
        """
        positive = np.minimum(self.harmless + self.positive, self.positive_in_all)
        return replace(self, harmless=np.zeros_like(self.harmless), positive=positive)

    def fpr(self, error: float | Floats, side: Side) -> Floats:
        """Bound the share of harmless texts that are flagged; shapes as `precision`."""
        return self._share(self.harmless, self.harmless_in_all - self.harmless, error, side)

    def recall(self, error: float | Floats, side: Side) -> Floats:
        """Bound the share of positive texts that are flagged; shapes as `precision`."""
        return self._share(self.positive, self.positive_in_all - self.positive, error, side)

    def precision(self, prior: float | None, error: float | Floats, side: Side) -> Floats:
        """Bound the share of flagged texts that are positive.

        Args:
            prior: the share of positive texts; None for the evidence's own.
            error: the probability that the truth is beyond the bound; float64[e] for one threshold,
                then e is in the place of t.
            side: of the bound.

        Returns:
            float64[s, …, t]; with weights float64[1, …, t], of the mixture.
        """
        if prior is None:
            return self._share(self.positive, self.harmless, error, side, is_rest_flagged=True)
        opposite: Side = "lower" if side == "upper" else "upper"
        hits = prior * self.recall(error / 2, side)
        alarms = (1 - prior) * self.fpr(error / 2, opposite)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where nothing is flagged for sure, nothing is known of the precision.
            unknown = 0.0 if side == "lower" else 1.0
            return np.where(hits + alarms > 0, hits / (hits + alarms), unknown)

    def rate(self, prior: float | None, error: float | Floats, side: Side) -> Floats:
        """Bound the share of all texts that are flagged; see `precision`."""
        if prior is None:
            return self._share_of_all(self.harmless + self.positive, error, side)
        hits, alarms = self.recall(error / 2, side), self.fpr(error / 2, side)
        return prior * hits + (1 - prior) * alarms

    def bounds(
        self, quantity: Quantity, prior: float | None, error: float | Floats, side: Side
    ) -> Floats:
        """Bound a rate; see `precision`."""
        match quantity:
            case "fpr":
                return self.fpr(error, side)
            case "recall":
                return self.recall(error, side)
            case "precision":
                return self.precision(prior, error, side)
            case "rate":
                return self.rate(prior, error, side)

    def bound(self, constraint: Constraint, prior: float | None, error: float) -> Floats:
        """Bound a rate on the side that a constraint is about; see `precision`."""
        side: Side = "lower" if constraint.is_minimum else "upper"
        return self.bounds(constraint.quantity, prior, error, side)

    def messages(self) -> tuple[float, float]:
        """Return how many harmless and positive messages the texts stand for, of one draw."""
        harmless, positive = self._total(self.harmless_in_all), self._total(self.positive_in_all)
        return float(harmless[0]), float(positive[0])

    def estimate(self, quantity: Quantity, prior: float | None) -> Floats:
        """Estimate a rate of all sources together, float64[t] of one draw; 0 if it is of nothing.

        Args:
            quantity: which rate.
            prior: the share of positive texts; None for the evidence's own.
        """
        harmless, positive = self._total(self.harmless), self._total(self.positive)
        harmless_in_all, positive_in_all = self.messages()
        fpr, recall = _ratio(harmless, harmless_in_all), _ratio(positive, positive_in_all)
        if quantity == "fpr":
            return fpr
        if quantity == "recall":
            return recall
        if prior is None:
            in_all = harmless_in_all + positive_in_all
            alerts = harmless + positive
            return _ratio(positive, alerts) if quantity == "precision" else _ratio(alerts, in_all)
        rate: Floats = prior * recall + (1 - prior) * fpr
        return _ratio(prior * recall, rate) if quantity == "precision" else rate

    def _total(self, counts: Counts) -> Floats:
        total: Floats = (self._by_source(self.weights, 1.0) * counts).sum(axis=0)
        return total

    def meets(self, constraint: Constraint, prior: float | None, error: float) -> Mask:
        """Return whether each threshold passes the test of a constraint; see `precision`."""
        if self.weights is None and (prior is None or constraint.quantity in ("fpr", "recall")):
            return self._tail(constraint) <= error * (1 + _ROUNDING)
        bound = self.bound(constraint, prior, error)
        if constraint.is_minimum:
            return bound >= constraint.bound * (1 - _ROUNDING)
        return bound <= constraint.bound * (1 + _ROUNDING)

    def _tail(self, constraint: Constraint) -> Floats:
        """Return the p-value of the hypothesis that a constraint is broken: one tail, no bound."""
        harmless, positive = self.harmless, self.positive
        match constraint.quantity:
            case "fpr":
                return intervals.at_most(harmless, self.harmless_in_all, constraint.bound)
            case "recall":
                return intervals.at_least(positive, self.positive_in_all, constraint.bound)
            case "precision":
                return intervals.at_least(positive, harmless + positive, constraint.bound)
            case "rate":
                in_all = self.harmless_in_all + self.positive_in_all
                return intervals.at_most(harmless + positive, in_all, constraint.bound)

    def _share(
        self,
        part: Counts,
        rest: Counts,
        error: float | Floats,
        side: Side,
        *,
        is_rest_flagged: bool = False,
    ) -> Floats:
        """Bound part / (part + rest), by source; with weights in the mixture.

        The texts of a stratum are a random sample of its messages, so each class and side of the
        threshold has a share of them. With s strata there are 2 s bounds, each at error / 2 s
        (Bonferroni).
        """
        if self.weights is None:
            return _BOUNDS[side](part, part + rest, error)
        each = error / (2 * len(self.names))
        flags_none, flags_all = self.certain()
        parts = self._messages(part, each, side, flags_none)
        opposite: Side = "lower" if side == "upper" else "upper"
        rests = self._messages(rest, each, opposite, flags_none if is_rest_flagged else flags_all)
        with np.errstate(divide="ignore", invalid="ignore"):
            unknown = 0.0 if side == "lower" else 1.0
            return np.where(parts + rests > 0, parts / (parts + rests), unknown)

    def _share_of_all(self, part: Counts, error: float | Floats, side: Side) -> Floats:
        """Bound a share of all texts; in a mixture s bounds do, for the sum is known."""
        in_all = self.harmless_in_all + self.positive_in_all
        if self.weights is None:
            return _BOUNDS[side](part, in_all, error)
        flags_none, flags_all = self.certain()
        messages = self._by_source(self.weights, 1.0) * in_all
        found = self._messages(part, error / len(self.names), side, flags_none, flags_all)
        share: Floats = found / messages.sum(axis=0, keepdims=True)
        return share

    def _messages(
        self,
        counts: Counts,
        error: float | Floats,
        side: Side,
        is_none: Mask,
        is_all: Mask | None = None,
    ) -> Floats:
        """Bound the number of messages in all strata that counts of texts stand for."""
        texts = self.harmless_in_all + self.positive_in_all
        shares = np.where(is_none, 0.0, _BOUNDS[side](counts, texts, error))
        if is_all is not None:
            shares = np.where(is_all, 1.0, shares)
        total: Floats = (self._by_source(self.weights, 1.0) * texts * shares).sum(
            axis=0, keepdims=True
        )
        return total

    def certain(self) -> tuple[Mask, Mask]:
        """Return which thresholds flag nothing, and everything, of a stratum by its band alone."""
        ends, lows = self._by_source(self.ends, np.inf), self._by_source(self.lows, -np.inf)
        return self.logits >= ends, self.logits <= lows

    def _by_source(self, values: Floats | None, default: float) -> Floats:
        """Return one number for each source, float64[s, 1 …]."""
        known = np.full(len(self.names), default) if values is None else values
        return known.reshape(-1, *[1] * (self.harmless.ndim - 1))


def _ratio(part: Floats, whole: Floats | float) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.zeros_like(part), where=np.asarray(whole) > 0)
    return ratio


def relevant(constraint: Constraint, strata: Strata, prior: float | None) -> Strata:
    """Leave out the sources without texts that a constraint is about."""
    if strata.weights is not None:
        return strata
    harmless, positive = (
        counts.reshape(len(strata.names), -1).any(axis=1)
        for counts in (strata.harmless_in_all, strata.positive_in_all)
    )
    match constraint.quantity:
        case "fpr":
            chosen = harmless
        case "recall":
            chosen = positive
        case "rate" if prior is None:
            chosen = harmless | positive
        case _:
            chosen = harmless & positive
    return strata.of_sources(np.atleast_1d(chosen))


def accepted(constraint: Constraint, strata: Strata, prior: float | None, error: float) -> Mask:
    """Return the grid points that can be promised to keep a constraint, bool[…, t].

    ``fpr`` and ``rate`` are tested from strict to loose, ``recall`` from loose to strict, and
    ``precision`` from strict to loose too, beginning where it could pass: at the strictest point
    that flags enough texts to pass if all of them were positive. Scores alone decide that. Without
    a prior these are ⌈ln error / ln bound⌉ texts.

    Several sources are tested as one: a point passes if each of them passes, at the whole error
    each (an intersection-union test).

    Args:
        constraint: to be kept.
        strata: the `relevant` sources; at least one.
        prior: the share of positive texts; None for the evidence's own.
        error: the probability that a threshold is accepted that breaks the constraint.
    """
    passes: Mask = np.all(strata.meets(constraint, prior, error), axis=0)
    if constraint.quantity == "recall":
        until_failure: Mask = np.logical_and.accumulate(passes, axis=-1)
        return until_failure
    could_pass = np.ones_like(passes)
    if constraint.quantity == "precision":
        could_pass = np.all(strata.all_positive().meets(constraint, prior, error), axis=0)
    fails = could_pass & ~passes
    has_failed = np.logical_or.accumulate(fails[..., ::-1], axis=-1)[..., ::-1]
    return could_pass & ~has_failed

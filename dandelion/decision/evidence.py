"""Evidence for decisions: how the logits of held-out texts are distributed, without the texts.

Counts of texts on a fixed grid of logits, by source and class. One text of each group of near
copies is counted, for copies are not independent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LOWEST: Final = -15.0
STEP: Final = 0.05
CELLS: Final = 602
GRID: Final[NDArray[np.float64]] = np.round(LOWEST + STEP * np.arange(CELLS - 1), 2)
"""float64[601], the logits at which a threshold can be: −15, −14.95 … 15."""

MIN_WEIGHT: Final = 1e-12
MAX_WEIGHT: Final = 1e12
"""Beyond these, products of weights leave the range of float64, and intervals are wrong."""

Counts = NDArray[np.int64]


def cells(logits: NDArray[np.floating[Any]]) -> Counts:
    """Return the cell of each logit, int64[n]: how many grid points are at or below it.

    So a text in cell i is flagged by the thresholds ``GRID[:i]``. Cell 0 is below the grid.
    """
    return np.searchsorted(GRID, logits.astype(np.float64), side="right").astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Counts of held-out texts, of two classes.

    Attributes:
        counts: source → int64[2, 602]: harmless and positive texts, by `cells`.
        groups: name → sources that a constraint may name together, such as ``ordinary``.
        promises: whether constraints on it can be promised; False where the networks that scored
            the texts disagree in scale.
        fitted_on: what the texts are: ``out_of_fold``, or ``labelled`` for a user's own.
        weights: source → how many messages each of its texts stands for, where the sources are the
            strata of a sample; None where every text stands for itself.
        bands: source → lowest logit of the stratum and the end of its range, above all its logits;
            None, or no entry, where logits are not bounded. A threshold beyond the end is known to
            flag nothing of the stratum.
    """

    counts: Mapping[str, Counts]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    promises: bool = True
    fitted_on: str = "out_of_fold"
    weights: Mapping[str, float] | None = None
    bands: Mapping[str, tuple[float, float]] | None = None

    @classmethod
    def of(
        cls,
        logits: NDArray[np.floating[Any]],
        labels: NDArray[np.int64],
        origins: NDArray[np.int64],
        sources: Sequence[str],
        **facts: Any,
    ) -> "Evidence":
        """Count texts.

        Args:
            logits: float[n], uncalibrated.
            labels: int64[n] of 0 and 1.
            origins: int64[n], the position of each text's source in ``sources``.
            sources: their names.
            facts: the other attributes.
        """
        at = cells(logits)
        counts = {}
        for position, source in enumerate(sources):
            table = np.zeros((2, CELLS), dtype=np.int64)
            is_here = origins == position
            np.add.at(table, (labels[is_here], at[is_here]), 1)
            counts[source] = table
        return cls(counts, **facts)

    def sources_of(self, name: str | None) -> tuple[str, ...]:
        """Return the sources that a constraint names: all, those of a group, or one.

        Raises:
            ValueError: there is no such source or group.
        """
        if name is None:
            return tuple(self.counts)
        if name in self.groups:
            return self.groups[name]
        if name in self.counts:
            return (name,)
        known = ", ".join([*self.groups, *self.counts])
        raise ValueError(f"unknown source or group {name!r}; expected one of {known}")

    def share(self) -> float:
        """Return the share of positive texts, weighted; 0 without texts."""
        weights = self.weights or {}
        harmless, positive = np.sum(
            [weights.get(source, 1.0) * table.sum(axis=1) for source, table in self.counts.items()],
            axis=0,
        )
        return float(positive / (harmless + positive)) if harmless + positive else 0.0

    def total(self, name: str | None = None) -> Counts:
        """Return the counts of the sources that `sources_of` returns together, int64[2, 602]."""
        tables = [self.counts[source] for source in self.sources_of(name)]
        total: Counts = np.sum(tables, axis=0, dtype=np.int64)
        return total


def flagged(counts: Counts) -> Counts:
    """Return how many texts each threshold of `GRID` flags, int64[…, 601] from int64[…, 602]."""
    from_above: Counts = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]
    return from_above[..., 1:]


def to_json(evidence: Evidence) -> dict[str, Any]:
    """Return evidence as JSON values; counts without the zeros around them."""
    sources = {}
    for source, table in evidence.counts.items():
        sources[source] = [_trimmed(row) for row in table]
    optional: dict[str, Any] = {}
    if evidence.weights is not None:
        optional["weights"] = dict(evidence.weights)
    if evidence.bands is not None:
        optional["bands"] = {source: list(band) for source, band in evidence.bands.items()}
    return {
        "lowest": LOWEST,
        "step": STEP,
        "cells": CELLS,
        "fitted_on": evidence.fitted_on,
        "promises": evidence.promises,
        "groups": {name: list(sources) for name, sources in evidence.groups.items()},
        "sources": sources,
        **optional,
    }


def _trimmed(row: Counts) -> dict[str, Any]:
    used = np.flatnonzero(row)
    if not len(used):
        return {"first": 0, "counts": []}
    first, last = int(used[0]), int(used[-1])
    return {"first": first, "counts": row[first : last + 1].tolist()}


def from_json(values: object) -> Evidence:
    """Read evidence.

    Raises:
        ValueError: it is of another grid, or not what `to_json` writes.
    """
    expected = {"lowest", "step", "cells", "fitted_on", "promises", "groups", "sources"}
    if not isinstance(values, dict) or set(values) - {"weights", "bands"} != expected:
        raise ValueError(f"expected an object of {', '.join(sorted(expected))}")
    if (values["lowest"], values["step"], values["cells"]) != (LOWEST, STEP, CELLS):
        raise ValueError(f"expected a grid of {CELLS} cells of {STEP} from {LOWEST}")
    if not (isinstance(values["promises"], bool) and isinstance(values["fitted_on"], str)):
        raise ValueError(  # noqa: TRY004 - whoever reads a file catches ValueError
            "expected that 'promises' is true or false and 'fitted_on' a string"
        )
    if not isinstance(values["sources"], dict) or not values["sources"]:
        raise ValueError("expected that 'sources' is an object with at least one source")
    counts = {source: _table(source, rows) for source, rows in values["sources"].items()}
    groups = values["groups"]
    if not isinstance(groups, dict):
        raise ValueError("expected that 'groups' is an object")  # noqa: TRY004 - as above
    for name, sources in groups.items():
        if (
            not isinstance(sources, list)
            or not sources
            or not all(one in [*counts] for one in sources)
        ):
            raise ValueError(f"expected that group {name!r} consists of sources")
    return Evidence(
        counts,
        {name: tuple(sources) for name, sources in groups.items()},
        values["promises"],
        values["fitted_on"],
        _weights(values.get("weights"), counts),
        _bands(values.get("bands"), counts),
    )


def _weights(values: object, sources: Mapping[str, Counts]) -> dict[str, float] | None:
    if values is None:
        return None
    if not isinstance(values, dict) or set(values) != set(sources):
        raise ValueError("expected that 'weights' has one number for each source")
    if not all(
        _is_number(weight) and MIN_WEIGHT <= weight <= MAX_WEIGHT for weight in values.values()
    ):
        raise ValueError(
            f"expected that each weight is a number from {MIN_WEIGHT:g} to {MAX_WEIGHT:g}"
        )
    return {source: float(weight) for source, weight in values.items()}


def _bands(values: object, sources: Mapping[str, Counts]) -> dict[str, tuple[float, float]] | None:
    if values is None:
        return None
    if not isinstance(values, dict) or not set(values) <= set(sources):
        raise ValueError("expected that 'bands' is an object with sources as names")
    bands = {}
    for source, band in values.items():
        if not isinstance(band, list) or len(band) != 2 or not all(map(_is_number, band)):
            raise ValueError(f"expected two numbers for the band of {source!r}")
        low, end = map(float, band)
        used = np.flatnonzero(sources[source].sum(axis=0))
        if not low < end or (
            len(used)
            and (used[-1] > cells(np.array([end]))[0] or used[0] < cells(np.array([low]))[0])
        ):
            raise ValueError(f"expected that the logits of {source!r} are within its band")
        bands[source] = (low, end)
    return bands


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and bool(np.isfinite(value))  # type: ignore[call-overload]


def _table(source: str, rows: object) -> Counts:
    table = np.zeros((2, CELLS), dtype=np.int64)
    if not isinstance(rows, list) or len(rows) != 2:
        raise ValueError(f"expected two rows of counts for {source!r}")
    for at, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != {"first", "counts"}:
            raise ValueError(f"expected 'first' and 'counts' for {source!r}")
        first, counts = row["first"], row["counts"]
        if type(first) is not int or not isinstance(counts, list):
            raise ValueError(f"expected an integer 'first' and an array 'counts' for {source!r}")
        if not 0 <= first <= CELLS - len(counts) or not all(
            type(count) is int and 0 <= count < 2**40 for count in counts
        ):
            raise ValueError(f"expected at most {CELLS} counts, none negative, for {source!r}")
        table[at, first : first + len(counts)] = counts
    return table

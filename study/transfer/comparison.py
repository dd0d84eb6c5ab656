"""Means over units, and ours compared with each baseline, paired by group."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..schema.transfer import LEFT_OUT, MEASURED_ONLY, RECALL_UNITS, Difference, MeanRow, Ranking
from . import estimates
from .measure import Read
from .recipes import OURS
from .units import Plan

Values = NDArray[np.float64]

_FIGURES: Final[tuple[Ranking, ...]] = ("auroc", "recall")


def compare(plan: Plan, found: Sequence[Read]) -> tuple[list[MeanRow], list[Difference]]:
    """Average over units, and compare ours with each baseline, unit by unit and on average.

    Args:
        plan: the units.
        found: of every recipe the same sources. What only others read than ours, as the single
            source that a model learns from, is not compared.
    """
    read = {one.row.unit for one in found if one.row.recipe == OURS}
    found = [one for one in found if one.row.unit in read]
    over = _means(plan, found)
    units = list(dict.fromkeys(one.row.unit for one in found))
    recipes = list(dict.fromkeys(one.row.recipe for one in found))
    of_unit = {
        (recipe, unit, figure): _of_unit(found, recipe, unit, figure)
        for recipe in recipes
        for unit in units
        for figure in _FIGURES
    }

    def mean(recipe: str, over: Sequence[str], figure: Ranking) -> Values:
        return estimates.mean_of([of_unit[recipe, unit, figure] for unit in over])

    rows = [
        MeanRow(
            recipe,
            name,
            list(of_mean),
            estimates.interval(mean(recipe, of_mean, "auroc")),
            estimates.interval(mean(recipe, of_mean, "recall")),
        )
        for name, of_mean in over.items()
        for recipe in recipes
    ]
    compared = {unit: (unit,) for unit in units} | over
    differences = [
        Difference(
            recipe,
            figure,
            name,
            estimates.interval(mean(OURS, of_mean, figure) - mean(recipe, of_mean, figure)),
        )
        for recipe in recipes
        if recipe != OURS
        for figure in _FIGURES
        for name, of_mean in compared.items()
    ]
    return rows, differences


def _means(plan: Plan, found: Sequence[Read]) -> dict[str, tuple[str, ...]]:
    """Return the units of each mean: of each use, and of those that an aim is about."""
    read = {one.row.unit for one in found}
    wanted: Mapping[str, tuple[str, ...]] = {
        LEFT_OUT: tuple(unit.name for unit in plan.learned),
        MEASURED_ONLY: tuple(unit.name for unit in plan.foreign),
        ", ".join(RECALL_UNITS): RECALL_UNITS,
    }
    return {
        name: units for name, units in wanted.items() if len(units) > 1 and read.issuperset(units)
    }


def _of_unit(found: Sequence[Read], recipe: str, unit: str, figure: Ranking) -> Values:
    here = [one for one in found if (one.row.recipe, one.row.unit) == (recipe, unit)]
    return estimates.mean_of([one.auroc if figure == "auroc" else one.recall for one in here])

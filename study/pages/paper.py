"""Table 1 of the paper and our runs of it."""

from collections.abc import Sequence
from typing import Final

from training.quality.metrics import FITTED, FITTED_TO_ACCURACY, HALF
from training.tables import figure, markdown_table

from ..schema.results import PaperThreshold, Results, Table1Row
from ..schema.studies import Sensitivity, SensitivityCell
from .wording import rate, title, variant_title, with_std

THRESHOLDS: Final[tuple[PaperThreshold, ...]] = (FITTED_TO_ACCURACY, FITTED, HALF)

DICE_NOTE: Final = """\
Our Dice in this table is not the paper's Eq. 7: it is the mean of both classes' Dice, trained with
weight decay; Eq. 7 counts the positive class alone. Only the row *dice, naive recipe* is Eq. 7
(smoothed by 1)."""


def table1(results: Results, thresholds: Sequence[PaperThreshold]) -> str:
    """Lay out the paper's rows next to ours."""
    lines = []
    for row in results.table1:
        for threshold in thresholds:
            ours = row.ours[threshold]
            higher = "yes" if _is_higher(row, threshold) else "no"
            lines.append(
                [
                    title(row.model),
                    variant_title(row.name),
                    f"{figure(row.paper.accuracy)} / {figure(row.paper.f1)}",
                    *([threshold] if len(thresholds) > 1 else []),
                    f"{with_std(ours.accuracy)} / {with_std(ours.f1)}",
                    "collapsed" if row.collapsed else higher,
                ]
            )
    threshold_column = ["threshold"] if len(thresholds) > 1 else []
    header = ["", "loss", "paper: accuracy / F1", *threshold_column, "ours: accuracy / F1"]
    return markdown_table([*header, "both higher"], lines)


def not_higher(results: Results) -> str:
    """Name the rows that are not above the paper's in both figures, and their thresholds."""
    found = [
        f"{title(row.model)} under {variant_title(row.name)} ({', '.join(missed)})"
        for row in results.table1
        if not row.collapsed and (missed := [cut for cut in THRESHOLDS if not _is_higher(row, cut)])
    ]
    names = "; ".join(found) or "none"
    return f"Rows in which accuracy or F1 is not above the paper's, with the threshold: {names}."


def naive_note(results: Results, sensitivity: Sensitivity) -> str:
    """Report at which learning rate the naive row was trained, and what its runs predict."""
    naive = [row for row in results.table1 if row.collapsed]
    chosen = lowest_collapsing_rate(sensitivity)
    if not naive or chosen is None:
        return ""
    below = [one for one in _naive_dice(sensitivity) if one.rate < chosen]
    survives = ", ".join(rate(one.rate) for one in below if one.collapsed < one.runs)
    early = ", ".join(rate(one.rate) for one in below if one.collapsed == one.runs)
    f1 = naive[0].ours[HALF].f1.per_seed or []
    negative = sum(value == 0 for value in f1)
    text = f"""\
The row *{naive[0].name}* is deliberately trained at {rate(chosen)}: the lowest learning rate of
[the search](sensitivity.md) from which on every run collapses."""
    if survives:
        text += f" At {survives} not every run does."
    if early:
        text += f" (At {early} every run does again.)"
    return f"""\
{text} At threshold 0.5, {len(f1) - negative} of the {len(f1)} runs predict the positive class for
every text and {negative} the negative one."""


def lowest_collapsing_rate(sensitivity: Sensitivity) -> float | None:
    """Return the lowest rate from which on every run of the naive recipe of Dice collapsed."""
    lowest = None
    for cell in sorted(_naive_dice(sensitivity), key=lambda one: one.rate, reverse=True):
        if cell.collapsed < cell.runs:
            break
        lowest = cell.rate
    return lowest


def _naive_dice(sensitivity: Sensitivity) -> list[SensitivityCell]:
    wanted = ("naive", sensitivity.model, "dice")
    return [one for one in sensitivity.cells if (one.part, one.model, one.row) == wanted]


def _is_higher(row: Table1Row, threshold: PaperThreshold) -> bool:
    """Return whether our means of accuracy and F1 are both above the paper's."""
    ours = row.ours[threshold]
    return ours.accuracy.mean > row.paper.accuracy and ours.f1.mean > row.paper.f1

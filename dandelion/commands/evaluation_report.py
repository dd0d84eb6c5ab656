"""The report of ``dandelion evaluate``, for people."""

from typing import Final

import numpy as np

from ..decision.calibration import IDENTITY
from ..decision.operating_points import FittedPoint, Interval
from ..decision.policy import score_at
from ..evaluation import Evaluation
from ..plural import number_of
from ..verdicts import LEAST_IN_SLICE
from .columns import columns, interval, percent

_FLAGGED_ONLY: Final = (
    "All texts were flagged: they show precision, and never what was missed. For recall, a "
    "false-positive rate or a policy, label a sample: `dandelion sample`."
)
_CLOSE_TO_ONE: Final = 0.999
_HEADER: Final = ("THRESHOLD", "RECALL %", "FPR %", "PRECISION %", "ALERTS %")


def report(found: Evaluation, *, unlabelled: int, left_out: int) -> str:
    """Lay out an evaluation as text.

    Args:
        found: the evaluation.
        unlabelled: rows without a label.
        left_out: rows without a text.
    """
    parts = [_texts(found, unlabelled, left_out)]
    if found.is_flagged_only:
        parts += [
            _FLAGGED_ONLY,
            _precision(found),
        ]
    else:
        parts += [_ranking(found), _shipped(found)]
        if found.wanted:
            parts.append(_wanted(found))
        parts.append(_curve(found))
        parts.append(_calibration(found))
    if found.slices:
        parts.append(_slices(found))
    return "\n\n".join(parts)


def _texts(found: Evaluation, unlabelled: int, left_out: int) -> str:
    harmless, positive = found.counted
    total = (
        f"{number_of(found.texts, 'labelled text')}, {harmless + positive:,} without near copies"
    )
    lines = [f"{total}: {positive:,} {found.labels[1]}, {harmless:,} {found.labels[0]}."]
    if found.contradictions:
        lines.append(
            f"{number_of(found.contradictions, 'group')} of near copies "
            f"{'has' if found.contradictions == 1 else 'have'} both labels."
        )
    if unlabelled:
        lines.append(f"Left out {number_of(unlabelled, 'row')} without a label.")
    if left_out:
        lines.append(f"Left out {number_of(left_out, 'row')}: see standard error.")
    if found.is_sample:
        lines.append("A sample with weights: estimates are for all texts that it was drawn from.")
    lines.append(f"Share of {found.labels[1]}: {percent(found.prior)} %.")
    calibrated = "" if found.is_flagged_only else ", calibrated as stated below"
    lines.append(f"Thresholds are of scores without a prior{calibrated}.")
    return "\n".join(lines)


def _ranking(found: Evaluation) -> str:
    if found.auroc is None or found.average_precision is None:
        return "All texts have one label: nothing is known of the ranking."
    return f"AUROC {_share(found.auroc)}, average precision {_share(found.average_precision)}."


def _shipped(found: Evaluation) -> str:
    rows: list[tuple[str, ...]] = [("POINT", *_HEADER, "VERDICT")]
    problems = []
    for point in found.shipped:
        if point.found is None:
            problems.append(f"{point.point}: {point.problem.rstrip('.')}.")
            continue
        verdicts = ", ".join(f"{one.constraint}: {one.verdict}" for one in point.constraints)
        rows.append((point.point, *_rates(point.found, found), verdicts or "-"))
    table = [columns(rows)] if len(rows) > 1 else []
    return "\n".join(["Operating points of the artifact, on these texts:", *table, *problems])


def _wanted(found: Evaluation) -> str:
    rows: list[tuple[str, ...]] = [("POINT", *_HEADER, "PROMISED")]
    problems = []
    for point in found.wanted:
        if point.fitted is None:
            problems.append(f"{point.point}: {point.problem}")
        else:
            promised = "95 %" if point.fitted.promised else "no"
            rows.append((point.point, *_rates(point.fitted, found), promised))
    table = [columns(rows)] if len(rows) > 1 else []
    return "\n".join(["Operating points fitted on these texts:", *table, *problems])


def _curve(found: Evaluation) -> str:
    rows: list[tuple[str, ...]] = [("POINT", *_HEADER)]
    rows += [(point.point, *_rates(point, found)) for point in found.curve]
    if len(rows) == 1:
        return "No threshold raises alerts as rarely as at one message in ten."
    note = "What thresholds do at rates of alerts (estimates; a promise is --operating-point):"
    return f"{note}\n{columns(rows)}"


def _precision(found: Evaluation) -> str:
    rows: list[tuple[str, ...]] = [("THRESHOLD", "PRECISION %")]
    rows += [(_threshold(point, found), interval(point.precision)) for point in found.curve]
    return columns(rows, left=0)


def _calibration(found: Evaluation) -> str:
    chosen = found.calibration
    line = f"Calibration: {chosen.reason}."
    if chosen.log_loss_before is not None:
        line += f" Log loss at equal shares {chosen.log_loss_before:.3f}"
        if chosen.log_loss_after is not None:
            line += f", fitted here {chosen.log_loss_after:.3f} (cross-validated)"
        line += "."
    return f"{line}\n{chosen.advice}" if chosen.advice else line


def _slices(found: Evaluation) -> str:
    rows: list[tuple[str, ...]] = [("COLUMN", "VALUE", "TEXTS", "POSITIVE", "RECALL %", "FPR %")]
    for one in found.slices:
        recall, fpr = (
            f"{interval(rate)}" if rate is not None else "too few" for rate in (one.recall, one.fpr)
        )
        value = one.value if len(one.value) <= 40 else f"{one.value[:39]}…"
        rows.append((one.column, value, f"{one.texts:,}", f"{one.positives:,}", recall, fpr))
    note = f"By column, at the artifact's threshold (too few: under {LEAST_IN_SLICE} texts):"
    return f"{note}\n{columns(rows, left=2)}"


def _rates(point: FittedPoint, found: Evaluation) -> tuple[str, ...]:
    rates = (point.recall, point.fpr, point.precision, point.rate)
    return (_threshold(point, found), *map(interval, rates))


def _threshold(point: FittedPoint, found: Evaluation) -> str:
    """Return the score that a threshold is, with the calibration of the policy."""
    score = score_at(point.logit, found.calibration.in_force or IDENTITY)
    # Close to 1, four digits would make thresholds equal.
    return f"{score:.4g}" if score < _CLOSE_TO_ONE else str(np.float32(score))


def _share(found: Interval) -> str:
    return f"{found.estimate:.3f} [{found.lower:.3f}, {found.upper:.3f}]"

"""What is wrong with feedback, before anything is trained on it.

Some rows are left out, with their number and the reason. Some feedback is refused: too little of
it; or such that training on it would confirm what the filter believes already, and teach nothing
where it is wrong. The latter can be forced, which the verdict then says.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dandelion.tables import shortened

from ..data.datasets import Dataset
from ..data.near_copies import groups
from ..data.splits import Split
from ..errors import DatasetError
from .feedback import Feedback
from .parts import held_out

LEAST_TEXTS: Final = 20
"""That must be left of the feedback: different texts, not near copies."""

LEAST_PART: Final = 5
"""That must be learnt, and held out."""

FEW_HELD_OUT: Final = 100
"""Held-out texts below which intervals are wide."""

ECHO: Final = 0.98
"""Share of labels that agree with the decisions, or of texts that were flagged, from which it is
refused."""

NEWS: Final = 50
"""Labels that disagree with the decisions, from which there is something to learn whatever their
share."""

RARE: Final = 0.1
"""Share of the rarer label below which there is a warning."""

MANY_CONTRADICTIONS: Final = 0.1
"""Share of the rows from which they are refused."""

_LISTED: Final = 3

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What is left of the feedback.

    Attributes:
        rows: int64[m], of the feedback, ascending.
        is_held_out: bool[m].
        counts: what became of the rows, by kind.
        warnings: sentences for people.
        refusals: reasons not to train on it, which can be forced; a sentence each.
    """

    rows: Rows
    is_held_out: Mask
    counts: Mapping[str, int]
    warnings: tuple[str, ...]
    refusals: tuple[str, ...]


def check(  # noqa: PLR0913
    feedback: Feedback,
    is_flagged: Mask,
    base: Dataset,
    folds: Split,
    labels: Sequence[str],
    *,
    has_learnt: bool = False,
) -> Checked:
    """Check feedback against itself, the model's decisions, and the base data.

    Args:
        feedback: n rows.
        is_flagged: bool[n], whether the served model flags each text now.
        base: the data that the served version was trained and measured on.
        folds: of the base.
        labels: the names of the negative and of the positive label.
        has_learnt: whether the served version has learnt from feedback, which may be among this:
            that it agrees with it then means nothing.

    Raises:
        DatasetError: too few texts are left; the message has all numbers.
    """
    grouped = _grouped(feedback, base)
    own = grouped[len(base.texts) :]
    distinct, copies, contradicting = _distinct(feedback, own)
    leaked, known, against = _met(feedback, distinct, own, grouped[: len(base.texts)], base, folds)
    rows = np.setdiff1d(distinct, np.concatenate([leaked, known, against]))
    is_held_out = held_out([feedback.texts[row] for row in rows.tolist()])
    counts = {
        "rows": len(feedback.texts) + feedback.unlabelled + feedback.unreadable,
        "unreadable": feedback.unreadable,
        "unlabelled": feedback.unlabelled,
        "near copies of other feedback": copies,
        "contradict other feedback": len(contradicting),
        "near copies of held-out evidence": len(leaked),
        "learnt before, under the same label": len(known),
        "learnt before, under the other label": len(against),
        "learnt": int((~is_held_out).sum()),
        "held out": int(is_held_out.sum()),
        "with a decision id": sum(one is not None for one in feedback.ids),
    }
    _require_enough(counts)
    contradictions = len(contradicting) + len(against)
    decided = _decisions(feedback, is_flagged)
    believed = [*_believed(feedback, rows, decided)]
    warnings = [
        *_about_contradictions(feedback, contradicting, "other feedback"),
        *_about_contradictions(feedback, against, "texts that were learnt before"),
        *_about_ids(feedback, own),
        *_about_balance(feedback, rows, labels),
        *_about_held_out(feedback, rows[is_held_out], labels),
        *_errors_alone(feedback, rows, decided),
    ]
    refusals = [
        *_many(contradictions, len(feedback.texts)),
        *_one_label(feedback, rows, labels),
        *([] if has_learnt else believed),
        *_selected(rows, decided),
    ]
    if has_learnt:
        warnings += believed
    return Checked(rows, is_held_out, counts, tuple(warnings), tuple(refusals))


def _grouped(feedback: Feedback, base: Dataset) -> Rows:
    """Number the groups of near copies of the base's texts and, behind them, of the feedback's."""
    both = Dataset(
        base.name,
        (*base.texts, *feedback.texts),
        np.concatenate([base.labels, feedback.labels]),
        base.label_names,
        "",
    )
    return groups(both)


def _distinct(feedback: Feedback, own: Rows) -> tuple[Rows, int, Rows]:
    """Choose a row of each group, that of the lowest SHA-256; groups with both labels are out.

    Returns:
        int64, the chosen rows; how many rows repeat one of them; int64, those that contradict.
    """
    members: dict[int, list[int]] = {}
    for row, group in enumerate(own.tolist()):
        members.setdefault(group, []).append(row)
    chosen, contradicting, copies = [], [], 0
    for rows in members.values():
        if len({int(feedback.labels[row]) for row in rows}) > 1:
            contradicting += rows
            continue
        chosen.append(min(rows, key=lambda row: _digest(feedback.texts[row])))
        copies += len(rows) - 1
    return np.array(sorted(chosen), dtype=np.int64), copies, np.array(contradicting, dtype=np.int64)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _met(  # noqa: PLR0913, PLR0917
    feedback: Feedback, rows: Rows, own: Rows, base_groups: Rows, base: Dataset, folds: Split
) -> tuple[Rows, Rows, Rows]:
    """Find rows whose near copies the base has.

    Returns:
        int64 each: near copies of the test fold; of learnt texts with the same label; of learnt
        texts with the other label.
    """
    tested = set(base_groups[folds.test].tolist())
    learnt: dict[int, set[int]] = {}
    for row in np.concatenate([folds.train, folds.validation]).tolist():
        learnt.setdefault(int(base_groups[row]), set()).add(int(base.labels[row]))
    leaked: list[int] = []
    known: list[int] = []
    against: list[int] = []
    for row in rows.tolist():
        group, label = int(own[row]), int(feedback.labels[row])
        if group in tested:
            leaked.append(row)
        elif group in learnt:
            (known if label in learnt[group] else against).append(row)
    return tuple(np.array(one, dtype=np.int64) for one in (leaked, known, against))  # type: ignore[return-value]


def _require_enough(counts: Mapping[str, int]) -> None:
    left = counts["learnt"] + counts["held out"]
    if left >= LEAST_TEXTS and min(counts["learnt"], counts["held out"]) >= LEAST_PART:
        return
    out = [f"{number:,} {kind}" for kind, number in counts.items() if kind not in _LEFT and number]
    raise DatasetError(
        f"too little feedback: of {counts['rows']:,} rows {left:,} different new texts are left, "
        f"{counts['learnt']:,} to learn from and {counts['held out']:,} held out; at least "
        f"{LEAST_TEXTS} are needed, {LEAST_PART} of them in each part. Left out: "
        f"{', '.join(out) or 'none'}. Collect more, of messages that are not copies of each other"
    )


_LEFT: Final = frozenset({"rows", "learnt", "held out", "with a decision id"})


def _about_contradictions(feedback: Feedback, rows: Rows, what: str) -> Iterator[str]:
    if not len(rows):
        return
    places = ", ".join(feedback.places[row] for row in rows[:_LISTED].tolist())
    more = f" and {len(rows) - _LISTED:,} more" if len(rows) > _LISTED else ""
    yield (
        f"{len(rows):,} rows are labelled otherwise than {what} of which they are near copies, "
        f"and were left out: {places}{more}. A person should decide which label is right."
    )


def _about_ids(feedback: Feedback, own: Rows) -> Iterator[str]:
    seen: dict[str, set[int]] = {}
    for row, one in enumerate(feedback.ids):
        if one is not None:
            seen.setdefault(one, set()).add(int(own[row]))
    several = sum(len(one) > 1 for one in seen.values())
    if several:
        yield f"{several:,} decision ids are on more than one text; the export mixes decisions up."


def _about_balance(feedback: Feedback, rows: Rows, labels: Sequence[str]) -> Iterator[str]:
    positives = int(feedback.labels[rows].sum())
    counts = [len(rows) - positives, positives]
    rarer = int(np.argmin(counts))
    if 0 < counts[rarer] < RARE * len(rows):
        yield (
            f"Only {counts[rarer]:,} of {len(rows):,} texts are {shortened(labels[rarer])}: little "
            "is learnt about them, and little is known of what becomes of them."
        )


def _about_held_out(feedback: Feedback, rows: Rows, labels: Sequence[str]) -> Iterator[str]:
    if len(rows) < FEW_HELD_OUT:
        yield (
            f"Only {len(rows):,} texts of the feedback are held out, so the figures on them are "
            f"rough; from {FEW_HELD_OUT} on they are worth more."
        )
    for label, name in enumerate(labels):
        if not (feedback.labels[rows] == label).any():
            yield f"No {shortened(name)} is in the held-out feedback: nothing is known of such."


def _errors_alone(feedback: Feedback, rows: Rows, decided: Mask) -> Iterator[str]:
    if not decided[rows].any():
        yield "No text of the feedback was flagged: it shows what was missed, and no false alarms."
    if not (decided[rows] == (feedback.labels[rows] == 1)).any():
        yield (
            "The decisions on all texts of the feedback were wrong: these are chosen errors, so "
            "figures on them are no error rates of the traffic."
        )


def _many(contradictions: int, rows: int) -> Iterator[str]:
    if contradictions >= MANY_CONTRADICTIONS * rows:
        yield (
            f"{contradictions:,} of {rows:,} rows contradict other labels "
            f"({contradictions / rows:.0%}). The people or tools that label do not agree on what "
            "the labels mean; settle that first."
        )


def _one_label(feedback: Feedback, rows: Rows, labels: Sequence[str]) -> Iterator[str]:
    present = set(feedback.labels[rows].tolist())
    if len(present) > 1:
        return
    name = shortened(labels[present.pop()])
    yield (
        f"All {len(rows):,} texts are {name}. From one label alone, a model learns that whatever "
        f"looks like this channel is {name}; and nothing shows what becomes of the others. Add "
        "texts of the other label from the same place."
    )


def _believed(feedback: Feedback, rows: Rows, decided: Mask) -> Iterator[str]:
    agree = int((decided[rows] == (feedback.labels[rows] == 1)).sum())
    if agree >= ECHO * len(rows) and len(rows) - agree < NEWS:
        yield (
            f"{agree:,} of {len(rows):,} labels are what was decided anyway "
            f"({agree / len(rows):.1%}). Feedback that only repeats what the filter believes makes "
            "it surer, not better: it cannot teach what is missed, or flagged wrongly. Add texts "
            "on which a person disagreed, and texts that were drawn at random: dandelion sample."
        )


def _selected(rows: Rows, decided: Mask) -> Iterator[str]:
    flagged = int(decided[rows].sum())
    if flagged >= ECHO * len(rows):
        yield (
            f"{flagged:,} of {len(rows):,} texts were flagged ({flagged / len(rows):.1%}). Such "
            "texts show false alarms, never what was missed: recall can fall, and nothing here "
            "would show it. Add texts that were not flagged: reports of users, or texts that were "
            "drawn at random: dandelion sample."
        )


def _decisions(feedback: Feedback, is_flagged: Mask) -> Mask:
    """Return whether each text was flagged, bool[n]: as the file says, else as is decided now."""
    pairs = zip(feedback.was_flagged, is_flagged.tolist(), strict=True)
    return np.array([now if was is None else was for was, now in pairs], dtype=np.bool_)

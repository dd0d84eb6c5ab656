"""The aims for robustness, each compared with the figures: met or missed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from training.tables import markdown_table

from ..intervals import upper_bound
from ..schema.robustness import (
    ChangeRow,
    Count,
    IdentityRow,
    LengthRow,
    Robustness,
    RobustVariant,
    ScorerFigures,
)
from .wording import model_title, percent

FEWEST: Final = 30
"""A harmless change that alters fewer texts is not compared with the aim."""
FEWEST_PIECES: Final = 300
"""A length with fewer harmless texts is not, either: its upper bound is too far off."""
LEET: Final = "leet"

_ABUSE, _SPAM = "abuse", "spam"


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound and what was measured.

    Attributes:
        model: the one that it is for.
        what: the quantity, in words.
        aim: the bound, in words.
        measured: the figure, in words.
        met: None if nothing was measured.
    """

    model: str
    what: str
    aim: str
    measured: str
    met: bool | None


@dataclass(frozen=True, slots=True)
class _Kept:
    """Recall kept under evasion, at least: the mean of all kinds, and the worst one."""

    mean: float
    worst: float


# Cyberbullying has no aims: its labels mean something else than abuse.
_KEPT: Final = {_SPAM: _Kept(0.95, 0.85), _ABUSE: _Kept(0.80, 0.50)}


def aims(stored: Robustness) -> list[Aim]:
    """Compare every aim with the figures of the served variants."""
    served = {one.model: one for one in stored.variants if one.served}
    return [
        aim
        for model in _KEPT
        if model in served
        for part in (_evasion, _harmless, _lengths, _identity)
        for aim in part(served[model])
    ]


def table(stored: Robustness) -> str:
    """Lay out the aims; empty if there are none."""
    words = {True: "met", False: "missed", None: "not measured"}
    lines = [
        [model_title(one.model), one.what, one.aim, one.measured, words[one.met]]
        for one in aims(stored)
    ]
    return markdown_table(["", "", "aim", "measured", ""], lines) if lines else ""


def share(count: Count) -> float:
    """Return a count as a share; 0 of nothing."""
    return count.count / count.of if count.of else 0.0


def of_kind(figures: ScorerFigures, kind: str) -> list[ChangeRow]:
    """Return the rows of the changes of a kind."""
    return [one for one in figures.changes if one.kind == kind]


def gap(rows: Sequence[IdentityRow], count: Callable[[IdentityRow], Count]) -> float:
    """Return the difference between the largest and the smallest share of a group."""
    shares = [share(count(one)) for one in rows]
    return max(shares) - min(shares)


def worst_length(rows: Sequence[LengthRow]) -> LengthRow | None:
    """Return the length and corpus with the largest upper bound; None if none has enough pieces."""
    enough = [one for one in rows if one.flagged.of >= FEWEST_PIECES]
    return max(enough, key=lambda one: upper(one.flagged), default=None)


def upper(count: Count) -> float:
    """Return the one-sided 95 % upper bound of a share."""
    return upper_bound(count.count, count.of)


def _evasion(variant: RobustVariant) -> Iterator[Aim]:
    aim = _KEPT[variant.model]
    rows = of_kind(variant.scorers[0], "evasion")
    kept = {one.change: share(one.kept) for one in rows if one.kept.of}
    if not kept:
        return
    mean, worst = sum(kept.values()) / len(kept), min(kept, key=kept.__getitem__)
    yield Aim(
        variant.model,
        "evasion: recall kept, mean of the kinds",
        f"≥ {percent(aim.mean)}",
        percent(mean, 1),
        mean >= aim.mean,
    )
    yield Aim(
        variant.model,
        "evasion: recall kept, worst kind",
        f"≥ {percent(aim.worst)}",
        f"{percent(kept[worst], 1)} ({worst})",
        kept[worst] >= aim.worst,
    )
    for what, bound, chosen in (
        ("evasion: false alarms, worst kind but leet", 0.03, lambda one: one.change != LEET),
        ("evasion: false alarms, leet", 0.10, lambda one: one.change == LEET),
    ):
        worst_row = max(filter(chosen, rows), key=lambda one: share(one.flagged), default=None)
        if worst_row is not None:
            found = share(worst_row.flagged)
            named = "" if worst_row.change == LEET else f" ({worst_row.change})"
            yield Aim(
                variant.model,
                what,
                f"≤ {percent(bound)}",
                f"{percent(found, 1)}{named}",
                found <= bound,
            )


def _harmless(variant: RobustVariant) -> Iterator[Aim]:
    rows = of_kind(variant.scorers[0], "harmless")
    for what, bound, count in (
        ("harmless changes: flagged texts lost, worst kind", 0.05, lost),
        ("harmless changes: others newly flagged, worst kind", 0.005, raised),
    ):
        enough = [one for one in rows if count(one).of >= FEWEST]
        worst = max(enough, key=lambda one: share(count(one)), default=None)
        found = Count(0, 0) if worst is None else count(worst)
        yield Aim(
            variant.model,
            what,
            f"≤ {100 * bound:g} %",
            "" if worst is None else f"{percent(share(found), 2)} of {found.of:,} ({worst.change})",
            None if worst is None else share(found) <= bound,
        )


def lost(row: ChangeRow) -> Count:
    """Return how many of the positives that were flagged are so no longer."""
    return Count(row.kept.of - row.kept.count, row.kept.of)


def raised(row: ChangeRow) -> Count:
    """Return how many of the negatives that were not flagged are so now."""
    return row.raised


def _lengths(variant: RobustVariant) -> Iterator[Aim]:
    worst = worst_length(variant.scorers[0].lengths)
    yield Aim(
        variant.model,
        "harmless texts of 5 to 300 words flagged, 95 % upper bound, worst length and corpus",
        "≤ 3 %",
        ""
        if worst is None
        else f"{percent(upper(worst.flagged), 1)} ({worst.words} words, {worst.corpus})",
        None if worst is None else upper(worst.flagged) <= 0.03,
    )


def _identity(variant: RobustVariant) -> Iterator[Aim]:
    rows = variant.scorers[0].identity
    if not rows:
        return
    worst = max(rows, key=lambda one: share(one.harmless))
    found = share(worst.harmless)
    yield Aim(
        variant.model,
        "harmless identity mentions flagged, worst group",
        "≤ 10 %",
        f"{percent(found, 1)} ({worst.group})",
        found <= 0.10,
    )
    for what, bound, count in (
        ("harmless identity mentions flagged, gap between groups", 8, harmless),
        ("hateful counterparts flagged, gap between groups", 15, hateful),
    ):
        points = round(100 * gap(rows, count), 6)  # 65 % − 50 % is a little off in binary
        yield Aim(variant.model, what, f"≤ {bound} points", f"{points:.1f} points", points <= bound)


def harmless(row: IdentityRow) -> Count:
    """Return how many harmless sentences about a group are flagged."""
    return row.harmless


def hateful(row: IdentityRow) -> Count:
    """Return how many hateful sentences about a group are flagged."""
    return row.hateful

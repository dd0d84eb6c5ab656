"""The aims for transfer, each compared with the figures."""

from dataclasses import dataclass
from typing import Final

from training.tables import figure

from ..schema.transfer import LEFT_OUT, RECALL_UNITS, Interval, Ranking, Short, TransferStudy
from .wording import percent, signed, with_interval

OURS: Final = "ours"
"""The name of our row."""
PROFANITY: Final = "alt-profanity-check"
"""The baseline that did not have the same help."""
MET: Final = "met"

_MISSED: Final = "missed"
_RECALL_MEAN: Final = ", ".join(RECALL_UNITS)


@dataclass(frozen=True, slots=True)
class Aim:
    """What was aimed at, what was found, and whether that meets it."""

    aim: str
    found: str
    verdict: str


def aims(study: TransferStudy) -> list[Aim]:
    """Compare a study's figures with what was aimed at."""
    found = []
    if study.model == "abuse":
        found += [
            _ahead(study, "mean AUROC over the left-out units, ahead", LEFT_OUT, "auroc"),
            *_least(study, "Stormfront, AUROC", "Stormfront", 0.80),
            *_recall_aim(study),
        ]
    if study.model == "spam":
        found += _spam_aims(study)
    if study.short is not None:
        found.append(_short_aim(study.short))
    return found


def _ahead(study: TransferStudy, aim: str, over: str, figure_name: Ranking) -> Aim:
    """Compare with every baseline that had the same help."""
    compared = [
        one
        for one in study.differences
        if (one.over, one.figure) == (over, figure_name) and one.baseline != PROFANITY
    ]
    if not compared:
        return Aim(f"{aim} of every baseline", "not measured", "–")
    closest = min(compared, key=lambda one: one.difference.value)
    return Aim(
        f"{aim} of every baseline",
        f"{signed(closest.difference)} over {closest.baseline}, the closest",
        verdict(closest.difference),
    )


def verdict(difference: Interval) -> str:
    """Compare a difference, ours minus a baseline, with the aim to be ahead.

    Example:
        >>> verdict(Interval(0.02, 0.01, 0.03)), verdict(Interval(0.02, -0.01, 0.03))
        ('met', 'ahead, but the interval includes 0')
    """
    if difference.low > 0:
        return MET
    return "ahead, but the interval includes 0" if difference.value > 0 else _MISSED


def _least(study: TransferStudy, name: str, source_unit: str, least: float) -> list[Aim]:
    rows = [one for one in study.rows if (one.recipe, one.unit) == (OURS, source_unit)]
    return [
        Aim(f"{name} ≥ {figure(least)}", with_interval(one.auroc), _met(one.auroc.value >= least))
        for one in rows
    ]


def _recall_aim(study: TransferStudy) -> list[Aim]:
    aim = f"recall at 5 % false positives, mean of {_RECALL_MEAN}"
    means = [one for one in study.means if (one.recipe, one.over) == (OURS, _RECALL_MEAN)]
    return [
        Aim(f"{aim} ≥ .35", with_interval(one.recall), _met(one.recall.value >= 0.35))
        for one in means
    ] + [_ahead(study, f"{aim}, ahead", _RECALL_MEAN, "recall")]


def _spam_aims(study: TransferStudy) -> list[Aim]:
    found = []
    for row in study.rows:
        if (row.recipe, row.source) == (OURS, "mishra_soni"):
            at = row.at[0]
            found += [
                Aim(
                    "Mishra & Soni left out, recall at the default threshold ≥ 97 %",
                    percent(at.recall, 1),
                    _met(at.recall >= 0.97),
                ),
                Aim(
                    "false alarms there ≤ 1 %",
                    percent(at.false_positive_rate, 1),
                    _met(at.false_positive_rate <= 0.01),
                ),
            ]
    return found


def _short_aim(short: Short) -> Aim:
    closest, difference = min(
        ((one.recipe, one.less) for one in short.rows if one.less is not None),
        key=lambda found: found[1].value,
    )
    state = "ahead" if difference.low > 0 else "behind" if difference.high < 0 else "level"
    return Aim(
        f"tweets of at most {short.characters} characters, AUROC: ahead or level",
        f"{state}: {signed(difference)} over {closest}, the closest",
        _met(difference.high >= 0),
    )


def _met(is_met: bool) -> str:
    return MET if is_met else _MISSED

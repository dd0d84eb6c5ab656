"""The page on robustness, and its aims, from figures that a test chooses."""

from dataclasses import replace

import pytest

from study.pages import robustness
from study.pages import robustness_aims as aims
from study.schema.robustness import (
    ChangeRow,
    CorpusRecord,
    Count,
    IdentityGroup,
    IdentityRow,
    LengthRow,
    Robustness,
    RobustVariant,
    ScorerFigures,
    Sentence,
    SentenceScore,
)


def evasion(name: str, kept: int, alarms: int) -> ChangeRow:
    return ChangeRow(
        name, "evasion", False, Count(kept, 100), Count(alarms, 100), Count(alarms, 100)
    )


def harmless(name: str, kept: Count, raised: Count) -> ChangeRow:
    return ChangeRow(name, "harmless", False, kept, raised, raised)


FIGURES = ScorerFigures(
    name="dice-wide",
    kind="ours",
    threshold=0.5,
    recall=Count(98, 100),
    false_alarms=Count(1, 1000),
    auroc=0.99,
    equal_length_auroc=0.98,
    changes=[
        evasion("leet", 90, 9),
        evasion("upper case", 100, 3),
        harmless("emoji", Count(96, 100), Count(5, 1000)),
        harmless("another link", Count(1, 2), Count(1, 2)),
    ],
    lengths=[
        LengthRow("speeches", 5, Count(6, 400)),
        LengthRow("talk", 40, Count(5, 179)),
    ],
    identity=[],
)
GROUPS = [
    IdentityRow("religion", Count(36, 360), Count(180, 360), 0.9, 0.8),
    IdentityRow("age", Count(9, 360), Count(234, 360), 0.95, 0.7),
]


def variant(model: str, figures: ScorerFigures, *others: ScorerFigures) -> RobustVariant:
    scores = [SentenceScore(0.91, True)]
    return RobustVariant(
        model, "dice-wide", "abc", True, {"Texts": 0.7}, [figures, *others], scores
    )


def stored(*variants: RobustVariant) -> Robustness:
    return Robustness(
        0,
        [CorpusRecord("speeches", "the speeches", "a package", "CC0", "0")],
        [IdentityGroup("religion", False, 15), IdentityGroup("age", True, 15)],
        (24, 24),
        [Sentence("Lunch at 12?", False, False)],
        list(variants),
    )


def verdicts(figures: ScorerFigures) -> list[bool | None]:
    return [one.met for one in aims.aims(stored(variant("spam", figures)))]


def test_every_aim_is_met_at_its_bound() -> None:
    figures = replace(FIGURES, identity=GROUPS)
    found = aims.aims(stored(variant("spam", figures)))
    assert [one.measured for one in found] == [
        "95.0 %",
        "90.0 % (leet)",
        "3.0 % (upper case)",
        "9.0 %",
        "4.00 % of 100 (emoji)",
        "0.50 % of 1,000 (emoji)",
        "2.9 % (5 words, speeches)",
        "10.0 % (religion)",
        "7.5 points",
        "15.0 points",
    ]
    assert all(one.met for one in found)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"changes": [evasion("leet", 84, 9), evasion("a", 100, 3)]}, 1),
        ({"changes": [evasion("leet", 85, 9), evasion("a", 100, 3)]}, 0),
        ({"changes": [evasion("leet", 95, 9), evasion("a", 95, 4)]}, 2),
        ({"changes": [evasion("leet", 95, 11), evasion("a", 95, 3)]}, 3),
        ({"changes": [harmless("a", Count(94, 100), Count(0, 900))]}, 0),
        ({"changes": [harmless("a", Count(95, 100), Count(6, 1000))]}, 1),
        ({"lengths": [LengthRow("talk", 300, Count(7, 400))]}, 6),
        ({"identity": [replace(GROUPS[0], harmless=Count(37, 360)), GROUPS[1]]}, 7),
        ({"identity": [GROUPS[0], replace(GROUPS[1], harmless=Count(6, 360))]}, 8),
        ({"identity": [GROUPS[0], replace(GROUPS[1], hateful=Count(240, 360))]}, 9),
    ],
)
def test_an_aim_is_missed_beyond_its_bound(changed: dict[str, list[object]], place: int) -> None:
    assert verdicts(replace(FIGURES, **changed))[place] is False  # type: ignore[arg-type]


def test_what_too_few_texts_show_is_not_compared() -> None:
    few = replace(
        FIGURES,
        changes=[harmless("another link", Count(1, 2), Count(1, 2))],
        lengths=[LengthRow("talk", 40, Count(5, 179))],
    )
    assert verdicts(few) == [None, None, None]
    assert "not measured" in aims.table(stored(variant("spam", few)))


def test_a_model_without_aims_has_none() -> None:
    assert aims.table(stored(variant("cyberbullying", FIGURES))) == ""
    assert "## The aims" not in robustness.page(stored(variant("cyberbullying", FIGURES)))


def test_a_model_without_a_benchmark_has_a_page_too() -> None:
    page = robustness.page(stored(variant("abuse", replace(FIGURES, identity=GROUPS))))
    assert "| Abuse | evasion: recall kept, worst kind | ≥ 50 % | 90.0 % (leet) | met |" in page


def test_the_page_shows_each_classifier_in_its_column() -> None:
    own = replace(FIGURES, identity=GROUPS)
    leet, *others = own.changes
    weak = replace(leet, kept=Count(50, 100), flagged=Count(20, 100))
    baseline = replace(own, name="SVC", kind="baseline", changes=[weak, *others])
    bare = replace(own, kind="without reading")
    page = robustness.page(stored(variant("spam", own, bare, baseline)))
    lines = page.splitlines()
    assert "| evasion | n | Dice, wide | without the reading | SVC |" in lines
    assert "| leet † | 100 · 100 | 90 % · 9 % | 90 % · 9 % | 50 % · 20 % |" in lines
    mean, worst = "**95.0 % · 6.0 %**", "**90.0 % · 9.0 %**"
    assert f"| **mean** |  | {mean} | {mean} | **75.0 % · 11.5 %** |" in lines
    assert f"| **worst** |  | {worst} | {worst} | **50.0 % · 20.0 %** |" in lines
    assert "| another link | 2 · 2 | 50.0 % (≤ 97.5) · 50.0 % (≤ 97.5) |" in page
    assert "| speeches | 5 | 400 | 1.5 % (≤ 2.9) | 1.5 % (≤ 2.9) |" in lines
    assert "| religion | 10.0 % (≤ 13.0) | 50 % (45–55) | .9000 | .8000 |" in lines
    assert "age (15 words, in no training template)" in " ".join(lines)
    assert "| Lunch at 12? | harmless | **0.91** |" in lines
    assert "| Spam | Dice, wide | .9900 | .9800 |" in lines
    assert max(len(line) for line in lines if not line.startswith(("|", "#"))) <= 100


def test_the_summary_names_the_worst_length_group_and_change() -> None:
    summary = robustness.summary(stored(variant("spam", replace(FIGURES, identity=GROUPS))))
    assert summary.splitlines()[-1] == (
        "| Spam, Dice, wide | 98.0 % · 0.1 % | 1.5 % (≤ 2.9), 5 words, speeches "
        "| 10 % (≤ 13 %, religion) | mean 95 %, worst 90 % (leet) |"
    )

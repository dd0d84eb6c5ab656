"""The page: aims, marks and counts, from figures that a test chooses."""

from dataclasses import replace

import pytest

from study.pages import transfer as page
from study.pages.transfer_aims import aims
from study.schema.transfer import (
    AtThreshold,
    Difference,
    Interval,
    MeanRow,
    Short,
    ShortTexts,
    SourceRow,
    Transfer,
    TransferStudy,
)

LR = "TF-IDF words, characters + LR"
PROFANITY = "alt-profanity-check"


def around(value: float) -> Interval:
    return Interval(value, value - 0.02, value + 0.02)


def row(recipe: str, unit: str, auroc: float, *, has_seen: bool = False) -> SourceRow:
    source = {"Stormfront": "stormfront", "Mishra & Soni": "mishra_soni"}.get(unit, unit.lower())
    use = "measured only" if unit == "Stormfront" else "left out"
    at = [AtThreshold("macro-F1 of validation", 0.5, 0.008, 0.975)]
    return SourceRow(
        recipe=recipe,
        trial="v",
        unit=unit,
        source=source,
        use=use,  # type: ignore[arg-type]
        label="narrower",
        has_seen=has_seen,
        texts=1000,
        dropped=12,
        positives=100,
        groups=990,
        auroc=around(auroc),
        average_precision=0.5,
        recall=around(0.4),
        at=at,
        ceiling=None,
    )


STUDY = TransferStudy(
    model="abuse",
    variant=None,
    date="2026-01-02T03:04:05+00:00",
    commit="abc",
    candidates=["a", "b"],
    sources=["davidson", "wikipedia_talk"],
    samples=1000,
    has_windows=True,
    chosen_by="left-out sources",
    trials=[],
    rows=[
        row(recipe, unit, auroc, has_seen=recipe == PROFANITY and unit == "Davidson")
        for recipe, auroc in (("ours", 0.79), (LR, 0.75), (PROFANITY, 0.9))
        for unit in ("Davidson", "Wikipedia", "Stormfront")
    ],
    means=[
        MeanRow(recipe, over, ["Davidson", "Wikipedia"], around(0.7), around(0.36))
        for over in ("left-out units", "Davidson, Wikipedia, Stormfront")
        for recipe in ("ours", LR, PROFANITY)
    ],
    differences=[
        Difference(baseline, figure, over, around(value))  # type: ignore[arg-type]
        for baseline, value in ((LR, 0.04), (PROFANITY, -0.1))
        for figure in ("auroc", "recall")
        for over in (
            "Davidson",
            "Wikipedia",
            "Stormfront",
            "left-out units",
            "Davidson, Wikipedia, Stormfront",
        )
    ],
    absent={},
    short=None,
)


def test_aims_of_abuse_are_computed() -> None:
    verdicts = {one.aim: one.verdict for one in aims(STUDY)}
    # Ahead of those baselines that had the same help.
    assert list(verdicts.values()) == ["met", "missed", "met", "met"]
    assert "Stormfront, AUROC ≥ .8000" in verdicts
    worse = [replace(one, difference=around(0.01)) for one in STUDY.differences]
    found = aims(replace(STUDY, differences=worse))
    assert found[0].verdict == "ahead, but the interval includes 0"
    assert found[0].found == f"+.0100 (−.0100 to +.0300) over {LR}, the closest"


def test_aims_of_spam_are_read_at_the_default_threshold() -> None:
    spam = replace(STUDY, model="spam", rows=[row("ours", "Mishra & Soni", 0.9)])
    assert [(one.found, one.verdict) for one in aims(spam)] == [
        ("97.5 %", "met"),
        ("0.8 %", "met"),
    ]


@pytest.mark.parametrize(
    ("difference", "state", "expected"),
    [(0.03, "ahead", "met"), (0.01, "level", "met"), (-0.03, "behind", "missed")],
)
def test_the_aim_on_short_tweets(difference: float, state: str, expected: str) -> None:
    rows = [
        ShortTexts("ours", around(0.9), [0.9], None),
        ShortTexts(LR, around(0.8), [0.8], around(difference)),
    ]
    short = Short(140, [0], [500], 0.6, rows)
    (aim,) = aims(replace(STUDY, model="cyberbullying", short=short))
    assert (aim.found.partition(":")[0], aim.verdict) == (state, expected)
    written = page.page(Transfer([replace(STUDY, model="cyberbullying", short=short)]))
    assert "Tweets of at most 140 characters" in written


def test_what_a_baseline_has_seen_does_not_count() -> None:
    assert page.ahead_on(STUDY, LR, ["Davidson", "Wikipedia"]).startswith("2 of 2, 2 with")
    assert page.ahead_on(STUDY, PROFANITY, ["Davidson", "Wikipedia"]).startswith("0 of 1")
    written = page.page(Transfer([STUDY]))
    assert f"{PROFANITY} †" in written
    assert "† It learned from this source" in written


def test_the_head_gives_the_main_result() -> None:
    head = page.page(Transfer([STUDY])).partition("\n## ")[0]
    mean = ".7000 (.6800–.7200)"
    flagged, recall = "0.8 % to 0.8 % (`wikipedia`)", "97.5 % (`davidson`) to 97.5 %"
    assert f"| Abuse | {mean} | {mean}, {LR} | {flagged} | {recall} | 3 of 4 |" in head


def test_what_could_not_be_measured_is_said() -> None:
    absent = {PROFANITY: "it is not installed; `make x` installs it"}
    written = page.page(Transfer([replace(STUDY, absent=absent)]))
    assert "Not measured: it is not installed; `make x` installs it." in " ".join(written.split())
    assert "Ours cuts long texts into windows, no baseline does." in " ".join(written.split())

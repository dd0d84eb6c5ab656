"""What is wrong with feedback: each check, with its numbers."""

import numpy as np
import pytest

from training.errors import DatasetError
from training.retraining.checks import Checked, check

from .examples import HAM, NAMES, SCAM, base_of, feedback_of, sentences

SCAMS, HARMLESS = sentences(SCAM, 60, 1), sentences(HAM, 60, 2)
BASE = sentences(HAM, 20, 7) + sentences(SCAM, 20, 8)
LABELS = [0] * 20 + [1] * 20
TEST = [0, 39]


def checked(
    texts: list[str] | None = None,
    labels: list[int] | None = None,
    flagged: list[bool] | None = None,
    was_flagged: list[bool | None] | None = None,
    ids: list[str | None] | None = None,
) -> Checked:
    """Check feedback, by default a mixture that the model decides rightly in part."""
    texts = [*SCAMS, *HARMLESS] if texts is None else texts
    labels = [1] * 60 + [0] * 60 if labels is None else labels
    flagged = [row % 3 == 0 for row in range(len(texts))] if flagged is None else flagged
    base, folds = base_of(BASE, LABELS, TEST)
    feedback = feedback_of(texts, labels, was_flagged, ids)
    return check(feedback, np.array(flagged), base, folds, NAMES)


def test_good_feedback_is_used_whole() -> None:
    found = checked()
    assert len(found.rows) == 120
    assert found.refusals == ()
    assert found.counts["learnt"] + found.counts["held out"] == 120
    assert [one.partition(" texts")[0] for one in found.warnings] == [
        f"Only {found.counts['held out']}"
    ]


def test_of_near_copies_one_is_used() -> None:
    copies = [f"{SCAMS[0].upper()} {number}!" for number in range(30)]
    texts = [*SCAMS, *HARMLESS, *copies, f"{SCAMS[0]} 7"]
    found = checked(texts, [1] * 60 + [0] * 60 + [1] * 31)
    assert found.counts["near copies of other feedback"] == 31
    assert len(found.rows) == 120


def test_contradictions_among_the_feedback_are_left_out_and_named() -> None:
    texts = [*SCAMS, *HARMLESS, SCAMS[3].upper()]
    found = checked(texts, [1] * 60 + [0] * 60 + [0])
    assert found.counts["contradict other feedback"] == 2
    assert not {3, 120} & set(found.rows.tolist())
    assert any("f.jsonl, line 4, f.jsonl, line 121" in one for one in found.warnings)
    assert found.refusals == ()


def test_many_contradictions_are_refused() -> None:
    texts = [*SCAMS, *HARMLESS, *SCAMS[:20]]
    (refusal,) = checked(texts, [1] * 60 + [0] * 60 + [0] * 20).refusals
    assert refusal.startswith("40 of 140 rows contradict other labels (29%)")


def test_copies_of_the_base_are_left_out() -> None:
    texts = [*SCAMS, *HARMLESS, BASE[0], f"{BASE[39]}!", BASE[1], BASE[38].upper(), BASE[2]]
    found = checked(texts, [1] * 60 + [0] * 60 + [0, 1, 0, 0, 1])
    assert found.counts["near copies of held-out evidence"] == 2
    assert found.counts["learnt before, under the same label"] == 1
    assert found.counts["learnt before, under the other label"] == 2
    assert found.rows.tolist() == list(range(120))
    assert any("texts that were learnt before" in one for one in found.warnings)


@pytest.mark.parametrize("count", [0, 1, 19])
def test_too_little_is_refused_with_the_numbers(count: int) -> None:
    with pytest.raises(
        DatasetError, match=rf"of {count} rows {count} different new texts are left"
    ):
        checked(SCAMS[:count], [row % 2 for row in range(count)])


def test_copies_do_not_make_it_enough() -> None:
    with pytest.raises(DatasetError, match=r"of 200 rows 1 different .* 199 near copies of other"):
        checked([SCAMS[0]] * 200, [1] * 200)


@pytest.mark.parametrize(("right", "refused"), [(117, False), (118, True), (120, True)])
def test_an_echo_is_refused(right: int, refused: bool) -> None:
    labels = [1] * 60 + [0] * 60
    flagged = [(label == 1) == (row < right) for row, label in enumerate(labels)]
    found = checked(flagged=flagged, labels=labels)
    assert any("only repeats what the filter believes" in one for one in found.refusals) == refused


def test_the_decision_of_then_counts_more_than_that_of_now() -> None:
    labels = [1] * 60 + [0] * 60
    now = [label == 1 for label in labels]
    found = checked(flagged=now, was_flagged=[False, True] * 60)
    assert found.refusals == ()
    assert checked(flagged=[False, True] * 60, was_flagged=[*now]).refusals


def test_many_corrections_are_no_echo_whatever_their_share() -> None:
    texts = sentences(HAM, 3000, 4)
    wrong = [row < 50 for row in range(3000)]
    found = checked(
        texts,
        [int(row % 2) for row in range(3000)],
        flagged=[(row % 2 == 1) != one for row, one in enumerate(wrong)],
    )
    assert not any("only repeats" in one for one in found.refusals)


@pytest.mark.parametrize("recorded", [False, True])
def test_flagged_texts_alone_are_refused(recorded: bool) -> None:
    now = [row % 2 == 0 for row in range(120)] if recorded else [True] * 120
    found = checked(flagged=now, was_flagged=[True] * 120 if recorded else None)
    (refusal,) = found.refusals
    assert refusal.startswith("120 of 120 texts were flagged (100.0%)")
    assert "never what was missed" in refusal


def test_one_label_alone_is_refused() -> None:
    found = checked(SCAMS, [1] * 60)
    (refusal,) = found.refusals
    assert refusal.startswith("All 60 texts are 'spam'")
    assert any("No 'ham' is in the held-out feedback" in one for one in found.warnings)


def test_a_rare_label_is_a_warning() -> None:
    found = checked([*SCAMS[:6], *HARMLESS], [1] * 6 + [0] * 60)
    assert any(one.startswith("Only 6 of 66 texts are 'spam'") for one in found.warnings)


def test_missed_texts_and_errors_alone_are_warnings() -> None:
    found = checked(flagged=[False] * 120)
    assert any("shows what was missed" in one for one in found.warnings)
    found = checked(flagged=[False] * 60 + [True] * 60)
    assert any("chosen errors" in one for one in found.warnings)


def test_an_id_on_two_texts_is_a_warning() -> None:
    ids: list[str | None] = [None] * 120
    ids[3] = ids[5] = "9b2f7c1e4d8a4f03b6c5e2a1d7f08394.0"
    found = checked(ids=ids)
    assert found.counts["with a decision id"] == 2
    assert any(one.startswith("1 decision ids are on more than one text") for one in found.warnings)


def test_nothing_that_is_said_quotes_a_text() -> None:
    texts = [*SCAMS, *HARMLESS, *SCAMS[:20]]
    found = checked(texts, [1] * 60 + [0] * 60 + [0] * 20)
    said = " ".join([*found.warnings, *found.refusals, *found.counts])
    assert not any(text in said for text in texts)

"""The penalty of windows, and limits met on held-out texts."""

from dataclasses import replace

import numpy as np
import pytest

from dandelion.decision import operating_points
from dandelion.decision.threshold import LimitError, fit_threshold
from dandelion.engines.network import sigmoid
from dandelion.text.windows import Windows
from training.out_of_fold import LONG_WORDS
from training.penalties import (
    PENALTIES,
    Limit,
    choose_penalty,
    limited_threshold,
    limits_of,
    long_text_records,
    penalised,
)

from .held_out import NAMES, held_out

TALK = [Limit(("chat",), 0.01), Limit(("forum",), 0.01)]
FORUM = [Limit(("forum",), 0.1)]


def test_each_source_of_a_constraint_has_a_limit() -> None:
    groups = {"talk": ("chat", "forum", "left_out")}
    point = operating_points.parse("fpr<=0.01[talk],fpr<=0.1[scams],recall>=0.5[chat]")
    assert limits_of(point, groups, NAMES) == [*TALK, Limit(("scams",), 0.1)]
    assert limits_of(point, groups, ["forum"]) == TALK[1:]
    everywhere = operating_points.parse("fpr<=0.2")
    assert limits_of(everywhere, groups, ["chat", "scams"]) == [
        Limit(("chat",), 0.2),
        Limit(("scams",), 0.2),
    ]
    assert limits_of(operating_points.parse("macro_f1"), groups, NAMES) == []


def test_limits_hold_together() -> None:
    found = held_out()
    scores = sigmoid(found.logits)
    texts = found.labels, found.origins, found.source_names, scores

    def rate(source: str, threshold: float) -> float:
        its = (found.origins == NAMES.index(source)) & (found.labels == 0)
        return float((scores[its] >= threshold).mean())

    threshold = limited_threshold([*TALK, *FORUM], *texts)
    rates = [rate("chat", threshold), rate("forum", threshold)]
    assert 0.007 < max(rates) <= 0.01  # and no threshold lower than that holds
    loose = limited_threshold(FORUM, *texts)
    assert loose < threshold
    assert rate("forum", loose) == pytest.approx(0.1, abs=0.003)
    assert limited_threshold([], *texts) == fit_threshold(found.labels, scores)[0]


@pytest.mark.parametrize("limits", [[], TALK, [*TALK, *FORUM]])
@pytest.mark.parametrize("growth", [0.4, 1.3])
def test_the_smallest_penalty_is_taken_with_which_length_adds_no_false_alarms(
    limits: list[Limit], growth: float
) -> None:
    found = held_out(growth)
    chosen = choose_penalty(limits, found, are_cut=True)
    # A little less suffices, because a limit leaves room for a whole text.
    assert chosen.value == pytest.approx(growth, abs=0.11)
    assert chosen.excess <= 1
    long = found.long_texts

    def worst(penalty: float) -> float:
        largest = [
            Windows(penalty=penalty).combine(long.logits[[row]], [1])[0]
            for row in range(len(long.logits))
        ]
        logits = np.array(largest) - penalty * np.log(long.windows)
        flagged = 1 / (1 + np.exp(-logits)) >= chosen.threshold
        records = long_text_records(chosen.aims, found, flagged)
        assert {one["words"] for one in records} == set(LONG_WORDS)
        return max(one["false_positive_rate"] / one["max_fpr"] for one in records)

    assert worst(chosen.value) <= 1
    assert worst(PENALTIES[PENALTIES.index(chosen.value) - 1]) > 1


def test_the_penalty_is_what_windows_combine_with() -> None:
    logits, windows = np.array([0.5, -1.0, 2.0], np.float32), np.array([1, 3, 20])
    expected = [
        Windows(penalty=0.7).combine(np.full(count, logit, np.float32), [count])[0]
        for logit, count in zip(logits, windows.tolist(), strict=True)
    ]
    np.testing.assert_allclose(penalised(logits, windows, 0.7), expected, atol=1e-6)


def test_if_no_penalty_suffices_the_nearest_is_taken() -> None:
    chosen = choose_penalty(TALK, held_out(5.5), are_cut=True)
    assert chosen.value == PENALTIES[-1]
    assert chosen.excess > 1


def test_texts_that_are_not_cut_have_no_penalty() -> None:
    assert choose_penalty(TALK, held_out(1.3), are_cut=False).value == 0


def test_limits_within_which_nothing_is_found() -> None:
    found = held_out()
    shifted = found.logits + 50 * (found.labels == 0)
    with pytest.raises(LimitError, match="above the score of any positive text"):
        choose_penalty(TALK, replace(found, logits=shifted.astype(np.float32)), are_cut=True)

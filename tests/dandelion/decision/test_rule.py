"""From scores to labels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.decision.calibration import IDENTITY
from dandelion.decision.notices import Notice
from dandelion.decision.policy import Policy
from dandelion.decision.prediction import predict
from dandelion.decision.rule import Decision, ThresholdError

SCORES = st.lists(st.floats(0, 1, width=32), min_size=1)
THREE = Decision(("calm", "glad", "sad"), None)


def test_labels_may_be_numbers() -> None:
    assert Decision.of_classes(3) == Decision(("0", "1", "2"), None)
    with pytest.raises(ThresholdError):
        Decision.of_classes(2)


@given(SCORES, st.floats(0, 1))
def test_agrees_with_a_client_that_compares_the_numbers_of_a_response(
    scores: list[float], threshold: float
) -> None:
    decided = Decision.binary(threshold).decide(np.array(scores, dtype=np.float32))
    assert decided.positions == [score >= threshold for score in scores]
    assert decided.scores == scores
    assert decided.by_label is None


def test_compares_in_float64() -> None:
    below = np.nextafter(np.float32(0.9), np.float32(0))
    scores = np.array([0.9, below], dtype=np.float32)
    assert Decision.binary(0.9).decide(scores).positions == [False, False]


def test_a_score_at_the_threshold_is_positive() -> None:
    assert Decision.binary(0.5).decide(np.array([0.5], dtype=np.float32)).positions == [True]


@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 3), min_size=1))
def test_the_highest_of_many_is_chosen_and_the_first_of_equals(
    rows: list[tuple[float, float, float]],
) -> None:
    decided = THREE.decide(np.array(rows, dtype=np.float32))
    assert decided.positions == [row.index(max(row)) for row in rows]
    assert decided.scores == [max(row) for row in rows]
    assert decided.by_label == [list(row) for row in rows]


def test_decisions_have_names() -> None:
    decision = Decision(("ham", "spam"), 0.5)
    decided = decision.decide(np.array([0.75, 0.25], dtype=np.float32))
    assert decision.names(decided) == ["spam", "ham"]
    assert decision.by_name(decided) == []
    decided = THREE.decide(np.array([[0.25, 0.5, 0.25]], dtype=np.float32))
    assert THREE.names(decided) == ["glad"]
    assert THREE.by_name(decided) == [{"calm": 0.25, "glad": 0.5, "sad": 0.25}]


@pytest.mark.parametrize("decision", [Decision.binary(0.5), THREE])
def test_no_texts(decision: Decision) -> None:
    decided = decision.decide(np.zeros((0, *decision.shape), dtype=np.float32))
    assert (decided.positions, decided.scores) == ([], [])


def test_another_threshold_or_the_present_one() -> None:
    decision = Decision.binary(0.25)
    assert decision.at(None) is decision
    assert decision.at(0.75) == Decision.binary(0.75)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), float("inf"), True, "0.5"])
def test_refuses_a_threshold(threshold: float) -> None:
    with pytest.raises(ThresholdError, match=r"expected a number in \[0, 1\]"):
        Decision.binary(0.5).at(threshold)


def test_two_labels_need_a_threshold() -> None:
    with pytest.raises(ThresholdError, match=r"None; expected a number in \[0, 1\]"):
        Decision(("ham", "spam"), None)


def test_many_labels_have_no_threshold() -> None:
    with pytest.raises(ThresholdError, match="3 labels has no threshold"):
        THREE.at(0.5)


@pytest.mark.parametrize("labels", [(), ("spam",)])
def test_refuses_fewer_than_two_labels(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="at least two labels"):
        Decision(labels, 0.5)


def test_counts_every_label() -> None:
    assert THREE.counts([2, 0, 2]) == [1, 0, 2]
    assert Decision.binary(0.5).counts([True, False, True]) == [1, 2]


POLICY = Policy("teens", "fpr<=0.01", 0.75, 0.5, None, IDENTITY)


def test_a_policy_has_a_band_for_review() -> None:
    decision = Decision(("ham", "spam"), 0.25).under(POLICY)
    assert decision.threshold == 0.75
    scores = np.array([0.76, 0.75, 0.74, 0.5, 0.49], dtype=np.float32)
    decided = decision.decide(scores)
    assert decided.positions == [True, True, False, False, False]
    assert decided.verdicts == ["positive", "positive", "review", "review", "negative"]
    without = decision.under(replace(POLICY, review=None)).decide(scores)
    assert without.verdicts == ["positive", "positive", "negative", "negative", "negative"]


@pytest.mark.parametrize(
    ("policy", "has_decisions"),
    [
        (replace(POLICY, operating_point=None), True),
        (replace(POLICY, name=None), True),
        (replace(POLICY, name=None, operating_point=None), False),
    ],
)
def test_decisions_are_those_of_a_policy_or_a_point(policy: Policy, has_decisions: bool) -> None:
    decided = Decision.binary(0.5).under(policy).decide(np.array([0.5], dtype=np.float32))
    assert (decided.verdicts is not None) == has_decisions
    assert decided.is_plain != has_decisions


NOTICES = {0: Notice.NO_CONTENT, 2: Notice.LOW_EVIDENCE}


def test_nothing_is_decided_without_content() -> None:
    for decision in (Decision.binary(0), Decision.binary(0).under(replace(POLICY, threshold=0))):
        decided = decision.decide(np.array([1, 1, 1], dtype=np.float32), NOTICES)
        assert decided.positions == [False, True, True]
        assert decided.scores == [None, 1, 1]
        assert decided.given_scores == [1, 1]
        verdict = None if decision.policy is None else "positive"
        assert [*decided.remarks()] == [
            ("none", "no_content", False),
            (verdict, None, False),
            (verdict, None, True),
        ]
        assert predict(decision, decided)[0] == (
            *("negative", None, None),
            *("none", "no_content", False),
        )


def test_more_labels_are_chosen_without_content_too() -> None:
    decided = THREE.decide(np.full((3, 3), [0.25, 0.5, 0.25], dtype=np.float32), NOTICES)
    assert (decided.positions, decided.scores) == ([1, 1, 1], [0.5, 0.5, 0.5])
    first, _, last = predict(THREE, decided)
    assert (first.label, first.decision, first.reason) == ("glad", None, "no_content")
    assert (last.decision, last.reason, last.low_evidence) == (None, None, True)


def test_more_labels_have_no_policy() -> None:
    with pytest.raises(ThresholdError, match="3 labels has no threshold"):
        THREE.under(POLICY)

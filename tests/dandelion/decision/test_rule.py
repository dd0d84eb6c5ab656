"""From scores to labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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

"""Figures of two variants, and the intervals of their differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from training.retraining.comparison import Decided, compare, paired_difference

RNG = np.random.default_rng(0)
LABELS = (RNG.random(300) < 0.3).astype(np.int64)


def variant(shift: float, seed: int = 1) -> Decided:
    logits = np.random.default_rng(seed).normal(shift * LABELS, 1.0)
    return Decided(logits > shift / 2, logits)


def test_figures_are_those_of_the_field() -> None:
    one, other = variant(1.0), variant(2.0)
    found = compare(LABELS, one, other)
    is_positive = LABELS == 1
    for figures, decided in ((found.serving, one), (found.candidate, other)):
        flagged = decided.flagged
        assert figures.recall == pytest.approx(flagged[is_positive].mean())
        assert figures.false_positive_rate == pytest.approx(flagged[~is_positive].mean())
        assert figures.precision == pytest.approx(is_positive[flagged].mean())
        assert figures.decided_as_labelled == pytest.approx((flagged == is_positive).mean())
        assert figures.auroc == pytest.approx(roc_auc_score(LABELS, decided.logits))
        expected = average_precision_score(LABELS, decided.logits)
        assert figures.average_precision == pytest.approx(expected)
    assert (found.negatives, found.positives) == ((~is_positive).sum(), is_positive.sum())
    for name, one_change in found.differences.items():
        expected = getattr(found.candidate, name) - getattr(found.serving, name)
        assert one_change.estimate == pytest.approx(expected)
        assert one_change.lower <= one_change.estimate <= one_change.upper
    assert found.differences["auroc"].lower > 0
    assert len(found.differences) == 6


def test_equal_variants_differ_by_nothing_but_not_for_certain() -> None:
    found = compare(LABELS, variant(1.0), variant(1.0))
    assert {one.estimate for one in found.differences.values()} == {0.0}
    recall = found.differences["recall"]
    assert recall.lower == -recall.upper < 0


def test_what_is_not_defined_is_absent() -> None:
    labels = np.ones(10, dtype=np.int64)
    none = Decided(np.zeros(10, dtype=bool), np.zeros(10))
    found = compare(labels, none, none)
    assert (found.serving.false_positive_rate, found.serving.precision) == (None, None)
    assert set(found.differences) == {"recall", "decided_as_labelled"}
    empty = compare(labels[:0], none.at(np.arange(0)), none.at(np.arange(0)))
    assert (empty.differences, empty.serving.recall) == ({}, None)


def test_texts_without_content_rank_last() -> None:
    logits = np.where(np.arange(300) == 0, -np.inf, variant(1.0).logits)
    one = Decided(logits > 0, logits)
    assert compare(LABELS, one, one).serving.auroc is not None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_a_paired_difference_is_within_its_interval(pairs: list[tuple[bool, bool]]) -> None:
    before, after = np.array(pairs, dtype=np.bool_).T
    found = paired_difference(before, after)
    assert found.estimate == pytest.approx(after.mean() - before.mean())
    assert -1 <= found.lower <= found.estimate <= found.upper <= 1
    assert found.lower < found.upper
    back = paired_difference(after, before)
    assert (back.lower, back.upper) == pytest.approx((-found.upper, -found.lower))


def test_its_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    draws = [
        (shares < 0.8, (shares < 0.75) | (rng.random(80) < 0.1)) for shares in rng.random((400, 80))
    ]
    truth = 0.75 + 0.25 * 0.1 - 0.8
    covered = [one.lower <= truth <= one.upper for one in (paired_difference(*d) for d in draws)]
    assert np.mean(covered) > 0.92

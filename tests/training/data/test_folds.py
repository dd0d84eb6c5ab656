"""Folds hold every row out once, keep near copies together, and share out every stratum."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.data.folds import assign, hold_out
from training.errors import DatasetError


@st.composite
def grouped(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rows = draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=40, max_size=60)
    )
    strata, groups = np.array(rows).T
    return strata, groups


@settings(max_examples=20, deadline=None)
@given(grouped(), st.integers(2, 5))
def test_each_group_is_held_out_once(data: tuple[np.ndarray, np.ndarray], folds: int) -> None:
    strata, groups = data
    assume(len(np.unique(groups)) >= folds)
    numbers = assign(strata, groups, folds=folds, seed=0)
    assert numbers.shape == strata.shape
    assert numbers.dtype == np.int64
    assert set(numbers.tolist()) <= set(range(folds))
    for group in np.unique(groups):
        assert len(set(numbers[groups == group].tolist())) == 1
    # What a group is numbered does not matter.
    np.testing.assert_array_equal(assign(strata, groups * 7 + 3, folds=folds, seed=0), numbers)


def test_each_fold_has_its_share_of_every_stratum() -> None:
    strata = np.repeat([0, 1, 2], [400, 100, 10])
    numbers = assign(strata, np.arange(len(strata)), folds=5, seed=0)
    for stratum, expected in ((0, 80), (1, 20), (2, 2)):
        assert np.bincount(numbers[strata == stratum]).tolist() == [expected] * 5
    other = assign(strata, np.arange(len(strata)), folds=5, seed=1)
    assert (other != numbers).any()


def test_a_stratum_may_be_smaller_than_the_folds() -> None:
    strata = np.repeat([0, 1], [50, 2])
    numbers = assign(strata, np.arange(52), folds=5, seed=0)
    assert len(set(numbers[50:].tolist())) == 2


def test_too_few_groups_for_the_folds() -> None:
    with pytest.raises(DatasetError, match="3 groups of near copies cannot be held out in 5 folds"):
        assign(np.zeros(30, dtype=np.int64), np.arange(30) % 3, folds=5, seed=0)


@given(grouped(), st.sampled_from([0.1, 0.4]))
def test_a_part_is_held_out_by_whole_groups(
    data: tuple[np.ndarray, np.ndarray], share: float
) -> None:
    strata, groups = data
    chosen = hold_out(strata, groups, share=share, seed=0)
    for group in np.unique(groups):
        assert len(set(chosen[groups == group].tolist())) == 1
    for stratum in np.unique(strata):
        assert chosen[strata == stratum].mean() >= share
    np.testing.assert_array_equal(hold_out(strata, groups, share=share, seed=0), chosen)


def test_without_copies_no_more_is_held_out_than_asked() -> None:
    strata = np.repeat([0, 1], [90, 10])
    chosen = hold_out(strata, np.arange(100), share=0.1, seed=0)
    assert np.bincount(strata[chosen]).tolist() == [9, 1]

"""Figures of a source, compared with scikit-learn's, and their bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from study.transfer import estimates
from study.transfer.estimates import FALSE_POSITIVES


@st.composite
def sources(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Labels of both classes, groups, and scores with ties."""
    size = draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.concatenate([[0, 1], rng.integers(2, size=size - 2)])
    groups = rng.integers(draw(st.integers(1, size)), size=size)
    # A sample has to have both classes, so they are in groups of their own somewhere.
    groups[:2] = groups.max() + 1
    return labels, groups, rng.integers(0, 9, size=size).astype(float)


@settings(max_examples=30)
@given(sources())
def test_figures_are_scikit_learns(
    source: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]],
) -> None:
    labels, groups, scores = source
    drawn = estimates.draws(labels, groups, "any", samples=5)
    auroc, recall = drawn.auroc(scores), drawn.recall(scores)
    for number, counts in enumerate(drawn.counts):
        weighted = {"sample_weight": counts}
        assert auroc[number] == pytest.approx(roc_auc_score(labels, scores, **weighted))
        false, true, _ = roc_curve(labels, scores, drop_intermediate=False, **weighted)
        assert recall[number] == pytest.approx(true[false <= FALSE_POSITIVES + 1e-12].max())
    assert (drawn.counts[0] == 1).all()


@given(sources())
def test_a_group_is_drawn_as_one(
    source: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]],
) -> None:
    labels, groups, _ = source
    drawn = estimates.draws(labels, groups, "any", samples=5)
    for counts in drawn.counts:
        for group in np.unique(groups):
            assert len(set(counts[groups == group].tolist())) == 1
        assert counts[labels == 1].any()
        assert counts[labels == 0].any()


def test_equal_draws_make_differences_paired_and_sources_are_drawn_apart() -> None:
    labels, groups = np.tile([0, 1], 50), np.arange(100)
    first, again, other = (estimates.draws(labels, groups, name, 20) for name in "aab")
    np.testing.assert_array_equal(first.counts, again.counts)
    assert (first.counts[1:] != other.counts[1:]).any()


def test_an_interval_covers_what_it_says() -> None:
    found = estimates.interval(np.concatenate([[0.5], np.linspace(0, 1, 1001)]))
    assert (found.value, found.low, found.high) == (0.5, pytest.approx(0.025), pytest.approx(0.975))


def test_nan_is_no_score() -> None:
    drawn = estimates.draws(np.array([0, 1]), np.array([0, 0]), "any", 2)
    with pytest.raises(ValueError, match="NaN"):
        drawn.auroc(np.array([np.nan, 1.0]))

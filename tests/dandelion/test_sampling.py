"""Samples: every text has a known chance, none is drawn twice, rare positive texts are found."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from dandelion.sampling import LEAST_PER_STRATUM, STRATA, draw, is_band, stratum_name

LOGITS = hnp.arrays(
    np.float64,
    st.integers(1, 400),
    elements=st.one_of(st.floats(-20, 20), st.sampled_from([-30.0, 0.0, 0.049, 15.0, -np.inf])),
)


@given(LOGITS, st.integers(1, 500), st.integers(0, 5))
@settings(max_examples=200)
def test_weights_are_of_the_whole(logits: NDArray[np.float64], count: int, seed: int) -> None:
    sample = draw(logits, count, seed=seed)
    assert len(sample.rows) == min(count, len(logits))
    assert len(set(sample.rows.tolist())) == len(sample.rows)
    assert sample.rows.min() >= 0
    assert sample.rows.max() < len(logits)
    assert sample.weights.min() >= 1
    assert sample.weights.sum() == pytest.approx(len(logits))
    assert len(sample.sizes) <= STRATA
    for letter, (size, part) in sample.sizes.items():
        of_it = [at for at, one in enumerate(sample.strata) if one == letter]
        assert len(of_it) == part >= 1
        assert sample.weights[of_it].tolist() == pytest.approx([size / part] * part)


@given(LOGITS, st.integers(1, 500))
def test_strata_are_bands(logits: NDArray[np.float64], count: int) -> None:
    sample = draw(logits, count)
    own = logits[sample.rows]
    bands = [
        (
            own[[one == letter for one in sample.strata]].min(),
            own[[one == letter for one in sample.strata]].max(),
        )
        for letter in sample.sizes
    ]
    for (_, highest), (lowest, _) in pairwise(bands):
        assert highest < lowest


@given(LOGITS, st.integers(1, 500), st.integers(0, 5))
def test_a_seed_decides(logits: NDArray[np.float64], count: int, seed: int) -> None:
    first, again = draw(logits, count, seed=seed), draw(logits, count, seed=seed)
    assert first.rows.tolist() == again.rows.tolist()
    assert first.strata == again.strata


def test_other_seeds_draw_others_in_another_order() -> None:
    logits = np.random.default_rng(0).normal(size=5000)
    first, other = draw(logits, 300, seed=0), draw(logits, 300, seed=1)
    assert set(first.rows.tolist()) != set(other.rows.tolist())
    order = logits[first.rows]
    assert abs(np.corrcoef(order, np.arange(300))[0, 1]) < 0.2
    assert [*first.sizes] != [*other.sizes]  # letters do not follow the order of the strata


def test_rare_positive_texts_are_found() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(20_000) < 0.01
    logits = np.where(positive, rng.normal(2, 2, 20_000), rng.normal(-4, 1.5, 20_000))
    found = positive[draw(logits, 600).rows].sum()
    assert found > 90  # six in a random sample


def test_estimates_are_unbiased() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=5000)
    positive = rng.random(5000) < 1 / (1 + np.exp(3 - logits))
    shares = []
    for seed in range(200):
        sample = draw(logits, 300, seed=seed)
        shares.append(np.average(positive[sample.rows], weights=sample.weights))
    error = np.std(shares) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - positive.mean()) < 4 * error


def test_few_texts_have_few_strata() -> None:
    logits = np.linspace(-8, 8, 1000)
    assert len(draw(logits, 2 * LEAST_PER_STRATUM - 1).sizes) == 1
    assert len(draw(logits, 2 * LEAST_PER_STRATUM).sizes) == 2


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="0 texts are to be drawn"):
        draw(np.zeros(3), 0)
    with pytest.raises(ValueError, match="no text"):
        draw(np.zeros(0), 1)


def test_a_band_names_its_artifact() -> None:
    assert is_band(stratum_name("0123456789ab", "c"), "0123456789ab")
    assert not is_band("c", "0123456789ab")

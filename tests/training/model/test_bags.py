"""What the wide path reads in training."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from dandelion.text import grams, surface
from dandelion.text.characters import TextBatch
from dandelion.text.grams import Features
from training.model import bags
from training.model.bags import Bags

from ...dandelion.strategies import ANY_TEXTS

FEATURES = Features(bits=9, chars=(2, 4), words=2, signs=True, shapes=True, surface=True)
WITHOUT_SURFACE = Features(bits=9, chars=None, words=1, signs=False, shapes=False, surface=False)


def occurrences(text: str) -> Counter[int]:
    """Count the buckets of one text, as they are served."""
    ids, _ = grams.encode(TextBatch([text]), FEATURES).pairs()
    return Counter(ids.tolist())


@example(["", "a"])
@example(["a", "", " "])
@given(ANY_TEXTS.filter(bool))
def test_counts_are_the_occurrences_of_the_grams_that_are_served(texts: list[str]) -> None:
    found = bags.count(texts, FEATURES).grams
    assert found.format == "csr"
    assert found.dtype == np.float32
    assert found.shape == (len(texts), 2**9)
    expected = np.zeros(found.shape)
    for row, text in enumerate(texts):
        counts = occurrences(text)
        for bucket, count in counts.items():
            expected[row, bucket] = count / counts.total() ** 0.5
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5)
    assert found.nnz == np.count_nonzero(expected)  # a bucket is one entry: that is counted later


@given(ANY_TEXTS.filter(bool))
def test_the_surface_is_the_one_that_is_served(texts: list[str]) -> None:
    found = bags.count(texts, FEATURES).surface
    assert found is not None
    np.testing.assert_array_equal(found, surface.encode(TextBatch(texts)))
    assert bags.count(texts, WITHOUT_SURFACE).surface is None


def test_long_lists_are_read_in_pieces() -> None:
    five = ["Lunch at 12?", "", "WINNER!! Claim £1000", "so so so", "bye"]
    few, many = (bags.count(five * times, FEATURES) for times in (1, 500))
    rows = np.tile(np.arange(5), 500)
    np.testing.assert_array_equal(many.grams.toarray(), few.grams.toarray()[rows])
    assert few.surface is not None
    np.testing.assert_array_equal(many.surface, few.surface[rows])


def test_take_copies_some_texts() -> None:
    counted = bags.count(["one", "two", "three"], FEATURES)
    taken = counted.take(np.array([2, 0, 2]))
    np.testing.assert_array_equal(taken.grams.toarray(), counted.grams.toarray()[[2, 0, 2]])
    assert counted.surface is not None
    np.testing.assert_array_equal(taken.surface, counted.surface[[2, 0, 2]])
    assert bags.count(["one"], WITHOUT_SURFACE).take(np.array([0])).surface is None


def made_up(counts: list[list[float]]) -> Bags:
    return Bags(sparse.csr_array(np.array(counts, dtype=np.float32)), None)


def test_inverse_document_frequency_by_hand() -> None:
    # Three texts; the buckets are in three, one, two and none of them.
    found = bags.inverse_document_frequency(
        made_up([[1.0, 0.5, 0.0, 0.0], [2.0, 0.0, 1.0, 0.0], [1.0, 0.0, 3.0, 0.0]])
    )
    raw = np.log(4 / np.array([4, 2, 3, 1])) + 1
    mean = (3 * raw[0] + raw[1] + 2 * raw[2]) / 6
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, raw / mean, rtol=1e-6)


@st.composite
def sparse_counts(draw: st.DrawFn) -> NDArray[np.float32]:
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    values = draw(st.lists(st.integers(0, 2), min_size=rows * columns, max_size=rows * columns))
    return np.array(values, dtype=np.float32).reshape(rows, columns)


@given(sparse_counts())
def test_weights_are_scikit_learns_but_for_their_size(counts: NDArray[np.float32]) -> None:
    made = made_up(counts.tolist())
    found = bags.inverse_document_frequency(made)
    theirs = TfidfTransformer(smooth_idf=True).fit(made.grams).idf_
    np.testing.assert_allclose(found * theirs[0], theirs * found[0], rtol=1e-5)
    if counts.any():
        assert bags.weigh(made_up((counts > 0).tolist()), found).grams.sum() == pytest.approx(
            np.count_nonzero(counts), rel=1e-5
        )


def test_weigh_multiplies_each_bucket_and_leaves_the_counts_alone() -> None:
    counted = bags.count(["one two", "two"], FEATURES)
    before = counted.grams.toarray()
    weights = np.linspace(0.5, 2, 2**9, dtype=np.float32)
    weighed = bags.weigh(counted, weights)
    np.testing.assert_allclose(weighed.grams.toarray(), before * weights, rtol=1e-6)
    np.testing.assert_array_equal(counted.grams.toarray(), before)
    np.testing.assert_array_equal(weighed.surface, counted.surface)

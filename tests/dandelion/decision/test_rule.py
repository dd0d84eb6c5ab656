"""From scores to decisions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.decision.rule import ThresholdError, decide


@given(st.lists(st.floats(0, 1, width=32), min_size=1), st.floats(0, 1))
def test_agrees_with_the_reader_of_an_answer(scores: list[float], threshold: float) -> None:
    positive = decide(np.array(scores, dtype=np.float32), threshold)
    assert positive.tolist() == [score >= threshold for score in scores]


def test_compares_in_float64() -> None:
    below = np.nextafter(np.float32(0.9), np.float32(0))
    assert decide(np.array([0.9, below], dtype=np.float32), 0.9).tolist() == [False, False]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), float("inf"), True, "0.5", None])
def test_refuses(threshold: float) -> None:
    with pytest.raises(ThresholdError, match=r"expected a number in \[0, 1\]"):
        decide(np.zeros(1, dtype=np.float32), threshold)

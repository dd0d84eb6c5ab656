"""Sums over ragged arrays against plain sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.text.ragged import sum_each, sum_parts

LENGTHS = st.lists(st.integers(0, 4), min_size=1, max_size=8)


@pytest.mark.parametrize("columns", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(LENGTHS)
def test_the_values_of_each_text_are_summed(
    columns: int | None, dtype: type[np.float32], lengths: list[int]
) -> None:
    offsets = np.cumsum([0, *lengths])
    shape = (offsets[-1],) if columns is None else (offsets[-1], columns)
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    sums = sum_each(values, offsets, dtype)
    assert sums.dtype == dtype
    shares = [values[offsets[row] : offsets[row + 1]].sum(axis=0) for row in range(len(lengths))]
    np.testing.assert_array_equal(sums, shares)


def test_parts_are_summed() -> None:
    # Two texts. Two families share places 0 | 1 2 (text | text), one family has none | 0.
    values = np.array([1, 2, 3, 10, 20, 30, 400], dtype=np.int16)
    parts = [(2, np.array([0, 1, 3])), (1, np.array([0, 0, 1]))]
    sums = sum_parts(values, parts, np.int64)
    assert (sums.tolist(), sums.dtype) == ([11, 455], np.int64)

"""Choosing a share of a sequence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.serving.sampling import Sample

SHARES = st.floats(0, 1, exclude_min=True)


@given(share=SHARES, counts=st.lists(st.integers(1, 200), max_size=20))
def test_batches_are_sampled_as_single_items_are(share: float, counts: list[int]) -> None:
    alone, together = Sample(share), Sample(share)
    singles = [bool(alone.take(1)) for _ in range(sum(counts))]
    found: list[bool] = []
    for count in counts:
        chosen = set(together.take(count))
        assert chosen <= set(range(count))
        found += [position in chosen for position in range(count)]
    assert found == singles


@given(share=SHARES, count=st.integers(1, 5000))
def test_the_share_is_kept_to_a_few_items(share: float, count: int) -> None:
    assert len(Sample(share).take(count)) == pytest.approx(share * count, abs=4)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("period", [2, 3, 7, 10, 100, 256])
def test_every_nth_item_is_chosen_as_often(share: float, period: int) -> None:
    chosen = set(Sample(share).take(2000 * period))
    for start in {0, 1, period - 1}:
        count = sum(position in chosen for position in range(start, 2000 * period, period))
        assert count == pytest.approx(2000 * share, abs=0.02 * 2000)


def test_of_all_items_each_is_chosen() -> None:
    sample = Sample(1.0)
    assert [list(sample.take(count)) for count in (1, 3, 100)] == [[0], [0, 1, 2], [*range(100)]]

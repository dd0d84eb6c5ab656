"""Long texts use each short one at most once, whole or cut at the end."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from training.data.long_texts import join


@given(
    st.lists(st.integers(0, 9), max_size=20), st.integers(1, 12), st.integers(0, 5), st.integers()
)
def test_joined_texts_have_the_length_and_repeat_nothing(
    sizes: list[int], words: int, at_most: int, seed: int
) -> None:
    texts = [" ".join(f"{row}.{place}" for place in range(size)) for row, size in enumerate(sizes)]
    joined = join(texts, words, at_most=at_most, seed=abs(seed))
    assert all(len(text.split(" ")) == words for text in joined)
    assert len(joined) == min(at_most, sum(sizes) // words)
    used = " ".join(joined).split()
    assert len(set(used)) == len(used)
    # Every text follows on the one before it in its own order.
    for first, second in pairwise(used):
        row, place = first.split(".")
        next_row, next_place = second.split(".")
        assert next_place == ("0" if next_row != row else str(int(place) + 1))

"""The reading of a batch: that of each text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dandelion.text.reading import read
from dandelion.text.tokenizer import clean, to_nfkc

from ..strategies import ANY_TEXT, CONFUSING

# Of few characters, folding changes many texts.
FEW = st.sampled_from(["a .", "aA1-", "!\n ", "!?_~*", "ΑΣσς я", "ж★!? a", "ab\u0301"])
TEXTS = CONFUSING | ANY_TEXT | FEW.flatmap(lambda signs: st.text(signs, max_size=14))


@example([""] * 8)
@example(["", *["!!", "   ", "a", "a a"] * 3, "aaaa"])
@example(["f r e e", "a", "?!*&" * 4, "    ", "! !! !", "аaaa", "", "x"])
@given(st.lists(TEXTS, min_size=6, max_size=12))
def test_a_batch_is_read_as_its_texts_are(texts: list[str]) -> None:
    assert read(texts).texts == [clean(text) for text in texts]
    assert read(list(map(to_nfkc, texts)), is_nfkc=True).texts == read(texts).texts


@pytest.mark.parametrize("count", [0, 1, 20])
def test_a_batch_of_any_size_is_read(count: int) -> None:
    assert read(["F R E E!!!!"] * count).texts == ["FREE!!!"] * count

"""A batch of texts as arrays."""

import numpy as np
import pytest
from hypothesis import given

from dandelion.characters import DIGIT, LOWER, SIGN, SPACE, UPPER, Page
from dandelion.tokenizer import clean

from . import reference
from .strategies import ANY_TEXTS

KINDS = {"space": SPACE, "lower": LOWER, "upper": UPPER, "digit": DIGIT, "sign": SIGN}


@pytest.mark.parametrize(
    ("characters", "kind"),
    [
        (" \n\0\x1f\u00a0\u3000\u2028", SPACE),
        ("azßéσ中あᾈ\u0301", LOWER),
        ("AZÉΣİ", UPPER),
        ("09٣", DIGIT),
        ("_.!£😂፩〇\ufffd\ue000", SIGN),
    ],
)
def test_kinds(characters: str, kind: int) -> None:
    for character in characters:
        assert Page([character]).kinds.tolist() == [SPACE, kind, SPACE], character


def test_places() -> None:
    page = Page(["Ab_1", "", " c!"])
    assert "".join(map(chr, page.cased)) == " Ab_1   c! "
    assert "".join(map(chr, page.codes)) == " ab_1   c! "
    assert page.rows.tolist() == [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 3]
    assert page.lengths.tolist() == [4, 0, 3]
    assert page.starts.tolist() == [1, 6, 7]
    assert np.flatnonzero(page.word).tolist() == [1, 2, 3, 4, 8]
    assert np.flatnonzero(page.starts_word).tolist() == [1, 8]
    assert np.flatnonzero(page.space).tolist() == [0, 5, 6, 7, 10]
    assert page.count(page.word).tolist() == [4, 0, 1]


def test_no_texts() -> None:
    page = Page([])
    assert (page.texts, page.lengths.tolist(), page.starts.tolist()) == ([], [], [])
    assert page.count(page.space).tolist() == []


@given(ANY_TEXTS)
def test_any_texts(texts: list[str]) -> None:
    page = Page(texts)
    assert page.texts == list(map(clean, texts))
    for text, start, length in zip(page.texts, page.starts, page.lengths, strict=True):
        here = slice(start, start + length)
        assert "".join(map(chr, page.cased[here])) == text
        assert "".join(map(chr, page.codes[here])) == reference.lower(text)
        assert page.kinds[here].tolist() == [KINDS[reference.kind(one)] for one in text]
        assert page.word[here].tolist() == list(map(reference.is_word, text))
    for array, dtype in (
        *((page.cased, np.uint32), (page.codes, np.uint32), (page.rows, np.int32)),
        *((page.kinds, np.uint8), (page.space, np.bool_), (page.word, np.bool_)),
        *((page.lengths, np.int64), (page.starts, np.int64)),
    ):
        assert array.dtype == dtype

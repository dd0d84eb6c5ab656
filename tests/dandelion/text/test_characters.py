"""A batch of texts as arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.text import characters
from dandelion.text.characters import DIGIT, LOWER, SIGN, SPACE, UPPER, Sums, TextBatch, hash_each
from dandelion.text.tokenizer import clean

from ..strategies import ANY_TEXTS
from . import reference

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
        assert TextBatch([character], is_clean=True).kinds.tolist() == [SPACE, kind, SPACE], (
            character
        )


def test_places() -> None:
    batch = TextBatch(["Ab_1", "", " c!"])
    assert "".join(map(chr, batch.cased)) == " Ab_1   c! "
    assert "".join(map(chr, batch.codes)) == " ab_1   c! "
    assert batch.rows.tolist() == [0, 0, 0, 0, 0, 1, 2, 2, 2, 2]
    assert batch.bounds.tolist() == [0, 5, 6, 10]
    assert batch.lengths.tolist() == [4, 0, 3]
    assert np.flatnonzero(batch.word).tolist() == [1, 2, 3, 4, 8]
    assert [runs.tolist() for runs in batch.words] == [[1, 8], [5, 9]]
    assert [runs.tolist() for runs in batch.pieces] == [[1, 8], [5, 10]]
    assert np.flatnonzero(batch.space).tolist() == [0, 5, 6, 7, 10]
    assert batch.offsets(np.array([1, 7, 8])).tolist() == [0, 1, 1, 3]
    assert batch.rows_of(np.array([0, 4, 5, 6, 9])).tolist() == [0, 0, 1, 2, 2]


def test_no_texts() -> None:
    batch = TextBatch([])
    assert (batch.texts, batch.lengths.tolist()) == ([], [])
    assert (batch.rows.tolist(), batch.bounds.tolist(), batch.codes.tolist()) == ([], [0], [32])


@given(ANY_TEXTS)
def test_any_texts(texts: list[str]) -> None:
    batch = TextBatch(texts)
    assert batch.texts == list(map(clean, texts))
    for text, bound, length in zip(batch.texts, batch.bounds[:-1], batch.lengths, strict=True):
        here = slice(bound + 1, bound + 1 + length)
        assert "".join(map(chr, batch.cased[here])) == text
        assert "".join(map(chr, batch.codes[here])) == reference.lower(text)
        assert batch.kinds[here].tolist() == [KINDS[reference.kind(one)] for one in text]
        assert batch.word[here].tolist() == list(map(reference.is_word, text))
    for array, dtype in (
        *((batch.cased, np.uint32), (batch.codes, np.uint32), (batch.rows, np.intp)),
        *((batch.kinds, np.uint8), (batch.space, np.bool_), (batch.word, np.bool_)),
        *((batch.lengths, np.int64), (batch.bounds, np.int64)),
    ):
        assert array.dtype == dtype


@given(st.lists(st.text(min_size=1), min_size=1))
def test_the_hash_of_a_run_does_not_depend_on_its_place(texts: list[str]) -> None:
    codes = np.frombuffer(f" {' '.join(texts)}".encode("utf-32-le"), dtype=np.uint32)
    lengths = np.array(list(map(len, texts)))
    stops = np.cumsum(lengths + 1)
    starts = stops - lengths
    hashes = Sums(codes).hash(starts, stops)
    assert hashes.dtype == np.uint64
    np.testing.assert_array_equal(hash_each(codes, starts, lengths), hashes)
    # Grams use the lower half.
    assert (hashes % 2**32).tolist() == list(map(reference.word_hash, texts))
    assert len(set(hashes.tolist())) == len(set(texts))


def test_hashes_of_a_batch_too_long_to_cache_its_powers(monkeypatch: pytest.MonkeyPatch) -> None:
    starts, stops = np.array([1, 3002]), np.array([3001, 3012])
    text = "a" * 3000 + " " + "b" * 10
    kept = TextBatch([text], is_clean=True).sums.hash(starts, stops)
    monkeypatch.setattr(characters, "CACHED_POWERS", 1024)
    np.testing.assert_array_equal(TextBatch([text], is_clean=True).sums.hash(starts, stops), kept)

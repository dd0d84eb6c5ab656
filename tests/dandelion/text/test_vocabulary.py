"""Tokens to ids and back to bytes."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dandelion.text import vocabulary as vocabulary_module
from dandelion.text.characters import hash_each
from dandelion.text.tokenizer import tokenize
from dandelion.text.vocabulary import UNKNOWN_ID, Vocabulary

from ..strategies import ANY_TEXTS

TOKENS = st.lists(st.text(st.characters(exclude_characters="\n\r\ufeff"), min_size=1), unique=True)


def test_ids_and_offsets() -> None:
    vocabulary = Vocabulary(["free", "lunch"])
    ids, offsets = vocabulary.encode(["Free lunch free", "", "what?"])
    assert ids.tolist() == [1, 2, 1, UNKNOWN_ID, UNKNOWN_ID]
    assert offsets.tolist() == [0, 3, 3, 5]
    assert (ids.dtype, offsets.dtype) == (np.int32, np.int64)
    assert len(vocabulary) == 3


def test_no_texts() -> None:
    ids, offsets = Vocabulary(["a"]).encode([])
    assert (ids.tolist(), offsets.tolist()) == ([], [0])
    assert ids.dtype == np.int32


def by_the_dictionary(vocabulary: Vocabulary, texts: list[str]) -> tuple[list[int], list[int]]:
    """Look up the tokens of the regular expression, which is the specification."""
    ids, offsets = vocabulary.look_up(map(tokenize, texts))
    return ids.tolist(), offsets.tolist()


def on_arrays(vocabulary: Vocabulary, texts: list[str]) -> tuple[list[int], list[int]]:
    """Take the path of large batches, for which these texts are too short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary_module, "FEW_CHARS", 0)
        ids, offsets = vocabulary.encode(texts)
    assert (ids.dtype, offsets.dtype) == (np.int32, np.int64)
    return ids.tolist(), offsets.tolist()


@example(["@a'b@c http://d.e www.f"], 1)
@example(["www.", "www. a", "a'www.b http:/ http:// http://c", "5www.d_@e f@g"], 1)
@example(["", "ΑΣ", "b", "İ 12345", ""], 1)
@given(ANY_TEXTS, st.integers(1, 3))
def test_arrays_agree_with_the_regular_expression(texts: list[str], step: int) -> None:
    known = list(dict.fromkeys(token for text in texts for token in tokenize(text)))[::step]
    vocabulary = Vocabulary(known)
    assert on_arrays(vocabulary, texts) == by_the_dictionary(vocabulary, texts)


@pytest.mark.parametrize("unit", ["a", "!", "1", "a'", "@a", "http://", "www.a ", "_a", "Σ", "\0 "])
def test_arrays_agree_on_a_long_text(unit: str) -> None:
    texts = ["", unit * 3000, unit]
    vocabulary = Vocabulary(dict.fromkeys(tokenize(unit * 20)))
    assert vocabulary.encode(texts)[0].tolist() == by_the_dictionary(vocabulary, texts)[0]


def test_every_placeholder_is_known_on_arrays() -> None:
    numbers = [f"<{count} digits>" for count in range(5, 17)]
    vocabulary = Vocabulary(["<mention>", *numbers, "<url>"])
    texts = ["@you", *("7" * count for count in range(5, 18)), "https://a"]
    assert on_arrays(vocabulary, texts)[0] == [*range(1, 14), 13, 14]


def test_arrays_are_only_for_many_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for name in ("split", "find_tokens"):
        path = getattr(vocabulary_module, name)
        monkeypatch.setattr(
            vocabulary_module, name, lambda it, n=name, path=path: (paths.append(n), path(it))[1]
        )
    vocabulary = Vocabulary(["a"])
    vocabulary.encode(["a b"] * 2)
    assert paths == ["split", "split"]
    paths.clear()
    vocabulary.encode(["a b"] * 2000)
    assert paths == ["find_tokens"]
    paths.clear()
    vocabulary.encode(["a b", "ΑΣ"] + ["a b"] * 2000)
    assert paths == ["find_tokens", "split"]


def test_an_equal_hash_is_not_an_equal_token() -> None:
    # The Thue–Morse sequence and its complement have the same hash for any odd base.
    letters = ["ab"[place.bit_count() % 2] for place in range(2**11)]
    one = "".join(letters)
    other = one.translate({ord("a"): "b", ord("b"): "a"})
    codes = np.array([[ord(letter) for letter in text] for text in (one, other)], dtype=np.uint32)
    starts, lengths = np.array([0, 2**11]), np.array([2**11, 2**11])
    first, second = hash_each(codes.ravel(), starts, lengths)
    assert first == second
    assert on_arrays(Vocabulary([one]), [one, other])[0] == [1, UNKNOWN_ID]
    assert on_arrays(Vocabulary([one, other]), [one, other, "a"])[0] == [1, 2, UNKNOWN_ID]


@given(TOKENS)
def test_bytes_round_trip(tokens: list[str]) -> None:
    try:
        "".join(tokens).encode()
    except UnicodeEncodeError:
        return
    assert Vocabulary.from_bytes(Vocabulary(tokens).to_bytes()).tokens == tuple(tokens)


@given(st.lists(st.text(), min_size=1))
def test_every_token_of_the_tokenizer_survives(texts: list[str]) -> None:
    tokens = dict.fromkeys(token for text in texts for token in tokenize(text))
    vocabulary = Vocabulary.from_bytes(Vocabulary(tokens).to_bytes())
    assert UNKNOWN_ID not in vocabulary.encode(texts).ids


@pytest.mark.parametrize(
    ("tokens", "message"), [(["a", "a"], "twice"), ([""], "empty"), (["a\nb"], "line break")]
)
def test_refuses(tokens: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary(tokens)


@pytest.mark.parametrize(
    ("data", "message"), [(b"a\nb", "incomplete"), (b"\xff\n", "utf-8"), (b"a\na\n", "twice")]
)
def test_refuses_bytes(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_bytes(data)

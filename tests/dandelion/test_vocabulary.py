"""Tokens to ids and back to bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.tokenizer import tokenize
from dandelion.vocabulary import UNKNOWN_ID, Vocabulary

TOKENS = st.lists(st.text(min_size=1).filter(lambda token: "\n" not in token), unique=True)


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
    ("data", "message"), [(b"a\nb", "cut"), (b"\xff\n", "utf-8"), (b"a\na\n", "twice")]
)
def test_refuses_bytes(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_bytes(data)

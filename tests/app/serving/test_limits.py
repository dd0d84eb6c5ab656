"""Texts that become long by normalization: refused where they exceed a limit, and named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Problem
from app.serving.limits import TextLimits
from dandelion.chunks import CHUNK_CHARS, CHUNK_TEXTS
from dandelion.text.tokenizer import to_nfkc

LONG = "\ufdfa"  # becomes 18 characters


@given(st.lists(st.text(st.sampled_from("aé½" + LONG), max_size=9), min_size=1, max_size=9))
def test_texts_are_refused_exactly_where_they_exceed_a_limit(texts: list[str]) -> None:
    limits = TextLimits(40, 90)
    expected = [to_nfkc(text) for text in texts]
    excess = next(
        (
            position
            for position, text in enumerate(expected)
            if len(text) > 40 or sum(map(len, expected[: position + 1])) > 90
        ),
        None,
    )
    assert limits.normalize(texts, 1000) == (expected if excess is None else None)
    if excess is None:
        assert [text for chunk in limits.chunks(texts) for text in chunk] == expected
        return
    with pytest.raises(Problem) as caught:
        list(limits.chunks(texts))
    (error,) = caught.value.errors
    assert error.pointer == f"#/texts/{excess}"


@given(st.lists(st.text(st.sampled_from("aé½" + LONG), max_size=9), min_size=1, max_size=9))
def test_texts_that_are_too_long_are_left_out_where_errors_are_reported(texts: list[str]) -> None:
    limits = TextLimits(40, 1000)
    expected = [to_nfkc(text) for text in texts]
    failed: dict[int, str] = {}

    found = [text for chunk in limits.chunks(texts, failed) for text in chunk]

    assert found == [text for text in expected if len(text) <= 40]
    assert list(failed) == [place for place, text in enumerate(expected) if len(text) > 40]
    assert all("length <= 40 after" in detail for detail in failed.values())


def test_a_text_that_is_left_out_counts_in_all_texts() -> None:
    texts = [LONG * 9] * 3

    assert list(TextLimits(40, 120).chunks(texts, failed := {})) == [[]]
    assert len(failed) == 3
    with pytest.raises(Problem) as caught:
        list(TextLimits(40, 119).chunks(texts, {}))
    assert caught.value.errors[0].pointer == "#/texts/2"
    assert "in all texts" in caught.value.errors[0].detail


def test_an_error_names_the_limit() -> None:
    for limits, detail in (
        (TextLimits(17, 100), "length <= 17 after Unicode normalization"),
        (TextLimits(100, 17), "at most 17 characters in all texts after Unicode normalization"),
    ):
        with pytest.raises(Problem) as caught:
            list(limits.chunks(["", LONG]))
        (error,) = caught.value.errors
        assert error.pointer == "#/texts/1"
        assert detail in error.detail


def test_the_limit_on_all_texts_holds_for_ascii() -> None:
    limits = TextLimits(100, 10)
    assert list(limits.chunks(["a" * 5, "a" * 5])) == [["a" * 5, "a" * 5]]
    with pytest.raises(Problem):
        list(limits.chunks(["a" * 5, "a" * 6]))


def test_a_short_request_that_becomes_long_is_left_to_the_threads() -> None:
    limits = TextLimits(1000, 1000)
    assert limits.normalize(["a", LONG], 19) == ["a", to_nfkc(LONG)]
    assert limits.normalize(["a", LONG], 18) is None


def test_what_cannot_exceed_a_limit_is_known_before() -> None:
    limits = TextLimits(1000, 90)
    assert limits.always_met == 5
    list(limits.chunks([LONG] * limits.always_met))
    with pytest.raises(Problem):
        list(limits.chunks([LONG] * (limits.always_met + 1)))


def test_chunks_are_bounded_after_normalization() -> None:
    limits = TextLimits(100_000, 8_000_000)
    texts = [LONG * 500] * 40 + ["a"] * 600
    found = list(limits.chunks(texts))
    assert [text for chunk in found for text in chunk] == [to_nfkc(LONG * 500)] * 40 + ["a"] * 600
    assert max(len(chunk) for chunk in found) == CHUNK_TEXTS
    assert CHUNK_CHARS / 2 < max(sum(map(len, chunk)) for chunk in found) <= CHUNK_CHARS

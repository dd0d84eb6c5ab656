from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dandelion.text.alignment import align
from dandelion.text.tokenizer import clean
from tests.dandelion.strategies import ANY_TEXT, CONFUSING

# Raw and clean; none of them changes its neighbours.
PIECES = {
    "plain": "plain",
    "ﬁve": "five",
    "ｗｉｄｅ": "wide",
    "f.r.e.e": "free",
    "so\u200b\u200bft\u200b": "soft",
    "cafe\u0301\u0302": "cafe",
    "раураl": "paypal",
    "goooooood": "goood",
    "!!!!!!!": "!!!",
    "½": "1/2",
    "привет": "привет",
    "한국": "한국",
    "\u1112\u1161\u11ab": "한",
    "\ud83d\ude00": "😀",
    "\ud83d": "\ufffd",
    "it\u2019s": "it's",
    "İstanbul": "Istanbul",
    "İя": "Iя",
}


@given(ANY_TEXT | CONFUSING)
@example("\u0301")
@example("\u200b!\u0301 \u200b")
def test_every_span_is_inside_the_raw_text_and_in_its_order(raw: str) -> None:
    cleaned = clean(raw)
    aligned = align(raw, cleaned)

    assert len(aligned.starts) == len(aligned.stops) == len(cleaned)
    spans = [aligned.span(place, place + 1) for place in range(len(cleaned))]
    assert all(0 <= start < stop <= len(raw) for start, stop in spans)
    assert all(one[0] <= two[0] and one[1] <= two[1] for one, two in pairwise(spans))


@given(st.lists(st.sampled_from(sorted(PIECES)), min_size=1, max_size=8))
def test_a_word_covers_what_it_was_read_from(pieces: list[str]) -> None:
    # A word between two pieces, so that nothing is joined or cut across them.
    raw = " and ".join(pieces)
    cleaned = " and ".join(PIECES[piece] for piece in pieces)
    assert clean(raw) == cleaned
    aligned = align(raw, cleaned)

    begin = start = 0
    for piece in pieces:
        stop = start + len(PIECES[piece])
        assert aligned.span(start, stop) == (begin, begin + len(piece))
        begin, start = begin + len(piece) + len(" and "), stop + len(" and ")


@given(ANY_TEXT | CONFUSING)
def test_a_letter_or_digit_is_found_where_it_stands(raw: str) -> None:
    cleaned = clean(raw)
    aligned = align(raw, cleaned)
    for place, character in enumerate(cleaned):
        if character.isascii() and character.isalnum() and character in raw:
            start, stop = aligned.span(place, place + 1)
            found = clean(raw[start:stop])
            # Unless it is a look-alike, whose reading depends on the word around it.
            assert character.casefold() in found.casefold() or not raw[start:stop].isascii()


@pytest.mark.parametrize(
    ("raw", "word", "covered"),
    [
        ("go F R E E now", "FREE", "F R E E"),
        ("! ! ! ! ! go", "!!!", "! ! ! ! !"),
        ("a" * 1000 + " b", "aaa", "a" * 1000),
        ("x" + "\u200b" * 50 + "y z", "xy", "x" + "\u200b" * 50 + "y"),
    ],
)
def test_a_run_is_covered_as_a_whole(raw: str, word: str, covered: str) -> None:
    cleaned = clean(raw)
    start, stop = align(raw, cleaned).span(cleaned.index(word), cleaned.index(word) + len(word))

    assert raw[start:stop] == covered


def test_signs_that_are_cut_do_not_move_the_words_after_them() -> None:
    raw = "♥ ♥♥♥ hello ♥ world ♥♥♥♥ ♥"
    cleaned = clean(raw)
    assert cleaned == "♥♥ ♥ hello ♥ world ♥♥ ♥"
    aligned = align(raw, cleaned)

    for word in ("hello", "world"):
        start, stop = aligned.span(cleaned.index(word), cleaned.index(word) + len(word))
        assert raw[start:stop] == word
    assert aligned.span(0, 4) == (0, 5)


@given(ANY_TEXT | CONFUSING, ANY_TEXT | CONFUSING)
def test_a_word_between_any_texts_is_found(before: str, after: str) -> None:
    raw = f"{before} \n Hello9 \n {after}"
    cleaned = clean(raw)
    if cleaned.count("Hello9") != 1:
        return
    place = cleaned.index("Hello9")
    start, stop = align(raw, cleaned).span(place, place + 6)

    assert raw[start:stop].startswith("Hello9")
    assert clean(raw[start:stop]) == "Hello9"


def test_a_text_that_does_not_belong_to_it_still_gets_valid_spans() -> None:
    aligned = align("abc", "xyz" * 20)

    spans = [aligned.span(place, place + 1) for place in range(60)]
    assert all(0 <= start < stop <= 3 for start, stop in spans)

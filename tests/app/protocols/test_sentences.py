"""Sentences, and places in UTF-16 code units."""

from hypothesis import given
from hypothesis import strategies as st

from app.protocols.sentences import MAX_SENTENCES, in_utf16, sentences


def test_the_example_of_perspective_apis_reference() -> None:
    text = "What kind of idiot name is foo? Sorry, I like your name."
    assert sentences(text) == [(0, 31), (32, 56)]


@given(st.text() | st.text('ab.!?…)"\n\t ', max_size=80))
def test_sentences_cover_all_but_white_space(text: str) -> None:
    found = sentences(text)
    places = [place for one in found for place in one]
    assert places == sorted(places)
    assert all(start < stop for start, stop in found)
    covered = "".join(text[start:stop] for start, stop in found)
    assert "".join(covered.split()) == "".join(text.split())


def test_a_sentence_ends_where_one_would() -> None:
    text = 'Version 2.5 is out! "Really?" Yes...\nNo newline? no'
    parts = [text[start:stop] for start, stop in sentences(text)]
    assert parts == ["Version 2.5 is out!", '"Really?"', "Yes...", "No newline?", "no"]


def test_a_comment_of_very_many_sentences_has_a_bounded_number_of_spans() -> None:
    text = "a. " * 50_000 + "!" * 100_000
    found = sentences(text)
    assert len(found) == MAX_SENTENCES
    assert found[-1][1] == len(text)


@given(st.text(), st.data())
def test_places_in_utf16(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    expected = len(text[:place].encode("utf-16-le", "surrogatepass")) // 2
    assert in_utf16(text, [place, 0]) == {0: 0, place: expected}

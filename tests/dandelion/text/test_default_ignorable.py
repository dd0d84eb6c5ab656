"""The ranges of default ignorable characters, compared with what Python knows of Unicode."""

import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion import Classifier
from dandelion.engines import library
from dandelion.engines.choice import EngineChoice
from dandelion.text.default_ignorable import RANGES
from dandelion.text.tokenizer import clean

from ...conftest import ROOT
from ..examples import FEATURES, make_artifact
from ..strategies import IGNORABLE

IGNORED = {code for first, last in RANGES for code in range(first, last + 1)}
WIDE = make_artifact(features=FEATURES)


def is_prepended_or_annotation(code: int) -> bool:
    """Return whether a format character is displayed: a sign before numbers, or an annotation."""
    return (
        code in {0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
        or 0x600 <= code <= 0x605
        or 0xFFF9 <= code <= 0xFFFB
        or 0x13430 <= code <= 0x1343F  # Egyptian hieroglyph format controls
    )


def test_the_ranges_are_ascending_and_apart() -> None:
    assert all(first <= last for first, last in RANGES)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(RANGES))
    assert len(IGNORED) == 4174  # "Total code points" of Unicode's file


def test_every_format_character_is_ignored_but_those_that_are_displayed() -> None:
    """How Unicode derives the property: format characters, variation selectors and a few others."""
    categories = {code: unicodedata.category(chr(code)) for code in range(sys.maxunicode + 1)}
    formats = {code for code, category in categories.items() if category == "Cf"}
    assert formats - IGNORED == {code for code in formats if is_prepended_or_annotation(code)}
    rest = IGNORED - formats
    assert {categories[code] for code in rest} == {"Cn", "Lo", "Mn"}
    letters = {code for code in rest if categories[code] == "Lo"}
    assert all("FILLER" in unicodedata.name(chr(code)) for code in letters)


def test_normalization_gives_none() -> None:
    for code in set(range(sys.maxunicode + 1)) - IGNORED - set(range(0xD800, 0xE000)):
        assert IGNORED.isdisjoint(map(ord, unicodedata.normalize("NFKC", chr(code))))


def test_clean_removes_each_of_them_and_nothing_else() -> None:
    assert clean("".join(f"{chr(code)}1" for code in IGNORED)) == "1" * len(IGNORED)
    for code in (0x61, 0xFE, 0xB7, 0x1161, 0x2000, 0x2070, 0xFFFD, 0x1F602, 0x1D172, 0xF0000):
        kept = unicodedata.normalize("NFKC", chr(code))
        assert clean(f"{chr(code)}") == kept
        assert clean(f"{chr(code)}\U000e0020") == kept


@st.composite
def texts_with_ignorable(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a text, and the same with ignorable characters anywhere in it."""
    text = draw(
        st.text(
            st.sampled_from("Fre prize!£1 éa\u0301ㄱ가ᄀ😂'’@:/w.") | st.characters(codec="utf-8")
        )
    )
    text = text or "free"
    places = st.lists(st.tuples(st.integers(0, len(text)), IGNORABLE), min_size=1, max_size=8)
    hidden = list(text)
    for place, character in sorted(draw(places), reverse=True):
        hidden.insert(place, character)
    return text, "".join(hidden)


ENGINES: list[EngineChoice] = ["numpy", *(["compiled"] if library.is_available() else [])]
MADE_UP = {engine: Classifier(WIDE, engine) for engine in ENGINES}


@pytest.mark.parametrize("engine", ENGINES)
@given(texts_with_ignorable())
def test_no_score_depends_on_them(engine: EngineChoice, texts: tuple[str, str]) -> None:
    text, hidden = texts
    assert MADE_UP[engine].scores([text]).tolist() == MADE_UP[engine].scores([hidden]).tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_invisible_characters_hide_no_spam(engine: EngineChoice) -> None:
    spam = Classifier.load(ROOT / "artifacts" / "spam" / "squared_hinge-wide", engine)
    text = "WINNER!! Claim your free prize now, call 09012345678"
    codes = (0x2066, 0x2069, 0x206A, 0x61C, 0x34F, 0x180E, 0x115F, 0x3164, 0xE0020, 0xE0101)
    (expected,) = spam.classify([text])
    assert expected.label == "spam"
    for code in codes:
        assert spam.classify([chr(code).join(text)]) == [expected], hex(code)

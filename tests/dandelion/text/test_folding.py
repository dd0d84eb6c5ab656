"""The reading of texts: golden examples of each rule, and properties that hold for any string."""

import re
import sys
import timeit
import unicodedata
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dandelion.text.confusables import LOOK_ALIKES
from dandelion.text.folding import fold
from dandelion.text.tokenizer import MAX_MARKS, clean, to_nfkc

from ..strategies import CONFUSING

ALL_LOOK_ALIKES = "".join(LOOK_ALIKES.values())


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        # look-alikes
        ("frее сlick", "free click"),  # Cyrillic letters in words with ASCII letters
        ("сосо", "coco"),  # look-alikes alone
        ("ΑΒΕ τοο", "ABE τοο"),
        ("Іlӏ1| 0O rn m", "Ili1| 0O rn m"),  # ASCII stays, and the case is kept where it can be
        ("“free” − £5", '"free" - £5'),
        ("ｆｒｅｅ 𝐟𝐫𝐞𝐞", "free free"),
        ("привет, сок!", "привет, сок!"),
        ("а-я, сюда.сок.ас", "a-я, сюда.сок.ac"),  # a sign of ASCII ends a word
        ("한국어 日本語 ไทย हिन्दी", "한국어 日本語 ไทย हिन्दी"),
        ("été à Zürich", "ete a Zurich"),
        ("f\u0489r\u0301\u0302e\u20dde", "free"),
        ("й ё Ӟ", "й e 3"),
        ("a≠b ∤ £€", "a≠b ∤ £€"),
        # parted letters
        ("f r e e", "free"),
        ("f.r.e.e", "free"),
        ("f. r. e. e", "free"),
        ("f--r--e--e, f*r*e*e f_r_e_e", "free, free free"),
        ("F R É E", "FREE"),
        ("U.S.A.", "USA."),
        ("J. R. R. Tolkien", "JRR. Tolkien"),
        ("e.g. I a", "e.g. I a"),  # two letters
        ("a b-c", "a b-c"),
        ("xa b c, a b cx, a b c1", "xa b c, a b cx, a b c1"),
        ("a - b - c", "a - b - c"),  # three signs
        ("1 2 3 4", "1 2 3 4"),
        # runs
        ("." * 200, "..."),
        ("free" + " ." * 200, "free ..."),
        ("! ! ! !  ok!!!", "!!!  ok!!!"),
        ("😂😂😂😂😂", "😂😂😂"),
        ("a♥♥ ♥♥b", "a♥♥ ♥b"),
        ("soooooo goooood, Aaaaah", "sooo goood, aaah"),
        ("a" + " " * 9 + "b\n\n\n\n\nc \n \n \n \n", "a   b\n\n\nc \n \n \n \n"),
        ("100000000 ٣٣٣٣٣", "100000000 ٣٣٣٣٣"),  # digits stay
        ("?!?!?!?! aabbccddaabb", "?!?!?!?! aabbccddaabb"),
        # many signs
        ("free...!!!??? !!!!????....,,", "free...!!!??? !!!???..."),
        ("free" + "!?*&%$" * 200 + "now", "free!?*&%$!?*now"),
        ("a" + "_-_=" * 3 + " _-_=_ b", "a_-_=_-_=_ b"),
        ("🙂🎉👍" * 200 + "!", "🙂🎉👍🙂🎉👍🙂🎉👍"),
        ("👩\u200d🚀🏽" * 9, "👩🚀🏽👩🚀🏽👩🚀🏽"),
        ("!?*&%$#@~+ ~~+ ~ +", "!?*&%$#@~ +"),  # the ninth again
        ("https://a?=&%#+;:" + "/.." * 5 + "b", "https://a?=&%#+;:/b"),
        ("привет" + "!\u0316" * 9 + "сок", "привет!\u0316!\u0316!\u0316!\u0316!сок"),
        ("frее★сок сосо★", "free★сок coco★"),  # a sign ends a word
        ("क्षि क्षि" * 2, "क्षि क्षिक्षि क्षि"),
    ],
)
def test_golden(text: str, reading: str) -> None:
    assert clean(text) == reading


@example("ρρρΡ\u0313ж")  # only the small letter composes with the mark
@example("a♥ ♥ ♥ ♥я⍺")
@example("x y ю-⍺-⍺-⍺")
@example("“““‘‘‘−−−★сосо")
@example("я““ ““ю")
@example("!?*&%$#@~+сосо~ ~ю")
@example("a★☆♥★☆♥★☆♥!ж")
@example("!?*&%$#@=+\u0338")
@example("!?*&%$~~~#~\u0301")
@example("!?*&%$#@~+ ~ ~")
@example("!?*&%$~~~+ ~")
@example("!?*&%$#@~+ ~    x")
@example("\uac00" * 255 + "\u1100\u1161")
@given(CONFUSING)
def test_a_clean_text_stays_as_it_is(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert clean(once, len(once)) == once
    assert fold(once) == once


MIXED_SIGNS = st.text("!?~_“−∪★♥\u0301\u0338 аxя", min_size=9, max_size=40)


@given(MIXED_SIGNS)
def test_signs_outnumber_nine_in_no_run(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert not re.search(r"[!?~_★♥]{10}", once)


@pytest.mark.parametrize("unit", ["!?*&%$", "~+ ", "!?*&%$#@~+ ~", "★☆", "“‘★", "\u0301! "])
def test_signs_are_cut_in_linear_time(unit: str) -> None:
    def seconds(count: int) -> float:
        text = unit * count
        return min(timeit.repeat(lambda: fold(text), timer=process_time, number=1, repeat=3))

    assert seconds(10_000) < 40 * seconds(1_000)  # a square would be 100


@given(CONFUSING)
def test_no_text_becomes_longer(text: str) -> None:
    assert len(clean(text)) <= len(to_nfkc(text))


def test_no_character_becomes_longer() -> None:
    """Of the characters that are composed, or look like one in ASCII: folding leaves the others."""
    for code in range(sys.maxunicode + 1):
        if not unicodedata.decomposition(chr(code)) and chr(code) not in ALL_LOOK_ALIKES:
            continue
        text = to_nfkc(chr(code))
        for word in (text, f"a{text}"):
            assert len(fold(word)) <= len(word), hex(code)
            assert clean(fold(word)) == fold(word), hex(code)


@given(st.text(st.characters(codec="ascii")))
def test_ascii_characters_are_only_dropped(text: str) -> None:
    left = iter(text.lower())
    assert all(one in left for one in fold(text).lower())
    assert [one for one in fold(text) if one.isdigit()] == [one for one in text if one.isdigit()]


def test_look_alikes_are_what_normalization_leaves() -> None:
    assert len(set(ALL_LOOK_ALIKES)) == len(ALL_LOOK_ALIKES) == 559
    for ascii_one, characters in LOOK_ALIKES.items():
        assert "!" <= ascii_one <= "~"
        for character in characters:
            assert not character.isascii()
            assert unicodedata.normalize("NFKC", character) == character
            assert unicodedata.category(character)[0] != "M"
            assert clean(character) == ascii_one
            assert clean(f"1{character}1") == f"1{ascii_one}1"


@pytest.mark.parametrize(
    "mark", ["\u0301", "\u0301\u0316", "\u0344", "\uff9e\u0316", "\u0f73\u0316"]
)
def test_of_a_long_run_of_marks_the_rest_is_dropped(mark: str) -> None:
    cut = to_nfkc("я" + mark * 1000 + "ю")
    assert cut[0] == "я"
    assert cut[-1] == "ю"
    assert len(cut) == MAX_MARKS + 2
    # Text as it is written has fewer.
    kept = "क्षि" + "\u0e01\u0e34\u0e48" + "я" + "\u0316" * MAX_MARKS
    assert to_nfkc(kept) == unicodedata.normalize("NFKC", kept)


def test_every_mark_is_counted() -> None:
    for code in set(range(sys.maxunicode + 1)) - set(range(0xD800, 0xE000)):
        parts = unicodedata.normalize("NFKD", chr(code))
        if unicodedata.combining(parts[0]):
            assert len(to_nfkc("я" + chr(code) * 99)) <= MAX_MARKS + 1, hex(code)

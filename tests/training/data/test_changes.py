"""Changes of texts: what each does, that a seed decides it, and which ones training may use."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.changes import HARMLESS, SIGNS, Change, evasion, for_augmentation

WORDS = tuple(f"w{number}" for number in range(500))
CHANGES = {one.name: one for one in (*evasion(WORDS), *HARMLESS)}
TEXT = "Don't wait, call 08001234567 or visit http://win.example/now for your free prize"
ASCII = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")))


def changed(name: str, text: str, seed: int = 0) -> str:
    (result,) = CHANGES[name].on([text], seed)
    return result


@pytest.mark.parametrize("change", CHANGES.values(), ids=lambda one: one.name)
@settings(max_examples=15)
@given(texts=st.lists(st.text(), max_size=3), seed=st.integers(0, 2**32 - 1))
def test_a_seed_decides_the_change_of_each_text_alone(
    change: Change, texts: list[str], seed: int
) -> None:
    together = change.on(texts, seed)
    assert together == change.on(texts, seed)
    assert together[:1] == change.on(texts[:1], seed)


@pytest.mark.parametrize("change", CHANGES.values(), ids=lambda one: one.name)
def test_every_change_alters_a_message(change: Change) -> None:
    assert change.on([TEXT], 0) != [TEXT]


def test_augmentation_may_use_these_and_no_others() -> None:
    assert {one.name for one in for_augmentation(WORDS)} == {
        "leet",
        "zero-width",
        "repeated letters",
        "spaced letters",
        "upper case",
        "lower case",
        "mixed case",
        "20 ordinary words behind",
        "20 ordinary words before",
    }


@pytest.mark.parametrize("name", ["zero-width", "U+034F", "U+3164", "accents"])
@settings(max_examples=40)
@given(text=ASCII, seed=st.integers(0, 1000))
def test_hidden_signs_are_all_that_is_added(name: str, text: str, seed: int) -> None:
    decomposed = unicodedata.normalize("NFD", changed(name, text, seed))
    assert re.sub("[\u200b-\u200d\u2060\u034f\u3164\u0300-\u0308]", "", decomposed) == text


@settings(max_examples=40)
@given(text=ASCII, seed=st.integers(0, 1000))
def test_letters_are_parted_repeated_or_swapped_inside_words(text: str, seed: int) -> None:
    assert changed("dotted letters", text, seed).replace(".", "") == text.replace(".", "")
    spaced = changed("spaced letters", text, seed)
    assert "".join(spaced.split()) == "".join(text.split())
    repeated = changed("repeated letters", text, seed)
    assert re.sub(r"(.)\1*", r"\1", repeated) == re.sub(r"(.)\1*", r"\1", text)
    for old, new in zip(
        re.findall("[A-Za-z]+", text),
        re.findall("[A-Za-z]+", changed("swapped letters", text, seed)),
        strict=True,
    ):
        assert (old[0], old[-1], sorted(old)) == (new[0], new[-1], sorted(new))


def test_words_stay_apart_when_their_letters_are_spaced() -> None:
    result = changed("spaced letters", "a free prize for you")
    assert result == "a  f r e e  p r i z e  f o r  y o u"


def test_look_alikes_and_leet_replace_single_characters() -> None:
    for name in ("look-alikes", "leet"):
        result = changed(name, TEXT)
        assert len(result) == len(TEXT)
        kept = [one == other for one, other in zip(result, TEXT, strict=True)]
        assert 0.4 < np.mean(kept) < 1
    assert not changed("look-alikes", TEXT).isascii()
    assert changed("leet", TEXT).isascii()


@settings(max_examples=40)
@given(text=st.text(), seed=st.integers(0, 1000))
def test_signs_and_ordinary_words_leave_the_text(text: str, seed: int) -> None:
    for name in ("200 full stops behind", "200 exclamation marks behind", "200 mixed signs behind"):
        result = changed(name, text, seed)
        assert result.startswith(text)
        assert len(result) == len(text) + 1 + SIGNS
    for count in (20, 50, 200):
        behind = changed(f"{count} ordinary words behind", text, seed)
        before = changed(f"{count} ordinary words before", text, seed)
        assert behind.startswith(text)
        assert before.endswith(text)
        passage = behind[len(text) + 1 :].split(" ")
        start = WORDS.index(passage[0])
        assert tuple(passage) == WORDS[start : start + count]


@settings(max_examples=40)
@given(text=ASCII, seed=st.integers(0, 1000))
def test_case_white_space_and_punctuation_alone_change(text: str, seed: int) -> None:
    for name in ("mixed case", "case of the first letter", "lower case", "upper case"):
        assert changed(name, text, seed).casefold() == text.casefold()
    for name in ("wider spaces", "line breaks"):
        assert changed(name, text, seed).split() == text.split()
    letters = re.compile(r"\w")
    for name in ("full stop at the end", "exclamation mark at the end"):
        assert letters.findall(changed(name, text, seed)) == letters.findall(text)


def test_another_number_keeps_its_length_and_another_link_is_one() -> None:
    number = changed("another number", TEXT)
    assert re.sub("[0-9]", "0", number) == re.sub("[0-9]", "0", TEXT)
    assert "http://win.example/now" in number
    link = changed("another link", TEXT)
    assert re.sub(r"http://\S+", "", link) == re.sub(r"http://\S+", "", TEXT)
    assert re.search(r"http://\w{6}\.com/\w{4} ", link)


def test_contractions_are_formed_and_dissolved() -> None:
    assert changed("contractions", "Don't worry, it is fine") == "Do not worry, it's fine"
    assert changed("contractions", "Do not worry, it's fine") == "Don't worry, it is fine"
    assert changed("contractions", "nothing to contract") == "nothing to contract"

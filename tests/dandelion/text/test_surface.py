"""The surface against the plain reference."""

import numpy as np
import pytest
from hypothesis import example, given

from dandelion.text.characters import TextBatch
from dandelion.text.surface import COUNTS, LEVELS, encode

from ..strategies import ANY_TEXT, ANY_TEXTS
from . import reference

# The index of each number; the surface tables of artifacts depend on it.
NUMBERS = {
    "line feed": 0,
    ".": 3,
    "!": 5,
    "'": 18,
    '"': 19,
    "brackets": 20,
    "currency": 23,
    "other sign": 24,
    "digits": 25,
    "capitals": 26,
    "other letters": 27,
    "not ASCII": 28,
    "spaces": 29,
    "double spaces": 30,
    "signs behind a space": 31,
    "words": 32,
    "links": 33,
    "length": 34,
    "length / 5": 35,
    "share of capitals": 36,
    "first": 37,
    "last": 38,
}


def levels(texts: list[str]) -> list[dict[str, int]]:
    """Return the level of each number by name, for each text."""
    found = encode(TextBatch(texts, is_clean=True)) - np.arange(COUNTS) * LEVELS
    return [{name: row[place] for name, place in NUMBERS.items()} for row in found.tolist()]


@example("")
@example(" ")
@example("\0")
@example("\x7f")
@example("\x80")  # the first character that is not ASCII
@example("\ud800")
@given(ANY_TEXT)
def test_agrees_with_the_reference(text: str) -> None:
    assert encode(TextBatch([text])).tolist() == [reference.surface(text)]


@pytest.mark.parametrize("unit", ["a", "A ", "!", "\n", "1.", "www.", "£_", "\ufdfa"])
def test_a_long_text(unit: str) -> None:
    text = unit * 2000
    assert encode(TextBatch([text])).tolist() == [reference.surface(text)]


@example([])
@example(["", "b"])
@example(["a ", "b"])
@given(ANY_TEXTS)
def test_agrees_with_the_reference_in_any_batch(texts: list[str]) -> None:
    rows = encode(TextBatch(texts))
    assert rows.dtype == np.int32
    assert rows.shape == (len(texts), COUNTS)
    expected = np.array(list(map(reference.surface, texts))).reshape(rows.shape)
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", {"first": 29, "last": 29}),
        ("a", {"other letters": 1, "words": 1, "length": 1, "first": 27, "last": 27}),
        (
            "WIN £5 now!!  See http://a.example or (www.B.example) 😂\n",
            {
                "line feed": 1,
                ".": 3,
                "!": 2,
                "brackets": 2,
                "currency": 1,
                "other sign": 1,
                "digits": 1,
                "capitals": 4,
                "other letters": 9,
                "not ASCII": 2,
                "spaces": 6,
                "double spaces": 1,
                "signs behind a space": 3,
                "words": 7,
                "links": 2,
                "length": 11,
                "length / 5": 11,
                "share of capitals": 1,
                "first": 26,
            },
        ),
        (
            " Don't! “Ok”...",
            {
                ".": 3,
                "!": 1,
                "'": 1,
                '"': 2,
                "capitals": 2,
                "other letters": 4,
                "not ASCII": 2,
                "spaces": 2,
                "double spaces": 1,
                "signs behind a space": 1,
                "words": 3,
                "length": 7,
                "length / 5": 3,
                "share of capitals": 3,
                "first": 29,
                "last": 3,
            },
        ),
    ],
)
def test_golden(text: str, numbers: dict[str, int]) -> None:
    (found,) = levels([text])
    assert {name: level for name, level in found.items() if level} == numbers


@pytest.mark.parametrize(
    ("count", "level"),
    [*((0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (6, 5), (7, 5), (8, 6), (10, 6), (11, 7))],
)
def test_levels_are_half_powers_of_two(count: int, level: int) -> None:
    assert levels(["." * count])[0]["."] == level


def test_the_highest_level_is_the_last() -> None:
    (long,) = levels(["A" * 1000])
    assert long["length / 5"] == LEVELS - 1
    assert long["share of capitals"] == 10

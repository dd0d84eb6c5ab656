"""Grams and surface in plain Python, one text at a time.

This is the specification: `dandelion.text.grams` and `dandelion.text.surface` compute the same on
the arrays of a whole batch.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise

from dandelion.text.grams import Features
from dandelion.text.tokenizer import clean

# A gram: the number of its family and the strings it is made of.
Gram = tuple[int, tuple[str, ...]]


def kind(character: str) -> str:
    """Classify a character; control characters count as white space."""
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return "space"
    if category == "Lu":
        return "upper"
    if category[0] in "LM":  # also caseless letters and marks
        return "lower"
    return "digit" if category == "Nd" else "sign"


def is_visible(character: str) -> bool:
    return kind(character) != "space"


def is_word(character: str) -> bool:
    return kind(character) in ("upper", "lower", "digit") or character == "_"


def lower(text: str) -> str:
    """Lower-case every character whose lower case is a single character."""
    return "".join(one.lower() if len(one.lower()) == 1 else one for one in text)


def runs(text: str, inside: Callable[[str], bool]) -> list[str]:
    """Return the longest runs of characters for which ``inside`` holds."""
    return ["".join(run) for is_inside, run in groupby(text, inside) if is_inside]


# Grams


def grams(text: str, features: Features) -> Iterator[Gram]:
    """Yield every gram of a text, each as often as it occurs."""
    text = clean(text)
    if features.chars is not None:
        for length in range(features.chars[0], features.chars[1] + 1):
            for piece in runs(text, is_visible):
                # A space marks the border of a run between white space.
                bordered = f" {lower(piece)} "
                for start in range(len(bordered) - length + 1):
                    yield length, (bordered[start : start + length],)
    words = [lower(word) for word in runs(text, is_word)]
    for length in range(1, features.words + 1):
        for start in range(len(words) - length + 1):
            yield 10 + length, tuple(words[start : start + length])
    if features.signs:
        for sign in signs(text):
            yield 20, (sign,)
        for pair in pairwise(words_and_signs(text)):
            yield 21, pair
    if features.shapes:
        for piece in runs(text, is_visible):
            yield 30, (shape(piece),)


def signs(text: str) -> list[str]:
    """List the characters that are neither white space nor part of a word."""
    return [lower(one) for one in text if is_visible(one) and not is_word(one)]


def words_and_signs(text: str) -> list[str]:
    """List words and single signs in the order of the text."""
    found = []
    for inside, run in groupby(text, is_word):
        part = "".join(run)
        found += [lower(part)] if inside else signs(part)
    return found


def shape(piece: str) -> str:
    """Replace capitals, other letters and digits by X, x and 9; signs stay."""
    letters = {"upper": "X", "lower": "x", "digit": "9"}
    return "".join(letters.get(kind(one), lower(one)) for one in piece)


# Buckets: all arithmetic is modulo 2³².

STEP, JOIN, MIX, SPREAD = 0x01000193, 0x85EBCA6B, 0x2C1B3C6D, 0x9E3779B1


def bucket(gram: Gram, bits: int) -> int:
    """Map a gram to its bucket in [0, 2**bits)."""
    family, parts = gram
    number = 0
    if family < 10 or family == 20:
        (characters,) = parts
        for character in characters:
            number = (number * STEP + ord(character)) % 2**32
    else:
        for part in parts:
            number = (number * JOIN + word_hash(part)) % 2**32
    number = (number + family * SPREAD) % 2**32
    number ^= number >> 15
    number = number * MIX % 2**32
    number ^= number >> 12
    number = number * SPREAD % 2**32
    return number >> (32 - bits)


def word_hash(word: str) -> int:
    return sum(ord(one) * pow(SPREAD, i, 2**32) for i, one in enumerate(word, start=1)) % 2**32


# Surface

OWN_COUNT = [
    *("\n", "\r", "\t", ".", ",", "!", "?", ":", ";", "-", "/", "*", "_", "@", "#", "&", "%", "+"),
    *("'’‘", '"“”', "()[]", "<>", "=~^|\\`", "$£€"),
]
REST = ["sign", "digit", "upper", "lower", "not ASCII", "space"]
STEPS = [round(2 ** (half / 2)) for half in range(1, 63)]  # 1, 2, 3, 4, 6, 8, 11, 16 …


def counted_as(character: str) -> int:
    """Return the index of the count that a character belongs to."""
    for place, characters in enumerate(OWN_COUNT):
        if character in characters:
            return place
    return len(OWN_COUNT) + REST.index(kind(character))


def surface(text: str) -> list[int]:
    """List the rows of the surface table for a text; each number has 64 consecutive rows."""
    text = clean(text)
    counted = [counted_as(one) for one in text]
    counts = [counted.count(place) for place in range(len(OWN_COUNT) + len(REST))]
    of = dict(zip(REST, counts[len(OWN_COUNT) :], strict=True))
    counts[len(OWN_COUNT) + REST.index("not ASCII")] = sum(one > "\x7f" for one in text)
    # The border before a text counts as white space.
    behind_space = [one for before, one in pairwise(f" {text}") if not is_visible(before)]
    counts += [
        sum(not is_visible(one) for one in behind_space),
        sum(kind(one) == "sign" for one in behind_space),
        len(runs(text, is_word)),
        text.count("http") + text.count("www."),
        len(text),
    ]
    space = counted_as(" ")
    numbers = [
        *(bisect_right(STEPS, count) for count in counts),
        len(text) // 5,
        10 * of["upper"] // max(of["upper"] + of["lower"], 1),
        counted[0] if text else space,
        counted[-1] if text else space,
    ]
    return [64 * place + min(number, 63) for place, number in enumerate(numbers)]

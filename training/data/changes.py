"""Changes of a text that leave what it says as it is: by someone who evades a filter, or by nobody.

A change is a function of a text and a generator of random numbers, so that a seed decides the
result. `EVASION` hides words from a filter, or dilutes them, and a reader still reads them;
`HARMLESS` is what phones, editors and habits do. Some of them may be used in augmentation; the
others stay unseen by training, so that a test of robustness does not repeat it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np

Kind = Literal["evasion", "harmless"]
Apply = Callable[[str, np.random.Generator], str]
Place = Literal["behind", "before"]

SIGNS: Final = 200
"""How many signs are appended to a text."""
WORDS: Final = (20, 50, 200)
"""How many ordinary words are appended to a text, or prepended."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of texts.

    Attributes:
        name: in tables.
        kind: ``evasion`` or ``harmless``.
        apply: text, random numbers → text; equal where there is nothing to change.
        augmentation: whether training may use it; otherwise it is for tests only.
    """

    name: str
    kind: Kind
    apply: Apply
    augmentation: bool = False

    def on(self, texts: Sequence[str], seed: int) -> list[str]:
        """Change texts; the result for one does not depend on the others.

        Args:
            texts: n of them.
            seed: with the place of a text it decides its random numbers.
        """
        return [
            self.apply(text, np.random.default_rng([seed, place]))
            for place, text in enumerate(texts)
        ]


_LETTER: Final = r"[^\W\d_]"
_LONG_WORD: Final = re.compile(rf"{_LETTER}{{3,}}")
_LETTERS: Final = re.compile(_LETTER)
_ADDRESS: Final = re.compile(r"(?:https?://|www\.)\S+")

_LEET: Final = str.maketrans("aeiostAEIOST", "431057431057")
_LOOK_ALIKES: Final = str.maketrans(
    # Cyrillic, but ν, ϲ and the capitals Ζ and Ν, which are Greek.
    "aceijopsvxyABCEHIKMNOPSTXZ",
    "аϲеіјорѕνхуАВСЕНІКМΝОРЅТХΖ",
)
_ACCENTS: Final = "\u0300\u0301\u0302\u0308"
_VOWELS: Final = frozenset("aeiouAEIOU")
_ZERO_WIDTH: Final = "\u200b\u200c\u200d\u2060"
_GRAPHEME_JOINER: Final = "\u034f"
_HANGUL_FILLER: Final = "\u3164"
_MIXED_SIGNS: Final = "!?*~^-+=#/"
_EMOJI: Final = "🙂😊👍🎉"
_THANKS: Final = (" thanks", " Thanks!", ", thank you", " thx")
_CONTRACTIONS: Final = {
    "do not": "don't",
    "does not": "doesn't",
    "did not": "didn't",
    "is not": "isn't",
    "are not": "aren't",
    "cannot": "can't",
    "will not": "won't",
    "I am": "I'm",
    "you are": "you're",
    "we are": "we're",
    "they are": "they're",
    "it is": "it's",
    "that is": "that's",
    "I will": "I'll",
    "you will": "you'll",
    "I have": "I've",
    "you have": "you've",
}
_FORMS: Final = {
    first.casefold(): second
    for pair in _CONTRACTIONS.items()
    for first, second in (pair, reversed(pair))
}
_FORM: Final = re.compile(
    r"\b(?:" + "|".join(sorted(map(re.escape, _FORMS), key=len, reverse=True)) + r")\b",
    re.IGNORECASE,
)


def _in_half(rng: np.random.Generator, text: str, one: Callable[[str], str]) -> str:
    """Change every letter with a probability of one half."""
    return _LETTERS.sub(lambda match: one(match[0]) if rng.random() < 0.5 else match[0], text)


def _translated(text: str, rng: np.random.Generator, table: dict[int, int]) -> str:
    return _in_half(rng, text, lambda letter: letter.translate(table))


def _accented(text: str, rng: np.random.Generator) -> str:
    marks = list(_ACCENTS)
    return _in_half(
        rng, text, lambda letter: letter + str(rng.choice(marks)) if letter in _VOWELS else letter
    )


def _inserted(text: str, rng: np.random.Generator, signs: str) -> str:
    """Put an invisible sign between letters of a word, each place with a probability of a half."""
    choices = list(signs)
    return re.sub(
        rf"(?<={_LETTER})(?={_LETTER})",
        lambda _: str(rng.choice(choices)) if rng.random() < 0.5 else "",
        text,
    )


def _parted(text: str, rng: np.random.Generator, sign: str) -> str:
    """Put a sign between all letters of the longer words, and more space around these."""
    del rng
    if sign == " ":
        return re.sub(
            r"[ \0]*\0[ \0]*", "  ", _LONG_WORD.sub(lambda match: f"\0{' '.join(match[0])}\0", text)
        ).strip()
    return _LONG_WORD.sub(lambda match: sign.join(match[0]), text)


def _repeated(text: str, rng: np.random.Generator) -> str:
    """Repeat one letter of each longer word, four to seven times in all."""

    def longer(match: re.Match[str]) -> str:
        word = match[0]
        place = int(rng.integers(1, len(word)))
        return word[:place] + word[place] * int(rng.integers(3, 7)) + word[place:]

    return _LONG_WORD.sub(longer, text)


def _swapped(text: str, rng: np.random.Generator) -> str:
    """Swap two neighbours inside words of four letters or more; first and last letter stay."""

    def swap(match: re.Match[str]) -> str:
        word = match[0]
        if len(word) < 4:
            return word
        place = int(rng.integers(1, len(word) - 2))
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]

    return _LONG_WORD.sub(swap, text)


def _mixed_case(text: str, rng: np.random.Generator) -> str:
    return _in_half(rng, text, str.swapcase)


def _signs_behind(text: str, rng: np.random.Generator, signs: str) -> str:
    return f"{text} {''.join(rng.choice(list(signs), SIGNS))}"


def _diluted(
    text: str, rng: np.random.Generator, *, words: Sequence[str], count: int, place: Place
) -> str:
    """Append or prepend a passage of so many consecutive words."""
    start = int(rng.integers(0, max(1, len(words) - count)))
    passage = " ".join(words[start : start + count])
    return f"{text} {passage}" if place == "behind" else f"{passage} {text}"


def _wider_spaces(text: str, rng: np.random.Generator) -> str:
    return re.sub(" ", lambda _: "  " if rng.random() < 0.3 else " ", text) + " "


def _lines(text: str, rng: np.random.Generator) -> str:
    return re.sub(r"(?<=[.!?,]) ", lambda _: "\n" if rng.random() < 0.5 else " ", text) + "\n"


def _full_stop(text: str, rng: np.random.Generator) -> str:
    del rng
    bare = text.rstrip()
    return bare[:-1] if bare.endswith(".") else f"{bare}."


def _exclamation_mark(text: str, rng: np.random.Generator) -> str:
    del rng
    return f"{text.rstrip().rstrip('.!?')}!"


def _first_letter(text: str, rng: np.random.Generator) -> str:
    del rng
    return _LETTERS.sub(lambda match: match[0].swapcase(), text, count=1)


def _typographic(text: str, rng: np.random.Generator) -> str:
    del rng
    return re.sub(r'"([^"]*)"', "“\\1”", text).replace("'", "\u2019").replace(" - ", " – ")


def _emoji_behind(text: str, rng: np.random.Generator) -> str:
    return f"{text.rstrip()} {rng.choice(list(_EMOJI))}"


def _thanks_behind(text: str, rng: np.random.Generator) -> str:
    return text.rstrip() + str(rng.choice(_THANKS))


def _greeting_before(text: str, rng: np.random.Generator) -> str:
    return f"{rng.choice(['Hi, ', 'Hello, ', 'Hey '])}{text.lstrip()}"


def _contracted(text: str, rng: np.random.Generator) -> str:
    del rng

    def other(match: re.Match[str]) -> str:
        form = _FORMS[match[0].casefold()]
        return form[0].upper() + form[1:] if match[0][0].isupper() else form

    return _FORM.sub(other, text)


def _other_link(text: str, rng: np.random.Generator) -> str:
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789")

    def link(match: re.Match[str]) -> str:
        start = "www." if match[0].startswith("www.") else match[0].split("//")[0] + "//"
        return f"{start}{''.join(rng.choice(letters, 6))}.com/{''.join(rng.choice(letters, 4))}"

    return _ADDRESS.sub(link, text)


def _other_number(text: str, rng: np.random.Generator) -> str:
    """Change the digits of numbers outside links; a number keeps its length."""

    def number(match: re.Match[str]) -> str:
        return "".join(str(rng.integers(0 if place else 1, 10)) for place in range(len(match[0])))

    links = _ADDRESS.findall(text)
    parts = [re.sub("[0-9]+", number, part) for part in _ADDRESS.split(text)]
    return "".join(part + link for part, link in zip(parts, [*links, ""], strict=True))


def _upper(text: str, rng: np.random.Generator) -> str:
    del rng
    return text.upper()


def _lower(text: str, rng: np.random.Generator) -> str:
    del rng
    return text.lower()


_EVASION: Final = (
    Change("leet", "evasion", partial(_translated, table=_LEET), augmentation=True),
    Change("zero-width", "evasion", partial(_inserted, signs=_ZERO_WIDTH), augmentation=True),
    Change("repeated letters", "evasion", _repeated, augmentation=True),
    Change("spaced letters", "evasion", partial(_parted, sign=" "), augmentation=True),
    Change("dotted letters", "evasion", partial(_parted, sign=".")),
    Change("look-alikes", "evasion", partial(_translated, table=_LOOK_ALIKES)),
    Change("accents", "evasion", _accented),
    Change("U+034F", "evasion", partial(_inserted, signs=_GRAPHEME_JOINER)),
    Change("U+3164", "evasion", partial(_inserted, signs=_HANGUL_FILLER)),
    Change("swapped letters", "evasion", _swapped),
    Change("200 full stops behind", "evasion", partial(_signs_behind, signs=".")),
    Change("200 exclamation marks behind", "evasion", partial(_signs_behind, signs="!")),
    Change("200 mixed signs behind", "evasion", partial(_signs_behind, signs=_MIXED_SIGNS)),
    Change("upper case", "evasion", _upper, augmentation=True),
    Change("lower case", "evasion", _lower, augmentation=True),
    Change("mixed case", "evasion", _mixed_case, augmentation=True),
)

HARMLESS: Final = (
    Change("wider spaces", "harmless", _wider_spaces),
    Change("line breaks", "harmless", _lines),
    Change("full stop at the end", "harmless", _full_stop),
    Change("exclamation mark at the end", "harmless", _exclamation_mark),
    Change("case of the first letter", "harmless", _first_letter),
    Change("typographic apostrophes and quotes", "harmless", _typographic),
    Change("emoji at the end", "harmless", _emoji_behind),
    Change("thanks at the end", "harmless", _thanks_behind),
    Change("greeting at the start", "harmless", _greeting_before),
    Change("contractions", "harmless", _contracted),
    Change("another link", "harmless", _other_link),
    Change("another number", "harmless", _other_number),
)


def evasion(words: Sequence[str]) -> tuple[Change, ...]:
    """Return the changes of someone who evades a filter.

    Args:
        words: ordinary ones, in the order of their text; passages of them are appended or
            prepended. For a test they come from a text that training does not read.
    """
    passages = tuple(
        Change(
            f"{count} ordinary words {place}",
            "evasion",
            partial(_diluted, words=words, count=count, place=place),
            augmentation=count == min(WORDS),
        )
        for count in WORDS
        for place in ("behind", "before")
    )
    return (*_EVASION, *passages)


def for_augmentation(words: Sequence[str]) -> tuple[Change, ...]:
    """Return the changes that training may use, see `evasion`."""
    return tuple(one for one in (*evasion(words), *HARMLESS) if one.augmentation)

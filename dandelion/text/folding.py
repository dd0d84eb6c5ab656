r"""One reading of a text that evasion does not change.

Spelling that readers see through, but that hides words from a model, is undone:

- accents on ASCII letters and digits are removed, and look-alikes become the ASCII character that
  they share a skeleton with (Unicode Technical Standard 39, section 4), in words that have an ASCII
  letter or consist of look-alikes alone; other words stay. A word ends at white space and at a sign
  that is no look-alike and, behind a letter, no mark;
- single ASCII letters that are separated by the same one or two spaces, dots, hyphens, asterisks or
  underscores are joined, from three letters on (``f r e e``, ``f.r.e.e``);
- runs of one letter, of one sign (also with white space between) and of one kind of white space are
  cut at three;
- then, runs of any signs are cut at nine code points: three times three. White space ends a run,
  unless the run was cut and its ninth sign follows again.

Digits stay, and so does every other ASCII character. No text becomes longer, a text that was folded
stays as it is, and every step is linear in the length of the text.
"""

import re
import unicodedata
from typing import Final

from .confusables import LOOK_ALIKES

MAX_RUN: Final = 3
MAX_SIGNS: Final = 9

_LOOK_ALIKES: Final = {
    ord(character): ascii_one
    for ascii_one, characters in LOOK_ALIKES.items()
    for character in characters
}
# Combining marks that belong to no script, and the Cyrillic ones.
_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0489\u064b-\u0655\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    "\ufe20-\ufe2f"
)
_ACCENTS: Final = re.compile(f"(?<=[A-Za-z0-9])[{_MARKS}]+")
# Marks, look-alikes up to U+FFFF and, because a long set beyond that is slow, the whole ranges that
# contain the other look-alikes.
_FOLDED: Final = re.compile(
    f"[{_MARKS}{''.join(chr(code) for code in _LOOK_ALIKES if code <= 0xFFFF)}"
    "\U00010000-\U0001efff\U0001f700-\U0001f7ff]"
)
_ASCII_LETTER: Final = re.compile("[A-Za-z]")

# A word with a character outside ASCII. The search begins only where a word may, so it is linear.
_WORD: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]*+[^\x00-\x7f\s][^\s\x00-/:-@\[-`{-\x7f]*")

_PARTED: Final = re.compile(r"(?<![^\W_])[A-Za-z]([ .*_-]{1,2})[A-Za-z](?:\1[A-Za-z])+(?![^\W_])")
_SEPARATORS: Final = re.compile("[ .*_-]+")

_LETTER: Final = r"[^\W\d_]"
_SIGN: Final = r"[^\w\s]|_"
_RUNS: Final = re.compile(
    rf"({_LETTER})\1{{3,}}+|(\s)\2{{3,}}+|({_SIGN})(?:\s*\3){{3,}}+", re.IGNORECASE
)
_WHITE_SPACE: Final = re.compile(r"\s")
# More signs than may stay, with all that follow them across white space.
_SIGNS: Final = re.compile(rf"(?:{_SIGN}){{{MAX_SIGNS + 1}}}(?:\s*+(?:{_SIGN}))*+")
_SIGN_OUTSIDE_ASCII: Final = re.compile(r"[^\w\s\x00-\x7f]")

# Quick tests, see `_may_change`: the patterns above take three times as long. They match in every
# text that those change, and in some others.
_PARTED_LETTERS: Final = re.compile(r"[ .*_-][A-Za-z][ .*_-]{1,2}[A-Za-z](?![A-Za-z0-9])")
_RUN_OF_WHITE_SPACE: Final = re.compile(r"(\s)\1{3}")
_RUN: Final = re.compile(r"(.)\1(?<!\d)\1\1", re.DOTALL)
# Letters outside ASCII count as signs here, because the search takes longer with an exact set.
_MANY_SIGNS: Final = re.compile(rf"[^A-Za-z0-9\s][^A-Za-z0-9\s]{{{MAX_SIGNS}}}")


def fold(text: str) -> str:
    """Return the reading of a text in Unicode normalization form NFKC.

    Example:
        >>> fold("F R E E entry!!!!!! сlick nооw, soooooo good")
        'FREE entry!!! click noow, sooo good'
    """
    if not text.isascii():
        text = without_look_alikes(text)
    if not _may_change(text):
        return text
    text = _PARTED.sub(_joined, text)
    text = _RUNS.sub(_cut, text)
    return _SIGNS.sub(_without_many_signs, text)


def without_look_alikes(text: str) -> str:
    """Return a text in NFKC without look-alikes and accents: the first step of `fold`."""
    if _FOLDED.search(unicodedata.normalize("NFD", text)):
        return _WORD.sub(_without_look_alikes, text)
    return text


def _may_change(text: str) -> bool:
    """Return whether the text may have separated letters, a run or many signs."""
    return bool(
        "    " in text
        or _PARTED_LETTERS.search(text)
        # Of white space, only the space is printable.
        or (not text.isprintable() and _RUN_OF_WHITE_SPACE.search(text))
        # The small letter sigma has two forms.
        or _RUN.search("".join(text.lower().replace("ς", "σ").split()))
        or _MANY_SIGNS.search(text)
    )


def _without_look_alikes(match: re.Match[str]) -> str:
    if not _SIGN_OUTSIDE_ASCII.search(match[0]):
        return _folded(match[0])
    found = []
    word = ""
    for character in match[0]:
        if _is_in_word(character, is_word=bool(word)):
            word += character
            continue
        found += [_folded(word), character]
        word = ""
    return "".join([*found, _folded(word)])


def _is_in_word(character: str, *, is_word: bool) -> bool:
    """Return whether a character that is no white space is part of a word.

    Args:
        character: to decide on.
        is_word: whether the character before it is part of a word.
    """
    if character.isalnum() or ord(character) in _LOOK_ALIKES:
        return True
    return is_word and unicodedata.category(character)[0] == "M"


def _folded(word: str) -> str:
    parts = unicodedata.normalize("NFD", word)
    folded = _ACCENTS.sub("", parts.translate(_LOOK_ALIKES))
    if not folded.isascii() and not _ASCII_LETTER.search(parts):
        return word
    return unicodedata.normalize("NFC", folded)


def _joined(match: re.Match[str]) -> str:
    return _SEPARATORS.sub("", match[0])


def _cut(match: re.Match[str]) -> str:
    run = match[0]
    sign = match[3]
    if not sign:
        return run[-MAX_RUN:]
    # A sign outside ASCII may be a look-alike or a mark, which ends no word: without white space,
    # the words around the run would become one.
    gap = "" if sign.isascii() or not _WHITE_SPACE.search(run) else " "
    return sign * (MAX_RUN - 1) + gap + sign


def _without_many_signs(match: re.Match[str]) -> str:
    """Cut runs of signs; white space stays where a word ends, so that no two words become one."""
    start = match.start()
    is_word = start > 0 and match.string[start - 1].isalnum()
    kept: list[str] = []
    signs = 0
    gap = ""  # white space whose next sign is still to come
    for character in match[0]:
        if character.isspace():
            gap += character
            continue
        if gap:
            is_word = False
            if signs <= MAX_SIGNS or character != kept[-1]:
                kept.append(gap)
                signs = 0
            gap = ""
        is_word = _is_in_word(character, is_word=is_word)
        signs = 0 if is_word else signs + 1
        if signs <= MAX_SIGNS:
            kept.append(character)
    return "".join(kept)

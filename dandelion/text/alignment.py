"""Where the characters of a clean text stand in the raw one.

Reading removes characters, composes, decomposes and replaces them, see `tokenizer.clean`. What it
never changes is their order, once each character is reduced to what no step of reading can change:
its compatibility decomposition without marks and white space, look-alikes as the ASCII character,
in one case. Reduced so, the clean text is a subsequence of the raw one. The earliest places at
which it occurs give the starts, the latest ones the ends: a run of which reading kept a part is
covered as a whole. Marks and white space stand between what is found.

Linear in the length of the text. Were a character not to be found, it would get the place of its
neighbours: a span is always inside the raw text, never empty, and in the order of the clean text.
"""

import re
import unicodedata
from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .confusables import LOOK_ALIKES
from .default_ignorable import RANGES

_LOOK_ALIKES: Final = {
    ord(character): ascii_one
    for ascii_one, characters in LOOK_ALIKES.items()
    for character in characters
}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_PAIR_OR_ONE: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]|.", re.DOTALL)

# Of characters that are not found. None is known; each costs a search through the text.
_MAX_MISSES: Final = 16


class Alignment(NamedTuple):
    """The places of m characters of a clean text in the raw text.

    Attributes:
        starts: intp[m], the first raw character of each, ascending.
        stops: intp[m], after the last one; ascending, each above its start.
    """

    starts: NDArray[np.intp]
    stops: NDArray[np.intp]

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Return the raw span of the clean characters from ``start`` to before ``stop``.

        Args:
            start: at least 0.
            stop: above ``start``, at most m.
        """
        return int(self.starts[start]), int(self.stops[stop - 1])


def align(raw: str, clean: str) -> Alignment:
    """Align a clean text with the raw text that it was read from.

    Args:
        raw: any text.
        clean: the result of `tokenizer.clean` for it.

    Example:
        >>> align("so F R E E!!!!!", "so FREE!!!").span(3, 7)
        (3, 10)
        >>> align("so F R E E!!!!!", "so FREE!!!").span(7, 10)
        (10, 15)
    """
    if raw == clean:
        places = np.arange(len(raw))
        return Alignment(places, places + 1)
    theirs, owners = _reduce(raw)
    ours, rows = _reduce(clean)
    earliest = _find_each(ours, theirs)
    latest = _find_each(ours[::-1], theirs[::-1])[::-1]
    starts, stops = [-1] * len(clean), [-1] * len(clean)
    for row, first, last in zip(rows, earliest, latest, strict=True):
        if first >= 0 and starts[row] < 0:
            starts[row] = owners[first]
        if last >= 0:
            stops[row] = owners[len(theirs) - 1 - last] + 1
    spaces = [place for place, character in enumerate(raw) if character.isspace()]
    visible = sorted({*owners, *spaces, len(raw)})
    before = 0
    for row, start in enumerate(starts):
        if start < 0:
            # White space begins behind what belongs to the word before it.
            place = visible[bisect_left(visible, before)] if clean[row].isspace() else before
            starts[row] = min(place, len(raw) - 1)
        before = max(before, stops[row])
    return _filled(starts, stops, np.array(visible))


def _reduce(text: str) -> tuple[str, list[int]]:
    """Return what is left of each character, and the place of the character for each."""
    pieces: list[str] | str = text
    places: list[int] | range = range(len(text))
    if _SURROGATE.search(text):
        pieces = _PAIR_OR_ONE.findall(text)
        places = [0, *accumulate(map(len, pieces))][:-1]
    reduced = list(map(_reduced, pieces))
    return "".join(reduced), [
        place for place, one in zip(places, reduced, strict=True) for _ in one
    ]


@lru_cache(maxsize=4096)
def _reduced(character: str) -> str:
    """Reduce one character, or a pair of surrogates, to what reading cannot change."""
    character = character.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if any(first <= ord(character) <= last for first, last in RANGES):
        return ""
    found = unicodedata.normalize("NFKD", character).translate(_LOOK_ALIKES).casefold()
    return "".join(
        one for one in found if unicodedata.category(one)[0] != "M" and not one.isspace()
    )


def _find_each(characters: str, text: str) -> list[int]:
    """Return the earliest increasing places of characters in a text; −1 for one not found."""
    found = []
    start = misses = 0
    for character in characters:
        place = text.find(character, start) if misses < _MAX_MISSES else -1
        found.append(place)
        if place < 0:
            misses += 1
        else:
            start = place + 1
    return found


def _filled(starts: list[int], stops: list[int], visible: NDArray[np.intp]) -> Alignment:
    """End characters that have no end yet at the next one, and bound all.

    Args:
        starts: m places of characters.
        stops: m places after them; −1 for none.
        visible: the raw places of white space and of characters that are not lost, then the length.
    """
    after = length = int(visible[-1])
    for row in range(len(stops) - 1, -1, -1):
        if stops[row] < 0:
            stops[row] = after
        after = starts[row]
    first = np.maximum.accumulate(np.array(starts, dtype=np.intp))
    last = np.maximum.accumulate(np.maximum(np.array(stops, dtype=np.intp), first + 1))
    # Marks and invisible characters, of which nothing was left, belong to what stands before them.
    following = visible[visible.searchsorted(last)]
    last = np.maximum(last, np.minimum(following, np.append(first[1:], length)))
    return Alignment(first, last)

"""The sentences of a text, and places in it in UTF-16 code units."""

import re
from collections.abc import Sequence
from typing import Final

MAX_SENTENCES: Final = 256
"""Of a text; the last one has the rest of a longer text."""

# The end of a sentence: its signs, closing marks, and then white space; or the end of a line.
_END: Final = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s)|\n")


def sentences(text: str) -> list[tuple[int, int]]:
    """Return start and stop of each sentence or line, without white space at its ends.

    Example:
        >>> sentences("What kind of name is foo? Sorry, I like your name.")
        [(0, 25), (26, 50)]
    """
    found: list[tuple[int, int]] = []
    start = 0
    ends = (match.end() for match in _END.finditer(text))
    while start < len(text):
        end = next(ends, len(text)) if len(found) < MAX_SENTENCES - 1 else len(text)
        part = text[start:end]
        if kept := part.strip():
            first = start + len(part) - len(part.lstrip())
            found.append((first, first + len(kept)))
        start = end
    return found


def in_utf16(text: str, places: Sequence[int]) -> dict[int, int]:
    """Return places in UTF-16 code units, by these places in code points.

    Example:
        >>> in_utf16("🌼 yes", [0, 2, 5])
        {0: 0, 2: 3, 5: 6}
    """
    found = {}
    last = units = 0
    for place in sorted(set(places)):
        units += len(text[last:place].encode("utf-16-le", "surrogatepass")) // 2
        found[place] = units
        last = place
    return found

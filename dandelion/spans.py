"""The spans of a text that an explanation lists: words, runs of signs, links and mentions."""

from collections.abc import Sequence
from itertools import accumulate, zip_longest
from typing import NamedTuple

import numpy as np

from .text.alignment import Alignment
from .text.tokenizer import MENTION, URL, place


class PlacedTokens(NamedTuple):
    """The tokens of a clean text, and their places in it: m tokens.

    Attributes:
        tokens: in the order of the text.
        starts: m places of their first characters.
        stops: m places after their last ones.
    """

    tokens: list[str]
    starts: list[int]
    stops: list[int]


def find_tokens(text: str) -> PlacedTokens:
    """Find the tokens of a clean text, and their places in it, not in its lower case."""
    lower = text.lower()
    found = place(lower)
    tokens = [token for token, _, _ in found]
    starts, stops = [start for _, start, _ in found], [stop for _, _, stop in found]
    if len(lower) == len(text):
        return PlacedTokens(tokens, starts, stops)
    ends = np.array(list(accumulate(len(one.lower()) for one in text)))
    return PlacedTokens(
        tokens,
        ends.searchsorted(starts, "right").tolist(),
        (ends.searchsorted(stops, "left") + 1).tolist(),
    )


def units(found: PlacedTokens) -> list[tuple[int, int]]:
    """Return start and stop of the words, runs of signs, links and mentions of a clean text.

    Neighbouring tokens are one word or one run of signs; all but white space is in one.
    """
    joined: list[tuple[int, int]] = []
    before, end = "", -1
    for token, start, stop in zip(*found, strict=True):
        kind = _kind(token)
        if start < end or (start == end and kind == before != "single"):
            end = max(stop, end)
            joined[-1] = joined[-1][0], end
            continue
        joined.append((start, stop))
        before, end = kind, stop
    return joined


def _kind(token: str) -> str:
    if token in (URL, MENTION):
        return "single"
    # A clitic begins with an apostrophe, and long digits with a bracket.
    return "word" if token[0].isalnum() or (len(token) > 1 and token[1].isalnum()) else "signs"


def in_raw(
    spans: Sequence[tuple[int, int, float]], offset: int, alignment: Alignment
) -> list[tuple[int, int, float]]:
    """Return spans in the raw text, in its order; the values of those that coincide are added.

    Args:
        spans: start, stop and value of each in a part of the clean text, in its order.
        offset: the start of that part in the clean text.
        alignment: of the clean text and the raw one.
    """
    firsts = np.array([start for start, _, _ in spans], dtype=np.intp)
    lasts = np.array([stop for _, stop, _ in spans], dtype=np.intp)
    starts = alignment.starts[offset + firsts].tolist()
    stops = alignment.stops[offset + lasts - 1].tolist()
    found: list[tuple[int, int, float]] = []
    for start, stop, after, (_, _, value) in zip_longest(starts, stops, starts[1:], spans):
        # The next one begins earlier where only a part of a run was kept.
        end = stop if after is None or after <= start else min(stop, after)
        if found and start < found[-1][1]:
            first, last, sum_before = found[-1]
            found[-1] = first, max(last, end), sum_before + value
        else:
            found.append((start, end, value))
    return found

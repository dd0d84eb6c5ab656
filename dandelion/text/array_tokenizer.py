"""A page's tokens: what `tokenizer` finds a text at a time, found on the arrays of all texts.

The regular expression takes half a microsecond a token, and most of a batch's time with it. This
takes a tenth of that, resting on this: a token is a run of letters, of digits or of one and the
same sign, wherever the search stands; clitics, mentions and links, which are more, are seen from
where such runs begin. Texts whose lower case depends on more than a character at a time are left to
the regular expression, which stays the definition: the tests hold the two together.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .characters import (
    TOKEN_DIGIT,
    TOKEN_LETTER,
    TOKEN_SIGN,
    TOKEN_SPACE,
    Codes,
    Mask,
    Places,
    TextBatch,
)
from .tokenizer import LONG_DIGITS, MAX_RUN


class Tokens(NamedTuple):
    """The tokens of a page's texts, in their order, those of ``left`` excepted.

    Attributes:
        starts: intp[tokens], the place of each one's first character.
        stops: intp[tokens], the place behind its last one; behind the third of a run of signs.
        links: intp[links], which of the tokens are links; they span the first letters alone.
        mentions: intp[mentions], which are mentions; they span the @ alone.
        numbers: intp[numbers], which are digits that are known by their count.
        left: intp[texts], the texts left to the regular expression, ascending.
    """

    starts: Places
    stops: Places
    links: NDArray[np.intp]
    mentions: NDArray[np.intp]
    numbers: NDArray[np.intp]
    left: NDArray[np.intp]


def find_tokens(batch: TextBatch) -> Tokens:
    """Find the tokens of every text that is not left to the regular expression."""
    codes, kinds = batch.codes, batch.token_kinds
    changes = kinds[1:] != kinds[:-1]
    changes |= (codes[1:] != codes[:-1]) & (kinds[1:] == TOKEN_SIGN)
    # All runs but the white space in front, each up to the next.
    starts = np.flatnonzero(changes) + 1
    stops = np.append(starts[1:], len(codes))
    first, kinds, lengths = codes[starts], kinds[starts], stops - starts
    letters, digits, signs = (kinds == kind for kind in (TOKEN_LETTER, TOKEN_DIGIT, TOKEN_SIGN))
    cut = np.flatnonzero(signs & (lengths > MAX_RUN))
    stops[cut] = starts[cut] + MAX_RUN

    is_token = kinds != TOKEN_SPACE
    # An apostrophe between letters is of one token with those behind it. The last run is white
    # space: every other one has a next, and what is before the first, at -1, is white space too.
    clitics = _alone(first, lengths, "'")
    clitics = clitics[letters[clitics - 1] & letters[clitics + 1]]
    is_token[clitics + 1] = False
    stops[clitics] = stops[clitics + 1]
    mentions = _mentions(first, lengths, letters | digits | (first == ord("_")), is_token)
    links = _links(batch, starts, kinds, is_token)
    left = np.unique(batch.rows_of(batch.uneven))
    ends = starts.searchsorted(batch.bounds[np.stack([left, left + 1], axis=1)])
    for begin, end in ends.tolist():
        is_token[begin:end] = False
    chosen = np.flatnonzero(is_token)
    return Tokens(
        starts[chosen],
        stops[chosen],
        chosen.searchsorted(links[is_token[links]]),
        chosen.searchsorted(mentions[is_token[mentions]]),
        np.flatnonzero((digits & (lengths >= LONG_DIGITS))[chosen]),
        left,
    )


def _alone(first: Codes, lengths: Places, sign: str) -> Places:
    """Find the runs that are a sign once."""
    return np.flatnonzero((first == ord(sign)) & (lengths == 1))


def _mentions(first: Codes, lengths: Places, words: Mask, is_token: Mask) -> NDArray[np.intp]:
    """Find the runs that begin a mention, and let the words that follow be no tokens.

    That is an @ between what is no word and a word, which is a mention as a whole.
    """
    mentions = _alone(first, lengths, "@")
    mentions = mentions[words[mentions + 1] & ~words[mentions - 1]]
    if len(mentions):
        is_mention = np.zeros(len(first), dtype=np.bool_)
        is_mention[mentions] = True
        is_before_word = np.append(False, is_mention[~words])[np.cumsum(~words)]
        is_token &= ~(words & is_before_word)
    return mentions


def _links(
    batch: TextBatch, starts: Places, kinds: NDArray[np.uint8], is_token: Mask
) -> NDArray[np.intp]:
    """Find the runs that begin a link, and let what follows up to white space be no tokens.

    A link begins where a token does; of several before the same white space the first is the one.
    """
    places = _possible_links(batch)
    runs: NDArray[np.intp] = starts.searchsorted(places)
    runs = runs[(starts.take(runs, mode="clip") == places) & is_token.take(runs, mode="clip")]
    spaces = np.flatnonzero(kinds == TOKEN_SPACE)
    nexts, firsts = np.unique(spaces.searchsorted(runs), return_index=True)
    runs = runs[firsts]
    for run, end in zip(runs.tolist(), spaces[nexts].tolist(), strict=True):
        is_token[run + 1 : end] = False
    return runs


def _possible_links(batch: TextBatch) -> Places:
    """Find where a link may begin if a token does, ascending."""
    # Beyond the page's end there is nothing but its last space again.
    codes = batch.codes
    places = np.concatenate([_find(codes, "http"), _find(codes, "www.")])
    ends = places + 4  # behind http, or www.
    is_http = codes.take(places) == ord("h")
    ends += is_http & (codes.take(ends, mode="clip") == ord("s"))
    for character in "://":
        fits = ~is_http | (codes.take(ends, mode="clip") == ord(character))
        places, ends, is_http = places[fits], ends[fits] + is_http[fits], is_http[fits]
    return np.sort(places[batch.token_kinds.take(ends, mode="clip") != TOKEN_SPACE])


def _find(codes: Codes, characters: str) -> Places:
    """Find the places on a page where some characters follow one another, none of them a space."""
    first, second = ord(characters[0]), ord(characters[1])
    places = np.flatnonzero((codes[:-1] == first) & (codes[1:] == second))
    # The page ends with a space: a place that is still there has a place behind it.
    for distance, character in enumerate(characters[2:], start=2):
        places = places[codes[places + distance] == ord(character)]
    return places

"""The tokens of `tokenizer`, found on the arrays of a whole batch.

The regular expression takes half a microsecond per token, most of the time of a batch; this takes a
tenth of that. Almost every token is a run of letters, of digits or of the same sign, wherever the
search starts. The others (clitics, mentions and links) begin where such a run begins. Texts whose
lower case depends on more than one character at a time are left to the regular expression, which
remains the definition; tests check that both agree.
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
    """The tokens of a batch, in the order of the texts, without the texts in ``left``.

    Attributes:
        starts: intp[tokens], the place of the first character of each token.
        stops: intp[tokens], the place after its last one; a run of signs stops after its third.
        links: intp[links], the tokens that are links; each spans only its first run of letters.
        mentions: intp[mentions], the tokens that are mentions; each spans only the @.
        numbers: intp[numbers], the tokens that are digits replaced by their count.
        left: intp[texts], the texts left to the regular expression, ascending.
    """

    starts: Places
    stops: Places
    links: NDArray[np.intp]
    mentions: NDArray[np.intp]
    numbers: NDArray[np.intp]
    left: NDArray[np.intp]


def find_tokens(batch: TextBatch) -> Tokens:
    """Find the tokens of all texts but those left to the regular expression."""
    codes, kinds = batch.codes, batch.token_kinds
    changes = kinds[1:] != kinds[:-1]
    changes |= (codes[1:] != codes[:-1]) & (kinds[1:] == TOKEN_SIGN)
    # All runs after the first space, each up to the next run.
    starts = np.flatnonzero(changes) + 1
    stops = np.append(starts[1:], len(codes))
    first, kinds, lengths = codes[starts], kinds[starts], stops - starts
    letters, digits, signs = (kinds == kind for kind in (TOKEN_LETTER, TOKEN_DIGIT, TOKEN_SIGN))
    cut = np.flatnonzero(signs & (lengths > MAX_RUN))
    stops[cut] = starts[cut] + MAX_RUN

    is_token = kinds != TOKEN_SPACE
    # An apostrophe between letters is one token with the letters after it. The last run is white
    # space, so every other run has a next one, and index -1, before the first, is white space too.
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
    """Find the runs that consist of a single given sign."""
    return np.flatnonzero((first == ord(sign)) & (lengths == 1))


def _mentions(first: Codes, lengths: Places, words: Mask, is_token: Mask) -> NDArray[np.intp]:
    """Find the runs that begin a mention, and exclude the words that belong to it from the tokens.

    A mention is an @ that follows no word, together with the word after it.
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
    """Find the runs that begin a link, and exclude the runs up to white space from the tokens.

    A link begins where a token begins; of several before the same white space, the first counts.
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
    """Find the places where a link begins if a token begins there, ascending."""
    # Clipped: beyond the end of the batch, its last space is read again.
    codes = batch.codes
    places = np.concatenate([_find(codes, "http"), _find(codes, "www.")])
    ends = places + 4  # after http, or www.
    is_http = codes.take(places) == ord("h")
    ends += is_http & (codes.take(ends, mode="clip") == ord("s"))
    for character in "://":
        fits = ~is_http | (codes.take(ends, mode="clip") == ord(character))
        places, ends, is_http = places[fits], ends[fits] + is_http[fits], is_http[fits]
    return np.sort(places[batch.token_kinds.take(ends, mode="clip") != TOKEN_SPACE])


def _find(codes: Codes, characters: str) -> Places:
    """Find where a sequence of characters without a space occurs."""
    first, second = ord(characters[0]), ord(characters[1])
    places = np.flatnonzero((codes[:-1] == first) & (codes[1:] == second))
    # The batch ends with a space, so each remaining place has another one after it.
    for distance, character in enumerate(characters[2:], start=2):
        places = places[codes[places + distance] == ord(character)]
    return places

"""Tokens to ids.

Id 0 is the unknown token. Known tokens have ids from 1, in the order of the vocabulary; id ``i`` is
row ``i`` of the embedding.
"""

import codecs
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .array_tokenizer import find_tokens
from .characters import Places, TextBatch, hash_each
from .tokenizer import MAX_DIGITS, MENTION, URL, digits, is_word, split

UNKNOWN_ID = 0

# Below this many characters, the regular expression and the dictionary are faster than setting up
# the arrays of `find_tokens`.
FEW_CHARS: Final = 2048


class TokenBatch(NamedTuple):
    """The token ids of a batch of texts, as a ragged array.

    Attributes:
        ids: int32[tokens], the ids of all texts, in the order of the texts.
        offsets: int64[texts + 1]; text ``i`` owns ``ids[offsets[i]:offsets[i + 1]]``.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]


class Vocabulary:
    """The known tokens, in the order of their rows in the embedding.

    Args:
        tokens: each once, none empty, none with a line break.

    Raises:
        ValueError: a token is repeated, is empty or contains a line break.

    Example:
        >>> vocabulary = Vocabulary(["free", "prize"])
        >>> ids, offsets = vocabulary.encode(["Free lunch", "prize"])
        >>> ids.tolist(), offsets.tolist()
        ([1, 0, 2], [0, 2, 3])
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = tuple(tokens)
        self._ids = {token: row for row, token in enumerate(self.tokens, start=UNKNOWN_ID + 1)}
        if len(self._ids) != len(self.tokens):
            raise ValueError("the vocabulary contains a token twice")
        if any(not token or "\n" in token for token in self.tokens):
            raise ValueError("a token is empty or contains a line break")

    def __len__(self) -> int:
        """Return the number of rows of the embedding: the known tokens and the unknown one."""
        return len(self.tokens) + 1

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenize texts and look up every token."""
        return self.encode_batch(TextBatch(texts))

    def encode_batch(self, batch: TextBatch) -> TokenBatch:
        """Find the tokens of a batch and look up each of them."""
        if sum(map(len, batch.texts)) < FEW_CHARS or not self._table.is_exact:
            return self.look_up([split(text.lower()) for text in batch.texts])
        tokens = find_tokens(batch)
        ids = self._table.look_up(batch, tokens.starts, tokens.stops)
        ids[tokens.links] = self._ids.get(URL, UNKNOWN_ID)
        ids[tokens.mentions] = self._ids.get(MENTION, UNKNOWN_ID)
        if len(tokens.numbers):
            counts = tokens.stops[tokens.numbers] - tokens.starts[tokens.numbers]
            ids[tokens.numbers] = self._digits[np.minimum(counts, MAX_DIGITS)]
        found = TokenBatch(ids, batch.offsets(tokens.starts))
        if not len(tokens.left):
            return found
        rest = self.look_up([split(batch.texts[row].lower()) for row in tokens.left])
        return _merge(found, tokens.left, rest)

    @cached_property
    def words(self) -> NDArray[np.bool_]:
        """bool[v], which rows of the embedding are words, see `tokenizer.is_word`."""
        return np.array([False, *map(is_word, self.tokens)])

    @cached_property
    def _table(self) -> "_Table":
        return _Table(self.tokens)

    @cached_property
    def _digits(self) -> NDArray[np.int32]:
        """The id of a long run of digits by its length, int32[MAX_DIGITS + 1]."""
        names = map(digits, range(MAX_DIGITS + 1))
        return np.array([self._ids.get(name, UNKNOWN_ID) for name in names], dtype=np.int32)

    def look_up(self, tokenized: Iterable[Iterable[str]]) -> TokenBatch:
        """Look up the tokens of each text; unknown ones get `UNKNOWN_ID`."""
        find = self._ids.get
        ids: list[int] = []
        offsets = [0]
        for tokens in tokenized:
            ids.extend([find(token, UNKNOWN_ID) for token in tokens])
            offsets.append(len(ids))
        return TokenBatch(np.array(ids, dtype=np.int32), np.array(offsets, dtype=np.int64))

    def to_bytes(self) -> bytes:
        """Return the tokens as UTF-8, one per line."""
        return "".join(f"{token}\n" for token in self.tokens).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Vocabulary":
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: it is not UTF-8, begins with a byte order mark, contains a carriage return,
                its last line is incomplete, or `Vocabulary` refuses the tokens.
        """
        if data.startswith(codecs.BOM_UTF8):
            raise ValueError("it begins with a byte order mark")
        if b"\r" in data:
            raise ValueError("it contains a carriage return; lines end with \\n alone")
        if data and not data.endswith(b"\n"):
            raise ValueError("the last line is incomplete")
        return cls(data.decode().split("\n")[:-1])


def _merge(found: TokenBatch, rows: NDArray[np.intp], rest: TokenBatch) -> TokenBatch:
    """Insert the tokens of the texts ``rows``, which have none yet."""
    lengths = np.diff(found.offsets)
    lengths[rows] = np.diff(rest.offsets)
    is_of_rest = np.zeros(len(lengths), dtype=np.bool_)
    is_of_rest[rows] = True
    is_of_rest = is_of_rest.repeat(lengths)
    ids = np.empty(len(is_of_rest), dtype=np.int32)
    ids[is_of_rest], ids[~is_of_rest] = rest.ids, found.ids
    return TokenBatch(ids, np.append(0, np.cumsum(lengths)))


class _Table:
    """A hash table on arrays, which looks up runs of characters of a whole batch.

    It holds the hashes of all tokens in ascending order, and the position in them at which each
    value of the leading bits begins; a look-up starts there and takes a few steps. Different tokens
    may have equal hashes, so in the end all characters are compared.

    Attributes:
        is_exact: no two tokens have the same hash, so each hash has one candidate.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        # By id. The unknown token comes first, with a length that no run has.
        self._lengths = np.array([0, *map(len, tokens)], dtype=np.intp)
        self._starts = np.cumsum(self._lengths) - self._lengths
        joined = "".join(tokens).encode("utf-32-le", "surrogatepass")
        self._codes = np.frombuffer(joined, dtype=np.uint32)
        hashes = hash_each(self._codes, self._starts, self._lengths)[1:]
        order = np.argsort(hashes)
        hashes = hashes[order]
        self.is_exact = bool((hashes[1:] != hashes[:-1]).all())
        bits = max((2 * len(tokens)).bit_length(), 1)
        self._shift = np.uint64(64 - bits)
        groups = (hashes >> self._shift).astype(np.intp)
        self._first = groups.searchsorted(np.arange(2**bits)).astype(np.int32)
        self._steps = int(np.bincount(groups, minlength=1).max())
        # A look-up may run past the last hash, where it finds the unknown token.
        self._hashes = np.append(hashes, np.zeros(self._steps + 1, dtype=np.uint64))
        self._ids = np.append(order + 1, np.full(self._steps + 1, UNKNOWN_ID)).astype(np.int32)

    def look_up(self, batch: TextBatch, starts: Places, stops: Places) -> NDArray[np.int32]:
        """Look up runs of characters, int32[runs]."""
        hashes = batch.sums.hash(starts, stops)
        places = self._first.take((hashes >> self._shift).astype(np.intp)).astype(np.intp)
        missed = np.flatnonzero(self._hashes.take(places) != hashes)
        for _ in range(1, self._steps):
            places[missed] += 1
            missed = missed[self._hashes[places[missed]] != hashes[missed]]
        ids = self._ids.take(places)
        ids[missed] = UNKNOWN_ID
        ids[~self._equal(batch, starts, stops - starts, ids)] = UNKNOWN_ID
        return ids

    def _equal(
        self, batch: TextBatch, starts: Places, lengths: Places, ids: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """Return which runs have the same characters as the tokens of the ids, bool[runs]."""
        equal: NDArray[np.bool_] = self._lengths.take(ids) == lengths
        runs = np.flatnonzero(equal)
        lengths = lengths[runs]
        within = np.arange(lengths.sum())
        before = np.cumsum(lengths) - lengths
        ours = batch.codes.take(within + (starts[runs] - before).repeat(lengths))
        theirs = self._codes.take(within + (self._starts[ids[runs]] - before).repeat(lengths))
        different = ours != theirs
        if different.any():
            equal[runs.repeat(lengths)[different]] = False
        return equal

"""Tokens to ids.

Id 0 is the unknown token's: its row holds the average vector. Known tokens have ids from 1 in the
order of the vocabulary, so id ``i`` belongs to row ``i`` of the embedding.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .tokenizer import tokenize

UNKNOWN_ID = 0


class TokenBatch(NamedTuple):
    """The token ids of a batch of texts, one after the other (a ragged array).

    Attributes:
        ids: int32[tokens], every text's ids in the order of the texts.
        offsets: int64[texts + 1]; text ``i`` owns ``ids[offsets[i]:offsets[i + 1]]``.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]


class Vocabulary:
    """The known tokens, in the order of their embedding rows.

    Args:
        tokens: known tokens, each once, none empty, none with white space inside but for the
            tokenizer's own placeholders.

    Raises:
        ValueError: a token stands twice, is empty or holds a line break.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = tuple(tokens)
        self._ids = {token: row for row, token in enumerate(self.tokens, start=UNKNOWN_ID + 1)}
        if len(self._ids) != len(self.tokens):
            raise ValueError("a token stands in the vocabulary twice")
        if any(not token or "\n" in token for token in self.tokens):
            raise ValueError("a token is empty or holds a line break")

    def __len__(self) -> int:
        """Count the rows of the embedding: the known tokens and the unknown one."""
        return len(self.tokens) + 1

    def encode(self, texts: Iterable[str]) -> TokenBatch:
        """Tokenise a batch of texts and look every token up."""
        return self.look_up(map(tokenize, texts))

    def look_up(self, tokenized: Iterable[Iterable[str]]) -> TokenBatch:
        """Look up the tokens of a batch of texts, an unknown one as `UNKNOWN_ID`."""
        find = self._ids.get
        ids: list[int] = []
        offsets = [0]
        for tokens in tokenized:
            ids.extend([find(token, UNKNOWN_ID) for token in tokens])
            offsets.append(len(ids))
        return TokenBatch(np.array(ids, dtype=np.int32), np.array(offsets, dtype=np.int64))

    def to_bytes(self) -> bytes:
        """Write the tokens as UTF-8, a line each."""
        return "".join(f"{token}\n" for token in self.tokens).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Vocabulary":
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: not UTF-8, the last line is cut, or `Vocabulary` refuses the tokens.
        """
        if data and not data.endswith(b"\n"):
            raise ValueError("the last line is cut")
        return cls(data.decode().split("\n")[:-1])

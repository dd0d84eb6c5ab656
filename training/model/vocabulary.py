"""The vocabulary: which tokens have a row of the embedding, and its initial vector."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dandelion.text.tokenizer import tokenize
from dandelion.text.vocabulary import Vocabulary

from ..configuration import Configuration
from .embeddings import WordVectors


def build(
    texts: Iterable[Sequence[str]], vectors: WordVectors, config: Configuration
) -> tuple[Vocabulary, NDArray[np.float32]]:
    """Build the vocabulary of the training texts' tokens and its initial embedding.

    It contains these tokens, the most frequent first; those that GloVe lacks only if they occur
    ``config.min_count`` times. Then come the ``config.extra_words`` most frequent other words of
    GloVe, so that words that are not in the training texts keep their meaning.

    Returns:
        The vocabulary and float32[v, d]. The unknown token's row, and any other that GloVe lacks,
        is the average of all GloVe vectors (section 7 of the paper).
    """
    rows = _rows_of(vectors.words)
    counts = Counter(token for text in texts for token in text)
    seen = [
        token
        for token, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if count >= config.min_count or token in rows
    ]
    beyond = (word for word in vectors.words if word not in counts and tokenize(word) == [word])
    extra = [word for word, _ in zip(beyond, range(config.extra_words), strict=False)]
    vocabulary = Vocabulary(seen + extra)
    return vocabulary, _rows(vocabulary, vectors, vectors.average())


def append(
    vocabulary: Vocabulary, embedding: NDArray[np.float32], static: WordVectors, scale: float
) -> NDArray[np.float32]:
    """Append static vectors to the rows of an embedding: float32[v, d + e] from float32[v, d].

    Args:
        vocabulary: of v - 1 known tokens.
        embedding: float32[v, d].
        static: their vectors, see `training.model.static_vectors`. The unknown token, and any other
            that has none, gets zeros: they say nothing.
        scale: what the static vectors are multiplied by.
    """
    nothing = np.zeros(static.dimensions, dtype=np.float32)
    rows = _rows(vocabulary, static, nothing) * np.float32(scale)
    return np.concatenate([embedding, rows], axis=1)


def _rows(
    vocabulary: Vocabulary, vectors: WordVectors, other: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the vector of each token, float32[v, d]; ``other`` for those that have none."""
    rows = _rows_of(vectors.words)
    table = np.tile(other, (len(vocabulary), 1))
    known = [(row, rows[token]) for row, token in enumerate(vocabulary.tokens, 1) if token in rows]
    ours, theirs = np.array(known, dtype=np.int64).reshape(-1, 2).T
    table[ours] = vectors.vectors[theirs]
    return table


@lru_cache(maxsize=2)
def _rows_of(words: tuple[str, ...]) -> dict[str, int]:
    """Return the row of each word; fits in one process share this table."""
    return {word: row for row, word in enumerate(words)}

"""Which tokens have a row of the embedding, and the vector that each starts from."""

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

    It holds these tokens (those that GloVe lacks from ``config.min_count`` occurrences on),
    the most frequent first, then GloVe's ``config.extra_words`` most frequent words beyond them,
    so that words never seen in training keep their meaning.

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
    embedding = np.tile(vectors.average(), (len(vocabulary), 1))
    known = [(row, rows[token]) for row, token in enumerate(vocabulary.tokens, 1) if token in rows]
    ours, theirs = np.array(known, dtype=np.int64).reshape(-1, 2).T
    embedding[ours] = vectors.vectors[theirs]
    return vocabulary, embedding


@lru_cache(maxsize=1)
def _rows_of(words: tuple[str, ...]) -> dict[str, int]:
    """Number GloVe's words; fits in one process share the table."""
    return {word: row for row, word in enumerate(words)}

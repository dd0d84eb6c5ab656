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
    embedding = np.tile(vectors.average(), (len(vocabulary), 1))
    known = [(row, rows[token]) for row, token in enumerate(vocabulary.tokens, 1) if token in rows]
    ours, theirs = np.array(known, dtype=np.int64).reshape(-1, 2).T
    embedding[ours] = vectors.vectors[theirs]
    return vocabulary, embedding


@lru_cache(maxsize=1)
def _rows_of(words: tuple[str, ...]) -> dict[str, int]:
    """Return the row of each word; fits in one process share this table."""
    return {word: row for row, word in enumerate(words)}

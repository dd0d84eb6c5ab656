"""The numbers of words of encoded texts, by either engine."""

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ..decision.notices import Notice
from ..text.tokenizer import is_word, split
from ..text.vocabulary import UNKNOWN_ID, Vocabulary
from .choice import Scorer
from .compiled import CompiledScorer
from .network import Encoded


def words_of(scorer: Scorer, batch: Any) -> tuple[Sequence[int], dict[int, Notice]]:
    """Count the words of an encoded batch.

    Args:
        scorer: that encoded it.
        batch: what its ``encode`` returned.

    Returns:
        The number of words of each text and of those that are known, in turn; and what ``notices``
        returns, which the compiled engine finds in the same call.

    Raises:
        ValueError: another engine encoded the batch.
    """
    if isinstance(scorer, CompiledScorer):
        return scorer.words(batch)
    notices = scorer.notices(batch)
    vocabulary, _ = scorer.restore()
    return _count(batch, vocabulary), notices


def _count(batch: Encoded, vocabulary: Vocabulary) -> "array[int]":
    """Count in NumPy. Only a text with an unknown token must be split again: it may be no word."""
    ids, bounds = batch.tokens
    rows: list[int] = [*range(len(bounds))]  # text i has the texts encoded from rows[i] on
    if batch.windows is not None and len(batch.windows) < len(batch.texts):
        rows = [0, *accumulate(batch.windows)]
        bounds = bounds[rows]
    sums = np.zeros((2, len(ids) + 1), dtype=np.int64)
    vocabulary.words.take(ids).cumsum(out=sums[0, 1:])
    (ids == UNKNOWN_ID).cumsum(out=sums[1, 1:])
    known, unknown = sums[:, bounds[1:]] - sums[:, bounds[:-1]]
    counts = np.stack([known, known], axis=1)
    for at in unknown.nonzero()[0].tolist():
        texts = batch.texts[rows[at] : rows[at + 1]]
        tokens = [token for text in texts for token in split(text.lower())]
        its = ids[bounds[at] : bounds[at + 1]].tolist()
        counts[at, 0] += sum(
            is_word(token)
            for token, number in zip(tokens, its, strict=True)
            if number == UNKNOWN_ID
        )
    return array("i", counts.astype(np.int32).tobytes())

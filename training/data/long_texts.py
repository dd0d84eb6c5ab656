"""Long texts made of short ones, to measure what length alone does to a score."""

from collections.abc import Sequence

import numpy as np


def join(texts: Sequence[str], words: int, *, at_most: int, seed: int) -> list[str]:
    """Join texts in a random order, and cut what results into texts of ``words`` words.

    No text is used twice, so the joined texts are as many as the words suffice for.

    Args:
        texts: of one source and one class.
        words: of each joined text, separated by white space.
        at_most: how many joined texts.
        seed: of the order.

    Example:
        >>> join(["one two", "three four", "five"], 2, at_most=9, seed=0)
        ['five one', 'two three']
    """
    joined: list[str] = []
    waiting: list[str] = []
    for row in np.random.default_rng(seed).permutation(len(texts)).tolist():
        waiting += texts[row].split()
        while len(waiting) >= words and len(joined) < at_most:
            joined.append(" ".join(waiting[:words]))
            waiting = waiting[words:]
        if len(joined) == at_most:
            break
    return joined

"""How long scoring takes, from raw text, on one thread."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

from threadpoolctl import threadpool_limits

# How many texts of a data set are scored.
TIMED_TEXTS: Final = 2048


def microseconds_per_text(
    score: Callable[[Sequence[str]], object], texts: Sequence[str]
) -> tuple[float, float]:
    """Time scoring on one thread: single texts and batches of 256, medians in µs per text.

    Args:
        score: scores a sequence of raw texts.
        texts: at least one; with fewer than 256 the batch is all of them.
    """

    def median(batches: Sequence[Sequence[str]]) -> float:
        seconds = []
        for batch in batches:
            started = time.perf_counter()
            score(batch)
            seconds.append((time.perf_counter() - started) / len(batch))
        return round(statistics.median(seconds) * 1e6, 2)

    with threadpool_limits(1):
        score(texts[:256])  # warm up
        alone = median([[text] for text in texts[:512]])
        starts = range(0, max(len(texts) - 255, 1), 256)
        batch = median([texts[start : start + 256] for start in starts])
    return alone, batch

"""From a checked request to the bytes of its answer: timed, counted, and never in the way."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from dandelion.classifier import chunks

from ..api.schemas import ClassifyRequest
from .registry import Served

# A larger batch takes more than a millisecond compiled, or a few in NumPy: it leaves the event
# loop, so that small ones and health checks need not wait for it.
_INLINE_TEXTS: Final = 256
_INLINE_CHARS: Final = 32_768
_THREADS: Final = 2


class Classification:
    """Classifies, small batches at once and large ones in two threads of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="classify")

    def close(self) -> None:
        """End the threads, once nothing is in flight."""
        self._pool.shutdown()

    async def answer(self, served: Served, asked: ClassifyRequest) -> bytes:
        """Classify the texts and write a `ClassifyAnswer` or a `MulticlassAnswer`."""
        if len(asked.texts) <= _INLINE_TEXTS and sum(map(len, asked.texts)) <= _INLINE_CHARS:
            return _answer(served, asked)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _answer, served, asked)


def _answer(served: Served, asked: ClassifyRequest) -> bytes:
    classifier, writer = served.classifier, served.writer
    threshold = classifier.manifest.threshold if asked.threshold is None else asked.threshold
    pieces = []
    tokenize_s = infer_s = 0.0
    for texts in chunks(asked.texts):
        started = time.perf_counter()
        batch = classifier.encode(texts)
        tokenized = time.perf_counter()
        scores = classifier.infer(batch)
        inferred = time.perf_counter()
        pieces.append(writer.piece(scores, threshold))
        tokenize_s += tokenized - started
        infer_s += inferred - tokenized
    served.metrics.observe(pieces, tokenize_s, infer_s)
    return writer.answer(pieces, threshold)

"""Running a served model on a request's texts: timed, counted, large batches off the event loop."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import numpy as np

from dandelion.classifier import chunks
from dandelion.decision.rule import Decided, Decision
from dandelion.manifest import Manifest

from .registry import Served

T = TypeVar("T")

# A larger batch takes more than a millisecond compiled, or a few in NumPy. It leaves the event
# loop, so that small batches and health checks do not wait for it.
_INLINE_TEXTS: Final = 256
_INLINE_CHARS: Final = 32_768
_THREADS: Final = 2


class Classification:
    """Classifies small batches in the calling thread, and large ones in a pool of two threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="classify")

    def close(self) -> None:
        """Stop the threads; no batch may be in flight."""
        self._pool.shutdown()

    async def run(
        self,
        served: Served,
        texts: Sequence[str],
        decision: Decision,
        encode: Callable[[Manifest, Decision, Decided], T],
    ) -> T:
        """Classify texts and encode the result, both in the same thread.

        Args:
            served: the model.
            texts: raw, at least one.
            decision: the model's own, or with the threshold of the request.
            encode: turns the decisions on the texts into a response.

        Returns:
            What ``encode`` returns.
        """
        if len(texts) <= _INLINE_TEXTS and sum(map(len, texts)) <= _INLINE_CHARS:
            return _run(served, texts, decision, encode)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _run, served, texts, decision, encode)


def _run(
    served: Served,
    texts: Sequence[str],
    decision: Decision,
    encode: Callable[[Manifest, Decision, Decided], T],
) -> T:
    classifier = served.classifier
    scores = []
    tokenize_s = infer_s = 0.0
    for chunk in chunks(texts):
        started = time.perf_counter()
        batch = classifier.encode(chunk)
        tokenized = time.perf_counter()
        scores.append(classifier.infer(batch))
        inferred = time.perf_counter()
        tokenize_s += tokenized - started
        infer_s += inferred - tokenized
    decided = decision.decide(scores[0] if len(scores) == 1 else np.concatenate(scores))
    served.metrics.observe(decided, tokenize_s, infer_s)
    return encode(classifier.manifest, decision, decided)

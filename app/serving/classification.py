"""Running a served model on a request's texts: timed, counted, large batches off the event loop."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np
from starlette.types import Receive

from dandelion.decision.rule import Decided, Decision
from dandelion.manifest import Manifest
from dandelion.text.tokenizer import MAX_EXPANSION

from .admission import Admitted
from .limits import TextLimits
from .pool import Check, Pool
from .registry import Served

T = TypeVar("T")

# A larger batch takes more than a millisecond compiled, or a few in NumPy. It leaves the event
# loop, so that small batches and health checks do not wait for it.
_INLINE_TEXTS: Final = 256
_INLINE_CHARS: Final = 32_768


class _Timed(NamedTuple):
    """The decisions on a batch, and the seconds of the two stages."""

    decided: Decided
    tokenize_s: float
    infer_s: float


class Classification:
    """Classifies small batches in the calling thread, and large ones in a pool of two threads.

    Args:
        limits: on the texts, after normalization.
        pool: for large batches.
    """

    def __init__(self, limits: TextLimits, pool: Pool) -> None:
        self._limits = limits
        self._pool = pool
        self._always_met = min(limits.always_met, _INLINE_CHARS // MAX_EXPANSION)
        self._max_ascii = min(limits.max_request_chars, _INLINE_CHARS)

    def close(self) -> None:
        """Stop the threads; no batch may be in flight."""
        self._pool.close()

    async def run(  # noqa: PLR0913
        self,
        served: Served,
        texts: Sequence[str],
        decision: Decision,
        encode: Callable[[Manifest, Decision, Decided], T],
        *,
        admitted: Admitted,
        receive: Receive,
        arrived: float,
    ) -> T:
        """Classify texts and encode the result, both in the same thread.

        Args:
            served: the model.
            texts: raw, at least one.
            decision: the model's own, or with the threshold of the request.
            encode: turns the decisions on the texts into a response.
            admitted: the request.
            receive: ASGI's, with the body read.
            arrived: when the body had arrived, in `time.monotonic`'s seconds.

        Returns:
            What ``encode`` returns.

        Raises:
            Problem: 422, a text or all of them are too long after normalization; 429 or 504.
            ClientDisconnect: the client is gone.
        """
        if len(texts) <= _INLINE_TEXTS:
            chars = sum(map(len, texts))
            if chars <= self._always_met:
                return _run(served, texts, decision, encode)
            if chars <= _INLINE_CHARS:
                # One call for all texts costs less than one for each.
                if chars <= self._max_ascii and "".join(texts).isascii():
                    return _run(served, texts, decision, encode)
                clean = self._limits.clean(texts, _INLINE_CHARS)
                if clean is not None:
                    return _run(served, clean, decision, encode, is_clean=True)

        def work(check: Check) -> tuple[T, _Timed]:
            timed = _decide(served, self._limits.chunks(texts), decision, check, is_clean=True)
            return encode(served.manifest, decision, timed.decided), timed

        encoded, timed = await self._pool.run(
            work, texts=len(texts), admitted=admitted, receive=receive, arrived=arrived
        )
        served.metrics.observe(*timed)  # here, since a batch that was abandoned is not counted
        return encoded


def _run(
    served: Served,
    texts: Sequence[str],
    decision: Decision,
    encode: Callable[[Manifest, Decision, Decided], T],
    *,
    is_clean: bool = False,
) -> T:
    timed = _decide(served, (texts,), decision, is_clean=is_clean)
    served.metrics.observe(*timed)
    return encode(served.manifest, decision, timed.decided)


def _decide(
    served: Served,
    chunks: Iterable[Sequence[str]],
    decision: Decision,
    check: Check | None = None,
    *,
    is_clean: bool,
) -> _Timed:
    """Classify chunk by chunk; ``check`` may end it before each."""
    classifier = served.classifier
    scores = []
    tokenize_s = infer_s = 0.0
    started = time.perf_counter()
    for chunk in chunks:
        if check:
            check()
        batch = classifier.encode(chunk, is_clean=is_clean)
        tokenized = time.perf_counter()
        scores.append(classifier.infer(batch))
        inferred = time.perf_counter()
        tokenize_s += tokenized - started
        infer_s += inferred - tokenized
        started = inferred
    decided = decision.decide(scores[0] if len(scores) == 1 else np.concatenate(scores))
    return _Timed(decided, tokenize_s, infer_s)

"""Running a served model on a request's texts: timed, counted, large batches off the event loop."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np

from dandelion.classifier import shifted
from dandelion.decision.rule import Decided, Decision
from dandelion.manifest import Manifest

from .admission import Admitted
from .limits import TextLimits
from .policies import Fit
from .pool import Check, Pool, Work
from .registry import Served

T = TypeVar("T")

Encode = Callable[[Manifest, Decision, Decided], T]

# A larger batch takes more than a millisecond compiled, or a few in NumPy. It leaves the event
# loop, so that small batches and health checks do not wait for it.
INLINE_TEXTS: Final = 256
_INLINE_CHARS: Final = 32_768
# Normalization takes up to half a microsecond for a character, with many combining marks.
_INLINE_CHARS_TO_NORMALIZE: Final = 16_384
# Shorter batches take a tenth of a millisecond, however they are written.
_BRIEF_CHARS: Final = 256


class Batch(NamedTuple):
    """The texts of a request.

    Attributes:
        served: the model.
        texts: raw, at least one.
        decision: the model's own, with the threshold of the request, or under a policy.
        fit: returns the decision, if it must be fitted first, which may take a second.
    """

    served: Served
    texts: Sequence[str]
    decision: Decision
    fit: Fit | None = None


# The decisions on a batch, then the seconds of the two stages: what `ModelMetrics.observe` takes.
_Timed = tuple[Decided, float, float]


class Classification:
    """Classifies small batches in the calling thread, and large ones in a pool of two threads.

    Args:
        limits: on the texts, after normalization.
        pool: for large batches.
        fit_texts: what a request that fits an operating point takes of the capacity, at least.
    """

    def __init__(self, limits: TextLimits, pool: Pool, fit_texts: int = 1) -> None:
        self._limits = limits
        self._fit_texts = fit_texts
        self._pool = pool
        self._brief_chars = min(limits.always_met, _BRIEF_CHARS)
        self._max_ascii = min(limits.max_request_chars, _INLINE_CHARS)

    def close(self) -> None:
        """Stop the threads; no batch may be in flight."""
        self._pool.close()

    async def run(self, batch: Batch, encode: Encode[T], admitted: Admitted) -> T:
        """Classify a batch and encode the result, both in the same thread.

        Args:
            batch: the texts.
            encode: turns the decisions on the texts into a response.
            admitted: the request.

        Returns:
            What ``encode`` returns.

        Raises:
            Problem: 422, a text or all of them are too long after normalization; 429 or 504.
            ClientDisconnect: the client is gone.
        """
        texts = batch.texts
        if len(texts) <= INLINE_TEXTS and batch.fit is None:
            chars = sum(map(len, texts))
            if chars <= self._brief_chars:
                return _run(batch, encode)
            if chars <= _INLINE_CHARS:
                await self._pool.wait_for_turn(admitted)
                # One call for all texts costs less than one for each.
                if chars <= self._max_ascii and "".join(texts).isascii():
                    return _run(batch, encode)
                to_normalize = sum(len(text) for text in texts if not text.isascii())
                if to_normalize <= _INLINE_CHARS_TO_NORMALIZE:
                    normalized = self._limits.normalize(texts, _INLINE_CHARS)
                    if normalized is not None:
                        return _run(batch._replace(texts=normalized), encode, is_nfkc=True)
        # What is fitted takes as much of the capacity as the batches that take as long.
        counted = len(texts) if batch.fit is None else max(len(texts), self._fit_texts)
        return await self.run_in_turn(lambda: batch, counted, encode, admitted)

    async def run_in_turn(
        self, decode: Callable[[], Batch], texts: int, encode: Encode[T], admitted: Admitted
    ) -> T:
        """Classify a large batch, which is decoded only when it is its turn.

        Args:
            decode: returns the batch; called in the event loop.
            texts: the number of texts, or more.
            encode: see `run`.
            admitted: the request.

        Returns:
            What ``encode`` returns.

        Raises:
            Problem: see `run`; or what ``decode`` raises.
            ClientDisconnect: the client is gone.
        """

        def start() -> Work[tuple[Batch, T, _Timed]]:
            decoded = decode()

            def work(check: Check) -> tuple[Batch, T, _Timed]:
                batch = decoded
                if batch.fit is not None:
                    batch = batch._replace(decision=batch.fit())
                    check()
                chunks = self._limits.chunks(batch.texts)
                timed = _decide(batch, chunks, check, is_nfkc=True)
                return batch, _encode(batch, encode, timed), timed

            return work

        batch, encoded, timed = await self._pool.run(start, texts, admitted)
        _observe(batch, timed)  # here, since a batch that was abandoned is not counted
        return encoded


def _run(batch: Batch, encode: Encode[T], *, is_nfkc: bool = False) -> T:
    timed = _decide(batch, (batch.texts,), is_nfkc=is_nfkc)
    _observe(batch, timed)
    return _encode(batch, encode, timed)


def _observe(batch: Batch, timed: _Timed) -> None:
    metrics = batch.served.metrics
    metrics.observe(*timed)
    policy, verdicts = batch.decision.policy, timed[0].verdicts
    if policy is not None and verdicts is not None:
        metrics.count_decisions(policy.name, verdicts)


def _encode(batch: Batch, encode: Encode[T], timed: _Timed) -> T:
    return encode(batch.served.classifier.manifest, batch.decision, timed[0])


def _decide(
    batch: Batch,
    chunks: Iterable[Sequence[str]],
    check: Check | None = None,
    *,
    is_nfkc: bool,
) -> _Timed:
    """Classify chunk by chunk; ``check`` may end it before each."""
    classifier, policy = batch.served.classifier, batch.decision.policy
    scores = []
    notices = {}
    texts = 0
    tokenize_s = infer_s = 0.0
    started = time.perf_counter()
    for chunk in chunks:
        if check:
            check()
        encoded = classifier.encode(chunk, is_nfkc=is_nfkc)
        tokenized = time.perf_counter()
        scores.append(classifier.infer(encoded, policy))
        if found := classifier.encoded_notices(encoded):
            notices.update(shifted(found, texts))
        texts += len(chunk)
        inferred = time.perf_counter()
        tokenize_s += tokenized - started
        infer_s += inferred - tokenized
        started = inferred
    every = scores[0] if len(scores) == 1 else np.concatenate(scores)
    decided = batch.decision.decide(every, notices)
    return decided, tokenize_s, infer_s

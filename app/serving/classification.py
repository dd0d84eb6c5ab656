"""Running a served model on a request's texts: timed, counted, large batches off the event loop."""

import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final, NamedTuple, TypeVar

import numpy as np

from dandelion.decision.notices import shifted
from dandelion.decision.rule import Decided, Decision

from .admission import Admitted
from .callers import Caller
from .extras import Extras
from .limits import TextLimits
from .measured import Measured
from .policies import Fit
from .pool import Check, Pool, Work
from .registry import Served

T = TypeVar("T")

# Manifest, decision, its result and, only if a batch has any, `Extras` → response.
Encode = Callable[..., T]

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
        extras: what else is wanted; None for nothing.
        caller: whose request it is, where keys are configured.
        measured: is given what was measured, if somebody asks for it.
    """

    served: Served
    texts: Sequence[str]
    decision: Decision
    fit: Fit | None = None
    extras: Extras | None = None
    caller: Caller | None = None
    measured: Measured | None = None


# Is given every batch that was classified, with the texts that were, raw or in NFKC, and the
# decisions on them: in the event loop. It must be quick, and never fails.
Observer = Callable[[Batch, Decided], None]

# What `ModelMetrics.observe` takes: the decisions on a batch, the seconds of the two stages, and
# the numbers of words of each text.
_Timed = tuple[Decided, float, float, Sequence[int]]


class Classification:
    """Classifies small batches in the calling thread, and large ones in a pool of two threads.

    Args:
        limits: on the texts, after normalization.
        pool: for large batches.
        costly_texts: what a request that fits an operating point, or explains, takes of the
            capacity for texts, at least.
        observers: are given what was decided.
    """

    def __init__(
        self,
        limits: TextLimits,
        pool: Pool,
        costly_texts: int = 1,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._limits = limits
        self._observers = tuple(observers)
        self.costly_texts = costly_texts
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
        texts, extras = batch.texts, batch.extras
        is_costly = batch.fit is not None or (extras is not None and extras.top > 0)
        if len(texts) <= INLINE_TEXTS and not is_costly:
            chars = sum(map(len, texts))
            if chars <= self._brief_chars:
                return self._run(batch, encode)
            if chars <= _INLINE_CHARS:
                await self._pool.wait_for_turn(admitted)
                # One call for all texts costs less than one for each.
                if chars <= self._max_ascii and "".join(texts).isascii():
                    return self._run(batch, encode)
                to_normalize = sum(len(text) for text in texts if not text.isascii())
                if to_normalize <= _INLINE_CHARS_TO_NORMALIZE:
                    normalized = self._limits.normalize(texts, _INLINE_CHARS)
                    if normalized is not None:
                        return self._run(batch._replace(texts=normalized), encode, is_nfkc=True)
        # It takes as much of the capacity as the batches that take as long.
        counted = max(len(texts), self.costly_texts) if is_costly else len(texts)
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
                batch, timed = self._run_all(batch, check)
                return batch, _encode(batch, encode, timed), timed

            return work

        batch, encoded, timed = await self._pool.run(start, texts, admitted)
        self._observe(batch, timed)  # here, since a batch that was abandoned is not counted
        return encoded

    def _run(self, batch: Batch, encode: Encode[T], *, is_nfkc: bool = False) -> T:
        timed = decide(batch, (batch.texts,), is_nfkc=is_nfkc)
        self._observe(batch, timed)
        return _encode(batch, encode, timed)

    def _observe(self, batch: Batch, timed: _Timed) -> None:
        metrics = batch.served.metrics
        metrics.observe(*timed)
        verdicts = timed[0].verdicts
        if verdicts is not None and batch.decision.policy is not None:
            metrics.count_decisions(batch.decision.policy.name, verdicts)
        if batch.extras is not None and batch.extras.errors:
            metrics.errors.inc(len(batch.extras.errors))
        if batch.measured is not None:
            batch.measured.has_decisions(batch.decision, *timed[:3])
        if self._observers:
            for observe in self._observers:
                observe(batch, timed[0])

    def _run_all(self, batch: Batch, check: Check) -> tuple[Batch, _Timed]:
        """Classify and, if that is wanted, explain; also return the batch with its extras.

        The batch that is returned has only the texts that were classified.

        Raises:
            Problem: 422, a text or all of them are too long after normalization, or to explain.
        """
        extras, texts = batch.extras, batch.texts
        if extras is None:
            return batch, decide(batch, self._limits.chunks(texts), check, is_nfkc=True)
        failed: dict[int, str] = {}
        chunks: Iterable[Sequence[str]]
        chunks = self._limits.chunks(texts, failed if extras.is_reporting else None)
        if extras.top:
            chunks = extras.checked(chunks)
        timed = decide(batch, chunks, check, is_nfkc=True)
        if failed:
            extras = extras.without(failed)
            texts = [text for place, text in enumerate(texts) if place not in failed]
        if extras.top:
            extras = extras.explained(batch.served.classifier, texts, check)
        return batch._replace(texts=texts, extras=extras), timed


def _encode(batch: Batch, encode: Encode[T], timed: _Timed) -> T:
    manifest = batch.served.classifier.manifest
    if batch.extras is None:
        return encode(manifest, batch.decision, timed[0])
    return encode(manifest, batch.decision, timed[0], batch.extras)


def decide(
    batch: Batch,
    chunks: Iterable[Sequence[str]],
    check: Check | None = None,
    *,
    is_nfkc: bool,
) -> _Timed:
    """Classify chunk by chunk.

    Args:
        batch: of the model, with the decision; its texts are not used.
        chunks: the texts.
        check: may end it before each chunk.
        is_nfkc: whether the texts are in NFKC already.

    Returns:
        The decisions on the texts; seconds of the two stages.
    """
    classifier, policy = batch.served.classifier, batch.decision.policy
    scores = []
    notices = {}
    words: list[Sequence[int]] = []
    texts = 0
    tokenize_s = infer_s = 0.0
    begun = started = time.perf_counter()
    for chunk in chunks:
        if check:
            check()
        encoded = classifier.encode(chunk, is_nfkc=is_nfkc)
        tokenized = time.perf_counter()
        scores.append(classifier.infer(encoded, policy))
        counts, found = classifier.encoded_words(encoded)
        words.append(counts)
        if found:
            notices.update(shifted(found, texts))
        texts += len(chunk)
        inferred = time.perf_counter()
        tokenize_s += tokenized - started
        infer_s += inferred - tokenized
        started = inferred
    if batch.measured is not None:
        batch.measured.has_scores(begun, tokenize_s, infer_s)
    every = scores[0] if len(scores) == 1 else np.concatenate(scores)
    decided = batch.decision.decide(every, notices)
    counts = words[0] if len(words) == 1 else array("i", chain.from_iterable(words))
    return decided, tokenize_s, infer_s, counts

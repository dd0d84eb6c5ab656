"""Scoring a sample of the texts with a shadow variant, off the path of their responses.

The event loop puts the sample into a bounded queue, and one thread scores it. It rests three times
as long as it works, waiting for the interpreter's lock included: it has at most a quarter of a
processor, and less the busier the process is. Its priority is not lowered: while the system lets a
thread of low priority wait, it may hold the lock that the event loop needs.

Texts are in the queue alone, until they are scored.
"""

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from dandelion.decision.rule import Decided, Decision

from ..errors import Problem
from ..telemetry import logs
from ..telemetry.shadow_metrics import Disagreement, ShadowMetrics
from .classification import Batch, decide
from .registry import Served, Shadow

_log = logging.getLogger("dandelion")

MAX_TEXTS: Final = 4096
MAX_BYTES: Final = 8_000_000
"""What the queue holds at most; texts that do not fit are dropped."""

# Less than a single text takes to notice: what is scored between two rests.
_PIECE_TEXTS: Final = 16
_PIECE_CHARS: Final = 2048
_WORK_S: Final = 0.25e-3
_REST: Final = 3.0  # times the work

# The thread wakes up for many texts at once.
_GATHER_S: Final = 0.02

# For a piece; an operating point that is being fitted is not waited for.
_JOIN_S: Final = 1.0


class _Pending:
    """The sample of a batch. Its representation shows no text."""

    __slots__ = ("decision", "positions", "scores", "served", "shadow", "size", "texts")

    def __init__(
        self, batch: Batch, shadow: Shadow, decided: Decided, chosen: Sequence[int]
    ) -> None:
        self.served = batch.served
        self.shadow = shadow
        self.decision = batch.decision
        self.texts = [batch.texts[at] for at in chosen]
        self.positions = [int(decided.positions[at]) for at in chosen]
        self.scores = [decided.scores[at] for at in chosen]
        self.size = sum(map(sys.getsizeof, self.texts))


class ShadowScoring:
    """An observer of classification that lets each model's shadow score a sample of the texts.

    Every text of the sample is counted: as scored, or as dropped.

    Args:
        is_busy: whether the process has no time for it; then the queue is dropped.
        max_texts: in the queue.
        max_bytes: of texts in the queue.
    """

    def __init__(
        self,
        is_busy: Callable[[], bool] = lambda: False,
        max_texts: int = MAX_TEXTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._is_busy = is_busy
        self._free_texts = max_texts
        self._free_bytes = max_bytes
        self._queue: deque[_Pending] = deque()
        self._lock = threading.Lock()
        self._is_wanted = threading.Event()
        self._is_closed = threading.Event()
        # Started for the first text: a fork would not copy it.
        self._thread: threading.Thread | None = None
        self._failures = logs.Throttle()

    def __call__(self, batch: Batch, decided: Decided) -> None:
        """Put the sample of a batch into the queue; drop it if there is no room or no time."""
        shadow = batch.served.shadow
        if shadow is None:
            return
        chosen = shadow.sample.take(len(decided.positions))
        if not chosen:
            return
        if self._is_busy() or not self._put(_Pending(batch, shadow, decided, chosen)):
            shadow.metrics.dropped.inc(len(chosen))

    def close(self) -> None:
        """Stop the thread, and drop what is in the queue; takes up to a second."""
        self._is_closed.set()
        self._is_wanted.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self._drop_all()

    def _put(self, pending: _Pending) -> bool:
        """Put a sample into the queue; returns whether there was room."""
        with self._lock:
            if len(pending.texts) > self._free_texts or pending.size > self._free_bytes:
                return False
            self._free_texts -= len(pending.texts)
            self._free_bytes -= pending.size
            self._queue.append(pending)
        if self._thread is None and not self._start():
            self._drop_all()
        elif not self._is_wanted.is_set():
            self._is_wanted.set()
        return True

    def _start(self) -> bool:
        thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system allows no other thread
            return False
        self._thread = thread
        return True

    def _take(self) -> _Pending | None:
        with self._lock:
            return self._queue.popleft() if self._queue else None

    def _give_back(self, pending: _Pending) -> None:
        with self._lock:
            self._free_texts += len(pending.texts)
            self._free_bytes += pending.size

    def _drop_all(self) -> None:
        while (pending := self._take()) is not None:
            pending.shadow.metrics.dropped.inc(len(pending.texts))
            self._give_back(pending)

    def _run(self) -> None:
        """Score what is in the queue, until `close`; in the thread."""
        while not self._is_closed.is_set():
            self._is_wanted.wait()
            self._is_closed.wait(_GATHER_S)
            self._is_wanted.clear()
            started = time.perf_counter()
            while not self._is_closed.is_set() and (pending := self._take()) is not None:
                started = self._score(pending, started)
                self._give_back(pending)
                del pending  # its texts, too
                if self._is_busy():
                    self._drop_all()

    def _score(self, pending: _Pending, started: float) -> float:
        """Score a sample in pieces; never fails.

        Args:
            pending: the sample.
            started: when the thread has rested last.

        Returns:
            When the thread has rested last.
        """
        metrics = pending.shadow.metrics
        scored = 0
        try:
            decision = _decision(pending.served, pending.shadow.served, pending.decision)
            for stop in _pieces(pending.texts):
                if self._is_closed.is_set():
                    break
                _compare(pending, decision, scored, stop)
                scored = stop
                started = self._rest(started)
        except Problem:  # the shadow cannot decide as the request wants
            pass
        except Exception as error:  # noqa: BLE001 - the service goes on without its shadow
            self._report(pending, error)
        if scored < len(pending.texts):
            metrics.dropped.inc(len(pending.texts) - scored)
        return started

    def _rest(self, started: float) -> float:
        worked = time.perf_counter() - started
        if worked < _WORK_S:
            return started
        self._is_closed.wait(_REST * worked)
        return time.perf_counter()

    def _report(self, pending: _Pending, error: Exception) -> None:
        """Log an error, not too often, and without its message, which may quote a text."""
        if not self._failures.is_due():
            return
        _log.error(
            "shadow failed",
            extra={
                "model": pending.served.manifest.model,
                "shadow": pending.shadow.served.manifest.variant,
                "error": type(error).__qualname__,
                "where": logs.where(error.__traceback__),
            },
        )


def _decision(served: Served, shadow: Served, decision: Decision) -> Decision:
    """Return how the shadow would decide on the request that the served variant decided on.

    Raises:
        Problem: it cannot, for example by a policy that could not be fitted for it.
    """
    found = shadow.policies.find(*served.policies.asked(decision))
    return found if isinstance(found, Decision) else found()


def _pieces(texts: Sequence[str]) -> Sequence[int]:
    """Return where each piece ends."""
    stops = []
    start = chars = 0
    for at, text in enumerate(texts):
        if at > start and (at - start == _PIECE_TEXTS or chars + len(text) > _PIECE_CHARS):
            stops.append(at)
            start, chars = at, 0
        chars += len(text)
    return [*stops, len(texts)]


def _compare(pending: _Pending, decision: Decision, start: int, stop: int) -> None:
    """Score a piece of a sample, and count how the shadow differs."""
    shadow = pending.shadow.served
    texts = pending.texts[start:stop]
    # Some are in NFKC already; what is stays as it is.
    found, *_ = decide(Batch(shadow, texts, decision), (texts,), is_nfkc=False)
    _count(pending.shadow.metrics, pending, decision, found, start)


def _count(
    metrics: ShadowMetrics, pending: _Pending, decision: Decision, found: Decided, start: int
) -> None:
    labels = pending.decision.labels
    differences = []
    kinds: list[Disagreement] = []
    for at, position in enumerate(found.positions):
        served, score = pending.positions[start + at], pending.scores[start + at]
        if found.by_label is None:
            other = found.scores[at]
            if position != served:
                kinds.append(
                    Disagreement.NEGATIVE_TO_POSITIVE
                    if position
                    else Disagreement.POSITIVE_TO_NEGATIVE
                )
        else:
            other = found.by_label[at][decision.labels.index(labels[served])]
            if decision.labels[position] != labels[served]:
                kinds.append(Disagreement.LABEL)
        if score is not None and other is not None:
            differences.append(abs(other - score))
    metrics.texts.inc(len(found.positions))
    metrics.difference.observe_many(differences)
    for kind in set(kinds):
        metrics.disagreements[kind].inc(kinds.count(kind))

"""Every Prometheus series of the service."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, PlatformCollector

from dandelion.decision import buckets
from dandelion.decision.rule import VERDICTS, Decided, Decision, Verdict
from dandelion.manifest import Manifest
from dandelion.serving import REQUEST

from ..errors import CLIENT_CLOSED
from . import content, facts, shadow_metrics
from .content import Content
from .counters import Counter, Family, Gauge, Histogram, HistogramGroup, Kind, SharedCounters
from .exemplars import Exemplar
from .facts import Facts
from .generation_metrics import FAMILIES as GENERATION_FAMILIES
from .generation_metrics import GENERATIONS, GenerationMetrics
from .processes import Processes
from .record_metrics import FAMILIES as RECORD_FAMILIES
from .record_metrics import RecordMetrics
from .references import References
from .shared_map import Layout
from .trace_metrics import SPANS_DROPPED

# The label under which requests to unknown models are counted.
UNKNOWN: Final = "unknown"

_STATUSES: Final = (200, 400, 404, 405, 413, 415, 422, 429, CLIENT_CLOSED, 500, 503, 504)
_STAGES: Final = ("tokenize", "infer")

_SECONDS: Final = (
    *(50e-6, 100e-6, 150e-6, 200e-6, 300e-6, 400e-6, 500e-6, 750e-6),
    *(1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3, 7.5e-3),
    *(10e-3, 15e-3, 20e-3, 30e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0),
)
_TEXTS: Final = tuple(float(2**power) for power in range(13))  # 1 … 4096

_REQUEST_SECONDS: Final = Family(
    Kind.HISTOGRAM,
    "dandelion_request_duration_seconds",
    "From the first byte of a request's body to the last byte of its response, failures included.",
    ("model",),
    _SECONDS,
    has_exemplars=True,
)
_REQUESTS: Final = Family(
    Kind.COUNTER,
    "dandelion_requests",
    "Requests to classify, by response status.",
    ("model", "status"),
)
_STAGE_SECONDS: Final = Family(
    Kind.HISTOGRAM,
    "dandelion_stage_duration_seconds",
    "Part of a request: tokenize (texts to ids) or infer (ids to scores).",
    ("model", "stage"),
    _SECONDS,
)
_LABELLED_TEXTS: Final = Family(
    Kind.COUNTER,
    "dandelion_texts",
    "Classified texts, by predicted label.",
    ("model", "label"),
)
_TEXT_ERRORS: Final = Family(
    Kind.COUNTER,
    "dandelion_text_errors",
    "Texts that got an error in the place of a result, because the request wanted errors reported.",
    ("model",),
)
_DECISIONS: Final = Family(
    Kind.COUNTER,
    "dandelion_decisions",
    "Texts decided on under a policy, or under an operating point of a request (policy "
    '"request"); texts of other requests are in dandelion_texts_total alone.',
    ("model", "policy", "decision"),
)
_BATCH_SIZE: Final = Family(
    Kind.HISTOGRAM, "dandelion_batch_size", "Texts in a request.", ("model",), _TEXTS
)
_SCORE: Final = Family(
    Kind.HISTOGRAM,
    "dandelion_score",
    "Scores of classified texts: of the positive label, or, with more than two labels, of the "
    "predicted one.",
    ("model",),
    buckets.SCORES,
)
_CONNECTION_ERRORS: Final = Family(
    Kind.COUNTER,
    "dandelion_connection_errors",
    "Connections that the service closed, or requests that it refused before the application.",
    ("reason",),
)
_REQUESTS_IN_FLIGHT: Final = Family(
    Kind.SUMMED_GAUGE,
    "dandelion_in_flight_requests",
    "Requests to classify, from the end of their headers to their response.",
    (),
)
_BYTES_IN_FLIGHT: Final = Family(
    Kind.SUMMED_GAUGE,
    "dandelion_in_flight_body_bytes",
    "Bytes reserved for bodies of more than 64 KiB that are read or classified.",
    (),
)
_TEXTS_IN_FLIGHT: Final = Family(
    Kind.SUMMED_GAUGE,
    "dandelion_in_flight_texts",
    "Texts of large batches that are classified or wait for a thread.",
    (),
)
_REQUESTS_WAITING: Final = Family(
    Kind.SUMMED_GAUGE,
    "dandelion_waiting_requests",
    "Requests that wait for bytes or texts in flight.",
    (),
)
_BYTES_WAITING: Final = Family(
    Kind.SUMMED_GAUGE,
    "dandelion_waiting_body_bytes",
    "Bytes that requests wait for.",
    (),
)
_SHED: Final = Family(
    Kind.COUNTER,
    "dandelion_shed_requests",
    "Requests that were not classified, because of load or because nobody waited for the result.",
    ("reason",),
)
_DENIED: Final = Family(
    Kind.COUNTER,
    "dandelion_denied_requests",
    "Requests that were denied because of their API key.",
    ("reason",),
)
_KEY_TEXTS: Final = Family(
    Kind.COUNTER,
    "dandelion_key_texts",
    "Texts that were accepted to be classified, by the name of the API key.",
    ("key",),
)
_FAMILIES: Final = (
    _REQUEST_SECONDS,
    _REQUESTS,
    _STAGE_SECONDS,
    _LABELLED_TEXTS,
    _TEXT_ERRORS,
    _DECISIONS,
    _BATCH_SIZE,
    _SCORE,
    *content.FAMILIES,
    *GENERATION_FAMILIES,
    _CONNECTION_ERRORS,
    _REQUESTS_IN_FLIGHT,
    _BYTES_IN_FLIGHT,
    _TEXTS_IN_FLIGHT,
    _REQUESTS_WAITING,
    _BYTES_WAITING,
    _SHED,
    *shadow_metrics.FAMILIES,
    _DENIED,
    _KEY_TEXTS,
    *RECORD_FAMILIES,
    SPANS_DROPPED,
)


class Refusal(StrEnum):
    """Why a connection was closed, or a request refused, before the application."""

    MALFORMED = "malformed"
    """400: not an HTTP/1.1 request."""
    FRAMING_TOO_LARGE = "framing_too_large"
    """400: chunk extensions, trailers or small chunks."""
    HEADER_TIMEOUT = "header_timeout"
    """408: the headers were begun, but not completed."""
    BODY_TIMEOUT = "body_timeout"
    """408."""
    URL_TOO_LONG = "url_too_long"
    """414."""
    HEADERS_TOO_LARGE = "headers_too_large"
    """431: their size or number."""
    TOO_MANY_CONNECTIONS = "too_many_connections"
    """503; or closed for a new one before its first headers were complete."""
    SILENT = "silent"
    """No response: a new connection sent nothing."""
    UNREAD_RESPONSE = "unread_response"
    """The client did not read."""


class Shed(StrEnum):
    """Why a request was not classified."""

    QUEUE_FULL = "queue_full"
    """As many requests as may wait did so already."""
    WAIT = "wait"
    """It waited for capacity for as long as it may."""
    DEADLINE = "deadline"
    """It could not be classified in time."""
    CLIENT_GONE = "client_gone"
    """Its client closed the connection before it was classified."""


class Denial(StrEnum):
    """Why a request was denied."""

    NO_KEY = "no_key"
    """401: it has none."""
    UNKNOWN_KEY = "unknown_key"
    """401: it has one that is not configured; or 400: it has different ones."""
    SCOPE = "scope"
    """403: the key does not allow it."""
    RATE = "rate"
    """429: the key's limit in texts per second."""


class Load:
    """The series of what is in flight and what is shed.

    Args:
        counters: of the service.
    """

    def __init__(self, counters: SharedCounters) -> None:
        self.requests: Gauge = counters.gauge(_REQUESTS_IN_FLIGHT)
        self.bytes: Gauge = counters.gauge(_BYTES_IN_FLIGHT)
        self.texts: Gauge = counters.gauge(_TEXTS_IN_FLIGHT)
        self.waiting: Gauge = counters.gauge(_REQUESTS_WAITING)
        self.waiting_bytes: Gauge = counters.gauge(_BYTES_WAITING)
        self._shed = {reason: counters.counter(_SHED, reason.value) for reason in Shed}

    def shed(self, reason: Shed) -> None:
        """Count a request that was not classified."""
        self._shed[reason].inc()


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """The series of one model that count its classified texts.

    Attributes:
        decision: of the model.
        of_one: the histograms, from ``tokenize`` on, for one text with words.
        texts: a counter for each of the decision's labels.
        errors: a counter of texts with an error in the place of a result.
        decisions: policy → decision → counter.
    """

    decision: Decision
    tokenize: Histogram
    infer: Histogram
    batch_size: Histogram
    score: Histogram
    content: Content
    of_one: HistogramGroup
    texts: tuple[Counter, ...]
    errors: Counter
    decisions: Mapping[str, Mapping[Verdict, Counter]]

    def observe(
        self, decided: Decided, tokenize_s: float, infer_s: float, words: Sequence[int]
    ) -> None:
        """Record one classified batch.

        Args:
            decided: the decisions on its texts.
            tokenize_s: seconds from texts to the ids of tokens and grams.
            infer_s: seconds from ids to scores.
            words: the number of words of each text and of the known ones, in turn.
        """
        positions, scores = decided.positions, decided.scores
        if len(positions) == 1 and words[0]:  # the usual case
            every, known = words
            self.of_one.observe(tokenize_s, infer_s, 1.0, scores[0], every, 1 - known / every)  # type: ignore[arg-type]
            self.texts[positions[0]].inc()
            return
        self.tokenize.observe(tokenize_s)
        self.infer.observe(infer_s)
        self.batch_size.observe(len(positions))
        self.content.observe(words)
        # Nearly always all texts have a score; looking for the others has its price.
        if decided.notices:
            scores = decided.given_scores
        self.score.observe_many(scores)  # type: ignore[arg-type]
        for counter, count in zip(self.texts, self.decision.counts(decided.positions), strict=True):
            if count:
                counter.inc(count)

    def count_decisions(self, policy: str | None, verdicts: Sequence[Verdict]) -> None:
        """Count the decisions on one batch.

        Args:
            policy: that was in force; None for an operating point of the request.
            verdicts: on each text.
        """
        for verdict, counter in self.decisions[policy or REQUEST].items():
            if count := verdicts.count(verdict):
                counter.inc(count)


class Metrics:
    """The service's series, in a separate registry.

    All series of a model exist, with zeros, from `add_model` on. Every process that was forked from
    this one shows the sums over all.

    Args:
        workers: of a generation, see `GENERATIONS`: for each process that is to be forked, call
            `open_row` before and `write_to` in it; once it has ended, `retire`. With 0, this
            process alone counts.
    """

    def __init__(self, workers: int = 0) -> None:
        rows = 1 + GENERATIONS * (1 + workers) if workers else 1
        self._counters = SharedCounters(_FAMILIES, Layout(rows=rows))
        self.registry = CollectorRegistry()
        self.registry.register(Processes(self._counters.process_ids))
        PlatformCollector(registry=self.registry)
        self.registry.register(self._counters)
        self.references = References()
        self.registry.register(self.references)
        self._facts = Facts()
        self.registry.register(self._facts)
        self.open_row = self._counters.open_row
        self.write_to = self._counters.write_to
        self.retire = self._counters.retire
        self.retire_all = self._counters.retire_all
        self.process_ids = self._counters.process_ids
        self._responses: dict[tuple[str, int], Counter] = {}
        self._durations: dict[str, Histogram] = {}
        self._refusals = {
            reason: self._counters.counter(_CONNECTION_ERRORS, reason) for reason in Refusal
        }
        self._denials = {reason: self._counters.counter(_DENIED, reason) for reason in Denial}
        self.generations = GenerationMetrics(self._counters)
        self.load = Load(self._counters)
        self.record = RecordMetrics(self._counters)
        self.spans_dropped = self._counters.counter(SPANS_DROPPED)
        self._add_requests(UNKNOWN)

    def add_model(self, manifest: Manifest, policies: Iterable[str] = ()) -> ModelMetrics:
        """Create every series of a model; returns those that count its texts.

        Args:
            manifest: of its artifact.
            policies: their names.
        """
        model, counters = manifest.model, self._counters
        named = (*policies, REQUEST) if manifest.decision.is_binary else ()
        self._add_requests(model)
        stages = {stage: counters.histogram(_STAGE_SECONDS, model, stage) for stage in _STAGES}
        content_series = Content.of(model, counters)
        batch_size, score = (counters.histogram(one, model) for one in (_BATCH_SIZE, _SCORE))
        return ModelMetrics(
            manifest.decision,
            **stages,
            batch_size=batch_size,
            score=score,
            content=content_series,
            of_one=counters.group(
                *stages.values(), batch_size, score, content_series.words, content_series.unknown
            ),
            texts=tuple(
                counters.counter(_LABELLED_TEXTS, model, label) for label in manifest.labels
            ),
            errors=counters.counter(_TEXT_ERRORS, model),
            decisions={
                policy: {
                    verdict: counters.counter(_DECISIONS, model, policy, verdict)
                    for verdict in VERDICTS
                }
                for policy in named
            },
        )

    def add_shadow(self, manifest: Manifest) -> shadow_metrics.ShadowMetrics:
        """Create every series of a shadow, which is given by the manifest of its artifact."""
        return shadow_metrics.ShadowMetrics.of(self._counters, manifest)

    def loaded(self, manifest: Manifest, seconds: float) -> None:
        """Record that an artifact is served from now on, and how long it took to load."""
        model = manifest.model
        self._facts.set(facts.MODEL_INFO, model, manifest.variant, manifest.version, value=1)
        self._facts.set(facts.LOAD_SECONDS, model, value=seconds)
        self._facts.set(facts.AVAILABLE, model, value=1)

    def unavailable(self, model: str) -> None:
        """Record that a model's artifact cannot be used; requests to it are still counted."""
        if model not in self._durations:
            self._add_requests(model)
        self._facts.set(facts.AVAILABLE, model, value=0)

    def follow_ready(self, is_ready: Callable[[], bool]) -> None:
        """Show at each scrape whether this process is ready."""
        self._facts.follow(facts.READY, is_ready)

    def count_response(self, model: str, status: int) -> None:
        """Count a response to a request to classify; `UNKNOWN` for a model that is not served."""
        counter = self._responses.get((model, status))
        if counter is None:
            counter = self._counters.counter(_REQUESTS, model, str(status))
            self._responses[model, status] = counter
        counter.inc()

    def count_refusal(self, reason: Refusal) -> None:
        """Count a connection that was closed, or a request refused, before the application."""
        self._refusals[reason].inc()

    def count_denial(self, reason: Denial) -> None:
        """Count a request that was denied because of its API key."""
        self._denials[reason].inc()

    def key_texts(self, key: str) -> Counter:
        """Return the counter of texts that are classified with an API key.

        Args:
            key: its name.
        """
        return self._counters.counter(_KEY_TEXTS, key)

    def observe_duration(self, model: str, seconds: float) -> None:
        """Record the duration of a request whose response was counted."""
        self._durations[model].observe(seconds)

    def add_exemplar(self, model: str, seconds: float, trace_id: bytes) -> None:
        """Show the trace of a request, 16 bytes, as the example of its duration."""
        self._durations[model].add_exemplar(Exemplar(seconds, time.time(), trace_id))

    def show_exemplars(self) -> None:
        """Show the traces of requests as exemplars of their durations, where OpenMetrics does."""
        self._counters.shows_exemplars = True

    def _add_requests(self, model: str) -> None:
        self._durations[model] = self._counters.histogram(_REQUEST_SECONDS, model)
        for status in _STATUSES:
            counter = self._counters.counter(_REQUESTS, model, str(status))
            self._responses[model, status] = counter

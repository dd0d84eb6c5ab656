"""Every Prometheus series of the service."""

import os
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import prometheus_client
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

from dandelion.decision.rule import Decided
from dandelion.manifest import Manifest

from ..errors import CLIENT_CLOSED
from . import processes

# Model names that nobody serves are all counted under this one.
UNKNOWN: Final = "unknown"

_STATUSES: Final = (200, 400, 404, 405, 413, 415, 422, CLIENT_CLOSED, 500, 503)
_STAGES: Final = ("tokenize", "infer")

_SECONDS: Final = (
    *(50e-6, 100e-6, 150e-6, 200e-6, 300e-6, 400e-6, 500e-6, 750e-6),
    *(1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3, 7.5e-3),
    *(10e-3, 15e-3, 20e-3, 30e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0),
)
_TEXTS: Final = tuple(float(2**power) for power in range(13))  # 1 … 4096
_SCORES: Final = tuple(step / 20 for step in range(1, 21))  # 0.05 … 1


class Histogram(prometheus_client.Histogram):
    """A histogram that finds its bucket by bisection."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Observe a value; it keeps no exemplars."""
        del exemplar
        self._buckets[bisect_left(self._upper_bounds, amount)].inc(1)
        self._sum.inc(amount)


class ScoreHistogram(Histogram):
    """A histogram that takes a whole batch at once."""

    def observe_many(self, values: NDArray[np.float32]) -> None:
        """Observe every value; one locked addition a bucket instead of two a value."""
        if len(values) == 1:  # far cheaper than four calls of NumPy
            self.observe(values.item())
            return
        # Both sides in float64: a score is counted as it is answered.
        buckets = np.searchsorted(self._upper_bounds, values.astype(np.float64))
        for bucket, count in enumerate(np.bincount(buckets).tolist()):
            if count:
                self._buckets[bucket].inc(count)
        self._sum.inc(values.sum(dtype=np.float64).item())


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """One model's series, bound to its name."""

    tokenize: Histogram
    infer: Histogram
    batch_size: Histogram
    score: ScoreHistogram
    texts: tuple[Counter, ...]  # one a label

    def observe(self, decided: Decided, tokenize_s: float, infer_s: float) -> None:
        """Record one answered batch.

        Args:
            decided: the decisions on its texts.
            tokenize_s: seconds from texts to the ids of tokens and grams.
            infer_s: seconds from ids to scores.
        """
        self.tokenize.observe(tokenize_s)
        self.infer.observe(infer_s)
        self.batch_size.observe(len(decided.scores))
        self.score.observe_many(np.array(decided.scores, np.float32))
        for position, counter in enumerate(self.texts):
            count = decided.positions.count(position)
            if count:
                counter.inc(count)


class Metrics:
    """The service's series, in a registry of their own.

    They exist from the start, with zeros, for every model that `add_model` was told of.

    Several workers write into files, those of prometheus_client's multiprocess mode, and each
    scrape adds them up. A file belongs to the worker's number, not to its process: a worker that
    takes the place of a dead one counts on where it ended. So nothing is lost, doubled or has to be
    marked as dead, and there are never more files. Gauges are set by the parent before it forks;
    the workers' own hold zeros, hence the mode `max`.

    Args:
        workers: processes that will count; with more than one, `open_files` must be called before
            they are forked, and `become` in each.
    """

    def __init__(self, workers: int = 1) -> None:
        self.registry = CollectorRegistry()
        self._worker = 0  # the parent, or the only process
        self._pids = processes.shared_pids(workers)
        series = self.registry
        if workers > 1:
            values.ValueClass = values.MultiProcessValue(lambda: self._worker)  # type: ignore[no-untyped-call]
            series = CollectorRegistry()  # only the files are shown
            self.registry.register(processes.Processes(self._pids))
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._request_seconds = Histogram(
            "dandelion_request_duration_seconds",
            "From the first byte of a request's body to the last of its answer, failures included.",
            ["model"],
            buckets=_SECONDS,
            registry=series,
        )
        self._requests = Counter(
            "dandelion_requests",
            "Requests to classify, by the status of the answer.",
            ["model", "status"],
            registry=series,
        )
        self._stage_seconds = Histogram(
            "dandelion_stage_duration_seconds",
            "Part of a request: tokenize (texts to ids) or infer (ids to scores).",
            ["model", "stage"],
            buckets=_SECONDS,
            registry=series,
        )
        self._texts = Counter(
            "dandelion_texts",
            "Classified texts, by the label they were given.",
            ["model", "label"],
            registry=series,
        )
        self._batch_size = Histogram(
            "dandelion_batch_size",
            "Texts in a request.",
            ["model"],
            buckets=_TEXTS,
            registry=series,
        )
        self._score = ScoreHistogram(
            "dandelion_score",
            "Scores of classified texts: the positive label's; of more than two, the given one's.",
            ["model"],
            buckets=_SCORES,
            registry=series,
        )
        self._model_info = Gauge(
            "dandelion_model_info",
            "1 for every artifact that is served.",
            ["model", "variant", "version"],
            multiprocess_mode="max",
            registry=series,
        )
        self._load_seconds = Gauge(
            "dandelion_model_load_seconds",
            "Time to load, check and warm up a model's artifact.",
            ["model"],
            multiprocess_mode="max",
            registry=series,
        )
        self._answers: dict[tuple[str, int], Counter] = {}
        self._durations: dict[str, Histogram] = {}
        self._add_requests(UNKNOWN)

    def add_model(self, manifest: Manifest) -> ModelMetrics:
        """Create every series of a model, and return those of its answers."""
        model = manifest.model
        self._add_requests(model)
        self._load_seconds.labels(model)
        stages = {stage: self._stage_seconds.labels(model, stage) for stage in _STAGES}
        return ModelMetrics(
            **stages,
            batch_size=self._batch_size.labels(model),
            score=self._score.labels(model),
            texts=tuple(self._texts.labels(model, label) for label in manifest.labels),
        )

    def loaded(self, manifest: Manifest, seconds: float) -> None:
        """Record that an artifact is served from now on."""
        self._model_info.labels(manifest.model, manifest.variant, manifest.version).set(1)
        self._load_seconds.labels(manifest.model).set(seconds)

    def open_files(self) -> None:
        """Make every worker's files, with zeros: no scrape comes upon one that is half made."""
        for worker in (*range(1, len(self._pids)), 0):
            self._open_files_of(worker)
        # The parent, 0, goes on to count nothing. That would be read at every scrape.
        for kind in ("counter", "histogram"):
            Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], f"{kind}_0.db").unlink()

    def become(self, worker: int) -> None:
        """Count as this worker (1 …) from now on, after what it counted before it died."""
        self._pids[worker] = os.getpid()
        self._open_files_of(worker)

    def _open_files_of(self, worker: int) -> None:
        self._worker = worker
        self._requests.labels(UNKNOWN, "404").inc(0)  # any change makes it look who it is

    def answering(self, model: str, status: int) -> None:
        """Count an answer to a request to classify; `UNKNOWN` for a model nobody serves."""
        counter = self._answers.get((model, status))
        if counter is None:
            counter = self._requests.labels(model, str(status))
        counter.inc()

    def answered(self, model: str, seconds: float) -> None:
        """Record how long an answer took that was counted before."""
        self._durations[model].observe(seconds)

    def _add_requests(self, model: str) -> None:
        self._durations[model] = self._request_seconds.labels(model)
        for status in _STATUSES:
            self._answers[model, status] = self._requests.labels(model, str(status))

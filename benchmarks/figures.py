"""What ``docs/benchmarks.json`` holds, as types.

Reading checks every key and value, so a page is never rendered from a file of another layout.
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from .measure import Spread

FILE: Final = "benchmarks.json"


class Part(StrEnum):
    """A part of the benchmark that can be measured by itself; in the order of a whole run."""

    FRONTIER = "frontier"
    HTTP = "http"
    IN_PROCESS = "in_process"
    RESOURCES = "resources"
    BULK = "bulk"
    GROWTH = "growth"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(_Stored):
    """Properties of the machine; ``load_before`` is its load average before the run."""

    processor: str
    cores: int
    memory_gb: int
    kernel: str
    python: str
    load_before: float


class Run(_Stored):
    """One run of the benchmark.

    Attributes:
        date: in ISO format, UTC.
        commit: of the measured code, with ``-dirty`` if it had uncommitted changes.
        quick: whether it took short rounds.
        rounds: how often each contender was measured.
        minutes: duration.
        machine: where it ran.
        versions: program or library → its version.
    """

    date: str
    commit: str
    quick: bool
    rounds: int
    minutes: float
    machine: Machine
    versions: dict[str, str]


class Point(_Stored):
    """A model on the plane of cost and quality.

    Attributes:
        name: of the point: the model, and the engine or the shortcut it was timed with.
        of: the model's name in the report.
        kind: whose it is.
        us: microseconds per text, batches of 1,024, raw text, one core.
        quality: metric → mean over the report's seeds, test fold, grouped protocol.
        engine: of ours; None for a baseline.
        shipped: whether its artifact is in the repository.
        default: whether it is the variant that is served.
        subwords: whether it is a baseline that reads subwords or character n-grams.
    """

    name: str
    of: str
    kind: Literal["ours", "baseline"]
    us: Spread
    quality: dict[str, float]
    engine: str | None = None
    shipped: bool = False
    default: bool = False
    subwords: bool = False


class Frontier(_Stored):
    """Cost and quality of every model of one task.

    Attributes:
        quality: the metric that decides.
        points: the models that were timed.
        left_out: models of the report that were not, because no artifact of theirs is cached.
    """

    quality: str
    points: list[Point]
    left_out: list[str]


class Ratios(_Stored):
    """Our figures divided by another server's, taken round by round."""

    requests_per_s: Spread
    p50_us: Spread
    p99_us: Spread


class ServerFigures(_Stored):
    """A server under one HTTP workload.

    Attributes:
        requests_per_s: successful responses per second.
        texts_per_s: texts in them.
        p50_us: median latency, microseconds.
        p99_us: 99th percentile of the latency, microseconds.
        bytes_per_request: size of a response with its head.
        request_bytes: size of a request's body.
        load_share: processor time of the load generator, as a share of one core.
        ours_to_it: our figures relative to it; None for ours.
    """

    requests_per_s: Spread
    texts_per_s: Spread
    p50_us: Spread
    p99_us: Spread
    bytes_per_request: Spread
    request_bytes: float
    load_share: Spread
    ours_to_it: Ratios | None = None


class BulkFigures(_Stored):
    """``Classifier.scores`` on many texts: its rate, and peak memory beyond texts and scores."""

    texts_per_s: Spread
    beyond_mb: Spread


class Memory(_Stored):
    """RSS of a server's first process and PSS of each process, largest first, megabytes."""

    rss_mb: float
    pss_mb: list[float]


class WorkerFigures(_Stored):
    """One worker against two, in batches of 256 texts.

    Attributes:
        one: texts per second with one worker.
        two: texts per second with two.
        load_share: the load generator's share of a core, against two workers.
        two_to_one: their ratio, round by round.
    """

    one: Spread
    two: Spread
    load_share: Spread
    two_to_one: Spread


class Latency(_Stored):
    """Latency of one text over one connection, microseconds."""

    p50_us: Spread
    p99_us: Spread


class Fairness(_Stored):
    """Latency of one text, alone and while another connection sends batches of 4,096.

    ``p99_ratio`` is the second p99 divided by the first, round by round.
    """

    alone: Latency
    under_load: Latency
    p99_ratio: Spread


class Scrape(_Stored):
    """One read of ``/metrics``: milliseconds and size of the response."""

    ms: Spread
    bytes: int


class Resources(_Stored):
    """What the service needs besides time per text; dictionaries are by server."""

    start_s: dict[str, Spread]
    memory: dict[str, Memory]
    memory_of_two: Memory
    two_workers: dict[str, WorkerFigures]
    fairness: dict[str, Fairness]
    scrape: Scrape


class ModelsFigures(_Stored):
    """A service with a given number of models loaded, one of them under load."""

    rss_mb: float
    start_s: Spread
    requests_per_s: Spread


class VocabularyFigures(_Stored):
    """A classifier with a given number of known tokens."""

    us_per_text: Spread
    load_s: float
    artifact_mb: float


class Growth(_Stored):
    """How cost grows: server or classifier → step → figures; steps are numbers as text."""

    texts: dict[str, dict[str, ServerFigures]]
    connections: dict[str, dict[str, ServerFigures]]
    characters: dict[str, dict[str, Spread]]  # seconds for one text
    models: dict[str, dict[str, ModelsFigures]]
    vocabulary: dict[str, dict[str, VocabularyFigures]]


class Extra(_Stored):
    """A figure that is measured only on request, and kept with its date otherwise."""

    value: float
    date: str


class Figures(_Stored):
    """Everything that was measured.

    Attributes:
        run: the last whole run.
        remeasured: part → the later run that measured this part alone.
        commands: how servers and load generator are started.
        frontier: model → cost and quality.
        http: workload → server → figures.
        in_process: model → texts per call → contender → microseconds per text.
        bulk: number of texts and workers → figures.
        resources: start, memory, workers, fairness.
        growth: how cost grows.
        extra: ``train_all_min`` and ``image_mb``, where they were measured.
    """

    run: Run
    remeasured: dict[Part, Run] = Field(default_factory=dict)
    commands: list[str]
    frontier: dict[str, Frontier]
    http: dict[str, dict[str, ServerFigures]]
    in_process: dict[str, dict[str, dict[str, Spread]]]
    bulk: dict[str, BulkFigures]
    resources: Resources
    growth: Growth
    extra: dict[str, Extra]

    def to_json(self) -> bytes:
        """Return the content of ``benchmarks.json``."""
        stored = self.model_dump(mode="json", exclude_none=True)
        return (json.dumps(stored, indent=1) + "\n").encode()


def read(directory: Path) -> Figures:
    """Read ``benchmarks.json`` of a directory.

    Raises:
        OSError: it cannot be read.
        ValueError: it has another layout.
    """
    return Figures.model_validate_json((directory / FILE).read_bytes())

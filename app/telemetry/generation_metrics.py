"""The series of generations: which one serves, its workers, how reloads have ended."""

from collections import Counter as CountOf
from enum import StrEnum
from typing import Final, NamedTuple

from .counters import Family, Kind, SharedCounters

_GENERATION: Final = Family(
    Kind.GAUGE,
    "dandelion_generation",
    "The newest generation of models that is served: 1 from the start, then one more for each "
    "reload and each rollback, failed ones included.",
    (),
)
_WORKERS: Final = Family(
    Kind.SUMMED_GAUGE,
    "dandelion_workers",
    "Worker processes: current ones, and those of an earlier generation that drain.",
    ("state",),
)
_RELOADS: Final = Family(
    Kind.COUNTER,
    "dandelion_reloads",
    "Reloads and rollbacks by outcome: loaded, rolled_back, or failed: the one before goes on.",
    ("outcome",),
)
FAMILIES: Final = (_GENERATION, _WORKERS, _RELOADS)

# Processes that may run at the same time: those of the generation that serves, of one that loads,
# and of one that drains.
GENERATIONS: Final = 3


class Outcome(StrEnum):
    """How a reload, or a rollback, has ended."""

    LOADED = "loaded"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"


class WorkerState(StrEnum):
    """What a worker does."""

    CURRENT = "current"
    """It accepts connections."""
    DRAINING = "draining"
    """It finishes those that it has, as its generation was replaced."""


class WorkerCount(NamedTuple):
    """Workers of one generation in one state."""

    generation: int
    state: WorkerState
    workers: int


class GenerationMetrics:
    """What this process counts of generations, and what is known of all.

    Args:
        counters: of the service.
    """

    def __init__(self, counters: SharedCounters) -> None:
        self._counters = counters
        self._reloads = {outcome: counters.counter(_RELOADS, outcome) for outcome in Outcome}
        self._generation = counters.gauge(_GENERATION)
        self._worker = {state: counters.gauge(_WORKERS, state) for state in WorkerState}

    def count_reload(self, outcome: Outcome) -> None:
        """Count a reload, or a rollback, that has ended."""
        self._reloads[outcome].inc()

    def serves(self, generation: int, state: WorkerState = WorkerState.CURRENT) -> None:
        """Record what this process, a worker, does from now on."""
        self._generation.set(generation)
        for each, gauge in self._worker.items():
            gauge.set(each is state)

    def accept_before(self, generation: int) -> bool:
        """Return whether workers of earlier generations accept connections."""
        return any(
            count.generation < generation and count.state is WorkerState.CURRENT
            for count in self.workers()
        )

    def workers(self) -> list[WorkerCount]:
        """Count the workers that run, by generation and state."""
        generations = self._counters.by_process(_GENERATION)
        found: CountOf[tuple[int, WorkerState]] = CountOf()
        for state in WorkerState:
            rows = self._counters.by_process(_WORKERS, state)
            found.update(
                (int(generations[row]), state)
                for row, is_in_state in rows.items()
                if is_in_state and generations.get(row)
            )
        return [WorkerCount(*key, number) for key, number in sorted(found.items())]

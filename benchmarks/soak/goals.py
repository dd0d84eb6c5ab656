"""What must hold, each compared with the outcomes: the bound, the worst figure, met or not."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final

from ..measure import digits
from .client import CUT_OFF
from .faults import LANES
from .figures import Latency, Outcome, Run
from .scenarios import SCENARIOS, Group
from .sending import FULL, SETTINGS

VALID: Final = "valid"  # the scenario that the other bodies are compared with

# The statuses that refuse what is too large, too slow or no HTTP.
_REFUSALS: Final = frozenset({"400", "408", "413", "414", "431", CUT_OFF})

# Outcome, and that of the valid body with as many workers → figure; None if it was not measured.
Figure = Callable[[Outcome, Outcome | None], float | None]


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on one figure of some scenarios.

    Attributes:
        what: the quantity, in words.
        scenarios: names; the worst of them decides.
        figure: the quantity.
        bound: its limit.
        unit: for the page.
        at_least: whether the figure must reach the bound, not stay within it.
    """

    what: str
    scenarios: Collection[str]
    figure: Figure
    bound: float
    unit: str
    at_least: bool = False

    def goal(self) -> str:
        """Return the bound in words."""
        if not self.bound and not self.at_least:
            return f"no {self.unit}"
        return f"{'≥' if self.at_least else '≤'} {_with_unit(self.bound, self.unit)}"


@dataclass(frozen=True, slots=True)
class Worst:
    """The figure that decides whether a goal is met.

    Attributes:
        figure: its value.
        shown: the same in words, with the scenario and the number of workers.
        met: whether it is within the bound.
    """

    figure: float
    shown: str
    met: bool


def worst(goal: Goal, run: Run) -> Worst | None:
    """Return the worst figure of a run; None if the run has none of the goal's scenarios."""
    found = list(_figures(goal, run))
    if not found:
        return None
    pick = min if goal.at_least else max
    figure, name, workers, killed = pick(found, key=lambda one: one[0])
    met = figure >= goal.bound if goal.at_least else figure <= goal.bound
    where = f"`{name}`, " if len(goal.scenarios) > 1 else ""
    note = "; the service was killed" if killed else ""
    plural = "" if workers == 1 else "s"
    shown = f"{_with_unit(figure, goal.unit)} ({where}{workers} worker{plural}{note})"
    return Worst(figure, shown, met and not any(one[3] for one in found))


def _figures(goal: Goal, run: Run) -> Iterator[tuple[float, str, int, bool]]:
    valid = {outcome.workers: outcome for outcome in run.outcomes.get(VALID, [])}
    for name in goal.scenarios:
        for outcome in run.outcomes.get(name, []):
            figure = goal.figure(outcome, valid.get(outcome.workers))
            if figure is not None:
                yield figure, name, outcome.workers, outcome.killed is not None


def _with_unit(figure: float, unit: str) -> str:
    return f"{digits(figure)}{'' if unit == '%' else ' '}{unit}"


def cpu_s_each(outcome: Outcome, _: Outcome | None = None) -> float | None:
    """Return the processor time for one request, seconds."""
    return None if outcome.cpu_s is None else outcome.cpu_s / max(outcome.sent, 1)


def cpu_ratio(outcome: Outcome, valid: Outcome | None) -> float | None:
    """Return the processor time for one request, divided by that for the valid body."""
    own, other = cpu_s_each(outcome), valid and cpu_s_each(valid)
    return own / other if own is not None and other else None


def growth_mb(outcome: Outcome, _: Outcome | None = None) -> float | None:
    """Return by how much the memory grew at most, MB."""
    found = outcome.memory
    return None if found is None else found.peak - found.before


def _growth_mb_each(outcome: Outcome, _: Outcome | None) -> float | None:
    grown = growth_mb(outcome)
    return None if grown is None else grown / outcome.workers


def _growth_ratio(outcome: Outcome, valid: Outcome | None) -> float | None:
    own, other = growth_mb(outcome), valid and growth_mb(valid)
    return own / other if own is not None and other else None


def _kept_mb(outcome: Outcome, _: Outcome | None) -> float | None:
    found = outcome.memory
    return None if found is None else found.after - found.before


def _livez_ms(outcome: Outcome, _: Outcome | None) -> float | None:
    probes = outcome.probes
    return None if probes is None else max(probes.kept.p99_ms, probes.new.p99_ms)


def _metrics_ms(outcome: Outcome, _: Outcome | None) -> float | None:
    probes = outcome.probes
    return None if probes is None else probes.metrics.p99_ms


def _lost(outcome: Outcome, _: Outcome | None) -> float:
    return outcome.lost


def _lost_each(outcome: Outcome, _: Outcome | None) -> float:
    return outcome.lost / max(outcome.extra.get("times", 1), 1)


def _failed(outcome: Outcome, _: Outcome | None) -> float:
    """Return the number of requests that got another response than 200."""
    return sum(
        count for answer, count in outcome.answers.items() if answer.isdigit() and answer != "200"
    )


def _unserved(outcome: Outcome, _: Outcome | None) -> float:
    return outcome.lost + _failed(outcome, None)


def _left_open(outcome: Outcome, _: Outcome | None) -> float:
    return outcome.left_open


def _responses_each(outcome: Outcome, _: Outcome | None) -> float:
    return sum(outcome.answers.values()) / outcome.sent


def _share(statuses: Collection[str]) -> Figure:
    """Return the function that gives the share of answers among ``statuses``, percent."""

    def share(outcome: Outcome, _: Outcome | None) -> float:
        among = sum(count for answer, count in outcome.answers.items() if answer in statuses)
        return 100 * among / max(sum(outcome.answers.values()), 1)

    return share


def _extra(name: str) -> Figure:
    return lambda outcome, _: outcome.extra.get(name)


def _cases(outcome: Outcome, _: Outcome | None) -> float:
    return outcome.sent


def _of(*groups: Group, but: Collection[str] = ()) -> tuple[str, ...]:
    return tuple(one.name for one in SCENARIOS if one.group in groups and one.name not in but)


# Three seconds after these the service is killed (docs/guide/operating.md); half of one to see it.
_EXIT_S: Final = (
    float(SETTINGS["DANDELION_DRAIN_S"]) + float(SETTINGS["DANDELION_SHUTDOWN_GRACE_S"]) + 3.5
)
# The sum in docs/guide/operating.md without its base: connections, bodies, batches, threads.
_GROWTH_MB: Final = 1000 * 0.131 + 32 * 2 + 3 * (8 * 5 + 0.8) + 2 * 60
_LIVEZ: Final = "`/livez` meanwhile, p99"

GOALS: Final[dict[Group, tuple[Goal, ...]]] = {
    Group.BODIES: (
        Goal(
            "processor time of a body, compared with a valid one of its size",
            _of(Group.BODIES, but=[VALID]),
            cpu_ratio,
            2,
            "×",
        ),
        Goal(
            "memory, compared with a valid body of its size",
            _of(Group.BODIES, but=[VALID]),
            _growth_ratio,
            2,
            "×",
        ),
        Goal(_LIVEZ, _of(Group.BODIES), _livez_ms, 50, "ms"),
    ),
    Group.EXPANSION: (
        Goal("refused with 422", _of(Group.EXPANSION), _share({"422"}), 100, "%", at_least=True),
        Goal(_LIVEZ, _of(Group.EXPANSION), _livez_ms, 50, "ms"),
    ),
    Group.LOAD: (
        Goal("lost", _of(Group.LOAD), _lost, 0, "requests"),
        Goal(_LIVEZ, _of(Group.LOAD), _livez_ms, 50, "ms"),
        Goal("`/metrics` meanwhile, p99", _of(Group.LOAD), _metrics_ms, 50, "ms"),
        Goal("memory, growth for each worker", _of(Group.LOAD), _growth_mb_each, _GROWTH_MB, "MB"),
        Goal("memory kept afterwards", _of(Group.LOAD), _kept_mb, 50, "MB"),
        Goal("abandoned, but classified", ["abandoned"], _extra("counted_200"), 20, "requests"),
    ),
    Group.PROTOCOL: (
        Goal(
            "refused, or cut off",
            _of(Group.PROTOCOL, but=["small-chunks"]),
            _share(_REFUSALS),
            100,
            "%",
            at_least=True,
        ),
        Goal(
            "processor time for each",
            _of(Group.PROTOCOL, but=["small-chunks"]),
            cpu_s_each,
            0.1,
            "s",
        ),
        Goal("memory, growth", _of(Group.PROTOCOL), growth_mb, 50, "MB"),
        Goal("left open", _of(Group.PROTOCOL), _left_open, 0, "connections"),
        Goal(_LIVEZ, _of(Group.PROTOCOL), _livez_ms, 50, "ms"),
    ),
    Group.CONNECTIONS: (
        Goal("left open", _of(Group.CONNECTIONS), _left_open, 0, "connections"),
        Goal(_LIVEZ, _of(Group.CONNECTIONS, but=["few-files"]), _livez_ms, 50, "ms"),
        Goal(
            "without a free file descriptor, `/livez` responds again after",
            ["few-files"],
            _extra("recovered_s"),
            5,
            "s",
        ),
    ),
    Group.UPGRADE: (
        Goal("responses", _of(Group.UPGRADE), _responses_each, 1, "per request"),
        Goal(
            "valid requests that got 200",
            _of(Group.UPGRADE, but=["smuggling"]),
            _share({"200"}),
            100,
            "%",
            at_least=True,
        ),
    ),
    Group.SHUTDOWN: (
        Goal("lost", ["sigterm"], _lost, 0, "requests"),
        Goal("a stopped worker: time to exit", ["sigstop"], _extra("exit_s"), _EXIT_S, "s"),
    ),
    Group.FUZZING: (
        Goal("cases", _of(Group.FUZZING), _cases, FULL.cases, "cases", at_least=True),
        Goal("failed checks", _of(Group.FUZZING), _extra("failures"), 0, "failures"),
    ),
    Group.KILLED: (
        Goal("lost with a killed worker", ["kill-worker"], _lost_each, LANES, "requests each"),
        Goal("lost otherwise", _of(Group.KILLED, but=["kill-worker"]), _lost, 0, "requests"),
        Goal("refused", _of(Group.KILLED), _failed, 0, "requests"),
        Goal("counters off", _of(Group.KILLED), _extra("miscounted"), 0, "requests"),
        Goal("processes left", ["kill-supervisor"], _extra("left"), 0, "processes"),
    ),
    Group.RELOAD: (
        Goal("lost", _of(Group.RELOAD), _lost, 0, "requests"),
        Goal("refused", _of(Group.RELOAD), _failed, 0, "requests"),
        Goal("counters off", _of(Group.RELOAD), _extra("miscounted"), 0, "requests"),
    ),
    Group.DAMAGE: (
        Goal("a wrong score, or none", _of(Group.DAMAGE), _extra("wrong"), 0, "reloads"),
    ),
    Group.DISK: (
        Goal("lost or refused", _of(Group.DISK), _unserved, 0, "requests"),
        Goal("broken lines of the record", ["record-full"], _extra("broken"), 0, "lines"),
        Goal("counters off", ["record-full"], _extra("miscounted"), 0, "texts"),
    ),
    Group.CLOCK: (
        Goal("lost or refused", _of(Group.CLOCK), _unserved, 0, "requests"),
        Goal("off the key's limit, in two seconds", ["clock"], _extra("rate_off"), 40, "texts"),
    ),
    Group.MANY: (
        Goal("lost or refused", _of(Group.MANY), _unserved, 0, "requests"),
        Goal("counters off", _of(Group.MANY), _extra("miscounted"), 0, "texts"),
        Goal("memory, per 100,000 texts", _of(Group.MANY), _extra("slope_mb"), 0.5, "MB"),
    ),
}


def shown(latency: Latency) -> str:
    """Return a latency as p99 and maximum.

    Example:
        >>> shown(Latency(p99_ms=12.34, max_ms=20, probes=100, failed=1))
        '12.3 (20); 1 failed'
    """
    failed = f"; {latency.failed} failed" if latency.failed else ""
    return f"{digits(latency.p99_ms)} ({digits(latency.max_ms)}){failed}"

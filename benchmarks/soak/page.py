"""``docs/reliability.md``, rendered from ``reliability.json``."""

from collections.abc import Callable, Iterator
from typing import Final

from ..markdown import table, wrap
from ..measure import digits
from .figures import Figures, Outcome, Run
from .goals import GOALS, VALID, cpu_ratio, cpu_s_each, shown, worst
from .observe import MEMORY_LIMIT_MB
from .prober import PATIENCE_S
from .scenarios import SCENARIOS, Group, Scenario

PAGE: Final = "reliability.md"

_NONE: Final = "–"

_METHOD: Final = f"""\
## How it is measured

- **Sent** counts requests, or connections if no complete request is sent. A client waits 30 seconds
  for a response.
- **Lost** requests arrived completely on an accepted connection and got no response. On a
  connection that is kept alive, every request that the service drops counts as lost.
- **CPU-s each** is the processor time of all processes of the service, divided by the number sent.
  The cost of the probes is measured for a second before the scenario, and subtracted. Scenarios of
  more than a minute have no figure, because the difference would be uncertain.
- **Memory** is the proportional set size (PSS) of all processes, in which a page that several of
  them share counts once: before the scenario, at its peak (sampled ten times a second), and two
  seconds after its end. A service that takes more than {MEMORY_LIMIT_MB:,} MB is killed.
- **`/livez`** is probed 50 times a second over a connection that is kept alive ("kept"), and 50
  times a second over new connections ("new"); **`/metrics`** is probed five times a second over new
  connections. The table shows the 99th percentile and, in brackets, the maximum; for fewer than a
  hundred probes they are the same. A probe's latency counts from the moment when it was due, so if
  a service stalls for a second, all probes of this second are late; a failed probe counts as at
  least {PATIENCE_S} seconds.
- **Left open** are connections that the service still held two seconds after the end, or had not
  closed when it should have.
- **Miscounted** is by how much the service's counters differ from what was sent and received. A
  request that was lost with a worker may or may not have been counted.
- **Damaged** artifacts are either refused, or reloaded with the same version and the same scores of
  four texts. In the second case the damage was in a file that no score depends on (`MODEL_CARD.md`,
  `evaluation.json`, `reference.json`), or in white space.
- **Memory per 100,000 texts** is the slope of the PSS by least squares, without the first fifth.
- Scenarios that send the same request repeatedly do so for three seconds, and at least three times,
  each time over a new connection.
"""


def page(figures: Figures) -> str:
    """Return the page; the last release is its subject, the others stand next to its goals.

    What was not measured of it has the figures of the release before.
    """
    release, run = list(figures.releases.items())[-1]
    parts = [_head(release, run), _older(figures), _goals(figures)]
    shown_run = run.model_copy(
        update={"outcomes": {name: found for name, (_, found) in _latest(figures).items()}}
    )
    for group in Group:
        parts += [f"## {group}", _list(group, shown_run), _table(group, shown_run)]
    parts.append(_METHOD)
    return wrap("\n\n".join(part.strip() for part in parts if part))


def _head(release: str, run: Run) -> str:
    machine = run.machine
    whens = dict.fromkeys(run.other_runs.values())
    others = "; ".join(
        ", ".join(f"`{name}`" for name, other in run.other_runs.items() if other == when)
        + f" ({when})"
        for when in whens
    )
    note = f"\nMeasured in other runs: {others}.\n" if others else ""
    settings = ", ".join(f"`{name}={value}`" for name, value in run.settings.items())
    return f"""\
# Reliability

This page shows how the service behaves under hostile, excessive and broken requests, killed
processes, reloads, damaged artifacts, full disks and clock steps. Measured by `make soak` on
{run.date} at commit {run.commit} (release {release}), and rendered from
[reliability.json](reliability.json). Every scenario starts its own service with `python -m app`,
once with one worker and once with two unless the table shows otherwise.

The settings are the [defaults](guide/configuration.md), except for shorter times, so that a run
takes only minutes: {settings}.

The machine: {machine.processor}, {machine.cores} cores, {machine.memory_gb} GB of memory, Linux
{machine.kernel}, Python {machine.python}; load average before the run {machine.load_before}. The
service, the load and the probes share its cores, and so do other users of the machine: latencies
are upper bounds. The latencies of `idle` are due to the machine alone.
{note}"""


def _latest(figures: Figures) -> dict[str, tuple[str, list[Outcome]]]:
    """Return scenario → the last release that was measured, and its outcomes."""
    return {
        name: (release, found)
        for release, run in figures.releases.items()
        for name, found in run.outcomes.items()
    }


def _older(figures: Figures) -> str:
    """Name the scenarios whose figures are those of an earlier release."""
    *_, last = figures.releases
    parts: dict[str, list[str]] = {}
    for name, (release, _) in _latest(figures).items():
        if release != last:
            run = figures.releases[release]
            when = run.other_runs.get(name, f"{run.date}, commit {run.commit}")
            parts.setdefault(f"release {release}, {when}", []).append(f"`{name}`")
    if not parts:
        return ""
    listed = "; ".join(f"{', '.join(names)} ({when})" for when, names in parts.items())
    return f"Not measured again, and shown with the figures of an earlier release: {listed}."


def _goals(figures: Figures) -> str:
    releases = list(figures.releases)
    rows, met, judged = [], 0, 0
    for group, goals in GOALS.items():
        for goal in goals:
            found = [worst(goal, run) for run in figures.releases.values()]
            last = found[-1]
            judged += last is not None
            met += last is not None and last.met
            verdict = _NONE if last is None else "yes" if last.met else "**no**"
            shown = (one.shown if one else _NONE for one in found)
            rows.append([f"{group}: {goal.what}", goal.goal(), *shown, verdict])
    text = (
        f"Release {releases[-1]} meets {met} of the {judged} goals that were measured for it; the "
        "worst scenario decides."
    )
    return "\n\n".join(["## Goals", text, table(["", "goal", *releases, "met"], rows)])


def _measured(group: Group, run: Run) -> Iterator[tuple[Scenario, Outcome]]:
    for scenario in SCENARIOS:
        if scenario.group is group:
            for outcome in run.outcomes.get(scenario.name, []):
                yield scenario, outcome


def _list(group: Group, run: Run) -> str:
    found = dict.fromkeys(scenario for scenario, _ in _measured(group, run))
    return "\n".join(f"- `{scenario.name}`: {scenario.sent}." for scenario in found)


def _table(group: Group, run: Run) -> str:
    valid = {outcome.workers: outcome for outcome in run.outcomes.get(VALID, [])}
    columns: dict[str, Callable[[Outcome], str]] = {
        "workers": lambda it: str(it.workers),
        "sent": lambda it: f"{it.sent:,}",
        "responses": _answers,
        "lost": lambda it: str(it.lost),
        "CPU-s each": lambda it: _number(cpu_s_each(it)),
        "memory, MB": _memory,
        "`/livez` kept, ms": lambda it: shown(it.probes.kept) if it.probes else _NONE,
        "`/livez` new, ms": lambda it: shown(it.probes.new) if it.probes else _NONE,
        "`/metrics`, ms": lambda it: shown(it.probes.metrics) if it.probes else _NONE,
        "left open": lambda it: str(it.left_open),
    }
    if group is Group.BODIES:
        columns["× valid"] = lambda it: _number(cpu_ratio(it, valid.get(it.workers)))
    measured = list(_measured(group, run))
    if any(outcome.extra for _, outcome in measured):
        columns["also"] = _extra
    rows = [
        [f"`{scenario.name}`", *(cell(outcome) for cell in columns.values())]
        for scenario, outcome in measured
    ]
    return table(["", *columns], rows) if rows else "Not measured."


def _answers(outcome: Outcome) -> str:
    answers = ", ".join(f"{answer}: {count:,}" for answer, count in outcome.answers.items())
    return f"{answers or _NONE}{f'; killed {outcome.killed}' if outcome.killed else ''}"


def _memory(outcome: Outcome) -> str:
    if outcome.memory is None:
        return _NONE
    found = outcome.memory
    return f"{found.before:,.0f} → {found.peak:,.0f} → {found.after:,.0f}"


def _extra(outcome: Outcome) -> str:
    titles = {
        "counted_200": "counted as 200: {:,.0f}",
        "recovered_s": "`/livez` after {:.2g} s",
        "exit_s": "exit after {:.3g} s",
        "failures": "failed checks: {:.0f}",
        "times": "{:.0f} times",
        "left": "processes left: {:.0f}",
        "refused": "refused: {:.0f}",
        "harmless": "reloaded with the same version and scores: {:.0f}",
        "wrong": "wrong: {:.0f}",
        "recorded": "recorded: {:,.0f}",
        "dropped": "not recorded: {:,.0f}",
        "broken": "broken lines: {:.0f}",
        "seen": "seen by the service: {:.0f}",
        "rate_off": "texts beyond or below the key's limit, at most: {:.0f}",
        "retry_s": "`Retry-After`, at most: {:.0f} s",
        "texts": "texts: {:,.0f}",
        "texts_per_s": "per second: {:,.0f}",
        "slope_mb": "memory: {:+.2f} MB per 100,000 texts",
        "miscounted": "miscounted: {:.0f}",
    }
    return (
        "; ".join(
            titles[name].format(value) for name, value in outcome.extra.items() if name in titles
        )
        or _NONE
    )


def _number(figure: float | None) -> str:
    return _NONE if figure is None else digits(figure)

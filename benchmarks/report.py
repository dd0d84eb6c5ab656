"""``docs/benchmarks.md``, ``docs/scaling.md`` and the plots, rendered from ``benchmarks.json``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from training.cache import write_atomically

from . import plots, scaling
from .figures import (
    BulkFigures,
    Figures,
    Frontier,
    Growth,
    Part,
    Ratios,
    Resources,
    Run,
    ServerFigures,
)
from .goals import Verdict, verdicts
from .in_process import BATCH
from .markdown import table, wrap
from .measure import Spread, digits
from .over_http import OURS
from .samples import TITLES

T = TypeVar("T")

PAGE: Final = "benchmarks.md"
SCALING: Final = "scaling.md"
PLOTS: Final = "benchmarks"

_SECTIONS: Final[Mapping[Part, str]] = {
    Part.FRONTIER: "Cost and quality",
    Part.HTTP: "Over HTTP",
    Part.IN_PROCESS: "In one process",
    Part.BULK: "Many texts at once, in process",
    Part.RESOURCES: "Start, memory, workers, fairness",
    Part.GROWTH: "Growth",
}
_QUALITIES: Final = {"average_precision": "AP", "auroc": "AUROC", "macro_f1": "macro-F1"}


def write(figures: Figures, output: Path) -> None:
    """Write both pages and the plots into ``output``.

    Raises:
        OSError: they cannot be written.
    """
    write_atomically(output / PAGE, page(figures).encode())
    write_atomically(output / SCALING, scaling.page(figures).encode())
    for name, data in _plots(figures).items():
        write_atomically(output / PLOTS / f"{name}.svg", data)


def page(figures: Figures) -> str:
    """Return ``docs/benchmarks.md``."""
    sections = {
        Part.FRONTIER: _frontier(figures.frontier),
        Part.HTTP: _http(figures.http),
        Part.IN_PROCESS: _in_process(figures.in_process),
        Part.BULK: _bulk(figures.bulk),
        Part.RESOURCES: _resources(figures.resources),
        Part.GROWTH: _growth(figures.growth),
    }
    parts = [_head(figures), _goals(verdicts(figures))]
    for name, content in sections.items():
        parts += [f"## {_SECTIONS[name]}", _origin(figures, name), content]
    parts.append(_method(figures))
    return wrap("\n\n".join(part.strip() for part in parts if part))


def _head(figures: Figures) -> str:
    run, machine = figures.run, figures.run.machine
    return f"""\
# Benchmarks

This page compares the speed of the service and of the library with that of other programs. Measured
by `make bench` on {run.date} at commit {run.commit}, and rendered from
[benchmarks.json](benchmarks.json). {_quick(run)}All programs in a table are measured in the same
run, in {run.rounds} interleaved rounds (A, B, C, A, B, C …). Each figure is the median of the
rounds, followed by the lowest and the highest in brackets. A server runs on one core, the load
generator on another.

The machine: {machine.processor}, {machine.cores} cores, {machine.memory_gb} GB of memory, Linux
{machine.kernel}, Python {machine.python}; load average before the run {machine.load_before}. It is
a shared machine: compare figures within a table, not across runs.

{_remeasured(figures)}"""


def _quick(run: Run) -> str:
    return (
        "**A quick run: short rounds, and a single one for cost and quality and for growth.** "
        if run.quick
        else ""
    )


def _remeasured(figures: Figures) -> str:
    """List the parts of later runs, with what differs from the whole run."""
    if not figures.remeasured:
        return ""
    items = [
        f"- *{_SECTIONS[name]}* (`{name}`): {_when(run)}{_differences(figures.run, run)}."
        for name, run in figures.remeasured.items()
    ]
    return (
        "These parts were measured again later, each as a whole, with its baselines in the same "
        "run; goals and [scaling](scaling.md) use the later figures:\n\n" + "\n".join(items)
    )


def _when(run: Run) -> str:
    return f"{run.date}, commit {run.commit}, {run.rounds} rounds"


def _differences(whole: Run, later: Run) -> str:
    found = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in later.machine.model_dump().items()
        if value != getattr(whole.machine, name)
    ]
    found += [
        f"{name} {version}"
        for name, version in later.versions.items()
        if version != whole.versions.get(name)
    ]
    return f"; different from the whole run: {', '.join(found)}" if found else ""


def _origin(figures: Figures, name: Part) -> str:
    run = figures.remeasured.get(name)
    return f"*This section is from a later run: {_when(run)}.*" if run else ""


def _goals(found: Sequence[Verdict]) -> str:
    rows = [
        [
            verdict.what,
            ("stretch: " if verdict.is_stretch else "") + verdict.goal,
            verdict.measured,
            {True: "yes", False: "**no**", None: "not measured"}[verdict.met],
        ]
        for verdict in found
    ]
    required = [verdict for verdict in found if not verdict.is_stretch]
    met = sum(verdict.met is True for verdict in required)
    return f"""\
## Goals

{met} of {len(required)} goals are met, not counting stretch goals; medians decide. *Default* is the
variant that `artifacts/serving.toml` serves, *plain* a three-layer network on the same data set
without the wide path and n-grams. fastText's cost is that of its `predict` alone, which is a lower
bound.

{table(["", "goal", "measured", "met"], rows)}
"""


def _frontier(frontier: Mapping[str, Frontier]) -> str:
    parts = [_FRONTIER]
    for model, found in frontier.items():
        best = {point.name for point in plots.on_frontier(found.points, found.quality)}
        names = [name for name in _QUALITIES if name in found.points[0].quality]
        rows = [
            [
                f"**{point.name}**" if point.default else point.name,
                _spread(point.us),
                *(f"{point.quality[name]:.4f}" for name in names),
                "yes" if point.name in best else "",
            ]
            for point in sorted(found.points, key=lambda point: point.us.median)
        ]
        title = TITLES[model]
        header = ["", "µs per text", *(_QUALITIES[name] for name in names), "on the frontier"]
        parts += [
            f"### {title}",
            f"![Cost and quality, {title}](benchmarks/frontier-{model}.svg)",
            table(header, rows),
        ]
        if found.left_out:
            left_out = ", ".join(found.left_out)
            parts.append(f"Not timed, because their artifacts are not cached: {left_out}.")
    return "\n\n".join(parts)


_FRONTIER = """\
Every model of the [report](results/README.md), from raw text, in batches of 1,024 on one core.
Quality is the report's: mean over seeds on the test fold, grouped protocol. The default is in bold.
*Predict alone* leaves out a step of the report's fastText fits: splitting texts into tokens in
Python."""


def _http(workloads: Mapping[str, Mapping[str, ServerFigures]]) -> str:
    parts = [_HTTP]
    for title, found in workloads.items():
        rows = [
            [
                f"**{name}**" if name == OURS else name,
                _spread(one.requests_per_s),
                _spread(one.texts_per_s),
                _spread(one.p50_us),
                _spread(one.p99_us),
                *_ratios(one.ours_to_it),
                f"{one.load_share.median:.0%}",
            ]
            for name, one in found.items()
        ]
        parts += [f"### {title}", table(_HTTP_HEADER, rows)]
    return "\n\n".join(parts)


def _ratios(ratios: Ratios | None) -> tuple[str, str]:
    if ratios is None:
        return "", ""
    return f"{ratios.requests_per_s.median:.2f}", f"{ratios.p50_us.median:.2f}"


_HTTP_HEADER: Final = (
    *("", "req/s", "texts/s", "p50, µs", "p99, µs"),
    *("ours: × its req/s", "ours: × its p50", "load"),
)
_HTTP = """\
*Dandelion* is the service as `make serve` starts it, with its log lines discarded. The floor is two
servers that classify nothing: a raw ASGI echo of the body, and a FastAPI + pydantic echo
(`async def`, one constant result for each text), both under uvicorn. Each server has one worker and
is frozen except while it is measured. The last column is the processor time of the load generator,
as a share of its own core. Ratios are computed in each round."""


def _in_process(models: Mapping[str, Mapping[str, Mapping[str, Spread]]]) -> str:
    parts = [_IN_PROCESS]
    for model, found in models.items():
        batch, single = found[str(BATCH)], found["1"]
        rows = [
            [name, _spread(us), digits(1e6 / us.median), _spread(single[name])]
            for name, us in batch.items()
        ]
        header = ["", "µs per text, batch of 1,024", "texts/s", "µs, one text"]
        parts += [f"### {TITLES[model]}", table(header, rows)]
    return "\n\n".join(parts)


_IN_PROCESS = """\
From raw text, with one thread on one core and real texts in rotation. For fastText, only its
`predict` is measured. model2vec embeds with the 50 dimensions of GloVe, in a static model that was
built only to measure its speed; the tokenizer splits into words and knows the same 400,000. The
bare function call is the least that any of them could take."""


def _bulk(found: Mapping[str, BulkFigures]) -> str:
    rows = [[name, _spread(one.texts_per_s), _spread(one.beyond_mb)] for name, one in found.items()]
    return f"""\
`Classifier.scores` on SMS, with the default variant and the engine of `make serve`, on all cores.
Memory is the peak of the process, not counting texts and scores.

{table(["", "texts/s", "peak memory, MB"], rows)}
"""


def _resources(found: Resources) -> str:
    starts = [[name, f"{_spread(one)} s"] for name, one in found.start_s.items()]
    memory = [
        [name, digits(one.rss_mb), ", ".join(map(digits, one.pss_mb))]
        for name, one in (*found.memory.items(), (f"{OURS}, two workers", found.memory_of_two))
    ]
    rates = [
        [
            name,
            _spread(one.one),
            _spread(one.two),
            _spread(one.two_to_one),
            f"{one.load_share.median:.0%}",
        ]
        for name, one in found.two_workers.items()
    ]
    latency = [
        [
            name,
            _spread(one.alone.p50_us),
            _spread(one.under_load.p50_us),
            _spread(one.alone.p99_us),
            _spread(one.under_load.p99_us),
            _spread(one.p99_ratio),
        ]
        for name, one in found.fairness.items()
    ]
    return f"""\
{table(["start to first response", ""], starts)}

{table(["memory, MB", "RSS of the first process", "PSS of each process"], memory)}

{table(_WORKERS_HEADER, rates)}

{table(_LATENCY_HEADER, latency)}

Reading `/metrics` once takes {_spread(found.scrape.ms)} ms and returns
{found.scrape.bytes:,} bytes.
"""


_WORKERS_HEADER: Final = (
    *("batches of 256, servers and load on both cores", "texts/s, one worker", "two workers"),
    *("ratio", "load generator's share of a core"),
)
_LATENCY_HEADER: Final = (
    *("one text, 1 connection, µs", "p50 alone", "p50 during batches of 4,096"),
    *("p99 alone", "p99 during batches", "p99, ratio"),
)


# Line of a plot → step → figure.
_Lines = dict[str, dict[str, Spread]]


@dataclass(frozen=True, slots=True)
class _Growing:
    """A table and a plot of how figures grow.

    Attributes:
        heading: of both.
        axis: what grows.
        panels: label of a figure → its lines.
    """

    heading: str
    axis: str
    panels: Mapping[str, _Lines]


def _growing(growth: Growth) -> dict[str, _Growing]:
    return {
        "texts": _Growing(
            "Texts per request (4 connections)",
            "texts per request",
            {
                "texts/s": _lines(growth.texts, lambda one: one.texts_per_s),
                "p50, µs": _lines(growth.texts, lambda one: one.p50_us),
            },
        ),
        "characters": _Growing(
            "Characters of one text, in process",
            "characters",
            {"seconds": growth.characters},
        ),
        "connections": _Growing(
            "Connections, one text per request",
            "connections",
            {
                "req/s": _lines(growth.connections, lambda one: one.requests_per_s),
                "p99, µs": _lines(growth.connections, lambda one: one.p99_us),
            },
        ),
        "models": _Growing(
            "Models loaded, 16 connections to one of them",
            "models",
            {
                "req/s": _lines(growth.models, lambda one: one.requests_per_s),
                "s to first response": _lines(growth.models, lambda one: one.start_s),
            },
        ),
        "vocabulary": _Growing(
            "Known tokens, drawn uniformly, in process",
            "tokens in the vocabulary",
            {"µs per text": _lines(growth.vocabulary, lambda one: one.us_per_text)},
        ),
    }


def _lines(lines: Mapping[str, Mapping[str, T]], figure: Callable[[T], Spread]) -> _Lines:
    return {
        name: {step: figure(one) for step, one in steps.items()} for name, steps in lines.items()
    }


def _growth(growth: Growth) -> str:
    parts = []
    for name, growing in _growing(growth).items():
        steps = list(next(iter(next(iter(growing.panels.values())).values())))
        rows = [
            [f"{line}, {label}", *(digits(spreads[step].median) for step in steps)]
            for label, lines in growing.panels.items()
            for line, spreads in lines.items()
        ]
        parts += [
            f"### {growing.heading}",
            f"![{growing.heading}](benchmarks/growth-{name}.svg)",
            table([growing.axis, *(f"{int(step):,}" for step in steps)], rows),
        ]
        if name == "models":
            memory = (f"{step}: {digits(one.rss_mb)}" for step, one in growth.models[OURS].items())
            parts.append(f"Memory (RSS, MB) by number of models loaded: {', '.join(memory)}.")
    return "\n\n".join(parts)


def _plots(figures: Figures) -> dict[str, bytes]:
    """Return name → SVG file."""
    frontiers = {
        f"frontier-{model}": plots.frontier(
            f"Cost and quality, {TITLES[model]}",
            f"{_QUALITIES[found.quality]} on the test fold",
            found.points,
            found.quality,
        )
        for model, found in figures.frontier.items()
    }
    return frontiers | {
        f"growth-{name}": plots.growth(growing.heading, growing.axis, growing.panels)
        for name, growing in _growing(figures.growth).items()
    }


def _method(figures: Figures) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in figures.run.versions.items())
    commands = "\n".join(figures.commands)
    return f"""\
## Method

`make bench` measures all of this in about {figures.run.minutes:.0f} minutes. `make bench QUICK=1`
takes at most three minutes and writes to the cache directory instead. The first run also fits the
baselines, and keeps the fits. `BENCH_ARGS="--train --image"` adds the two figures that take
longest; otherwise they are kept with their date. `BENCH_ARGS="--only http"` re-measures one part,
and `python -m benchmarks --render` rewrites this page, its plots and [scaling](scaling.md) from
[benchmarks.json](benchmarks.json) without measuring anything.

The texts are taken from the data sets at even intervals: requests of one text rotate through 64
texts, and larger ones through 2,048. Every server handles 200 requests before it is measured. A
response with a status other than 200 ends the run.

```
{commands}
```

Versions: {versions}.
"""


def _spread(one: Spread) -> str:
    return f"{digits(one.median)} ({digits(one.low)}–{digits(one.high)})"

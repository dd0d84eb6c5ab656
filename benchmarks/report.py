"""The page and the plots, from what ``benchmarks.json`` holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from training.cache import write_whole

from . import plots, scaling
from .goals import Verdict, verdicts
from .in_process import BATCH
from .markdown import filled, table
from .measure import digits
from .over_http import OURS
from .samples import TITLES

Json = Mapping[str, Any]

PAGE: Final = "benchmarks.md"
FIGURES: Final = "benchmarks.json"
SCALING: Final = "scaling.md"
PLOTS: Final = "benchmarks"

_MODELS: Final = {**TITLES, "cyberbullying_type": "tweets, six types"}
_QUALITIES: Final = {"average_precision": "AP", "auroc": "AUROC", "macro_f1": "macro-F1"}


def write(figures: Json, output: Path) -> None:
    """Write page, scaling and plots into ``output``.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(output / PAGE, page(figures).encode())
    write_whole(output / SCALING, scaling.page(figures).encode())
    for name, data in _plots(figures).items():
        write_whole(output / PLOTS / f"{name}.svg", data)


def page(figures: Json) -> str:
    """Return ``docs/benchmarks.md``."""
    parts = (
        _head(figures),
        _goals(verdicts(figures)),
        _frontier(figures["frontier"]),
        _http(figures["http"]),
        _in_process(figures["in_process"]),
        _bulk(figures["bulk"]),
        _resources(figures["resources"]),
        _growth(figures["growth"]),
        _method(figures),
    )
    return filled("\n\n".join(part.strip() for part in parts))


def _head(figures: Json) -> str:
    machine = figures["machine"]
    return f"""\
# Benchmarks

Made by `make bench` on {figures["date"]}, commit {figures["commit"]}; the figures are in
[benchmarks.json](benchmarks.json). {_quick(figures)}Everything is measured in the same run and in
turn (A, B, C, A, B, C …), {figures["rounds"]} rounds: a figure is the median, in brackets the
lowest and the highest round. What a server does runs on one core, the load on another.

The machine: {machine["processor"]}, {machine["cores"]} cores, {machine["memory_gb"]} GB of memory,
Linux {machine["kernel"]}, Python {machine["python"]}; load average before the run
{machine["load_before"]}. It is shared: compare what stands in one table, not across runs.
{_again(figures)}"""


def _again(figures: Json) -> str:
    """Tell which parts are of a later run, each with its own peers in it."""
    again = figures.get("again", {})
    parts = ", ".join(f"`{name}` at commit {commit}" for name, commit in again.items())
    return (
        f"\nMeasured again by themselves, whole parts with their peers: {parts}.\n" if again else ""
    )


def _quick(figures: Json) -> str:
    told = "**A quick run: short rounds, of cost and quality and of growth one alone.** "
    return told if figures["quick"] else ""


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
    needed = [verdict for verdict in found if not verdict.is_stretch]
    met = sum(verdict.met is True for verdict in needed)
    return f"""\
## Goals

{met} of {len(needed)} met, stretch goals aside; medians decide. *Default* is the variant that
`artifacts/serving.toml` serves, *plain* the same data set's three-layer network without wide path
and n-grams. fastText's cost is that of its own `predict` alone, the least that it can be.

{table(["", "goal", "measured", "met"], rows)}
"""


def _frontier(frontier: Json) -> str:
    parts = ["## Cost and quality", _FRONTIER]
    for model, found in frontier.items():
        quality = found["quality"]
        best = {point["name"] for point in plots.on_frontier(found["points"], quality)}
        names = [name for name in _QUALITIES if name in found["points"][0]]
        rows = [
            [
                f"**{point['name']}**" if point.get("default") else point["name"],
                _spread(point["us"]),
                *(f"{point[name]:.4f}" for name in names),
                "yes" if point["name"] in best else "",
            ]
            for point in sorted(found["points"], key=lambda point: point["us"]["median"])
        ]
        left_out = ", ".join(found["left_out"])
        parts += [
            f"### {_MODELS[model]}",
            f"![Cost and quality, {_MODELS[model]}](benchmarks/frontier-{model}.svg)",
            table(
                ["", "µs per text", *(_QUALITIES[name] for name in names), "on the frontier"], rows
            ),
        ]
        if left_out:
            parts.append(f"Not timed, for no artifact of theirs is kept: {left_out}.")
    return "\n\n".join(parts)


_FRONTIER = """\
Every model of the [report](results/README.md), from raw text, in batches of 1,024 on one core.
Quality is the report's: mean over seeds on the test fold, grouped protocol. In bold the default.
*Predict alone* leaves out what the report's fastText fits read: text cut into tokens in Python."""


def _http(shapes: Json) -> str:
    parts = ["## Over HTTP", _HTTP]
    for title, found in shapes.items():
        rows = [
            [
                f"**{name}**" if name == OURS else name,
                *(_spread(one[key]) for key in _HTTP_COLUMNS),
                _times(one, "requests_per_s"),
                _times(one, "p50_us"),
                f"{one['load_share']['median']:.0%}",
            ]
            for name, one in found.items()
        ]
        header = ["", *_HTTP_COLUMNS.values(), "ours: × its req/s", "ours: × its p50", "load"]
        parts += [f"### {title}", table(header, rows)]
    return "\n\n".join(parts)


_HTTP_COLUMNS: Final = {
    "requests_per_s": "req/s",
    "texts_per_s": "texts/s",
    "p50_us": "p50, µs",
    "p99_us": "p99, µs",
}
_HTTP = """\
Ours is the service as `make serve` starts it, its log lines written to nowhere. The floor: a raw
ASGI echo of the body, and a FastAPI + pydantic echo (`async def`, one constant entry for each text)
under uvicorn. One worker each; servers that have no turn are frozen. The last column is the
processor time of the load generator, of its own core. Ratios are taken round by round."""


def _in_process(data_sets: Json) -> str:
    parts = ["## In one process", _IN_PROCESS]
    for model, found in data_sets.items():
        batch, alone = found[str(BATCH)], found["1"]
        rows = [
            [name, _spread(us), digits(1e6 / us["median"]), _spread(alone[name])]
            for name, us in batch.items()
        ]
        header = ["", "µs per text, batch of 1,024", "texts/s", "µs, one text"]
        parts += [f"### {_MODELS[model]}", table(header, rows)]
    return "\n\n".join(parts)


_IN_PROCESS = """\
From raw text, one thread on one core, real texts in turn. fastText is its own `predict` alone.
model2vec embeds with GloVe's 50 dimensions, a static model made offline for its speed alone; the
tokenizer is a word-level one over the same 400,000 words. The bare function call is the floor."""


def _resources(found: Json) -> str:
    starts = [[name, f"{_spread(one)} s"] for name, one in found["start_s"].items()]
    memory = [
        [name, digits(one["rss_mb"]), ", ".join(map(digits, one["pss_mb"]))]
        for name, one in (
            *found["memory"].items(),
            (f"{OURS}, two workers", found["memory_of_two"]),
        )
    ]
    workers = found["two_workers"]
    rates = [
        [
            who,
            *map(_spread, one["texts_per_s"].values()),
            _spread(one["two_to_one"]),
            f"{one['load_share']['median']:.0%}",
        ]
        for who, one in workers.items()
    ]
    latency = [
        [
            who,
            *(_spread(it) for name in ("p50_us", "p99_us") for it in one[name].values()),
            _spread(one["beside_to_alone"]),
        ]
        for who, one in found["fairness"].items()
    ]
    return f"""\
## Start, memory, workers, fairness

{table(["start to first answer", ""], starts)}

{table(["memory, MB", "RSS of the first process", "PSS of each process"], memory)}

{table(_WORKERS, rates) if rates else "Several workers: not measured, the service knows none."}

{table(_LATENCY, latency)}

Reading `/metrics` once takes {_spread(found["scrape"]["ms"])} ms and gives
{found["scrape"]["bytes"]:,} bytes.
"""


def _bulk(found: Json) -> str:
    rows = [
        [what, _spread(one["texts_per_s"]), _spread(one["beyond_mb"])]
        for what, one in found.items()
    ]
    return f"""\
## Many texts at once, in process

`Classifier.scores` on SMS, the default with the engine of `make serve`, on all cores; memory is
what the process needs at most beyond texts and scores.

{table(["", "texts/s", "memory beyond, MB"], rows)}
"""


_WORKERS: Final = (
    *("batches of 256, everything on both cores", "texts/s, one worker", "two workers"),
    *("two to one", "the load's own share of a core"),
)
_LATENCY: Final = (
    *("one text, 1 connection, µs", "p50 alone", "p50 beside batches of 4,096"),
    *("p99 alone", "p99 beside them", "p99, × alone"),
)

# What grows → heading, axis, label of the panel → key of the figure in a step; "" for the step.
_GROWTH: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    "texts": (
        "Texts per request (4 connections)",
        "texts per request",
        {"texts/s": "texts_per_s", "p50, µs": "p50_us"},
    ),
    "characters": ("Characters of one text, in process", "characters", {"seconds": ""}),
    "connections": (
        "Connections, one text each",
        "connections",
        {"req/s": "requests_per_s", "p99, µs": "p99_us"},
    ),
    "models": (
        "Models loaded, 16 connections to one of them",
        "models",
        {"req/s": "requests_per_s", "s to the first answer": "start_s"},
    ),
    "vocabulary": (
        "Known tokens, drawn evenly, in process",
        "tokens in the vocabulary",
        {"µs per text": "us_per_text"},
    ),
}


def _growth(found: Json) -> str:
    parts = ["## As the work grows"]
    for name, (heading, axis, panels) in _GROWTH.items():
        lines = found[name]
        steps = list(next(iter(lines.values())))
        rows = [
            [f"{who}, {label}", *(_short(_pick(figures[step], key)) for step in steps)]
            for label, key in panels.items()
            for who, figures in lines.items()
        ]
        parts += [
            f"### {heading}",
            f"![{heading}](benchmarks/growth-{name}.svg)",
            table([axis, *(f"{int(step):,}" for step in steps)], rows),
        ]
    models = found["models"][OURS]
    parts.append(
        "Memory (RSS, MB) by models loaded: "
        + ", ".join(f"{step}: {digits(one['rss_mb'])}" for step, one in models.items())
        + "."
    )
    return "\n\n".join(parts)


def _plots(figures: Json) -> dict[str, bytes]:
    found = {}
    for model, part in figures["frontier"].items():
        found[f"frontier-{model}"] = plots.frontier(
            f"Cost and quality, {_MODELS[model]}",
            f"{_QUALITIES[part['quality']]} on the test fold",
            part["points"],
            part["quality"],
        )
    for name, (heading, axis, panels) in _GROWTH.items():
        lines = figures["growth"][name]
        drawn = {
            label: {
                who: {step: _pick(one, key) for step, one in steps.items()}
                for who, steps in lines.items()
            }
            for label, key in panels.items()
        }
        found[f"growth-{name}"] = plots.growth(heading, axis, drawn)
    return found


def _pick(step: Json, key: str) -> Json:
    picked: Json = step[key] if key else step
    return picked


def _method(figures: Json) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    commands = "\n".join(figures["commands"])
    return f"""\
## How

`make bench` measures all of this in about {figures["minutes"]:.0f} minutes; `make bench QUICK=1` in
three at most, written aside; the first run fits the peers besides, which are kept.
`BENCH_ARGS="--train --image"` adds the two that take longest, else
kept from before with their date. Texts are those of the data sets, evenly spaced in them; a request
of one text takes its turn among 64, one of many among 2,048. Every server answers 200 requests
before it is measured, and any answer but 200 ends the run.

```
{commands}
```

Versions: {versions}.
"""


def _spread(one: Json) -> str:
    return f"{digits(one['median'])} ({digits(one['low'])}–{digits(one['high'])})"


def _short(one: Json) -> str:
    return digits(one["median"])


def _times(one: Json, name: str) -> str:
    ratio = one.get("ours_to_it")
    return f"{ratio[name]['median']:.2f}" if ratio else ""

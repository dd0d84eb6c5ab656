"""Files scored on this machine and by actors of Ray, in turn, over the same files.

``python -m benchmarks.cluster`` measures, and writes ``docs/cluster.json`` and the table in
``docs/guide/a-billion-messages.md``; with ``--page`` only the table, from the figures.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from dandelion import Classifier
from dandelion.bulk import file_scoring, ray_engine
from dandelion.bulk.addresses import plan_files
from dandelion.bulk.job import Job, added_columns
from dandelion.bulk.plan import Request
from dandelion.bulk.ray_engine import Cluster
from dandelion.bulk.run import Options

from . import machine, samples
from .figures import Machine
from .markdown import table
from .measure import Spread, digits, interleaved

FIGURES: Final = machine.ROOT / "docs" / "cluster.json"
PAGE: Final = machine.ROOT / "docs" / "guide" / "a-billion-messages.md"

_MODEL: Final = "spam"
_FILES: Final = 16
_START: Final = "<!-- measured: written by `python -m benchmarks.cluster` -->"
_END: Final = "<!-- end of what is measured -->"
_BILLION: Final = 1_000_000_000
# AWS, "Best practices design patterns: optimizing Amazon S3 performance": at least so many GET
# requests per second for each prefix of a bucket.
_GETS_PER_S: Final = 5500
_GET_BYTES: Final = 2**23
_NETWORK_BYTES_PER_S: Final = 10e9 / 8

_NAMES: Final = {
    "local, 1 process": (None, 1),
    "local, 2 processes": (None, 2),
    "Ray, 1 actor": (Cluster(actors=1), 1),
    "Ray, 2 actors": (Cluster(actors=2), 2),
}


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Engine(_Stored):
    """What was measured of an engine.

    Attributes:
        texts_per_s: from the end of the first file to the end of the last.
        first_s: seconds to the end of the first file: processes start, and load the artifact.
    """

    texts_per_s: Spread
    first_s: Spread


class Figures(_Stored):
    """What ``docs/cluster.json`` holds.

    Attributes:
        date: in ISO format, UTC.
        commit: of the measured code.
        machine: where it ran.
        versions: of Ray and Dandelion.
        texts: in all files together.
        files: how many.
        in_bytes: of a text's row in the input, on average.
        out_bytes: in the output.
        ray_start_s: to start Ray on this machine.
        actor_mb: resident memory of an actor.
        processor_s: of one process for a million texts, whatever else the machine does.
        engines: name → what was measured.
    """

    date: str
    commit: str
    machine: Machine
    versions: dict[str, str]
    texts: int
    files: int
    in_bytes: float
    out_bytes: float
    ray_start_s: float
    actor_mb: float
    processor_s: float
    engines: dict[str, Engine]


@dataclass
class _Clock:
    """A watch that keeps when files were complete."""

    started: float = field(default_factory=time.perf_counter)
    ended: list[tuple[float, int]] = field(default_factory=list)
    actor_mb: float = 0

    def begin(self, units: int | None) -> None:
        """Learn nothing."""

    def advance(self, units: int, rows: int) -> None:  # noqa: ARG002
        """Keep when a file was complete."""
        self.ended.append((time.perf_counter(), rows))
        self.actor_mb = max(self.actor_mb, *_actors_mb(), 0)

    def note(self, sentence: str) -> None:
        """Learn nothing."""


def _actors_mb() -> list[float]:
    """Return the resident memory of actors of this user."""
    found = [0.0]
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if b"FileScorer" in (directory / "cmdline").read_bytes():
                pages = int((directory / "statm").read_text().split()[1])
                found.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        except OSError:  # it has ended
            continue
    return found


def _write_inputs(directory: Path, texts: int) -> int:
    """Write the files; returns their size."""
    distinct = samples.texts(_MODEL, 4096)
    each = texts // _FILES
    for number in range(_FILES):
        lines = (
            json.dumps({"id": at, "text": distinct[at % len(distinct)]}) + "\n"
            for at in range(number * each, (number + 1) * each)
        )
        (directory / f"{number:02}.jsonl").write_text("".join(lines), encoding="utf-8")
    return sum(path.stat().st_size for path in directory.iterdir())


def _options() -> Options:
    artifact = samples.variants(_MODEL)["default"]
    classifier = Classifier.load(artifact)
    job = Job(artifact, classifier.manifest.content_hash)
    added = added_columns(job, is_binary=True)
    return Options(job, added, classifier.engine, text="text")


def processor_time(texts: int) -> float:
    """Return the seconds of a processor that one process takes for a million texts."""
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name) / "in"
        inputs.mkdir()
        _write_inputs(inputs, texts)
        files = plan_files(Request([f"{inputs}/*.jsonl"], f"{name}/out/"))
        options = _options()
        started = time.process_time()
        file_scoring.score_files(files, options, _Clock())
        return round((time.process_time() - started) / texts * 1e6, 2)


def measure(texts: int, rounds: int) -> Figures:
    """Measure every engine, in turn."""
    import ray  # noqa: PLC0415 - an extra

    options = _options()
    with tempfile.TemporaryDirectory() as name:
        inputs, outputs = Path(name) / "in", Path(name) / "out"
        inputs.mkdir()
        in_bytes = _write_inputs(inputs, texts)
        files = plan_files(Request([f"{inputs}/*.jsonl"], f"{outputs}/"))
        started = time.perf_counter()
        _start(ray)
        ray_start_s = time.perf_counter() - started

        def run(cluster: Cluster | None, workers: int) -> _Clock:
            clock = _Clock()
            if cluster is None:
                file_scoring.score_files(files, replace(options, workers=workers), clock)
            else:
                ray_engine.score_files(files, options, cluster, clock)
            return clock

        measurements = {name: partial(run, *one) for name, one in _NAMES.items()}
        found = interleaved(measurements, rounds)
        out_bytes = sum(path.stat().st_size for path in outputs.glob("*.jsonl"))
        ray.shutdown()
    return Figures(
        date=machine.today(),
        commit=machine.commit(),
        machine=machine.describe(),
        versions={"ray": ray.__version__, **_own_version()},
        texts=texts,
        files=_FILES,
        in_bytes=round(in_bytes / texts, 1),
        out_bytes=round(out_bytes / texts, 1),
        ray_start_s=round(ray_start_s, 1),
        actor_mb=round(max(clock.actor_mb for clocks in found.values() for clock in clocks)),
        processor_s=processor_time(texts),
        engines={name: _engine(clocks) for name, clocks in found.items()},
    )


def _start(ray: Any) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)


def _own_version() -> dict[str, str]:
    return {name: one for name, one in machine.versions().items() if name == "dandelion-text"}


def _engine(clocks: list[_Clock]) -> Engine:
    rates, firsts = [], []
    for clock in clocks:
        (first, _), *others = clock.ended
        rates.append(sum(rows for _, rows in others) / (others[-1][0] - first))
        firsts.append(first - clock.started)
    return Engine(texts_per_s=Spread.of(rates), first_s=Spread.of(firsts))


def rendered(figures: Figures) -> str:
    """Return the tables of the page."""
    rows = [
        (
            name,
            _spread(one.texts_per_s),
            f"{one.first_s.median:.1f} s",
        )
        for name, one in figures.engines.items()
    ]
    run = figures.machine
    single = 1e6 / figures.processor_s  # texts a second
    actor_bytes = single * (figures.in_bytes + figures.out_bytes)
    facts = [
        ("processor time for a million messages", f"{figures.processor_s:.1f} s"),
        ("actor-hours for a billion messages", f"{_BILLION / single / 3600:.1f}"),
        ("the same, read and written", f"{_gigabytes(figures):,.0f} GB"),
        ("memory of an actor", f"{figures.actor_mb:,.0f} MB"),
        ("traffic of an actor", f"{actor_bytes / 1e6:,.1f} MB/s"),
        ("actors that fill 10 Gbit/s", f"{_NETWORK_BYTES_PER_S / actor_bytes:,.0f}"),
        (
            f"actors that make {_GETS_PER_S:,} requests of {_GET_BYTES // 2**20} MiB a second",
            f"{_GETS_PER_S / (single * figures.in_bytes / _GET_BYTES):,.0f}",
        ),
        ("Ray's own start, on one machine", f"{figures.ray_start_s:.0f} s"),
    ]
    measured = (
        f"{figures.texts:,} SMS in {figures.files} files of JSON Lines, "
        f"{figures.in_bytes:.0f} bytes each, {figures.out_bytes:.0f} with their scores; "
        f"{next(iter(figures.engines.values())).texts_per_s.rounds} rounds in turn, "
        f"{figures.date}, commit {figures.commit}, Ray {figures.versions['ray']}. "
        f"{run.processor}, {run.cores} cores, load average {run.load_before:.1f} before."
    )
    return "\n".join(
        [
            _START,
            "",
            table(("engine", "texts/s: median (range)", "until the first file is complete"), rows),
            "",
            table(("constant", "value"), facts),
            "",
            measured,
            "",
            _END,
        ]
    )


def _spread(spread: Spread) -> str:
    return f"{digits(spread.median)} ({digits(spread.low)} to {digits(spread.high)})"


def _gigabytes(figures: Figures) -> float:
    return _BILLION * (figures.in_bytes + figures.out_bytes) / 1e9


def write_page(figures: Figures) -> None:
    """Put the tables into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_START)
    PAGE.write_text(before + rendered(figures) + rest.partition(_END)[2], encoding="utf-8")


def _store(figures: Figures) -> None:
    FIGURES.write_text(figures.model_dump_json(indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Measure, or write the page again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="write the page from the figures alone")
    parser.add_argument(
        "--processor-time", action="store_true", help="measure the processor time alone"
    )
    parser.add_argument("--texts", type=int, default=800_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.processor_time:
        values = json.loads(FIGURES.read_text(encoding="utf-8"))
        _store(Figures(**values | {"processor_s": processor_time(given.texts)}))
    elif not given.page:
        _store(measure(given.texts, given.rounds))
    write_page(Figures.model_validate_json(FIGURES.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()

"""`dandelion score` compared with scoring in memory: the same texts, the same number of processes.

Each round measures every format in turn. The yardstick is `Classifier.scores` in processes that
hold their texts already. The command is measured whole, reading, writing and its own process
included; its start, timed on a file of one row for each process in the same round, is reported by
itself::

    python -m benchmarks.score                # prints, and writes docs/guide/scoring-files.md
    python -m benchmarks.score --rows 50000 --rounds 1 --print
"""

import argparse
import csv
import gzip
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from dandelion import Classifier
from dandelion.bulk import BLOCK_BYTES

from . import machine, samples
from .machine import ROOT
from .markdown import table, wrap
from .measure import Spread, digits, interleaved

PAGE: Final = ROOT / "docs" / "guide" / "scoring-files.md"
_PLACE: Final = re.compile("(?<=do not edit -->\n).*(?=<!-- end of figures -->)", re.DOTALL)
GOAL: Final = 0.7
"""What JSON Lines must reach of scoring in memory."""

_MODEL: Final = "spam"
_MEMORY: Final = "in memory"
_START: Final = "start"
FORMATS: Final = {
    "a.jsonl": "JSON Lines",
    "a.jsonl.gz": "JSON Lines, gzip",
    "a.csv": "CSV",
    "a.tsv": "TSV",
    "a.parquet": "Parquet",
}


class Timed(NamedTuple):
    """Seconds of one measurement: by the clock, and of processors."""

    clock: float
    processor: float


@dataclass(frozen=True)
class FormatFigures:
    """One format, compared with scoring in memory round by round.

    Attributes:
        texts_per_s: without the start.
        of_memory: the same, as a share of scoring in memory.
        processor_of_memory: processor time of scoring in memory, as a share of the command's,
            which a busy machine changes less.
    """

    texts_per_s: Spread
    of_memory: Spread
    processor_of_memory: Spread


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        date: in ISO format, UTC.
        commit: of the code.
        processor: of the machine.
        rows: of each file.
        processes: that score.
        in_memory: texts per second.
        start_s: seconds of the command before it scores.
        formats: title → figures.
    """

    date: str
    commit: str
    processor: str
    rows: int
    processes: int
    in_memory: Spread
    start_s: Spread
    formats: dict[str, FormatFigures]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; return the exit code: 1 if the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.score")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--print", action="store_true", help="write nothing")
    given = parser.parse_args(arguments)
    found = measure(given.rows, given.rounds, given.processes)
    shown = page(found)
    sys.stdout.write(shown)
    if not given.print:
        text, count = _PLACE.subn(f"\n{shown}\n", PAGE.read_text(encoding="utf-8"))
        assert count == 1, PAGE  # noqa: S101
        PAGE.write_text(text, encoding="utf-8")
    return int(found.formats["JSON Lines"].of_memory.median < GOAL)


def measure(rows: int, rounds: int, processes: int) -> Figures:
    """Measure every format in interleaved rounds."""
    distinct = samples.texts(_MODEL, 4096)
    texts = [distinct[number % len(distinct)] for number in range(rows)]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write(directory, texts)
        # A long row for each process, as the command starts no more than there are blocks.
        long = json.dumps({"text": "Lunch?", "rest": "x" * BLOCK_BYTES}) + "\n"
        (directory / "start.jsonl").write_text(long * processes, encoding="utf-8")
        measurements: dict[str, Callable[[], Timed]] = {
            _MEMORY: partial(_in_memory, texts, processes),
            _START: partial(_command, directory / "start.jsonl", processes),
            **{one: partial(_command, directory / one, processes) for one in FORMATS},
        }
        found = interleaved(measurements, rounds)
    start, memory = found[_START], found[_MEMORY]
    formats = {}
    for one, title in FORMATS.items():
        net = [
            Timed(whole.clock - base.clock, whole.processor - base.processor)
            for whole, base in zip(found[one], start, strict=True)
        ]
        formats[title] = FormatFigures(
            Spread.of(rows / timed.clock for timed in net),
            Spread.of(base.clock / timed.clock for base, timed in zip(memory, net, strict=True)),
            Spread.of(
                base.processor / timed.processor for base, timed in zip(memory, net, strict=True)
            ),
        )
    return Figures(
        machine.today(),
        machine.commit(),
        machine.describe().processor,
        rows,
        processes,
        Spread.of(rows / timed.clock for timed in memory),
        Spread.of(timed.clock for timed in start),
        formats,
    )


def write(directory: Path, texts: Sequence[str]) -> None:
    """Write the same rows in every format."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415

    rows = [
        {"id": at, "text": text, "sent": "2026-11-26T12:00:00Z"} for at, text in enumerate(texts)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (directory / "a.jsonl").write_text(lines, encoding="utf-8")
    (directory / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode(), 6))
    with (directory / "a.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ("id", "text", "sent"))
        writer.writeheader()
        writer.writerows(rows)
    plain = [{**row, "text": " ".join(str(row["text"]).split())} for row in rows]
    cells = ("\t".join(map(str, row.values())) + "\n" for row in plain)
    (directory / "a.tsv").write_text("id\ttext\tsent\n" + "".join(cells), encoding="utf-8")
    parquet.write_table(pa.Table.from_pylist(rows), directory / "a.parquet", row_group_size=100_000)


def _in_memory(texts: Sequence[str], processes: int) -> Timed:
    """Time `Classifier.scores` in processes that have loaded the artifact and hold their texts."""
    context = multiprocessing.get_context("spawn")
    pipes, started = [], []
    for number in range(processes):
        ours, theirs = context.Pipe()
        process = context.Process(target=_score, args=(theirs,), daemon=True)
        process.start()
        ours.send(texts[number::processes])
        pipes.append(ours)
        started.append(process)
    for pipe in pipes:
        pipe.recv()  # ready
    before = time.perf_counter()
    for pipe in pipes:
        pipe.send(None)
    processor = sum(pipe.recv() for pipe in pipes)
    clock = time.perf_counter() - before
    for process in started:
        process.join()
    return Timed(clock, processor)


def _score(pipe: Any) -> None:
    classifier = Classifier.load(samples.variants(_MODEL)["default"])
    texts = pipe.recv()
    classifier.scores(texts[:4096])
    pipe.send(None)
    pipe.recv()
    before = time.process_time()
    classifier.scores(texts)
    pipe.send(time.process_time() - before)


def _command(source: Path, processes: int) -> Timed:
    """Time the command: its processes are children of one that is waited for."""
    output = source.with_name(f"scored.{source.name}")
    variant = samples.variants(_MODEL)["default"].name
    options = ["--model", _MODEL, "--variant", variant, "--workers", str(processes), "--quiet"]
    command = [sys.executable, "-m", "dandelion.command", "score", str(source)]
    command += [str(output), *options]
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    clock, after = time.perf_counter() - started, os.times()
    processor = sum(after[2:4]) - sum(before[2:4])
    output.unlink()
    return Timed(clock, processor)


def page(found: Figures) -> str:
    """Return the figures as a table."""
    rows = [
        [
            title,
            digits(one.texts_per_s.median),
            f"{one.of_memory.median:.0%} ({one.of_memory.low:.0%}–{one.of_memory.high:.0%})",
            f"{one.processor_of_memory.median:.0%}",
        ]
        for title, one in found.formats.items()
    ]
    header = ["", "texts/s", "of scoring in memory", "of its processor time"]
    text = f"""\
Compared with `Classifier.scores` in as many processes that hold their texts already, in the same
rounds:

{table(header, rows)}

Medians (lowest and highest) of {found.in_memory.rounds} rounds; {found.rows:,} messages of the
SMS Spam Collection in each file, {found.processes} processes, {found.processor}, {found.date}.
In memory: {digits(found.in_memory.median)} texts/s. The command starts in
{found.start_s.median:.1f} s, which is not part of the rates. Its processor time includes reading
and writing.
"""
    return wrap(text)


if __name__ == "__main__":
    sys.exit(main())

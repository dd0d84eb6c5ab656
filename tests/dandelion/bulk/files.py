"""The same rows in files of every format, and how they are scored."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyarrow import parquet

from dandelion.bulk.plan import Request, plan
from dandelion.bulk.run import Options, Totals, score_files

from .reference import ADDED, job_of

ROWS = 400
TEXTS = [f"Free prize {n}! Lunch tomorrow?" if n % 3 else "?" for n in range(ROWS)]
BROKEN = 7
"""Every such row is broken."""

NAMES = ["a.jsonl", "a.csv", "a.tsv", "a.jsonl.gz", "a.parquet"]


class StopError(Exception):
    """An interruption."""


class Recorder:
    """A watch that counts; at a step it calls something."""

    def __init__(self, at: int | None = None, then: Callable[[], None] = lambda: None) -> None:
        self.units, self.steps, self.at, self.then = 0, 0, at, then
        self.total: int | None = None
        self.notes: list[str] = []

    def begin(self, units: int | None) -> None:
        self.total = units

    def advance(self, units: int, rows: int) -> None:
        self.units += units
        self.steps += 1
        if self.steps == self.at:
            self.then()

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


Score = Callable[..., Totals]
"""Scores one of the inputs, by its name; otherwise as `run`."""

Whole = dict[str, tuple[dict[str, bytes], Recorder]]
"""Name of an input → what is written of it, and how."""


def stop() -> None:
    raise StopError


def run(
    artifact: Path, source: Path | str, output: Path, watch: Recorder | None = None, **options: Any
) -> Totals:
    shard = options.pop("shard", None)
    job = job_of(artifact, **options.pop("job", {}))
    items = plan(Request([str(source)], str(output), shard=shard))
    given = Options(job, options.pop("added", ADDED), "compiled", **options)
    return score_files(items, given, watch or Recorder())


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def written(directory: Path, name: str, data: bytes) -> Path:
    directory.mkdir()
    (directory / name).write_bytes(data)
    return directory / name


def rows_of(*paths: Path) -> list[object]:
    """Return the rows of outputs, as lines or as values."""
    rows: list[object] = []
    for path in paths:
        if path.suffix == ".parquet":
            rows += parquet.read_table(path).to_pylist()
            continue
        data = path.read_bytes()
        lines = (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()
        rows += lines[1:] if path.suffix in (".csv", ".tsv") else lines
    return rows

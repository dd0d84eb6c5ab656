"""Score files on this machine."""

import gzip
import hashlib
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol

from .beginning import Asked
from .cutting import BLOCK_BYTES
from .errors import BulkError, RefusedError
from .extras import parquet_module
from .job import UTF_8, Block, Format, Job, Layout, ScoredBlock
from .output import Output, Pipe
from .plan import Item
from .reading import ALL, TextFile
from .scorer import Scorer
from .sources import PIPE, Unpacked, open_file
from .workers import Workers

# Explaining takes 40 to 80 times as long as scoring (benchmarks.explain).
_EXPLAINED_BYTES: Final = 2**15

_LISTED: Final = 5

# Of the beginning and of the end of an input, which an interrupted run must find again.
_MARKED_BYTES: Final = 2**20

# How many times as large a packed file may be when it is unpacked.
_LIKELY_PACKING: Final = 5

_ROWS_PER_WORKER: Final = 8192


class Watch(Protocol):
    """Learns how far the work is."""

    def begin(self, units: int | None) -> None:
        """Learn how many units there are, bytes or rows; None if that is not known."""

    def advance(self, units: int, rows: int) -> None:
        """Learn of units that are done since the last call, and of rows that were scored."""

    def note(self, sentence: str) -> None:
        """Learn something worth knowing."""


@dataclass(frozen=True, slots=True)
class Options:
    """How files are read and scored.

    Attributes:
        job: what is done to their rows.
        added: the names of the added columns.
        engine: that computes the scores: the last digit may depend on it.
        text: the column of the texts; None guesses it.
        delimiter: of CSV; None recognizes it.
        encoding: of CSV and TSV, see `Layout`.
        workers: processes that score.
        resumes: whether to go on with what an interrupted run has left.
    """

    job: Job
    added: tuple[str, ...]
    engine: str
    text: str | None = None
    delimiter: str | None = None
    encoding: str = UTF_8
    workers: int = 1
    resumes: bool = False

    @property
    def block_bytes(self) -> int:
        """See `BLOCK_BYTES`."""
        return BLOCK_BYTES if self.job.explain is None else _EXPLAINED_BYTES

    def asked(self, name: str, form: Format, *, is_packed: bool) -> Asked:
        """Return what is known of a file before it is read, see `Asked`."""
        return Asked(name, form, self.text, self.delimiter, self.added, is_packed, self.encoding)

    def made_of(self) -> dict[str, Any]:
        """Return what an output depends on besides its file, named as users name it."""
        job = self.job
        return {
            "the version of Dandelion": version("dandelion-text"),
            "the artifact": job.content_hash,
            "the engine": self.engine,
            "the decision (policy, operating point, prior or threshold)": [
                job.policy and asdict(job.policy),
                job.threshold,
            ],
            "the names of the added columns": self.added,
            "--explain": job.explain,
        }


@dataclass(slots=True)
class Totals:
    """What became of the rows.

    Attributes:
        rows: that were scored, before an interruption too.
        scored: of these, by this run.
        broken: rows that were left out.
        listed: the first of them: file, number of the line, and reason.
        side_files: where they are.
    """

    rows: int = 0
    scored: int = 0
    broken: int = 0
    listed: list[tuple[str, int, str]] = field(default_factory=list)
    side_files: list[Path | str] = field(default_factory=list)


def score_files(
    items: Sequence[Item], options: Options, watch: Watch, stdout: Any = None
) -> Totals:
    """Score files.

    Args:
        items: the files.
        options: how.
        watch: learns how far the work is.
        stdout: the stream of an item without an output.

    Raises:
        RefusedError: a file does not fit what is asked for, or has changed since the interrupted
            run.
        BulkError: a file cannot be read or written, or a worker died.
        ArtifactError: see `Scorer`.
        OSError: standard output cannot be written.
    """
    _check(items, options)
    watch.begin(_units(items))
    totals, outputs = Totals(), []
    with Workers(options.job, _useful_workers(items, options)) as workers:
        for item in items:
            if item.output is not None:
                _create(item.output.parent)
            one = _Run(item, options, workers, watch, totals, stdout)
            outputs.append(one.parquet() if item.format == "parquet" else one.text())
    for output in outputs:
        output.forget()
    return totals


def _create(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BulkError(f"{directory}: cannot be created: {error.strerror or error}") from error


def _check(items: Sequence[Item], options: Options) -> None:
    """Check the beginnings of all files before any is scored.

    Raises:
        RefusedError, BulkError: see `score_files`.
    """
    for item in items:
        if item.is_stream:
            if options.resumes:
                raise RefusedError("what came through a pipe is gone: --resume needs a file")
        elif item.format == "parquet":
            _open_parquet(item, options)
        else:
            with open_file(item.source, is_packed=item.is_packed) as stream:
                TextFile(stream, _asked(item, options))
        if item.output is None and options.resumes:
            raise RefusedError("standard output cannot be resumed: name an output file")


def _units(items: Sequence[Item]) -> int | None:
    if any(item.is_stream for item in items):
        return None
    return sum(_units_of(item) for item in items)


def _units_of(item: Item) -> int:
    if item.part is not None:
        return item.part[1] - item.part[0]
    if item.format == "parquet":
        return int(parquet_module().count_rows(item.source))
    return Path(item.source).stat().st_size


def _useful_workers(items: Sequence[Item], options: Options) -> int:
    """Return how many workers there is work for: a small file is scored sooner than one starts."""
    blocks = 0
    for item in items:
        if item.is_stream:
            return options.workers
        units = _units_of(item)
        if item.format == "parquet":
            blocks += 1 + units // _ROWS_PER_WORKER
        else:
            packing = _LIKELY_PACKING if item.is_packed and item.part is None else 1
            blocks += 1 + units * packing // options.block_bytes
    return max(1, min(options.workers, blocks))


def _asked(item: Item, options: Options) -> Asked:
    name = "standard input" if item.source == PIPE else item.source
    return options.asked(name, item.format, is_packed=item.packs)


def _open_parquet(item: Item, options: Options) -> Any:
    return parquet_module().ParquetFile(item.source, _asked(item, options))


def score_block(scorer: Scorer, message: tuple[Block, Layout]) -> ScoredBlock:
    """Score a block: what a worker does."""
    return scorer.score_block(*message)


def score_unit(scorer: Scorer, message: tuple[bytes, int]) -> Any:
    """Score the texts of a unit of Parquet: what a worker does."""
    return parquet_module().score_texts(scorer, *message)


@dataclass(frozen=True, slots=True)
class _Run:
    """The scoring of one file."""

    item: Item
    options: Options
    workers: Workers
    watch: Watch
    totals: Totals
    stdout: Any

    def text(self) -> Output | Pipe:
        """Score CSV, TSV or JSON Lines."""
        item, options = self.item, self.options
        with open_file(item.source, is_packed=item.is_packed) as stream:
            file = TextFile(stream, _asked(item, options))
            layout = file.beginning.layout
            self._note(layout)
            with self._output(layout) as output:
                if self._is_complete(output):
                    return output
                state = output.state
                if output.is_new:
                    head = file.beginning.head
                    head = gzip.compress(head, mtime=0) if item.packs and head else head
                    output.write(head, (), 0, file.beginning.offset, file.beginning.line)
                blocks = file.blocks(
                    item.part or ALL,
                    None if output.is_new else (state.offset, state.line),
                    options.block_bytes,
                )
                tasks = ((block, (block, layout)) for block in blocks)
                done = 0
                for block, scored in self.workers.each(score_block, tasks):
                    output.write(
                        scored.data, scored.broken, scored.rows, block.end, block.next_line
                    )
                    before, done = done, self._done(stream, block)
                    self._advance(done - before, scored)
                if not item.is_stream:  # what was done before an interruption, and the header
                    self.watch.advance(_units_of(item) - done, 0)
                output.finish()
            self._count(output)
        return output

    def _done(self, stream: Unpacked, block: Block) -> int:
        """Return the units of a file that are done, see `_units_of`."""
        if self.item.part is not None:
            return min(block.end, self.item.part[1]) - self.item.part[0]
        return stream.position() if self.item.is_packed else block.end

    def parquet(self) -> Output | Pipe:
        """Score Parquet.

        Its rows cannot be appended to after an interruption: the scores are kept aside, and the
        file is written from its beginning.
        """
        parquet, item = parquet_module(), self.item
        file = _open_parquet(item, self.options)
        self._note(file.layout)
        with self._output(file.layout) as output:
            if self._is_complete(output):
                return output
            schema = parquet.output_schema(file.schema, self.options.added)
            assert isinstance(output, Output)  # noqa: S101 - see `plan` # nosec B101
            writer = parquet.GroupWriter(output.made, schema, file.codec)
            count = output.state.offset
            units = file.units(item.part)
            known = parquet.read_units(output.parts[0], count)
            for unit, scored in zip(itertools.islice(units, count), known, strict=True):
                writer.add(parquet.joined(unit.table, scored, unit.row), unit.group)
                self.watch.advance(unit.table.num_rows, 0)
            tasks = ((unit, parquet.message_of(unit, file.layout)) for unit in units)
            for number, (unit, scored) in enumerate(
                self.workers.each(score_unit, tasks), count + 1
            ):
                writer.add(parquet.joined(unit.table, scored, unit.row), unit.group)
                rows = unit.table.num_rows
                output.write(scored.to_bytes(), scored.broken, scored.rows, number, unit.row + rows)
                self._advance(rows, scored)
            writer.close()
            output.finish()
        self._count(output)
        return output

    def _output(self, layout: Layout) -> Output | Pipe:
        item, options = self.item, self.options
        if item.output is None:
            return Pipe(self.stdout, item.side_file)
        assert item.side_file is not None  # noqa: S101 - see `plan` # nosec B101
        return Output(
            item.output,
            item.side_file,
            _made_of(item, options, layout),
            resumes=options.resumes,
            is_made_aside=item.format == "parquet",
        )

    def _note(self, layout: Layout) -> None:
        if self.options.text is None:
            self.watch.note(f"{self.item.source}: the texts are in {layout.text!r}, by its name.")

    def _is_complete(self, output: Output | Pipe) -> bool:
        if not output.state.is_done:
            return False
        output.finish()
        self.watch.advance(_units_of(self.item), 0)
        self._count(output)
        return True

    def _advance(self, units: int, scored: Any) -> None:
        self.watch.advance(units, scored.rows)
        self.totals.scored += scored.rows
        listed, room = self.totals.listed, _LISTED - len(self.totals.listed)
        listed += [(self.item.source, one.line, one.reason) for one in scored.broken[:room]]

    def _count(self, output: Output | Pipe) -> None:
        self.totals.rows += output.state.rows
        self.totals.broken += output.state.broken
        if output.state.broken and self.item.side_file is not None:
            self.totals.side_files.append(self.item.side_file)


def _mark(path: Path) -> dict[str, Any]:
    """Return what shows that a file has changed; its middle is not read."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        digest = hashlib.sha256(file.read(_MARKED_BYTES))
        file.seek(max(status.st_size - _MARKED_BYTES, 0))
        digest.update(file.read(_MARKED_BYTES))
    return {
        "size": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "sha256_of_ends": digest.hexdigest(),
    }


def _made_of(item: Item, options: Options, layout: Layout) -> dict[str, Any]:
    """Return everything that an output depends on, named as users name it, as JSON."""
    values = {
        **options.made_of(),
        "the input": None if item.is_stream else _mark(Path(item.source)),
        "the layout": asdict(layout),
        "the shard": item.part,
    }
    found: dict[str, Any] = json.loads(json.dumps(values))
    return found

"""Files at addresses, each scored from its beginning to its end in one process.

So every row keeps its line number, CSV with line breaks in fields can be read, and the outputs have
the names and the bytes that they have where all is on one machine. An output appears when it is
complete, under a name that depends on its input alone: however often a file is begun, nothing is
lost and nothing doubled.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, Final
from uuid import uuid4

from ..json_values import loads
from ..remote import (
    MissingError,
    RemoteError,
    expand,
    read,
    reading,
    remove,
    remove_aside,
    shown,
    writing,
)
from .addresses import DONE, File
from .beginning import Asked
from .errors import BulkError
from .extras import parquet_module
from .job import BrokenRow
from .reading import ALL, TextFile
from .run import Options, Totals, Watch
from .scorer import Scorer
from .side_file import written
from .sources import Unpacked
from .state import State
from .workers import Workers

_LISTED: Final = 5
_MAX_DONE_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a file.

    Attributes:
        text: the column of its texts.
        rows: that were scored.
        broken: rows that were left out.
        listed: the lines of the first of these, and the reasons.
        is_old: whether an interrupted run has scored it.
    """

    text: str
    rows: int
    broken: int
    listed: list[tuple[int, str]]
    is_old: bool = False


def score_files(files: Sequence[File], options: Options, watch: Watch) -> Totals:
    """Score files with processes of this machine.

    Args:
        files: see `plan_files`.
        options: how.
        watch: learns how far the work is.

    Raises:
        RefusedError: a file does not fit what is asked for, or has changed since the interrupted
            run.
        BulkError: a file cannot be read or written, or a worker died.
        ArtifactError: see `Scorer`.
    """
    watch.begin(sum(file.size for file in files))
    count = min(options.workers, len(files))
    with tidied(files) as run, Workers(options.job, count) as workers:
        tasks = ((file, (file, options, run)) for file in files)
        return collect(workers.each(score_task, tasks), options, watch)


def score_task(scorer: Scorer, task: tuple[File, Options, str]) -> Done:
    """Score a file: what a worker does.

    Raises:
        RefusedError, BulkError: see `score_files`.
    """
    try:
        return score_file(scorer, *task)
    except RemoteError as error:
        raise BulkError(str(error)) from None
    except BulkError:
        raise
    except Exception as error:  # noqa: BLE001 - of a file system; its message may have credentials
        name = shown(task[0].source)
        raise BulkError(f"{name}: cannot be scored ({type(error).__name__})") from None


@contextmanager
def tidied(files: Sequence[File]) -> Iterator[str]:
    """Yield the name of a run, see `writing`; remove what marks files as complete if all are.

    Raises:
        BulkError: it cannot be removed.
    """
    run = uuid4().hex[:12]
    try:
        yield run
    finally:
        for directory in {file.output.rpartition("/")[0] for file in files}:
            with suppress(RemoteError, OSError):
                remove_aside(directory, run)
    try:
        remove([file.output + DONE for file in files])
    except RemoteError as error:
        raise BulkError(str(error)) from error


def collect(done: Iterable[tuple[File, Done]], options: Options, watch: Watch) -> Totals:
    """Return what became of the rows.

    Args:
        done: files, in any order, and what became of each.
        options: how they are scored.
        watch: learns of each.
    """
    totals, columns = Totals(), set[str]()
    for file, one in done:
        if options.text is None and one.text not in columns:
            columns.add(one.text)
            watch.note(f"{shown(file.source)}: the texts are in {one.text!r}, by its name.")
        scored = 0 if one.is_old else one.rows
        watch.advance(file.size, scored)
        totals.rows += one.rows
        totals.scored += scored
        totals.broken += one.broken
        room = _LISTED - len(totals.listed)
        totals.listed += [(shown(file.source), line, reason) for line, reason in one.listed[:room]]
        if one.broken:
            totals.side_files.append(shown(file.side_file))
    return totals


def score_file(scorer: Scorer, file: File, options: Options, run: str) -> Done:
    """Score a file; the output appears when it is complete, and behind it what marks it as that.

    Args:
        scorer: of the job.
        file: to score.
        options: how; with ``resumes``, a file that is marked is not scored again.
        run: see `dandelion.remote.writing`.

    Raises:
        RefusedError: it does not fit what is asked for, or has changed since the interrupted run.
        BulkError, RemoteError: it cannot be read or written; other errors of file systems come as
            they are.
    """
    made_of = _made_of(file, options)
    if options.resumes:
        before = _before(file, made_of)
        if before is not None:
            return before
    remove([file.output + DONE])
    score = _score_parquet if file.format == "parquet" else _score_text
    with ExitStack() as stack:
        side = _SideFile(file.side_file, run, stack)
        with reading(file.source) as source:
            done = score(scorer, file, options, source, side, run)
    if not done.broken:
        remove([file.side_file])  # of an earlier run
    state = State(made_of, rows=done.rows, broken=done.broken, is_done=True)
    with writing(file.output + DONE, run) as marked:
        marked.write(json.dumps({"state": asdict(state), "done": asdict(done)}).encode())
    return done


class _SideFile:
    """The broken rows, written as they come; the file is created with the first of them."""

    def __init__(self, name: str, run: str, stack: ExitStack) -> None:
        self._name, self._run, self._stack = name, run, stack
        self._file: BinaryIO | None = None
        self.rows = 0
        self.listed: list[tuple[int, str]] = []

    def add(self, broken: tuple[BrokenRow, ...]) -> None:
        """Write rows."""
        if not broken:
            return
        if self._file is None:
            self._file = self._stack.enter_context(writing(self._name, self._run))
        self._file.write(written(broken))
        self.rows += len(broken)
        self.listed += [(one.line, one.reason) for one in broken[: _LISTED - len(self.listed)]]


def _score_text(  # noqa: PLR0913, PLR0917
    scorer: Scorer, file: File, options: Options, source: BinaryIO, side: _SideFile, run: str
) -> Done:
    rows = 0
    # Closed by `reading`.
    stream = Unpacked(source, shown(file.source), is_packed=file.is_packed)
    text = TextFile(stream, _asked(file, options))
    head, layout = text.beginning.head, text.beginning.layout
    with writing(file.output, run) as output:
        output.write(gzip.compress(head, mtime=0) if file.packs and head else head)
        for block in text.blocks(ALL, None, options.block_bytes):
            scored = scorer.score_block(block, layout)
            output.write(scored.data)
            side.add(scored.broken)
            rows += scored.rows
    return Done(layout.text, rows, side.rows, side.listed)


def _score_parquet(  # noqa: PLR0913, PLR0917
    scorer: Scorer, file: File, options: Options, source: BinaryIO, side: _SideFile, run: str
) -> Done:
    parquet, rows = parquet_module(), 0
    table = parquet.ParquetFile(source, _asked(file, options))
    schema = parquet.output_schema(table.schema, options.added)
    with writing(file.output, run) as output:
        writer = parquet.GroupWriter(output, schema, table.codec)
        for unit in table.units():
            scored = parquet.score_texts(scorer, *parquet.message_of(unit, table.layout))
            writer.add(parquet.joined(unit.table, scored, unit.row), unit.group)
            side.add(scored.broken)
            rows += scored.rows
        writer.close()
    return Done(table.layout.text, rows, side.rows, side.listed)


def _asked(file: File, options: Options) -> Asked:
    name = shown(file.source)
    return options.asked(name, file.format, is_packed=file.packs)


def _before(file: File, made_of: dict[str, Any]) -> Done | None:
    """Return what became of a file in an interrupted run; None if it was not finished.

    Raises:
        RefusedError: something has changed since.
    """
    try:
        values = loads(read(file.output + DONE, _MAX_DONE_BYTES))
        state, done = State(**values["state"]), Done(**values["done"])
    except (MissingError, ValueError, KeyError, TypeError):
        return None
    state.check_same(made_of, shown(file.output))
    try:
        expand(file.output)
    except MissingError:  # somebody took it away
        return None
    return replace(done, is_old=True)


def _made_of(file: File, options: Options) -> dict[str, Any]:
    """Return everything that an output depends on, named as users name it, as JSON."""
    asked = [file.format, options.text, options.delimiter, options.encoding]
    values = {
        **options.made_of(),
        "the input": [file.source, file.size, file.mark],
        "--format, --text-column, --delimiter or --encoding": asked,
        "the output": [file.packs, file.side_file],
    }
    found: dict[str, Any] = json.loads(json.dumps(values))
    return found

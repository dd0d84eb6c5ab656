"""Which files are scored on several machines: addresses, or paths that all of them see.

The names of the outputs are those that `plan` gives on one machine.
"""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .. import remote
from ..remote import shown
from .errors import BulkError, RefusedError
from .job import Format
from .plan import SIDE_FILE, Request
from .sources import NAMES, PIPE, kind_of

DONE: Final = ".done"
"""The end of the name of what marks an output as complete, until the whole run is."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to score, by one process, as a whole.

    Attributes:
        source: its address, or its absolute path.
        format: of it and of its output.
        is_packed: whether it is packed with gzip.
        output: address or path.
        packs: whether the output is packed with gzip.
        side_file: address or path.
        size: in bytes, as it is stored.
        mark: changes with its content.
    """

    source: str
    format: Format
    is_packed: bool
    output: str
    packs: bool
    side_file: str
    size: int
    mark: str


def plan_files(request: Request) -> list[File]:
    """Return the files to score.

    Raises:
        RefusedError: the request contradicts itself or the files; nothing was written.
        BulkError: a file cannot be read.
    """
    if PIPE in (*request.inputs, request.output):
        raise RefusedError("standard input and output cannot be combined with addresses or Ray")
    if request.shard is not None:
        raise RefusedError("--shard is for files of one machine; of others, name a part of them")
    if request.side_file is not None:
        raise RefusedError(
            f"--errors is for files of one machine; others have it in OUT{SIDE_FILE}"
        )
    try:
        return _files(request)
    except remote.MissingError as error:
        raise RefusedError(str(error)) from error
    except remote.RemoteError as error:
        raise BulkError(str(error)) from error


def _files(request: Request) -> list[File]:
    found: dict[str, tuple[int, str]] = {}
    is_directory = len(request.inputs) > 1
    for given in map(remote.canonical, request.inputs):
        matching = remote.expand(given)
        if not matching:
            raise RefusedError(f"no file matches {shown(given)!r}")
        found |= matching
        is_directory |= remote.has_wildcard(given)
    output = remote.canonical(request.output)
    is_directory |= request.output.endswith("/") or remote.is_directory(output)
    files = [
        _file(source, size, mark, request, output if not is_directory else None)
        for source, (size, mark) in found.items()
    ]
    _check(files)
    return files


def _file(source: str, size: int, mark: str, request: Request, output: str | None) -> File:
    name = posixpath.basename(source)
    kind = kind_of(name, request.format)
    if kind is None:
        raise RefusedError(
            f"{shown(source)}: the extension names no known format (.csv, .tsv, .jsonl, .ndjson, "
            "each also with .gz; .parquet). Give --format"
        )
    packs = kind.is_packed
    if output is None:
        output = remote.join(remote.canonical(request.output), name)
    else:
        packs = output.lower().endswith(".gz")
        written = kind_of(posixpath.basename(output))
        if written is not None and written.format != kind.format:
            raise RefusedError(
                f"{shown(output)}: {NAMES[written.format]}, but the input is "
                f"{NAMES[kind.format]}: the output has the format of the input"
            )
    side_file = output + SIDE_FILE
    return File(source, kind.format, kind.is_packed, output, packs, side_file, size, mark)


def _check(files: Sequence[File]) -> None:
    formats = sorted({file.format for file in files})
    if len(formats) > 1:
        names = " and ".join(NAMES[one] for one in formats)
        raise RefusedError(f"the inputs are of different formats ({names}): score each by itself")
    sources, outputs = {file.source for file in files}, set[str]()
    for file in files:
        for name in (file.output, file.side_file, file.output + DONE):
            if name in sources:
                raise RefusedError(f"{shown(name)} is an input itself; choose another output")
            if name in outputs:
                raise RefusedError(
                    f"two inputs would be written to {shown(name)}: rename one, or score it alone"
                )
            outputs.add(name)

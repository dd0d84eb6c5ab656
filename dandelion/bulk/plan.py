"""Which files are scored, into which, and which part of each: fixed before anything is read."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .errors import RefusedError
from .extras import parquet_module
from .job import Format
from .sources import NAMES, PIPE, Kind, kind_of, open_file
from .state import aside

SIDE_FILE: Final = ".errors.jsonl"
"""The end of the side file's name, behind the output's."""

_PATTERN: Final = frozenset("*?[")
_COUNT_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of all rows: number ``number`` of ``count``, counted from 1."""

    number: int
    count: int

    def infix(self) -> str:
        """Return what the names of its outputs have in front of their extensions."""
        width = len(str(self.count))
        return f".{self.number:0{width}}-of-{self.count}"


@dataclass(frozen=True, slots=True)
class Item:
    """A file to score.

    Attributes:
        source: its path; `PIPE` for standard input.
        format: of it and of its output.
        is_packed: whether it is packed with gzip; None to find out.
        output: its path; None for standard output.
        packs: whether the output is packed with gzip.
        side_file: its path; None for none.
        part: between which of its offsets the rows begin; in Parquet, the numbers of rows.
    """

    source: str
    format: Format
    is_packed: bool | None
    output: Path | None
    packs: bool
    side_file: Path | None
    part: tuple[int, int] | None = None

    @property
    def is_stream(self) -> bool:
        """Whether it can be read once: standard input, or another pipe."""
        return self.source == PIPE or not Path(self.source).is_file()


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for.

    Attributes:
        inputs: paths or patterns, or `PIPE` alone.
        output: a path or `PIPE`; of several inputs or a pattern, a directory.
        format: of all files; None for that of their extensions.
        side_file: of a single output; None for the default.
        shard: None for all rows.
    """

    inputs: Sequence[str]
    output: str
    format: Format | None = None
    side_file: Path | None = None
    shard: Shard | None = None


def plan(request: Request) -> list[Item]:
    """Return the files to score; shards have their parts, and only files with rows of them.

    Raises:
        RefusedError: the request contradicts itself or the files; nothing was written.
        BulkError: a file cannot be read.
    """
    sources, is_directory = _sources(request)
    if PIPE in sources:
        items = [_of_pipe(request)]
    elif is_directory:
        items = _into_directory(sources, request)
    else:
        items = [_into_file(sources[0], request)]
    formats = sorted({item.format for item in items})
    if len(formats) > 1:
        names = " and ".join(NAMES[one] for one in formats)
        raise RefusedError(f"the inputs are of different formats ({names}): score each by itself")
    if request.shard is not None:
        if any(item.is_stream for item in items):
            raise RefusedError("a pipe has no shards: its size is not known")
        items = _shard(items, request.shard)
    items = [replace(item, output=_where_it_leads(item.output)) for item in items]
    for item in items:
        _check_side_file(item)
    _check_apart(sources, items)
    written = Counter(path for item in items for path in _written(item))
    for twice, count in written.most_common(1):
        if count > 1:
            raise RefusedError(
                f"two inputs would be written to {twice}: rename one, or score it alone"
            )
    return items


def _sources(request: Request) -> tuple[list[str], bool]:
    """Return the paths, and whether the output is a directory."""
    given = request.inputs
    if PIPE in given and len(given) > 1:
        raise RefusedError("standard input (-) is scored alone, not along with files")
    sources, is_directory = [], len(given) > 1
    for one in given:
        if one == PIPE or Path(one).exists():
            sources.append(one)
            continue
        if _PATTERN.isdisjoint(one):
            raise RefusedError(f"{one}: no such file")
        matches = glob.glob(one, recursive=True)  # noqa: PTH207 - it may be absolute
        found = [path for path in sorted(matches) if Path(path).is_file()]
        if not found:
            raise RefusedError(f"no file matches {one!r}")
        sources += found
        is_directory = True
    return sources, is_directory


def _of_pipe(request: Request) -> Item:
    form = request.format
    if form is None and request.output != PIPE:
        kind = kind_of(request.output)
        form = None if kind is None else kind.format
    if form is None:
        raise RefusedError("the format of standard input is not known: give --format")
    if form == "parquet":
        raise RefusedError("Parquet is not read from a pipe: its end must be read first")
    output, packs, side_file = _output(request, form, PIPE)
    return Item(PIPE, form, None, output, packs, side_file)


def _into_file(source: str, request: Request) -> Item:
    kind = _known_kind(source, request.format)
    output, packs, side_file = _output(request, kind.format, source)
    return Item(source, kind.format, kind.is_packed, output, packs, side_file)


def _output(request: Request, form: Format, source: str) -> tuple[Path | None, bool, Path | None]:
    """Return the path of a single output, whether it is packed, and its side file."""
    if request.output == PIPE:
        if form == "parquet":
            raise RefusedError("Parquet is not written to a pipe: name a file")
        return None, False, request.side_file
    output = Path(request.output)
    if output.is_dir():
        if source == PIPE:
            raise RefusedError(f"{output} is a directory; name a file")
        output /= Path(source).name
    kind = kind_of(output.name)
    if kind is not None and kind.format != form:
        raise RefusedError(
            f"{output}: {NAMES[kind.format]}, but the input is {NAMES[form]}: the output has the "
            "format of the input"
        )
    if not output.parent.is_dir():
        raise RefusedError(f"{output.parent}: no such directory")
    packs = output.suffix.lower() == ".gz"
    return output, packs, request.side_file or output.with_name(output.name + SIDE_FILE)


def _into_directory(sources: Sequence[str], request: Request) -> list[Item]:
    if request.output == PIPE:
        raise RefusedError("several inputs go into a directory, not to standard output")
    if request.side_file is not None:
        raise RefusedError("several inputs have a side file each, next to the output's")
    directory = Path(request.output)
    if directory.exists() and not directory.is_dir():
        raise RefusedError(f"{directory}: several inputs go into a directory, but it is a file")
    items = []
    for source in sources:
        kind, output = _known_kind(source, request.format), directory / Path(source).name
        side_file = output.with_name(output.name + SIDE_FILE)
        items.append(Item(source, kind.format, kind.is_packed, output, kind.is_packed, side_file))
    return items


def _known_kind(source: str, form: Format | None) -> Kind:
    if Path(source).is_dir():
        raise RefusedError(f"{source}: a directory. Give a pattern, such as '{source}/*.jsonl'")
    kind = kind_of(source, form)
    if kind is None:
        raise RefusedError(
            f"{source}: the extension names no known format (.csv, .tsv, .jsonl, .ndjson, each "
            "also with .gz; .parquet). Give --format"
        )
    return kind


def _where_it_leads(output: Path | None) -> Path | None:
    """Return the file to which an output that is a link leads, so that the link stays one.

    Raises:
        RefusedError: it leads to itself, or there is no directory for the file.
    """
    if output is None or not output.is_symlink() or (output.exists() and not output.is_file()):
        return output
    file = Path(os.path.realpath(output))
    if file.is_symlink():
        raise RefusedError(f"{output}: a link that leads to itself")
    if not file.parent.is_dir():
        raise RefusedError(f"{file.parent}: no such directory")
    return file


def _written(item: Item) -> list[Path]:
    """Return the paths of all files that a run writes for an item, for good or aside."""
    paths = [item.output, item.side_file]
    if item.output is not None:
        paths += aside(item.output)
    elif item.side_file is not None:
        paths.append(aside(item.side_file).part)
    return [path for path in paths if path is not None]


def _check_side_file(item: Item) -> None:
    """Check that a side file can be written, and is no other file of the run.

    Raises:
        RefusedError: it cannot, or it is.
    """
    side_file, output = item.side_file, item.output
    if side_file is None:
        return
    if side_file.exists() and not side_file.is_file():
        raise RefusedError(f"{side_file}: not a regular file, where the side file would be")
    if (output is None or side_file.parent != output.parent) and not side_file.parent.is_dir():
        raise RefusedError(f"{side_file.parent}: no such directory")
    others = () if output is None else (output, *aside(output))
    if side_file.resolve() in {path.resolve() for path in others}:
        raise RefusedError(f"{side_file} is an output itself; choose another file for --errors")


def _check_apart(sources: Sequence[str], items: Sequence[Item]) -> None:
    """Check that no input is replaced, emptied or removed.

    Raises:
        RefusedError: one is what a run writes.
    """
    inputs = {
        (status.st_dev, status.st_ino)
        for status in (Path(source).stat() for source in sources if source != PIPE)
    }
    for item in items:
        for path in _written(item):
            with suppress(OSError):
                status = path.stat()
                if (status.st_dev, status.st_ino) in inputs:
                    raise RefusedError(f"{path} is the input itself; choose another output")


def _shard(items: Sequence[Item], shard: Shard) -> list[Item]:
    """Return what a shard has of each file: rows that follow one another, over all of them."""
    sizes = [_size(item) for item in items]
    total = sum(sizes)
    low = total * (shard.number - 1) // shard.count
    high = total * shard.number // shard.count
    found, start = [], 0
    for item, size in zip(items, sizes, strict=True):
        part = max(low - start, 0), min(high - start, size)
        # A file without rows is in the shard where it lies; at the very end, in the last one.
        is_here = low <= start < high or (start == high == total)
        if part[0] < part[1] or (not size and is_here):
            found.append(_named(replace(item, part=part), shard))
        start += size
    return found


def _size(item: Item) -> int:
    if item.format == "parquet":
        return int(parquet_module().count_rows(item.source))
    if not item.is_packed:
        return Path(item.source).stat().st_size
    with open_file(item.source, is_packed=True) as stream:
        return sum(iter(lambda: len(stream.read(_COUNT_BYTES)), 0))


def _named(item: Item, shard: Shard) -> Item:
    """Put the shard into the names of its outputs, so that all of them can be in one directory."""
    output, side_file = item.output, item.side_file
    if output is not None:
        extensions = "".join(output.suffixes[-2:] if item.packs else output.suffixes[-1:])
        is_default = side_file == output.with_name(output.name + SIDE_FILE)
        output = _with_infix(output, shard.infix(), extensions)
        if is_default:
            return replace(item, output=output, side_file=output.with_name(output.name + SIDE_FILE))
    if side_file is not None:
        side_file = _with_infix(side_file, shard.infix(), side_file.suffix)
    return replace(item, output=output, side_file=side_file)


def _with_infix(path: Path, infix: str, extensions: str) -> Path:
    return path.with_name(f"{path.name.removesuffix(extensions)}{infix}{extensions}")

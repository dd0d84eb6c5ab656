"""The files to score: their formats, by extension, and their bytes, unpacked."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import BinaryIO, Final, Self, cast

from ..tables.decoding import gzip_problem
from .errors import BulkError, RefusedError
from .job import Format

PIPE: Final = "-"
"""The name of standard input and standard output."""

FORMATS: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
"""Extension → format."""

NAMES: Final[dict[Format, str]] = {
    "csv": "CSV",
    "tsv": "TSV",
    "jsonl": "JSON Lines",
    "parquet": "Parquet",
}

_PACKED: Final = ".gz"
_GZIP_MARK: Final = b"\x1f\x8b"

# What Python's gzip and zlib raise about damaged files.
_DAMAGED: Final = (gzip.BadGzipFile, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class Kind:
    """What an extension, or an option, makes known of a file."""

    format: Format
    is_packed: bool


def kind_of(name: str, form: Format | None = None) -> Kind | None:
    """Return the kind of a file by its name; None if the extension is not known.

    Args:
        name: of the file, or its address.
        form: the format, whatever the extension.

    Raises:
        RefusedError: it is a packed Parquet file.
    """
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    is_packed = suffixes[-1:] == [_PACKED]
    extension = "".join(suffixes[-2:-1] if is_packed else suffixes[-1:])
    found = form or FORMATS.get(extension)
    if found is None:
        return None
    if found == "parquet" and is_packed:
        raise RefusedError(f"{name}: Parquet is packed already. Unpack the file (gunzip)")
    return Kind(found, is_packed)


class Unpacked:
    """A stream of bytes; those of gzip are unpacked. A context manager that closes it.

    Args:
        stream: of the file's bytes.
        name: for messages.
        is_packed: whether it is gzip; None to find out by its first bytes.

    Raises:
        BulkError: the stream cannot be read.
    """

    def __init__(self, stream: BinaryIO, name: str, *, is_packed: bool | None) -> None:
        self._name, self._stored = name, stream
        self._pushed = b""
        self._stream = stream
        if is_packed is None:
            first = stream.read(len(_GZIP_MARK))
            self._pushed = first
            if first == _GZIP_MARK:
                # gzip wants to read its first bytes.
                self._stream, self._pushed = cast("BinaryIO", _Pushed(first, stream)), b""
                is_packed = True
        if is_packed:
            self._stream = cast("BinaryIO", gzip.GzipFile(fileobj=self._stream))

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most so many; none at the end.

        Raises:
            BulkError: gzip is damaged or incomplete, or the stream cannot be read.
        """
        if self._pushed:
            data, self._pushed = self._pushed[:size], self._pushed[size:]
            return data
        with self._readable_errors():
            return self._stream.read(size)

    def push_back(self, data: bytes) -> None:
        """Put bytes that were read in front of those that follow."""
        self._pushed = data + self._pushed

    def skip(self, offset: int) -> None:
        """Go to an offset of the unpacked bytes: of gzip by reading on.

        Raises:
            BulkError: see `read`.
        """
        self._pushed = b""
        with self._readable_errors():
            self._stream.seek(offset)

    def position(self) -> int:
        """Return how many bytes of the file as it is stored have been read."""
        return self._stored.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
        self._stored.close()

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            raise BulkError(
                f"{self._name}: damaged or incomplete gzip: {gzip_problem(error)}"
            ) from None
        except OSError as error:
            raise BulkError(f"{self._name}: cannot be read: {error.strerror or error}") from error


def open_file(name: str, *, is_packed: bool | None) -> Unpacked:
    """Open a file, or standard input.

    Args:
        name: its path, or `PIPE`.
        is_packed: whether it is gzip; None to find out.

    Raises:
        BulkError: it cannot be read, or there is no standard input.
    """
    if name == PIPE:
        if sys.stdin is None:
            raise BulkError("standard input is closed")
        return Unpacked(sys.stdin.buffer, "standard input", is_packed=is_packed)
    try:
        return Unpacked(Path(name).open("rb"), name, is_packed=is_packed)
    except OSError as error:
        raise BulkError(f"{name}: cannot be read: {error.strerror or error}") from error


class _Pushed(io.RawIOBase):
    """A stream with bytes in front of it."""

    def __init__(self, first: bytes, stream: BinaryIO) -> None:
        super().__init__()
        self._first, self._stream = first, stream

    def read(self, size: int = -1) -> bytes:
        if self._first:
            data, self._first = self._first, b""
            return data
        return self._stream.read(size)

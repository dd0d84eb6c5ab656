"""Read a file, or its bytes, as a table: the format follows from the file's extension."""

import codecs
import errno
import hashlib
from pathlib import Path
from typing import Final

from ..files import read_bounded
from .decoding import DecodingError, check_encoding, unpack
from .delimited import delimiter_named
from .formats import READERS, File
from .table import Table, TableError

MAX_FILE_BYTES: Final = 2_000_000_000
"""The most bytes that a file may have: its rows are held in memory several times."""

_SPREADSHEETS: Final = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")


def read(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Read a regular file, see `parse`.

    Raises:
        TableError: the file cannot be read, is a directory, a device or a pipe, or has more than
            `MAX_FILE_BYTES`; or `parse` refuses it.
    """
    check_options(path, encoding=encoding, delimiter=delimiter)  # before the file is opened
    try:
        data = read_bounded(path, MAX_FILE_BYTES)
    except OSError as error:
        advice = "Use a part of it" if error.errno == errno.EFBIG else "Check the path"
        raise TableError(f"{path}: cannot be read: {error.strerror}. {advice}.") from error
    return parse(data, path, encoding=encoding, delimiter=delimiter)


def parse(
    data: bytes, path: Path, *, encoding: str | None = None, delimiter: str | None = None
) -> Table:
    """Read the rows from a file's bytes.

    Blank lines are skipped; an empty file has neither columns nor rows. CSV and TSV name their
    columns on the first line. White space around those names is removed, values stay as they are.
    A CSV file whose first line has no comma, but semicolons, tabs or vertical bars, is separated by
    these. A value of CSV has at most `csv.field_size_limit()` characters.

    Args:
        data: the file's content.
        path: for the format, by its extension (``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``,
            ``.json``, ``.parquet``; all but the last also with ``.gz``), and for messages.
        encoding: of the text, by default UTF-8; a byte order mark is not part of the text.
        delimiter: between the columns of CSV and TSV: a character, or ``tab``.

    Raises:
        TableError: the extension is unknown, an option does not suit the format, the content is
            not text in the encoding, the header of a CSV or a Parquet file is invalid, gzip is
            damaged or holds more than `decoding.MAX_UNPACKED_BYTES`, or pyarrow, which Parquet
            needs, is not installed.
    """
    check_options(path, encoding=encoding, delimiter=delimiter)
    extension, is_packed = _extension(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if is_packed:
        try:
            data = unpack(data)
        except DecodingError as error:
            raise TableError(f"{path}: {error}.") from error
    file = File(path, data, sha256, encoding, delimiter and delimiter_named(delimiter))
    has_content = data.removeprefix(codecs.BOM_UTF8).strip()
    return READERS[extension](file) if has_content else file.empty()


def check_options(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> None:
    """Check how a file is to be read, without reading it.

    Raises:
        TableError: the extension is unknown, or an option does not suit the format.
    """
    extension, is_packed = _extension(path)
    if extension in _SPREADSHEETS:
        raise TableError(
            f"{path}: spreadsheets are not read. Export it as CSV: in a spreadsheet program, save "
            "it as “CSV UTF-8”."
        )
    if extension not in READERS or (is_packed and extension == ".parquet"):
        raise TableError(
            f"{path}: unsupported extension {''.join(path.suffixes[-2:])!r}; supported: "
            f"{', '.join(READERS)}, and all but the last with .gz. "
            "Rename the file, or save it in one of these formats."
        )
    if encoding is not None and extension == ".parquet":
        raise TableError(f"{path}: Parquet has no text encoding. Omit --encoding.")
    if encoding is not None:
        try:
            check_encoding(encoding)
        except DecodingError as error:
            raise TableError(f"{path}: {error}.") from None
    if delimiter is not None:
        if extension not in {".csv", ".tsv"}:
            raise TableError(f"{path}: only CSV and TSV have a delimiter. Omit --delimiter.")
        try:
            delimiter_named(delimiter)
        except ValueError as error:
            raise TableError(f"{path}: {error}") from None


def _extension(path: Path) -> tuple[str, bool]:
    """Return the extension that names the format, and whether ``.gz`` follows it."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    is_packed = suffixes[-1:] == [".gz"]
    return "".join(suffixes[-2:-1] if is_packed else suffixes[-1:]), is_packed

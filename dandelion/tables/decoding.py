"""From the bytes of a file to its text: gzip, encodings, and files that are not text.

Example:
    >>> decode("£5".encode("cp1252"), "cp1252")
    '£5'
"""

import codecs
import gzip
import io
import re
import zlib
from typing import Final

MAX_UNPACKED_BYTES: Final = 500_000_000
"""The most bytes that a gzip file may hold: it can unpack to a thousand times its size."""

_CHUNK_BYTES: Final = 2**20

# An encoding of host names, which limits their length, is none of files.
_PROBE: Final = "More characters than a part of a host name may have, which are sixty-three.\n"

# Where there are no other bytes, as in ISO-2022-JP, this makes two bytes one character.
_SHIFT: Final = b"\x1b$B!!\x1b(B"

# The most that is quoted of an encoding's name.
_NAME_CHARS: Final = 40

# A longer mark comes before the shorter one that it starts with.
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# How files of other formats start.
_SIGNATURES: Final = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet, not text. Export it as CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a spreadsheet, not text. Export it as CSV"),
    (b"\x1f\x8b", "compressed with gzip. Add .gz to its name"),
    (b"PAR1", "a Parquet file. Name it .parquet"),
)


class DecodingError(Exception):
    """Bytes that cannot be unpacked or decoded; the message continues ``<file>: ``."""


def unpack(data: bytes) -> bytes:
    """Unpack gzip.

    Raises:
        DecodingError: the bytes are not gzip, are damaged or incomplete, or hold more than
            `MAX_UNPACKED_BYTES`.
    """
    pieces, size = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while piece := file.read(_CHUNK_BYTES):
                size += len(piece)
                if size > MAX_UNPACKED_BYTES:
                    raise DecodingError(
                        f"holds more than {MAX_UNPACKED_BYTES:,} bytes, the most that is "
                        "unpacked. Unpack it yourself, if you trust it, or use a part of it"
                    )
                pieces.append(piece)
    except (OSError, EOFError, zlib.error) as error:
        problem = gzip_problem(error)
        raise DecodingError(f"damaged or incomplete gzip: {problem}. Compress it again") from None
    return b"".join(pieces)


def gzip_problem(error: Exception) -> str:
    """Return what is wrong with gzip, without the bytes that Python's message may quote."""
    if isinstance(error, gzip.BadGzipFile) and str(error).startswith("Not a gzipped file"):
        return "it is something else, or something else follows it"
    return str(error)


def check_encoding(name: str) -> None:
    """Check that an encoding is one of text files.

    In such an encoding, what is encoded piece by piece can be decoded as a whole, and a backslash
    does not change how the bytes after it are read. Python has others: of host names (``idna``,
    ``punycode``), of its own source code (``unicode_escape``), and those that are not from bytes
    to text (``hex``, ``rot13``).

    Raises:
        DecodingError: there is no such encoding, or it is another one.
    """
    try:
        piece = _PROBE.encode(name)
        whole = (piece + piece).decode(name).replace("\ufeff", "")
        escaped, plain = (start + b"u0041.." for start in (b"\\", b"/"))
        is_fit = whole == _PROBE * 2 and (
            escaped.decode(name, "replace")[1:] == plain.decode(name, "replace")[1:]
        )
    except (LookupError, ValueError):
        is_fit = False
    if not is_fit:
        raise DecodingError(
            f"{name[:_NAME_CHARS]!r} is not an encoding of text files. Encodings are, for example, "
            "utf-8, utf-16, cp1252 and gb18030 (--encoding)"
        )


def single_byte_encoding(name: str) -> str | None:
    """Return the usual name of an encoding with one byte for each character, which extends ASCII.

    So rows and fields are found by their bytes, and what is decoded can be encoded again. None for
    UTF-8, which is the default.

    Raises:
        DecodingError: it is another encoding, or none of text files.

    Example:
        >>> single_byte_encoding("Windows-1252"), single_byte_encoding("UTF-8")
        ('cp1252', None)
    """
    check_encoding(name)
    usual = codecs.lookup(name).name
    if usual in {"utf-8", "utf-8-sig"}:
        return None
    every = bytes(range(256)) + _SHIFT
    try:
        text = every.decode(usual, "surrogateescape")
        is_fit = (
            len(text) == len(every)
            and text[:128] == every[:128].decode("ascii")
            and text.encode(usual, "surrogateescape") == every
        )
    except ValueError:
        is_fit = False
    if not is_fit:
        raise DecodingError(
            f"{name[:_NAME_CHARS]!r} is not one of the encodings with one byte for each character, "
            f"such as cp1252. Convert the file first: iconv -f {name[:_NAME_CHARS]} -t utf-8"
        )
    return usual


def decode(data: bytes, encoding: str | None = None) -> str:
    """Decode text, without a byte order mark.

    Args:
        data: the bytes.
        encoding: one that `check_encoding` accepts; by default UTF-8.

    Raises:
        DecodingError: `check_encoding` refuses the encoding, or the bytes are not text in it. The
            message names the first wrong byte, and an encoding that may be the right one.
    """
    if encoding is None:
        require_text(data)
    else:
        check_encoding(encoding)
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        raise _not_decodable(data, error, encoding) from None
    except ValueError as error:
        raise DecodingError(f"not {encoding}: {error}. Give another --encoding") from None
    return text.removeprefix("\ufeff")


def require_text(data: bytes, *, takes_encoding: bool = True) -> None:
    """Refuse what is not text, or text of an encoding that is easy to recognize.

    Args:
        data: the file, or its beginning.
        takes_encoding: whether the command has an option for the encoding, for the message.

    Raises:
        DecodingError: the bytes are that.
    """
    for start, what in _SIGNATURES:
        if data.startswith(start):
            raise DecodingError(f"it is {what}")
    guess = _utf_16_or_32(data)
    if guess:
        advice = (
            f"Give --encoding {guess}, or save the file as UTF-8"
            if takes_encoding
            else f"Save the file as UTF-8, or convert it: iconv -f {guess} -t utf-8"
        )
        raise DecodingError(f"not UTF-8, but {guess}. {advice}")


def _utf_16_or_32(data: bytes) -> str | None:
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return name
    # Without a mark: in UTF-16, every other byte of most languages' spaces and line ends is zero.
    even, odd = data[::2].count(0), data[1::2].count(0)
    if max(even, odd) <= len(data) // 5:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _not_decodable(data: bytes, error: UnicodeDecodeError, encoding: str | None) -> DecodingError:
    # A decoder may count from where it was given bytes: after the mark of utf-8-sig.
    position = error.start + len(data) - len(error.object)
    before = data[:position].decode(encoding or "utf-8", "replace")
    line = 1 + len(re.findall("\r\n|\r|\n", before))
    byte = data[position : position + 1].hex()
    where = f"line {line}, byte {position} of the file (counted from 0) is 0x{byte}"
    if encoding is not None:
        return DecodingError(f"not {encoding}: {where}. Give another --encoding")
    # Latin scripts are mostly ASCII.
    is_latin = sum(byte > 0x7F for byte in data[:_CHUNK_BYTES]) * 4 < len(data[:_CHUNK_BYTES])
    likely = (
        "cp1252 (Windows, Western European): --encoding cp1252"
        if is_latin
        else "cp1251, gb18030 or shift_jis: give it with --encoding"
    )
    return DecodingError(f"not UTF-8: {where}. Save the file as UTF-8; or it may be {likely}")

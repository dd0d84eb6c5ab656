"""Requests as bytes: bodies of a given size, and whole HTTP requests."""

from collections.abc import Iterator
from typing import Final

MAX_BODY: Final = 8_000_000  # the default of DANDELION_MAX_BODY_BYTES
MAX_TEXT: Final = 100_000  # of DANDELION_MAX_TEXT_CHARS
MAX_TEXTS: Final = 4096  # of DANDELION_MAX_TEXTS

# Eighteen characters under Unicode's NFKC, the longest expansion there is; three bytes in UTF-8.
EXPANDING: Final = "\ufdfa"

_SENTENCE: Final = "Are we still meeting for lunch tomorrow at 12, or is it too early? Call me. "
_MODEL: Final = "/classify/spam"


def filled(start: bytes, unit: bytes, end: bytes, size: int = MAX_BODY) -> bytes:
    """Return a body that repeats ``unit``, separated by commas, up to ``size`` bytes.

    Example:
        >>> filled(b'{"texts":[', b'""', b']}', 20)
        b'{"texts":["","",""]}'
    """
    count = (size - len(start) - len(end) + 1) // (len(unit) + 1)
    return start + b",".join([unit] * count) + end


def of_texts(*texts: str) -> bytes:
    """Return a body of texts without characters that JSON would escape."""
    return ('{"texts":["' + '","'.join(texts) + '"]}').encode()


def valid(size: int = MAX_BODY) -> bytes:
    """Return a valid body of about ``size`` bytes, with as many texts as are allowed."""
    chars = size // MAX_TEXTS - 4
    return of_texts(*([(_SENTENCE * (chars // len(_SENTENCE) + 1))[:chars]] * MAX_TEXTS))


def short_texts(count: int) -> bytes:
    """Return a valid body of ``count`` short texts."""
    return of_texts(*([_SENTENCE.strip()] * count))


def with_emoji() -> bytes:
    """Return a valid body of the largest size, whose texts take four bytes a character."""
    chars = MAX_BODY // MAX_TEXTS - 8
    text = "😀" + (_SENTENCE * (chars // len(_SENTENCE) + 1))[:chars]
    return of_texts(*([text] * MAX_TEXTS))


def post(body: bytes, *headers: str, path: str = _MODEL) -> bytes:
    """Return a whole request."""
    return head(*headers, f"Content-Length: {len(body)}", path=path) + body


def head(*headers: str, path: str = _MODEL) -> bytes:
    """Return a request up to the end of its headers."""
    lines = [f"POST {path} HTTP/1.1", "Host: soak", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(body: bytes, size: int, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    """Return a whole request whose body comes in chunks.

    Args:
        body: the content.
        size: of a chunk.
        extension: of each chunk, with its semicolon.
        trailers: header lines after the last chunk.
    """
    return b"".join(
        [head("Transfer-Encoding: chunked"), *_chunks(body, size, extension), trailers, b"\r\n"]
    )


def _chunks(body: bytes, size: int, extension: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        chunk = body[start : start + size]
        yield b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk)
    yield b"0\r\n"

"""``Upgrade`` is ignored, as a server may (RFC 9110, section 7.8).

The parser ends at the headers of such a request, and takes what follows for another protocol. So
the headers are parsed again, without ``Upgrade``, by a new parser: the old one may expect nothing
more.
"""

from collections.abc import Sequence

from httptools import HttpRequestParser

from .limits import malformed


def head_without_upgrade(
    parser: HttpRequestParser, url: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> bytes:
    """Return a request up to its body as it was sent, but without ``Upgrade``.

    Args:
        parser: has parsed it.
        url: of the request.
        headers: names in lower case, and values.

    Raises:
        Refused: 400, the method is CONNECT.
    """
    method = parser.get_method()
    if method == b"CONNECT":  # this is no proxy
        raise malformed()
    lines = [
        b"%s %s HTTP/%s" % (method, url, parser.get_http_version().encode()),
        *(b"%s: %s" % header for header in headers if header[0] != b"upgrade"),
    ]
    return b"\r\n".join([*lines, b"", b""])


def new_parser(protocol: object) -> HttpRequestParser:
    """Return a parser that calls ``protocol``, as uvicorn creates it.

    It discards what follows a request with ``Connection: close``.
    """
    parser = HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser

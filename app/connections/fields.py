"""What a request line and header fields must be, beyond what the parser checks."""

import httptools

from .. import errors
from ..telemetry.metrics import Refusal
from .limits import Headers, Refused, malformed


def check_fields(headers: Headers, parser: httptools.HttpRequestParser) -> bool:
    """Check a request's version, ``Host`` and ``Transfer-Encoding``.

    Args:
        headers: names in lower case, and values.
        parser: has parsed them.

    Returns:
        Whether the version is HTTP/1.1, else it is HTTP/1.0.

    Raises:
        Refused: 400; another version, no ``Host`` or several (RFC 9112, section 3.2), a transfer
            coding in addition to ``chunked`` (section 6.1).
    """
    hosts = 0
    # The parser builds a string for the version, so it is asked only if that may be another one.
    may_be_old = not parser.should_keep_alive()
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"connection":
            may_be_old = True
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            raise Refused(Refusal.MALFORMED, errors.unsupported_coding())
    version = parser.get_http_version() if may_be_old or hosts != 1 else "1.1"
    if version not in {"1.0", "1.1"} or hosts > 1 or (not hosts and version == "1.1"):
        raise malformed()
    return version == "1.1"


def with_path(url: bytes) -> bytes:
    """Return the URL of a request with a path: ``http://a?b`` is ``/?b`` (RFC 9112, section 3.2).

    Args:
        url: valid; other forms, such as ``*``, and URLs that have a path are returned as they are.
    """
    parsed = httptools.parse_url(url)
    if parsed.path:
        return url
    return b"/" if parsed.query is None else b"/?" + parsed.query

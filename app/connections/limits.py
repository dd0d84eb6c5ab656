"""The limits on a request's URL and headers, and on what frames its body."""

from collections.abc import Sequence
from typing import Final

from .. import errors
from ..errors import Problem
from ..settings import Settings
from ..telemetry.metrics import Refusal

# Method, version and line ends of the first line.
_FIRST_LINE_BYTES: Final = 64
# Of chunks of 24 bytes and more, the frames are a smaller part of the body than one of these.
_FRAMING_SHARE: Final = 4

Headers = Sequence[tuple[bytes, bytes]]


class Refused(Exception):  # noqa: N818 - a decision
    """A request is refused.

    Args:
        reason: for the metrics.
        problem: the response.
    """

    def __init__(self, reason: Refusal, problem: Problem) -> None:
        super().__init__(reason)
        self.reason = reason
        self.problem = problem


class Limits:
    """Checks the parts of a request that the parser has found.

    Args:
        settings: of the service.

    Attributes:
        max_head_bytes: of everything before the body, as it is sent.
        max_header_bytes: of the header fields, and of what frames a chunked body.
    """

    def __init__(self, settings: Settings) -> None:
        self.max_header_bytes = settings.max_header_bytes
        self.max_head_bytes = settings.max_url_bytes + settings.max_header_bytes + _FIRST_LINE_BYTES
        self._max_url_bytes = settings.max_url_bytes
        self._max_headers = settings.max_headers

    def check_url(self, url: bytes) -> None:
        """Check a URL, or its beginning.

        Raises:
            Refused: 414.
        """
        if len(url) > self._max_url_bytes:
            raise Refused(Refusal.URL_TOO_LONG, errors.uri_too_long(self._max_url_bytes))

    def check_head(self, url: bytes, headers: Headers, *, may_be_large: bool) -> None:
        """Check everything before the body.

        Args:
            url: of the request.
            headers: names and values.
            may_be_large: whether to compute their size, in which each colon is followed by a space.

        Raises:
            Refused: 414 or 431.
        """
        if len(url) > self._max_url_bytes:
            self.check_url(url)
        if len(headers) > self._max_headers:
            raise _headers_too_large(f"{self._max_headers} fields")
        if may_be_large:
            size = sum(len(name) + len(value) + len(": \r\n") for name, value in headers)
            if size > self.max_header_bytes:
                raise self.head_too_large()

    def check_framing(self, framing_bytes: int, body_bytes: int) -> None:
        """Check what frames a chunked body: extensions, trailers, sizes.

        Args:
            framing_bytes: all but the body.
            body_bytes: of the body, so far.

        Raises:
            Refused: 400.
        """
        if framing_bytes > self.max_header_bytes + body_bytes // _FRAMING_SHARE:
            raise self._framing_too_large()

    def head_too_large(self) -> Refused:
        """Return the refusal of header fields because of their size: 431."""
        return _headers_too_large(f"{self.max_header_bytes} bytes")

    def _framing_too_large(self) -> Refused:
        problem = errors.framing_too_large(self.max_header_bytes)
        return Refused(Refusal.FRAMING_TOO_LARGE, problem)


def malformed() -> Refused:
    """Return the refusal of what is not HTTP/1.1: 400."""
    return Refused(Refusal.MALFORMED, errors.malformed())


def _headers_too_large(limit: str) -> Refused:
    return Refused(Refusal.HEADERS_TOO_LARGE, errors.headers_too_large(limit))

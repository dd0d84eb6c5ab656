"""Who may send what: the scope of API keys that each path requires.

The rules deny by default. What is stricter than ``classify`` goes by how a path begins, what is
public by the whole path. So a path that a router reads more generously than these rules (a slash or
a line feed at its end) needs a key with the stricter scope, or a key at all.
"""

import re
from typing import Final
from urllib.parse import unquote_plus

from starlette.types import ASGIApp, Receive, Scope, Send

from dandelion.api_keys import Access

from .. import errors
from ..errors import Problem
from ..serving.keys import Keys
from ..telemetry.metrics import Denial, Metrics
from . import problems

# Beginning of paths → what they require.
_RESTRICTED: Final = (("/metrics", Access.METRICS), ("/admin", Access.ADMIN))
_PUBLIC: Final = frozenset(
    {"/", "/livez", "/readyz", "/healthz", "/docs", "/favicon.ico", "/openapi.json"}
)
_PUBLIC_FILES: Final = "/static/"
# Health in the Open Inference Protocol.
_PUBLIC_HEALTH: Final = re.compile(
    r"/v2/health/(?:live|ready)|/v2/models/[^/]+(?:/versions/[^/]+)?/ready"
)
_READING: Final = frozenset({"GET", "HEAD"})

_QUERY_KEY_PREFIXES: Final = ("/v1alpha1/", "/$discovery/")
"""Where ``?key=`` is a key: the clients of the Perspective API send it so."""
_QUERY_KEY: Final = "key"

_AUTHORIZATION: Final = b"authorization"
_API_KEY: Final = b"x-api-key"
_BEARER: Final = b"bearer"


def required(method: str, path: str) -> Access | None:
    """Return the scope that a request requires; None if it needs no key.

    Args:
        method: such as ``GET``.
        path: decoded, without the prefix at a proxy.

    Example:
        >>> required("GET", "/metrics")
        <Access.METRICS: 'metrics'>
    """
    for beginning, access in _RESTRICTED:
        if path.startswith(beginning):
            return access
    if method in _READING and (
        path in _PUBLIC or path.startswith(_PUBLIC_FILES) or _PUBLIC_HEALTH.fullmatch(path)
    ):
        return None
    return Access.CLASSIFY


class AccessMiddleware:
    """Lets a request pass if the API key that it presents allows it; sets ``scope["caller"]``.

    It is where the routes' paths are final, so both read the same path, and inside of what adds
    request ids and CORS headers to its errors. It never reads a body.

    Args:
        app: handles the requests.
        keys: that are configured, at least one.
        metrics: count the denied requests.
    """

    def __init__(self, app: ASGIApp, keys: Keys, metrics: Metrics) -> None:
        self._app = app
        self._keys = keys
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except Problem as problem:
                await problems.response(problem, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Find the caller.

        Raises:
            Problem: 400, 401 or 403.
        """
        presented = _presented(scope)
        access = required(scope["method"], scope["path"])
        if access is None:
            return
        if not presented:
            self._metrics.count_denial(Denial.NO_KEY)
            raise errors.no_key()
        if len(presented) > 1:
            self._metrics.count_denial(Denial.UNKNOWN_KEY)
            raise errors.several_keys()
        key = self._keys.find(*presented)
        if key is None:
            self._metrics.count_denial(Denial.UNKNOWN_KEY)
            raise errors.unknown_key()
        if access not in key.scopes:
            self._metrics.count_denial(Denial.SCOPE)
            raise errors.missing_scope(access)
        scope["caller"] = key


def _presented(scope: Scope) -> set[bytes]:
    """Return the different keys of a request, and remove the one in the query from the scope.

    RFC 6750 has ``Authorization: Bearer``. Other schemes are a proxy's business.
    """
    found: set[bytes] = set()
    for name, value in scope["headers"]:
        if name == _API_KEY:
            found.add(value.strip())
        elif name == _AUTHORIZATION:
            scheme, _, token = value.strip().partition(b" ")
            if scheme.lower() == _BEARER:
                found.add(token.strip())
    if scope["query_string"] and scope["path"].startswith(_QUERY_KEY_PREFIXES):
        found |= cut_query_keys(scope)
    found.discard(b"")
    return found


def cut_query_keys(scope: Scope) -> set[bytes]:
    """Return each ``key`` of the query, and remove it: a URL may be logged or traced."""
    found, kept = set(), []
    for parameter in scope["query_string"].split(b"&"):
        name, _, value = parameter.partition(b"=")
        if unquote_plus(name.decode("latin-1")) == _QUERY_KEY:
            found.add(unquote_plus(value.decode("latin-1")).encode())
        else:
            kept.append(parameter)
    scope["query_string"] = b"&".join(kept)
    return found

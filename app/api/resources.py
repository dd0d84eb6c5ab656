"""Wraps the routes of the framework: HEAD, the prefix, default headers."""

from collections.abc import Iterable
from http import HTTPMethod
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Of responses that are no page: nothing in them is to be loaded, run or framed.
_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# What has an entity tag may be kept, but must be compared; all else changes from call to call.
_REVALIDATE: Final = (b"cache-control", b"no-cache")
_NO_STORE: Final = (b"cache-control", b"no-store")


class ResourceMiddleware:
    """Serves HEAD wherever there is GET, and completes the headers of each response.

    HEAD gets the response to GET without its body (RFC 9110, section 9.3.2).

    Args:
        app: the framework.
        root_path: the prefix that paths have at a proxy, which is not in ``scope["path"]``.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # As ASGI defines them: the path begins with the root path.
        path = self._root_path + scope["path"]
        inner = {**scope, "root_path": self._root_path, "path": path}
        if is_head := scope["method"] == HTTPMethod.HEAD:
            inner["method"] = "GET"

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_missing(message["headers"])]
            elif is_head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        await self._app(inner, receive, complete)


def _missing(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    names = {name for name, _ in headers}
    caching = _REVALIDATE if b"etag" in names else _NO_STORE
    return [header for header in (_POLICY, caching) if header[0] not in names]


class PrefixMiddleware:
    """Removes a prefix from paths: some proxies do so, others pass it on.

    Args:
        app: handles the requests.
        prefix: such as ``/dandelion``.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if path == self._prefix or path.startswith(f"{self._prefix}/"):
                scope["path"] = path.removeprefix(self._prefix) or "/"
        await self._app(scope, receive, send)

"""How the client reaches the service: its URL, key and library for HTTP."""

import re
from importlib import metadata
from types import ModuleType
from typing import Any, Final

from ..installation import pip_install
from .calls import Failure, Send

DEFAULT_URL: Final = "http://127.0.0.1:8000"

_KEY: Final = re.compile(r"[\x21-\x7e]+")
# To connect, at most; a request may take longer.
_CONNECT_S: Final = 5.0


def library() -> ModuleType:
    """Return the library for HTTP, which only the client needs.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        import httpx2  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "dandelion.client needs httpx2, which the extra 'client' brings. Install it: "
            f"{pip_install('dandelion-text[client]')}",
            name=error.name,
        ) from None
    return httpx2


def settings(base_url: str, api_key: str | None, timeout_s: float) -> dict[str, Any]:
    """Return the settings of a client of the library.

    Args:
        base_url: of the service, with the prefix of its paths, if any.
        api_key: sent with each request; None for none.
        timeout_s: seconds that one request may take.

    Raises:
        ValueError: the key has a character that no header may have; it is not repeated.
    """
    headers = {"user-agent": f"dandelion-text/{metadata.version('dandelion-text')}"}
    if api_key is not None:
        if not _KEY.fullmatch(api_key):
            raise ValueError("the API key is empty, or has a character other than ! to ~ in ASCII")
        headers["authorization"] = f"Bearer {api_key}"
    return {
        "base_url": base_url,
        "headers": headers,
        "timeout": _timeout(timeout_s),
        "follow_redirects": False,  # the key is for this service alone
    }


def request(send: Send) -> dict[str, Any]:
    """Return the arguments with which the library sends a request."""
    return {
        "method": send.method,
        "url": send.path,
        "params": dict(send.parameters) or None,
        "content": send.content,
        "headers": None if send.content is None else {"content-type": "application/json"},
        "timeout": _timeout(send.timeout_s),
    }


def failure(error: Exception) -> Failure:
    """Return why there is no response, without anything of the request."""
    name = type(error).__name__
    # Their messages may quote the request; all others are those of the operating system.
    if isinstance(error, library().UnsupportedProtocol | library().LocalProtocolError):
        return Failure(name, is_final=True)
    is_final = not isinstance(error, library().TransportError)
    return Failure(f"{name}: {error}" if str(error) else name, is_final)


def shown(url: Any) -> str:
    """Return a URL of the library without a user's name and password."""
    return f"{url.scheme}://{url.netloc.decode()}{url.path}"


def _timeout(seconds: float) -> Any:
    return library().Timeout(seconds, connect=min(seconds, _CONNECT_S))

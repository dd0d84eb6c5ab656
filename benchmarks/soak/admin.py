"""Asking a running service to replace what it serves, and what it serves and has counted."""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any, Final

from ..machine import BenchmarkError

_PATIENCE_S: Final = 60
_POLL_S: Final = 0.02


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Send a request on a new connection; returns status and body.

    Raises:
        OSError, HTTPException: there is no response.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


async def begin(port: int) -> int:
    """Begin a reload; returns its generation.

    Raises:
        BenchmarkError: it is refused.
    """
    status, body = await asyncio.to_thread(ask, port, "POST", "/admin/reload")
    if status != 202:
        raise BenchmarkError(f"POST /admin/reload: {status}")
    return int(json.loads(body)["generation"])


async def outcome(port: int, generation: int) -> Mapping[str, Any]:
    """Wait until a generation serves or has failed; returns its report.

    Raises:
        BenchmarkError: it does neither.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        status, body = await asyncio.to_thread(ask, port, "GET", f"/admin/reloads/{generation}")
        found: dict[str, Any] = json.loads(body)
        if status == 200 and found["state"] != "loading":
            return found
        await asyncio.sleep(_POLL_S)
    raise BenchmarkError(f"generation {generation} neither serves nor has failed")


async def reload(port: int) -> Mapping[str, Any]:
    """Reload; returns the report."""
    return await outcome(port, await begin(port))


async def models(port: int) -> Any:
    """Return what ``/models`` lists."""
    _, body = await asyncio.to_thread(ask, port, "GET", "/models")
    return json.loads(body)["models"]


async def workers(port: int) -> list[Mapping[str, Any]]:
    """Return the generations of the workers, as ``/models`` shows them."""
    _, body = await asyncio.to_thread(ask, port, "GET", "/models")
    found: list[Mapping[str, Any]] = json.loads(body)["workers"]
    return found


async def settled(port: int, number: int) -> None:
    """Wait until ``number`` workers of one generation serve, and no others.

    Raises:
        BenchmarkError: they do not.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        found = await workers(port)
        if len(found) == 1 and found[0]["workers"] == number:
            return
        await asyncio.sleep(_POLL_S)
    raise BenchmarkError(f"{found} instead of {number} workers of one generation")


def metrics(port: int) -> str:
    """Return ``/metrics``."""
    return ask(port, "GET", "/metrics")[1].decode()


def total(text: str, name: str) -> float:
    """Return the sum of a metric over all its labels.

    Example:
        >>> total('a_total{b="c"} 2.0\\na_total{b="d"} 1.0\\nab_total 9.0\\n', "a_total")
        3.0
    """
    pattern = re.compile(rf"^{name}(?:\{{.*\}})? ([0-9.e+]+)$", re.MULTILINE)
    return sum(map(float, pattern.findall(text)))

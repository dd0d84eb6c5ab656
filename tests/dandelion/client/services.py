"""A service that is made up: it answers the client of httpx2, in this process."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx2

from dandelion.client import AsyncClient, Client, Result, Retries

KEY = "dk_secret-7f3a9"
# No wait between attempts.
AT_ONCE = Retries(first_wait_s=0, max_wait_s=0.01)

Respond = Callable[[httpx2.Request], httpx2.Response]


def problem(status: int, pointer: str = "", **members: Any) -> httpx2.Response:
    """Return an error as the service writes it."""
    content = {"type": "about:blank", "title": "Refused", "status": status}
    content |= {"detail": "It is refused.", "request_id": "7f3a9"} | members
    if pointer:
        content["errors"] = [{"pointer": pointer, "detail": "Expected something else"}]
    return httpx2.Response(status, json=content)


class MadeUp:
    """Scores each text by its length; has limits, and fails as it is told before that.

    Args:
        max_texts: the number of texts in a request at most.
        max_bytes: the size of a body at most.
        max_chars: the characters of all texts of a request at most.
        failures: statuses or exceptions, for the first requests.
    """

    def __init__(
        self,
        *,
        max_texts: int = 10_000,
        max_bytes: int = 10_000_000,
        max_chars: int = 10_000_000,
        failures: Sequence[int | httpx2.Response | type[Exception]] = (),
    ) -> None:
        self.max_texts = max_texts
        self.max_bytes = max_bytes
        self.max_chars = max_chars
        self.failures = list(failures)
        self.requests: list[httpx2.Request] = []
        self.accepted: list[list[str]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, httpx2.Response):
                return failure
            if isinstance(failure, int):
                return problem(failure)
            raise failure("it failed")
        if len(request.content) > self.max_bytes:
            return problem(413)
        content = json.loads(request.content)
        texts = content["texts"]
        if len(texts) > self.max_texts:
            return problem(422, "#/texts")
        chars = 0
        for position, text in enumerate(texts):
            chars += len(text)
            if chars > self.max_chars:
                return problem(422, f"#/texts/{position}")
        self.accepted.append(texts)
        return httpx2.Response(200, json=response([{"label": t, "score": len(t)} for t in texts]))

    async def respond(self, request: httpx2.Request) -> httpx2.Response:
        """Respond at another time than other requests that came before."""
        await asyncio.sleep(0 if len(self.requests) % 2 else 0.001)
        return self(request)


def response(results: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    """Return the body of a response of the service."""
    found = {"model": "spam", "variant": "tiny", "version": "0c7a5d1f3b2e", "threshold": 0.5}
    return found | members | {"results": results}


def client(service: Respond, **options: Any) -> Client:
    """Return a client of a made-up service."""
    options = {"retries": AT_ONCE, "api_key": KEY} | options
    return Client("http://made.up/prefix", transport=httpx2.MockTransport(service), **options)


def async_client(service: Any, **options: Any) -> AsyncClient:
    """Return an asynchronous client of a made-up service."""
    options = {"retries": AT_ONCE, "api_key": KEY} | options
    return AsyncClient("http://made.up/prefix", transport=httpx2.MockTransport(service), **options)


def classify(
    kind: str, service: MadeUp, texts: Sequence[str], options: Any = None, **call: Any
) -> list[Result]:
    """Classify with the client that blocks, or with the other one."""
    if kind == "blocking":
        with client(service, **options or {}) as one:
            return one.classify("spam", texts, **call)

    async def run() -> list[Result]:
        async with async_client(service.respond, **options or {}) as one:
            return await one.classify("spam", texts, **call)

    return asyncio.run(run())

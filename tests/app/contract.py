"""What holds for every response, and the requests that the tests send."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import httpx2
from fastapi.testclient import TestClient
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message

CANARY = "canary-7f3a9"  # stands for a text that no response, log line or metric may hold

JSON_TYPE = {"content-type": "application/json"}


def assert_problem(response: httpx2.Response, status: int, *parts: str) -> dict[str, Any]:
    """Check the shape of an error response, and that its text contains ``parts``."""
    assert response.status_code == status, response.text
    problem = check_shape(response)
    for part in parts:
        assert part in response.text
    return problem


def check_shape(response: httpx2.Response) -> dict[str, Any]:
    """Check what every error response has in common."""
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    fields = {"type", "title", "status", "detail", "request_id"}
    assert set(problem) - {"errors", "best", "texts_needed"} == fields
    assert problem["type"] == "about:blank"
    assert problem["status"] == response.status_code
    assert problem["title"]
    assert problem["detail"].endswith(".")
    assert problem["request_id"] == response.headers["x-request-id"]
    assert ("errors" in problem) == (response.status_code == 422)
    for error in problem.get("errors", []):
        assert set(error) == {"pointer", "detail"}
        assert error["pointer"].startswith("#")
        assert error["detail"]
    assert CANARY not in response.text + str(response.headers)
    assert "Traceback" not in response.text
    return problem


def check_every_error(client: TestClient) -> None:
    """Check each error response that ``client`` receives from now on."""

    def check(response: httpx2.Response) -> None:
        response.read()
        if response.is_error and response.request.method != "HEAD":
            check_shape(response)

    client.event_hooks = {"response": [check]}


def post(client: TestClient, body: bytes, model: str = "spam") -> httpx2.Response:
    return client.post(f"/classify/{model}", content=body, headers=JSON_TYPE)


def post_in_pieces(app: ASGIApp, pieces: Iterable[bytes]) -> tuple[int, bytes]:
    """Send a body to `spam` piece by piece, which `TestClient` does not; return the response."""
    scope = {"type": "http", "method": "POST", "path": "/classify/spam"}
    scope |= {"headers": [(b"content-type", b"application/json")]}
    waiting = iter(pieces)
    sent: list[Message] = []

    async def receive() -> Message:
        piece = next(waiting, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, body = sent
    return start["status"], body["body"]


async def never() -> Message:
    """ASGI's receive for a client that has sent its body and stays."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError


class Clock:
    """A stopped clock, in place of `time.perf_counter`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)
REQUESTS = st.fixed_dictionaries(
    {"texts": st.lists(st.text(max_size=60), max_size=9)},
    optional={"threshold": st.none() | st.floats(-0.5, 1.5) | st.integers(-1, 2)},
)
ALMOST_REQUESTS = st.fixed_dictionaries(
    {"texts": JSON | st.lists(st.text(max_size=40) | JSON, max_size=10)},
    optional={"threshold": JSON, "more": JSON},
)
BODIES = st.binary(max_size=300) | (JSON | REQUESTS | ALMOST_REQUESTS).map(json.dumps).map(
    str.encode
)

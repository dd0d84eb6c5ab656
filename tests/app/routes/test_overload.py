"""`POST /classify/{model}` beyond its capacity or time, and for clients that are gone."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message

from app.main import create_app
from app.settings import Settings
from app.telemetry.metrics import Metrics
from dandelion import Classifier
from dandelion.engines.choice import EngineChoice

from ...conftest import StartService
from ..conftest import connect
from ..contract import CANARY, JSON_TYPE, assert_problem, check_shape, post

LARGE = 100_000
MANY = json.dumps({"texts": [f"{CANARY} {number}" for number in range(600)]}).encode()
FDFA = "\ufdfa"  # 18 characters after normalization


class Service:
    """The application in this process, called through ASGI, with what it has counted."""

    def __init__(self, artifacts: Path, **settings: Any) -> None:
        self.metrics = Metrics()
        self.app: ASGIApp = create_app(Settings(artifacts=artifacts, **settings), self.metrics)

    @property
    def registry(self) -> CollectorRegistry:
        return self.metrics.registry

    def count(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"dandelion_{name}", labels)

    def responses(self, status: int) -> float | None:
        return self.count("requests_total", model="spam", status=str(status))

    def in_flight(self) -> list[float | None]:
        names = ("requests", "body_bytes", "texts")
        return [self.count(f"in_flight_{name}") for name in names]


class Client:
    """One request: what has been sent to it, and what it is sent."""

    def __init__(self, service: Service, size: int) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.was_read = asyncio.Event()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % size)]
        scope = {"type": "http", "method": "POST", "path": "/classify/spam", "headers": headers}
        self.task = asyncio.create_task(service.app(scope, self.receive, self.send))  # type: ignore[arg-type]

    async def receive(self) -> Message:
        self.was_read.set()
        return await self.messages.get()

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def body(self, content: bytes, *, more: bool = False) -> None:
        self.messages.put_nowait({"type": "http.request", "body": content, "more_body": more})

    def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def response(self) -> tuple[int, dict[str, str], Any]:
        await self.task
        start, body = self.sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return start["status"], headers, json.loads(body["body"] or b"null")


def filled(size: int) -> bytes:
    return b'{"texts": ["a"]}'.ljust(size)


@pytest.mark.parametrize("text", ["a" * 300, "é" * 300])
def test_the_event_loop_classifies_one_batch_at_a_time(made_up: Path, text: str) -> None:
    service = Service(made_up)
    content = json.dumps({"texts": [text]}).encode()

    async def scenario() -> None:
        clients = [Client(service, len(content)) for _ in range(8)]
        for client in clients:
            client.body(content)
        done = [0]
        while done[-1] < len(clients):
            await asyncio.sleep(0)
            done.append(sum(client.task.done() for client in clients))
        # What else waits for the loop, such as a health check, waits for one of them at most.
        assert {later - earlier for earlier, later in pairwise(done)} <= {0, 1}
        assert {(await client.response())[0] for client in clients} == {200}

    asyncio.run(scenario())


def test_bytes_are_reserved_before_a_body_is_read(made_up: Path) -> None:
    service = Service(made_up, max_bytes_in_flight=1, max_body_bytes=LARGE, max_waiting=1)

    async def scenario() -> None:
        first, second = Client(service, LARGE), Client(service, LARGE)
        await first.was_read.wait()
        third = Client(service, LARGE)
        status, headers, problem = await third.response()
        assert (status, headers["retry-after"]) == (429, "1")
        assert problem["detail"] == "The service is at its capacity. Retry in a moment."
        assert not third.was_read.is_set()
        assert not second.was_read.is_set()
        assert service.in_flight() == [2, LARGE, 0]
        assert service.count("waiting_requests") == 1
        assert service.count("waiting_body_bytes") == LARGE
        small = Client(service, 100)
        small.body(filled(100))
        assert (await small.response())[0] == 200
        first.body(filled(LARGE))
        assert (await first.response())[0] == 200
        await second.was_read.wait()
        second.leave()
        assert (await second.response())[0] == 499

    asyncio.run(scenario())
    assert service.count("shed_requests_total", reason="queue_full") == 1
    assert [service.responses(status) for status in (200, 429, 499)] == [2, 1, 1]
    assert service.in_flight() == [0, 0, 0]


def test_a_request_waits_only_so_long(made_up: Path) -> None:
    service = Service(made_up, max_bytes_in_flight=1, max_body_bytes=LARGE, max_wait_ms=20)

    async def scenario() -> None:
        first, second = Client(service, LARGE), Client(service, LARGE)
        assert (await second.response())[0] == 429
        first.body(filled(LARGE))
        assert (await first.response())[0] == 200

    asyncio.run(scenario())
    assert service.count("shed_requests_total", reason="wait") == 1
    assert service.in_flight() == [0, 0, 0]


def test_a_chunked_body_reserves_what_it_may_become_and_keeps_what_it_is(made_up: Path) -> None:
    service = Service(made_up, max_bytes_in_flight=1, max_body_bytes=2 * LARGE, max_wait_ms=20)

    async def scenario() -> None:
        chunked, other = Client(service, 0), Client(service, LARGE)
        chunked.body(b" " * 70_000, more=True)
        assert (await other.response())[0] == 429
        assert service.in_flight() == [1, 2 * LARGE, 0]
        chunked.body(filled(100))
        assert (await chunked.response())[0] == 200

    asyncio.run(scenario())
    assert service.in_flight() == [0, 0, 0]


def test_504_past_the_deadline(made_up: Path) -> None:
    service = Service(made_up, request_timeout_ms=1)
    body = json.dumps({"texts": ["free prize " * 400] * 1000}).encode()

    async def scenario() -> None:
        client = Client(service, len(body))
        client.body(body)
        status, _, problem = await client.response()
        assert status == 504
        assert problem["detail"] == "The request exceeded the time limit of 1 ms."

    asyncio.run(scenario())
    assert service.responses(504) == 1
    assert service.count("shed_requests_total", reason="deadline") == 1
    assert service.count("batch_size_count", model="spam") == 0
    assert service.in_flight() == [0, 0, 0]


def test_the_texts_of_a_client_that_is_gone_are_not_classified(made_up: Path) -> None:
    service = Service(made_up)

    async def scenario() -> None:
        client = Client(service, len(MANY))
        client.body(MANY)
        client.leave()
        assert (await client.response())[0] == 499

    asyncio.run(scenario())
    assert [service.responses(status) for status in (200, 499)] == [0, 1]
    assert service.count("shed_requests_total", reason="client_gone") == 1
    assert service.count("batch_size_count", model="spam") == 0
    assert service.in_flight() == [0, 0, 0]


def test_503_at_the_end_of_the_grace_period(
    made_up: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(made_up)

    async def scenario() -> None:
        client = Client(service, 100)
        await client.was_read.wait()
        client.task.cancel()  # as uvicorn does
        status, headers, problem = await client.response()
        assert (status, headers["content-type"]) == (503, "application/problem+json")
        assert headers["x-request-id"] == problem["request_id"]
        assert problem["detail"] == "The service is shutting down. Retry in a moment."

    asyncio.run(scenario())
    assert service.responses(503) == 1
    assert service.in_flight() == [0, 0, 0]
    assert "Traceback" not in caplog.text


@contextmanager
def limited(engine: EngineChoice, made_up: Path) -> Iterator[TestClient]:
    settings = Settings(
        artifacts=made_up,
        engine=engine,
        max_text_chars=50_000,
        max_request_chars=200_000,
    )
    with connect(settings) as client:
        yield client


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_422_names_the_text_that_is_too_long_after_normalization(
    engine: EngineChoice, made_up: Path
) -> None:
    most = 50_000 // 18
    with limited(engine, made_up) as client:
        for texts, pointer, detail in (
            (["a"] * 25 + [FDFA * (most + 1)], "#/texts/25", "length <= 50000"),
            (["a"] * 600 + [FDFA * (most + 1)], "#/texts/600", "length <= 50000"),
            ([FDFA * most] * 5, "#/texts/4", "at most 200000 characters in all texts"),
            (["a" * 50_000] * 4 + ["", "a"], "#/texts/5", "at most 200000 characters in all"),
        ):
            response = client.post("/classify/spam", json={"texts": texts})
            problem = assert_problem(response, 422, detail)
            assert [error["pointer"] for error in problem["errors"]] == [pointer]
        within = client.post("/classify/spam", json={"texts": [FDFA * most] * 4})
        assert within.status_code == 200
        (score, *_) = [result["score"] for result in within.json()["results"]]
        classifier = Classifier.load(made_up / "spam" / "tiny", engine)
        assert score == pytest.approx(classifier.scores([FDFA * most])[0], abs=1e-6)


def test_a_large_body_is_refused_as_a_small_one_is(made_up: Path) -> None:
    with connect(Settings(artifacts=made_up)) as client:
        for item, pointer in ((b'"a"', "#/texts"), (b"[]", "#/texts/0"), (b"1", "#/texts/0")):
            body = b'{"texts": [' + b",".join([item] * 500_000) + b"]}"
            problem = assert_problem(post(client, body), 422)
            assert [error["pointer"] for error in problem["errors"]] == [pointer]
        deep = b"[" * 150 + b"]" * 150
        body = b'{"x": [' + b",".join([deep] * 5000) + b"]}"
        assert_problem(post(client, body), 422, "Unknown field")


def test_a_server_at_its_capacity_serves_what_is_small(start_service: StartService) -> None:
    service = start_service(max_bytes_in_flight=1, max_body_bytes=LARGE, max_waiting=0)
    large = filled(LARGE)
    with service.begin(large[:10], len(large)) as connection:
        response = service.post("/classify/spam", content=large, headers=JSON_TYPE)
        assert response.status_code == 429
        check_shape(response)
        assert response.headers["retry-after"] == "1"
        assert service.post("/classify/spam", json={"texts": ["a"]}).status_code == 200
        assert service.get("/readyz").status_code == 200
        metrics = service.get("/metrics").text
        assert f"dandelion_in_flight_body_bytes {float(LARGE)}" in metrics
        connection.sendall(large[10:])
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_server_notices_that_a_client_is_gone(start_service: StartService) -> None:
    service = start_service(engine="numpy")
    texts = ["Free entry in a weekly draw, " * 300] * 800
    body = json.dumps({"texts": texts}).encode()
    with service.begin(body, len(body)):
        service.wait(lambda: "dandelion_in_flight_texts 0.0" not in service.get("/metrics").text)
    gone = 'dandelion_requests_total{model="spam",status="499"} 1.0'
    service.wait(lambda: gone in service.get("/metrics").text)
    metrics = service.get("/metrics").text
    assert 'dandelion_shed_requests_total{reason="client_gone"} 1.0' in metrics
    assert 'dandelion_batch_size_count{model="spam"} 0.0' in metrics
    assert "dandelion_in_flight_texts 0.0" in metrics


def test_a_server_responds_at_the_end_of_the_grace_period(start_service: StartService) -> None:
    service = start_service(shutdown_grace_s=1)
    with service.begin(b"{", 100) as connection:
        assert service.stop() < 0
        response = connection.recv(4096)
    assert response.startswith(b"HTTP/1.1 503")
    assert b"application/problem+json" in response
    assert "Traceback" not in service.log.read_text()
    assert not [line for line in service.lines() if "Exception" in str(line["message"])]

"""The short way of a request, against the route that specifies it."""

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from app.api import body as body_module
from app.api.schemas import limited_request
from app.main import create_app
from app.settings import Settings
from dandelion import Classifier

from ..conftest import fail, wait_until_ready
from ..test_errors import ALMOST, JSON, assert_problem

HAM = "Sorry, I'll be home a bit later tonight"
JSON_TYPE = {"content-type": "application/json"}


def post_short(client: TestClient, body: bytes, model: str = "spam") -> httpx2.Response:
    return client.post(f"/classify/{model}", content=body, headers=JSON_TYPE)


def post_plain(client: TestClient, body: bytes, model: str = "spam") -> httpx2.Response:
    """Declare no length: such a request takes the framework's way."""
    return client.post(f"/classify/{model}", content=iter([body]), headers=JSON_TYPE)


@pytest.fixture
def plain_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the paths of the requests whose body the route read."""
    paths: list[str] = []
    read = body_module.read

    async def spy(request: Any, schema: Any, max_bytes: int) -> Any:
        paths.append(request.url.path)
        return await read(request, schema, max_bytes)

    monkeypatch.setattr(body_module, "read", spy)
    return paths


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"texts": [HAM]}, {}),
        ({"texts": [HAM], "threshold": 0}, {}),
        ({"texts": [HAM], "threshold": None}, {}),
        ({"texts": [HAM] * 8}, {"content-type": "Application/JSON; charset=utf-8"}),
    ],
)
def test_a_request_without_mistakes_goes_the_short_way(
    client: TestClient, plain_reads: list[str], body: dict[str, Any], headers: dict[str, str]
) -> None:
    assert client.post("/classify/spam", json=body, headers=headers).status_code == 200
    assert plain_reads == []


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"texts": []}', 422), (b'{"texts": ["a"], "threshold": 2}', 422)],
)
def test_a_mistake_is_worded_by_the_route(
    client: TestClient, plain_reads: list[str], body: bytes, status: int
) -> None:
    assert_problem(post_short(client, body), status)
    assert plain_reads == ["/classify/spam"]


def test_a_needless_threshold_is_refused_by_the_route(
    made_up_client: TestClient, plain_reads: list[str]
) -> None:
    assert post_short(made_up_client, b'{"texts": ["a"], "threshold": 1}', "mood").is_client_error
    assert post_short(made_up_client, b'{"texts": ["a"]}', "mood").is_success
    assert plain_reads == ["/classify/mood"]


def test_a_body_without_declared_length_goes_the_plain_way(
    client: TestClient, plain_reads: list[str]
) -> None:
    assert post_plain(client, b'{"texts": ["a"]}').status_code == 200
    assert plain_reads == ["/classify/spam"]


@pytest.mark.parametrize(("first", "status"), [("text/plain", 415), ("application/json", 200)])
def test_of_two_headers_the_route_chooses(
    client: TestClient, plain_reads: list[str], first: str, status: int
) -> None:
    headers = [("content-type", first), ("content-type", "application/json")]
    answer = client.post("/classify/spam", content=b'{"texts": ["a"]}', headers=headers)
    assert answer.status_code == status
    assert plain_reads == ["/classify/spam"]


TEXTS = st.fixed_dictionaries(
    {"texts": st.lists(st.text(max_size=60), min_size=1, max_size=8)},
    optional={"threshold": st.none() | st.floats(0, 1) | st.integers(0, 1)},
)


@given(
    st.binary(max_size=100) | (TEXTS | ALMOST | JSON).map(json.dumps).map(str.encode),
    st.sampled_from(["spam", "mood"]),
)
def test_both_ways_give_the_same_answer(
    made_up_client: TestClient, body: bytes, model: str
) -> None:
    short, plain = (post(made_up_client, body, model) for post in (post_short, post_plain))
    assert short.status_code == plain.status_code
    assert short.headers["content-type"] == plain.headers["content-type"]
    ours, theirs = short.json(), plain.json()
    if short.status_code != 200:
        assert ours.pop("request_id") != theirs.pop("request_id")
    assert ours == theirs


@pytest.mark.parametrize("body", [b'{"texts": ["a", "b"]}', b'{"texts": ["a", "b"], "more": 1}'])
def test_a_body_may_come_in_pieces(client: TestClient, body: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 5):
            yield body[start : start + 5]

    headers = JSON_TYPE | {"content-length": str(len(body))}
    in_pieces = client.post("/classify/spam", content=pieces(), headers=headers)
    whole = post_short(client, body)
    assert in_pieces.status_code == whole.status_code
    assert in_pieces.json() | {"request_id": ""} == whole.json() | {"request_id": ""}


def test_a_text_does_not_outlive_its_request() -> None:
    schema = limited_request(8, 100)
    body = b'{"texts": ["canary-7f3a9"]}'
    first, second = (schema.model_validate_json(body).texts[0] for _ in range(2))
    assert first == second
    assert first is not second  # neither was kept in a cache


@pytest.mark.parametrize("post", [post_short, post_plain])
def test_a_defect_is_logged_once_and_answered(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    post: Any,
) -> None:
    def defect(classifier: Classifier, batch: Sequence[str]) -> None:
        raise RuntimeError("no place for this")

    quiet = settings.model_copy(update={"access_log": False})
    with TestClient(create_app(quiet, fail)) as client:
        wait_until_ready(client)
        assert post(client, b'{"texts": ["a"]}').status_code == 200
        monkeypatch.setattr(Classifier, "infer", defect)
        with caplog.at_level(logging.INFO):
            caplog.clear()
            problem = assert_problem(post(client, b'{"texts": ["a"]}'), 500)
        counted = 'dandelion_requests_total{model="spam",status="500"} 1.0'
        assert counted in client.get("/metrics").text
    lines = [vars(record) for record in caplog.records if record.name == "dandelion.requests"]
    found = sorted((line["message"], line.get("status"), line["request_id"]) for line in lines)
    request_id = problem["request_id"]
    assert found == [("request", 500, request_id), ("unexpected error", None, request_id)]


def test_requests_are_not_logged_unless_asked(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    quiet = settings.model_copy(update={"access_log": False})
    with TestClient(create_app(quiet, fail)) as client, caplog.at_level(logging.INFO):
        wait_until_ready(client)
        post_short(client, b'{"texts": ["a"]}')
        post_short(client, b"{")
    assert not [record for record in caplog.records if record.name == "dandelion.requests"]

"""Request ids, durations, log lines, and the last exception handler."""

import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from dandelion import Classifier

from ..conftest import connect
from ..contract import CANARY, Clock, assert_problem, post, post_in_pieces


def request_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.name == "dandelion.requests"]


@pytest.mark.parametrize("path", ["/classify/spam", "/classify/other", "/livez", "/nowhere"])
def test_a_request_id_is_returned(client: TestClient, path: str) -> None:
    response = client.post(path, json={"texts": ["a"]}, headers={"X-Request-ID": "order-66"})
    assert response.headers["x-request-id"] == "order-66"


def test_of_repeated_headers_the_first_counts(client: TestClient) -> None:
    headers = [("X-Request-ID", "first"), ("X-Request-ID", "second")]
    headers += [("Content-Type", "application/json"), ("Content-Type", "text/plain")]
    response = client.post("/classify/spam", content=b'{"texts": ["a"]}', headers=headers)
    assert response.status_code == 200
    assert response.headers["x-request-id"] == "first"


@pytest.mark.parametrize("given_id", ["", "a b", "a" * 129, "<script>", "a\tb"])
def test_a_missing_or_harmful_request_id_is_replaced(client: TestClient, given_id: str) -> None:
    ids = {
        client.get("/livez", headers={"X-Request-ID": given_id}).headers["x-request-id"]
        for _ in range(3)
    }
    assert len(ids) == 3
    assert given_id not in ids


def test_a_duration_starts_with_the_first_byte_of_the_body(
    own_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    def body() -> Iterator[bytes]:
        clock.advance(100)  # the client has connected, but sends nothing yet
        yield b'{"texts"'
        clock.advance(7)
        yield b': ["a"]}'

    monkeypatch.setattr(time, "perf_counter", clock)
    status, _ = post_in_pieces(own_client.app, body())
    assert status == 200
    counted = 'dandelion_request_duration_seconds_sum{model="spam"} 7.0\n'
    assert counted in own_client.get("/metrics").text


def test_access_log_has_everything_but_the_text(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.post("/classify/spam", json={"texts": [CANARY]}, headers={"X-Request-ID": "r-1"})
        client.post("/classify/canary-7f3a9", json={"texts": [CANARY]})
        client.post(f"/classify/spam?text={CANARY}", json={CANARY: CANARY})
        client.get("/classify/spam")
        client.get("/models")
    lines = request_lines(caplog)
    assert [(line["method"], line["model"], line["status"]) for line in lines] == [
        ("POST", "spam", 200),
        ("POST", "unknown", 404),
        ("POST", "spam", 422),
        ("GET", "spam", 405),
    ]
    assert lines[0]["request_id"] == "r-1"
    assert lines[0]["duration_ms"] > 0
    assert lines[0]["variant"] == "squared_hinge-wide"
    assert (lines[0]["texts"], lines[0]["chars"], lines[0]["positives"]) == (1, len(CANARY), 0)
    assert lines[0]["tokenize_ms"] > 0
    assert lines[0]["infer_ms"] > 0
    assert 0 <= lines[0]["read_ms"] < lines[0]["duration_ms"]
    assert not {"key", "decision_id"} & set(lines[0])
    assert not {"texts", "variant", "tokenize_ms"} & {*lines[1], *lines[2], *lines[3]}
    ours = [record for record in caplog.records if record.name.startswith(("dandelion", "uvicorn"))]
    assert CANARY not in str([vars(record) for record in ours])


@pytest.mark.parametrize("texts", [["ﷺ" * 20, "free prize", "x", 7], ["free prize"] * 300])
def test_counts_of_texts_are_of_what_was_sent(
    made_up: Path, caplog: pytest.LogCaptureFixture, texts: list[Any]
) -> None:
    request = {"texts": texts, "on_error": "report"}
    logged = Settings(artifacts=made_up, access_log=True)
    with connect(logged) as client, caplog.at_level(logging.INFO):
        results = client.post("/classify/spam", json=request).json()["results"]
        client.post("/classify/mood", json=request)
    spam, mood = request_lines(caplog)
    strings = [text for text in texts if isinstance(text, str)]
    positives = sum(result.get("label") == "spam" for result in results)
    assert positives > 0
    assert (spam["texts"], spam["chars"]) == (len(strings), sum(map(len, strings)))
    assert spam["positives"] == positives
    assert "positives" not in mood


def test_a_share_of_the_requests_is_logged(made_up: Path, caplog: pytest.LogCaptureFixture) -> None:
    few = Settings(artifacts=made_up, access_log=True, access_log_share=0.2)
    random.seed(7)
    with connect(few) as client, caplog.at_level(logging.INFO):
        for _ in range(200):
            post(client, b'{"texts": ["a"]}')
    assert 20 <= len(request_lines(caplog)) <= 60  # 4 standard deviations are 23


@pytest.mark.parametrize("share", [0, 1e-9])
def test_what_fails_is_logged_whatever_the_share(
    made_up: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    share: float,
) -> None:
    def defect(*_: object) -> None:
        raise RuntimeError

    few = Settings(artifacts=made_up, access_log=True, access_log_share=share)
    with connect(few) as client, caplog.at_level(logging.INFO):
        post(client, b'{"texts": ["a"]}')
        assert not request_lines(caplog)
        monkeypatch.setattr(Classifier, "infer", defect)
        post(client, b'{"texts": ["a"]}')
    statuses = [line["status"] for line in request_lines(caplog) if line["message"] == "request"]
    assert statuses == [500]


def test_requests_are_not_logged_by_default(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    quiet = settings.model_copy(update={"access_log": False})
    with connect(quiet) as client, caplog.at_level(logging.INFO):
        post(client, b'{"texts": ["a"]}')
        post(client, b"{")
    assert not request_lines(caplog)


def test_a_defect_is_logged_once_and_reveals_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: object) -> None:
        raise RuntimeError(f"no place for {CANARY} in /srv/secret.py")

    quiet = settings.model_copy(update={"access_log": False})
    with connect(quiet) as client:
        monkeypatch.setattr(Classifier, "infer", defect)
        with caplog.at_level(logging.INFO):
            caplog.clear()
            response = post(client, b'{"texts": ["canary-7f3a9"]}')
        problem = assert_problem(response, 500, "Internal error")
        assert "secret" not in response.text
        assert "RuntimeError" not in response.text
        counted = 'dandelion_requests_total{model="spam",status="500"} 1.0'
        assert counted in client.get("/metrics").text
    lines = request_lines(caplog)
    found = sorted((line["message"], line.get("status"), line["request_id"]) for line in lines)
    request_id = problem["request_id"]
    assert found == [("request", 500, request_id), ("unexpected error", None, request_id)]
    (line,) = [line for line in lines if line["levelname"] == "ERROR"]
    assert line["error"] == "RuntimeError"
    assert any("classification.py" in place for place in line["where"])
    assert CANARY not in str(lines)

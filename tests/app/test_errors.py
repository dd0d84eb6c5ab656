"""Every status but 200: one contract for all, and one test each."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from app.api.body import _parsed
from app.main import create_app
from app.settings import Settings
from dandelion import Classifier

from .conftest import fail, wait_until_ready

CANARY = "canary-7f3a9"  # stands for a text that no answer, log line or metric may hold


def assert_problem(answer: httpx2.Response, status: int, *parts: str) -> dict[str, Any]:
    """Hold an answer against the contract of every error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    for part in parts:
        assert part in answer.text
    assert CANARY not in answer.text + str(answer.headers)
    assert "Traceback" not in answer.text
    return problem


def post(
    client: TestClient, body: bytes, content_type: str = "application/json"
) -> httpx2.Response:
    return client.post(
        "/classify/spam",
        content=body,
        headers={"content-type": content_type} if content_type else {},
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"texts",
        b'{"texts": ["canary-7f3a9"],}',
        b"{'texts': ['canary-7f3a9']}",
        b'{"texts": ["canary-7f3a9"], "threshold": NaN}',
        b'{"texts": ["canary-7f3a9"], "threshold": Infinity}',
        b'{"texts": ["canary-7f3a9"], "threshold": -Infinity}',
        b'{"texts": ["canary-7f3a9"], "threshold": 01}',
        b'{"texts": ["canary-7f3a9 \xff"]}',
        b'{"texts": ["canary-7f3a9 \xed\xa0\x80"]}',
        b'{"texts": ["canary-7f3a9 \n"]}',
        '{"texts": ["canary-7f3a9"]}'.encode("utf-16"),
        b'{"texts": ["canary-7f3a9"]} {}',
        rb'{"texts": ["canary-7f3a9 \ud800"]}',
        rb'{"texts": ["canary-7f3a9 \udc00"]}',
        rb'{"texts": ["canary-7f3a9 \ud800\ud800"]}',
        rb'{"texts": ["canary-7f3a9 \ud800 \udc00"]}',
        rb'{"\ud800": 1}',
        b"[" * 10_000,
    ],
)
def test_400_what_is_not_json(client: TestClient, body: bytes) -> None:
    assert_problem(post(client, body), 400, "RFC 8259")


def test_a_pair_of_surrogates_is_an_emoji(client: TestClient) -> None:
    assert post(client, rb'{"texts": ["\ud83c\udf3c"]}').status_code == 200


@pytest.mark.parametrize("path", ["/classify/canary-7f3a9", "/models/canary-7f3a9"])
def test_404_unknown_model_names_those_there_are(client: TestClient, path: str) -> None:
    answer = client.get(path) if "models" in path else client.post(path, json={"texts": ["a"]})
    assert_problem(answer, 404, "cyberbullying", "spam")


@pytest.mark.parametrize("path", ["/canary-7f3a9", "/classify/spam/", "/"])
def test_404_unknown_path(client: TestClient, path: str) -> None:
    assert_problem(client.post(path, json={"texts": [CANARY]}), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_405_tells_what_is_allowed(client: TestClient, method: str) -> None:
    answer = client.request(method, "/classify/spam")
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_413_too_large_a_body(client: TestClient, settings: Settings) -> None:
    body = json.dumps({"texts": [CANARY + "a" * settings.max_body_bytes]}).encode()
    assert_problem(post(client, body), 413, str(settings.max_body_bytes))


def test_413_without_a_declared_length(client: TestClient, settings: Settings) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"texts": ["'
        for _ in range(settings.max_body_bytes // 100):
            yield b"a" * 100
        yield b'"]}'

    answer = client.post(
        "/classify/spam", content=chunks(), headers={"content-type": "application/json"}
    )
    assert_problem(answer, 413, str(settings.max_body_bytes))


def test_a_body_of_just_the_limit_is_read(client: TestClient, settings: Settings) -> None:
    body = b'{"texts": ["a"]}'.ljust(settings.max_body_bytes)
    assert post(client, body).status_code == 200
    assert_problem(post(client, body + b" "), 413)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_415_another_content_type(client: TestClient, content_type: str) -> None:
    body = b'{"texts": ["canary-7f3a9"]}'
    assert_problem(post(client, body, content_type), 415, "application/json")


def test_parameters_of_the_content_type_are_allowed(client: TestClient) -> None:
    answer = post(client, b'{"texts": ["a"]}', "Application/JSON; charset=utf-8")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (b"3", "#", "an object"),
        (b"null", "#", "an object"),
        (b'["canary-7f3a9"]', "#", "an object"),
        (b"{}", "#/texts", "required"),
        (b'{"texts": []}', "#/texts", "at least 1"),
        (b'{"texts": "canary-7f3a9"}', "#/texts", "an array"),
        (b'{"texts": null}', "#/texts", "an array"),
        (b'{"texts": {"canary-7f3a9": 1}}', "#/texts", "an array"),
        (b'{"texts": ["a", 3]}', "#/texts/1", "a string"),
        (b'{"texts": [null, "a"]}', "#/texts/0", "a string"),
        (b'{"texts": [["canary-7f3a9"]]}', "#/texts/0", "a string"),
        (b'{"texts": ["a"], "threshold": "0.5"}', "#/threshold", "a number"),
        (b'{"texts": ["a"], "threshold": true}', "#/threshold", "a number"),
        (b'{"texts": ["a"], "threshold": [0.5]}', "#/threshold", "a number"),
        (b'{"texts": ["a"], "threshold": 1.0001}', "#/threshold", "less than or equal to 1"),
        (b'{"texts": ["a"], "threshold": -0.1}', "#/threshold", "greater than or equal to 0"),
        (b'{"texts": ["a"], "threshold": 1e999}', "#/threshold", "less than or equal to 1"),
        (b'{"texts": ["a"], "threshold": -1e999}', "#/threshold", "greater than or equal to 0"),
        (b'{"texts": ["a"], "threshold": 1' + b"0" * 400 + b"}", "#/threshold", "a number"),
        (b'{"texts": ["a"], "canary-7f3a9": 1}', "#", "unknown field; known are: texts, threshold"),
        (b'{"texts": ["a","a","a","a","a","a","a","a","a"]}', "#/texts", "at most 8"),
        (b'{"texts": ["a", "' + b"a" * 2001 + b'"]}', "#/texts/1", "at most 2000 characters"),
    ],
)
def test_422_wrong_shape(client: TestClient, body: bytes, pointer: str, detail: str) -> None:
    problem = assert_problem(post(client, body), 422)
    (mistake,) = problem["errors"]
    assert mistake["pointer"] == pointer
    assert detail in mistake["detail"]


@pytest.mark.parametrize("threshold", [0, 0.5, 1])
def test_422_a_threshold_between_many_labels(made_up_client: TestClient, threshold: float) -> None:
    body = {"texts": [CANARY], "threshold": threshold}
    problem = assert_problem(made_up_client.post("/classify/mood", json=body), 422)
    assert problem["errors"] == [
        {
            "pointer": "#/threshold",
            "detail": "This model tells 3 labels apart and gives the likeliest; "
            "leave threshold out.",
        }
    ]
    assert made_up_client.post("/classify/spam", json=body).status_code == 200


def test_422_names_every_mistake_up_to_twenty(settings: Settings) -> None:
    with TestClient(create_app(settings.model_copy(update={"max_texts": 50}), fail)) as client:
        wait_until_ready(client)
        body = b'{"texts": [1, 2], "threshold": 2, "more": 1}'
        problem = assert_problem(post(client, body), 422)
        assert len(problem["errors"]) == 4
        body = json.dumps({"texts": list(range(40))}).encode()
        problem = assert_problem(post(client, body), 422, "40 mistakes")
        assert len(problem["errors"]) == 20


def test_many_unknown_fields_are_one_mistake(client: TestClient) -> None:
    body = json.dumps({f"{CANARY}-{number}": 1 for number in range(500)}).encode()
    problem = assert_problem(post(client, body), 422)
    assert [mistake["pointer"] for mistake in problem["errors"]] == ["#", "#/texts"]


def test_a_text_does_not_outlive_its_request() -> None:
    body = b'{"texts": ["canary-7f3a9"]}'
    first, second = (_parsed(body)["texts"][0] for _ in range(2))
    assert first == second
    assert first is not second  # neither was kept in a cache


def test_500_tells_nothing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: object) -> None:
        raise RuntimeError(f"no place for {CANARY} in /srv/secret.py")

    monkeypatch.setattr(Classifier, "infer", defect)
    answer = post(client, b'{"texts": ["canary-7f3a9"]}')
    problem = assert_problem(answer, 500)
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert vars(line)["error"] == "RuntimeError"
    assert any("_answer" in place for place in vars(line)["where"])
    assert vars(line)["request_id"] == problem["request_id"]
    assert CANARY not in str(vars(line))


def test_503_until_every_model_is_loaded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = False
    load = Classifier.load

    def slow_load(path: object, engine: object) -> Classifier:
        while not released:
            time.sleep(0.005)
        return load(path, engine)  # type: ignore[arg-type]

    monkeypatch.setattr(Classifier, "load", slow_load)
    with TestClient(create_app(settings, lambda _: None)) as client:
        try:
            for method, path in (
                ("GET", "/readyz"),
                ("GET", "/models"),
                ("GET", "/models/spam"),
                ("POST", "/classify/spam"),
            ):
                answer = client.request(method, path, json={"texts": ["a"]})
                assert_problem(answer, 503)
                assert int(answer.headers["retry-after"]) >= 1
            assert client.get("/livez").json() == {"status": "alive"}
            unknown = client.post("/classify/other", json={"texts": ["a"]})
            assert_problem(unknown, 404, "spam")
            assert 'dandelion_requests_total{model="spam",status="503"} 1.0' in (
                client.get("/metrics").text
            )
        finally:
            released = True
        wait_until_ready(client)
        assert client.get("/readyz").json() == {"status": "ready"}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)
ALMOST = st.fixed_dictionaries(
    {"texts": JSON | st.lists(st.text(max_size=40) | JSON, max_size=10)},
    optional={"threshold": JSON, "more": JSON},
)


@given(st.binary(max_size=300) | (JSON | ALMOST).map(json.dumps).map(str.encode))
def test_any_body_gets_an_answer_or_a_clear_problem(client: TestClient, body: bytes) -> None:
    answer = post(client, body)
    if answer.status_code != 200:
        assert answer.status_code in (400, 422)
        assert_problem(answer, answer.status_code)


def test_every_problem_is_documented_with_an_example(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert "HTTPValidationError" not in description["components"]["schemas"]
    answers = description["paths"]["/classify/{model}"]["post"]["responses"]
    assert set(answers) == {"200", "400", "404", "405", "413", "415", "422", "500", "503"}
    fields = description["components"]["schemas"]["ProblemDetails"]["properties"]
    for path, operations in description["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status == "200":
                    continue
                content = answer["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}, path
                assert content["example"]["status"] == int(status)
                assert set(content["example"]) <= set(fields)

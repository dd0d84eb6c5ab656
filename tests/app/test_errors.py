"""Every error status of the API, each as a client gets it."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given

from app.main import assemble
from app.serving.registry import Registry
from app.settings import Settings
from app.telemetry.metrics import Metrics
from dandelion import serving

from .contract import BODIES, CANARY, JSON_TYPE, assert_problem, post


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
        b'{"canary-7f3a9 \xff": 1}',
        b'\xef\xbb\xbf{"texts": ["canary-7f3a9"]}',  # a byte order mark
        b'{"texts": ["canary-7f3a9"]}\x00',
        rb'{"texts": ["canary-7f3a9 \x"]}',
        b'{"texts": ["canary-7f3a9"], "threshold": .5}',
    ],
)
def test_400_not_json(client: TestClient, body: bytes) -> None:
    problem = assert_problem(post(client, body), 400)
    assert problem["detail"].startswith("The request body is not valid JSON (RFC 8259, UTF-8): ")


def test_400_names_the_place(client: TestClient) -> None:
    body = b'{"texts": ["canary-7f3a9"],}'
    assert_problem(post(client, body), 400, f"trailing comma in object (byte {len(body) - 1})")


@pytest.mark.parametrize("half", [r"\ud800", r"\udbff", r"\udc00", r"\udfff"])
@pytest.mark.parametrize("rest", ["", "a", "abcdefgh", r"\n", r"\u0041", " ", r"\ud83d\ude00"])
@pytest.mark.parametrize(
    "body",
    ['{"texts": ["%s"]}', '{"texts": ["canary-7f3a9 %s", "b"]}', '{"%s": 1}', '["%s'],
)
def test_400_names_half_a_pair_of_surrogates(
    client: TestClient, body: str, half: str, rest: str
) -> None:
    response = post(client, (body % (half + rest)).encode())
    if body.startswith("{"):
        assert_problem(response, 400, "surrogate pair (byte ")
    else:  # refused before
        assert_problem(response, 422, "Expected an object")


@pytest.mark.parametrize("body", [b"{", b'{"texts', b'{"texts": ["a", "b', rb'{"texts": ["\u00'])
def test_400_names_a_body_that_ends_too_soon(client: TestClient, body: bytes) -> None:
    assert_problem(post(client, body), 400, "input data was truncated")


def test_a_pair_of_surrogates_is_an_emoji(client: TestClient) -> None:
    assert post(client, rb'{"texts": ["\ud83c\udf3c"]}').status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/classify/canary-7f3a9"),
        ("POST", "/classify/%63anary-7f3a9%20"),
        ("POST", "/classify/SPAM"),
        ("GET", "/models/canary-7f3a9"),
    ],
)
def test_404_unknown_model(client: TestClient, method: str, path: str) -> None:
    problem = assert_problem(client.request(method, path, json={"texts": ["a"]}), 404)
    models = [model["model"] for model in client.get("/models").json()["models"]]
    assert problem["detail"] == f"Unknown model. Available models: {', '.join(models)}."


@pytest.mark.parametrize(
    "path",
    [
        "/canary-7f3a9",
        "/classify",
        "/classify/",
        "/classify/spam/",
        "/classify/spam/more",
        "/classify/spam%2Fmore",
        "//classify/spam",
    ],
)
def test_404_unknown_path(client: TestClient, path: str) -> None:
    response = client.post(f"http://testserver{path}", json={"texts": [CANARY]})
    problem = assert_problem(response, 404)
    assert problem["detail"] == "Not found. See /openapi.json and /docs."


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        *((method, "/classify/spam", "POST") for method in ("GET", "PUT", "DELETE", "PATCH")),
        ("OPTIONS", "/classify/spam", "POST"),
        ("GET", "/classify/canary-7f3a9", "POST"),
        ("POST", "/models", "GET, HEAD"),
    ],
)
def test_405_lists_the_allowed_methods(
    client: TestClient, method: str, path: str, allowed: str
) -> None:
    response = client.request(method, path)
    assert_problem(response, 405, "Method not allowed. The Allow header")
    assert response.headers["allow"] == allowed


def test_405_to_head(client: TestClient) -> None:
    response = client.head("/classify/spam")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


def test_413_body_too_large(client: TestClient, settings: Settings) -> None:
    body = json.dumps({"texts": [CANARY + "a" * settings.max_body_bytes]}).encode()
    problem = assert_problem(post(client, body), 413)
    assert problem["detail"] == "The request body exceeds the limit of 20000 bytes."


def test_413_without_a_declared_length(client: TestClient, settings: Settings) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"texts": ["'
        for _ in range(settings.max_body_bytes // 100):
            yield b"a" * 100
        yield b'"]}'

    response = client.post("/classify/spam", content=chunks(), headers=JSON_TYPE)
    assert_problem(response, 413, str(settings.max_body_bytes))


def test_a_body_at_the_limit_is_read(client: TestClient, settings: Settings) -> None:
    body = b'{"texts": ["a"]}'.ljust(settings.max_body_bytes)
    assert post(client, body).status_code == 200
    assert_problem(post(client, body + b" "), 413)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_415_another_content_type(client: TestClient, content_type: str) -> None:
    response = client.post(
        "/classify/spam",
        content=b'{"texts": ["canary-7f3a9"]}',
        headers={"content-type": content_type} if content_type else {},
    )
    problem = assert_problem(response, 415)
    assert problem["detail"] == "Content-Type must be application/json."


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "canary-7f3a9", "x-gzip"])
def test_415_a_compressed_body(client: TestClient, encoding: str) -> None:
    headers = {**JSON_TYPE, "content-encoding": encoding}
    response = client.post("/classify/spam", content=b'{"texts": ["a"]}', headers=headers)
    assert_problem(response, 415, "Content-Encoding must be identity")
    assert response.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["identity", " Identity ", ""])
def test_a_body_may_be_declared_as_not_compressed(client: TestClient, encoding: str) -> None:
    headers = {**JSON_TYPE, "content-encoding": encoding}
    response = client.post("/classify/spam", content=b'{"texts": ["a"]}', headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize(("first", "status"), [("text/plain", 415), ("application/json", 200)])
def test_415_the_first_of_two_headers_counts(client: TestClient, first: str, status: int) -> None:
    second = {"text/plain": "application/json", "application/json": "text/plain"}[first]
    headers = [("content-type", first), ("content-type", second)]
    response = client.post("/classify/spam", content=b'{"texts": ["a"]}', headers=headers)
    assert response.status_code == status


def test_the_first_error_of_a_request_is_reported_in_a_fixed_order(client: TestClient) -> None:
    body = b"{".ljust(30_000)
    text = {"content-type": "text/plain"}
    for method, model, content, headers, status in (
        ("PUT", "other", body, text, 405),
        ("POST", "other", body, text, 404),
        ("POST", "spam", body, text, 415),
        ("POST", "spam", body, JSON_TYPE, 413),
        ("POST", "spam", b"{", JSON_TYPE, 400),
    ):
        response = client.request(method, f"/classify/{model}", content=content, headers=headers)
        assert_problem(response, status)


UNKNOWN_FIELD = "Unknown field. Allowed fields: texts, threshold, policy, operating_point, prior"


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (b"3", "#", "Expected an object, got a number"),
        (b"null", "#", "Expected an object, got null"),
        (b"true", "#", "Expected an object, got a boolean"),
        (b'"canary-7f3a9"', "#", "Expected an object, got a string"),
        (b'["canary-7f3a9"]', "#", "Expected an object, got an array"),
        (b"{}", "#/texts", "This field is required"),
        (b'{"threshold": 0.5}', "#/texts", "This field is required"),
        (b'{"texts": []}', "#/texts", "Expected an array of length >= 1"),
        (b'{"texts": "canary-7f3a9"}', "#/texts", "Expected an array, got a string"),
        (b'{"texts": null}', "#/texts", "Expected an array, got null"),
        (b'{"texts": {"canary-7f3a9": 1}}', "#/texts", "Expected an array, got an object"),
        (b'{"texts": ["a", 3]}', "#/texts/1", "Expected a string, got a number"),
        (b'{"texts": [null, "a"]}', "#/texts/0", "Expected a string, got null"),
        (b'{"texts": [["canary-7f3a9"]]}', "#/texts/0", "Expected a string, got an array"),
        (b'{"texts": ["a"], "threshold": "0.5"}', "#/threshold", "number or null, got a string"),
        (b'{"texts": ["a"], "threshold": true}', "#/threshold", "number or null, got a boolean"),
        (b'{"texts": ["a"], "threshold": [0.5]}', "#/threshold", "number or null, got an array"),
        (b'{"texts": ["a"], "threshold": 1.0001}', "#/threshold", "Expected a number <= 1.0"),
        (b'{"texts": ["a"], "threshold": 2}', "#/threshold", "Expected a number <= 1.0"),
        (b'{"texts": ["a"], "threshold": -0.1}', "#/threshold", "Expected a number >= 0.0"),
        (b'{"texts": ["a"], "threshold": 1e999}', "#/threshold", "Number out of range"),
        (b'{"texts": ["a"], "threshold": -1e999}', "#/threshold", "Number out of range"),
        (
            b'{"texts": ["a"], "threshold": 1' + b"0" * 400 + b"}",
            "#/threshold",
            "Number out of range",
        ),
        (b'{"texts": ["a"], "policy": 3}', "#/policy", "string or null, got a number"),
        (b'{"texts": ["a"], "policy": "canary-7f3a9"}', "#/policy", "It has none"),
        (b'{"texts": ["a"], "operating_point": 0.5}', "#/operating_point", "string or null, got"),
        (
            b'{"texts": ["a"], "operating_point": "' + b"f" * 201 + b'"}',
            "#/operating_point",
            "Expected a string of length <= 200",
        ),
        (b'{"texts": ["a"], "prior": 0}', "#/prior", "Expected a number >= 1e-06"),
        (b'{"texts": ["a"], "prior": 1}', "#/prior", "Expected a number <= 0.9999"),
        (
            b'{"texts": ["a"], "threshold": 0.5, "operating_point": "canary-7f3a9"}',
            "#/operating_point",
            "'threshold' and 'operating_point' exclude one another",
        ),
        (
            b'{"texts": ["a"], "operating_point": "canary-7f3a9", "policy": "canary-7f3a9"}',
            "#/operating_point",
            "'policy' and 'operating_point' exclude one another",
        ),
        (b'{"texts": ["a"], "canary-7f3a9": 1}', "#", UNKNOWN_FIELD),
        (b'{"texts": ["a"], "canary-7f3a9` - at `$.texts[3]": 1}', "#", "Unknown field of an"),
        (rb'{"texts": ["a"], "canary-7f3a9\n\u0000": 1}', "#", UNKNOWN_FIELD),
        (b'{"Texts": ["a"]}', "#", UNKNOWN_FIELD),
        (
            b'{"texts": ["a","a","a","a","a","a","a","a","a"]}',
            "#/texts",
            "Expected an array of length <= 8",
        ),
        (
            b'{"texts": ["a", "' + b"a" * 2001 + b'"]}',
            "#/texts/1",
            "Expected a string of length <= 2000",
        ),
    ],
)
def test_422_wrong_shape(client: TestClient, body: bytes, pointer: str, detail: str) -> None:
    problem = assert_problem(post(client, body), 422)
    assert problem["detail"] == "The request body is invalid."
    (error,) = problem["errors"]
    assert error["pointer"] == pointer
    assert detail in error["detail"]


def test_a_text_s_length_is_in_characters(client: TestClient) -> None:
    body = json.dumps({"texts": ["🌼" * 2000]}, ensure_ascii=False).encode()
    assert post(client, body).status_code == 200
    body = json.dumps({"texts": ["🌼" * 2001]}, ensure_ascii=False).encode()
    assert_problem(post(client, body), 422, "#/texts/0")


def test_422_reports_the_first_error_only(client: TestClient) -> None:
    body = b'{"texts": [1, 2], "threshold": 2, "canary-7f3a9": 1}'
    problem = assert_problem(post(client, body), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["#/texts/0"]


@pytest.mark.parametrize("body", [b'["canary-7f3a9', b'{"more": ', b'{"texts": [', b'{"texts": [1'])
def test_422_ends_at_the_first_error(client: TestClient, body: bytes) -> None:
    # What follows is neither JSON nor ever read: however deep or long, it costs nothing.
    rest = b"[" * 15_000
    assert_problem(post(client, body + rest), 422)


@pytest.mark.parametrize(
    ("body", "status", "threshold"),
    [
        (b'{"texts": ["a"], "threshold": 0.25, "threshold": 0.75}', 200, 0.75),
        (b'{"texts": ["a", "b"], "threshold": 0.5, "texts": ["c"]}', 200, 0.5),
        (b'{"texts": ["a"], "threshold": 2, "threshold": 0.75}', 422, None),
        (b'{"texts": ["a"], "threshold": 0.75, "threshold": 2}', 422, None),
    ],
)
def test_of_two_fields_with_the_same_name_the_last_one_counts(
    client: TestClient, body: bytes, status: int, threshold: float | None
) -> None:
    response = post(client, body)
    assert response.status_code == status
    if threshold is not None:
        assert response.json()["threshold"] == threshold
        assert len(response.json()["results"]) == 1


@pytest.mark.parametrize("threshold", [0, 0.5, 1])
def test_422_a_threshold_for_more_than_two_labels(
    made_up_client: TestClient, threshold: float
) -> None:
    body = json.dumps({"texts": [CANARY], "threshold": threshold}).encode()
    problem = assert_problem(post(made_up_client, body, "mood"), 422)
    assert problem["errors"] == [
        {
            "pointer": "#/threshold",
            "detail": "This model has 3 labels and returns the one with the highest score; "
            "a threshold is not allowed.",
        }
    ]
    assert post(made_up_client, body, "spam").status_code == 200


def test_503_until_every_model_is_loaded(settings: Settings) -> None:
    metrics = Metrics()
    registry = Registry(serving.choices(settings.artifacts, {}), metrics)
    with TestClient(assemble(settings, registry, metrics)) as client:
        for method, path in (
            ("GET", "/readyz"),
            ("GET", "/models"),
            ("GET", "/models/spam"),
            ("GET", "/models/spam/operating-points"),
            ("GET", "/models/spam/threshold-curve"),
            ("GET", "/models/spam/plan"),
            ("POST", "/models/spam/evaluation"),
            ("POST", "/models/spam/evaluation/texts"),
            ("POST", "/classify/spam"),
        ):
            response = client.request(method, path, json={"texts": ["a"]})
            assert_problem(response, 503, "The models are still loading. Retry in a moment.")
            assert int(response.headers["retry-after"]) >= 1
        assert client.get("/livez").json() == {"status": "alive"}
        unknown = client.post("/classify/other", json={"texts": ["a"]})
        assert_problem(unknown, 404, "spam")
        assert 'dandelion_requests_total{model="spam",status="503"} 1.0' in (
            client.get("/metrics").text
        )
        registry.load()
        assert client.get("/readyz").json() == {"status": "ready"}


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_valid(value: Any) -> bool:
    """The request's schema once more, in Python; the limits are those of the fixture."""
    if not isinstance(value, dict) or not value.keys() <= {"texts", "threshold"}:
        return False
    texts, threshold = value.get("texts"), value.get("threshold")
    return (
        isinstance(texts, list)
        and 1 <= len(texts) <= 8
        and all(isinstance(text, str) and len(text) <= 2000 for text in texts)
        and (threshold is None or (is_number(threshold) and 0 <= threshold <= 1))
    )


def no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


@given(BODIES)
def test_any_body_gets_a_response_or_a_clear_problem(client: TestClient, body: bytes) -> None:
    response = post(client, body)
    try:
        value = json.loads(body.decode(), parse_constant=no_constant)
    except ValueError:  # at the first error, which may be one of shape
        assert response.status_code in (400, 422)
        return
    if "\\ud" in body.decode().lower() and response.status_code == 400:
        return  # half of a surrogate pair, which Python's parser accepts
    assert response.status_code == (200 if is_valid(value) else 422)
    if response.status_code == 422:
        assert pointed_at(response.json()["errors"][0]["pointer"], value)


def pointed_at(pointer: str, value: Any) -> bool:
    """Whether a pointer leads to a place in the body, or to the field that is missing."""
    for part in pointer.split("/")[1:]:
        if isinstance(value, list):
            value = value[int(part)]
        elif part in value:
            value = value[part]
        else:
            return pointer == "#/texts"
    return True


def test_the_statuses_have_their_reason_phrases(client: TestClient) -> None:
    problem = assert_problem(post(client, b"{"), 400)
    assert problem["title"] == HTTPStatus.BAD_REQUEST.phrase

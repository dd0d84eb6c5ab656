"""``POST /classify/{model}`` with ``"on_error": "report"``."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ..contract import CANARY, assert_problem, post

NESTED = b"[" * 9000 + b"]" * 9000
LIGATURE = "\ufdfa"  # becomes 18 characters
TOO_LONG = "Expected a string of length <= 2000"


def report(client: TestClient, texts: str, fields: str = "") -> list[Any]:
    body = f'{{"texts": {texts}, "on_error": "report"{fields}}}'.encode()
    response = post(client, body)
    assert response.status_code == 200, response.text
    assert CANARY not in response.text
    results: list[Any] = response.json()["results"]
    return results


def test_an_error_stands_in_the_place_of_its_text(client: TestClient) -> None:
    texts = ["a", 7, "b", None, {CANARY: [CANARY]}, ["c"], "d", "e" * 2001]
    results = report(client, json.dumps(texts))

    expected = {
        1: "Expected a string, got a number",
        3: "Expected a string, got null",
        4: "Expected a string, got an object",
        5: "Expected a string, got an array",
        7: TOO_LONG,
    }
    scores = post(client, b'{"texts": ["a", "b", "d"]}').json()["results"]
    valid = iter(scores)
    assert results == [
        {"error": {"detail": expected[place]}} if place in expected else next(valid)
        for place in range(len(texts))
    ]


def test_a_text_that_is_too_long_once_normalized_is_reported(client: TestClient) -> None:
    texts = ["a", LIGATURE * 200, 7, LIGATURE * 300, "b"]
    results = report(client, json.dumps(texts))

    assert ["error" in result for result in results] == [False, True, True, True, False]
    plain = post(client, b'{"texts": ["a", "b"]}').json()["results"]
    assert [results[0], results[4]] == plain
    assert results[1]["error"]["detail"].startswith(f"{TOO_LONG} after Unicode normalization")
    assert results[3] == results[1]
    assert results[2]["error"]["detail"] == "Expected a string, got a number"


def test_a_batch_of_errors_alone_gets_them_all(client: TestClient) -> None:
    assert (
        report(client, "[1, 2]") == [{"error": {"detail": "Expected a string, got a number"}}] * 2
    )
    results = report(client, json.dumps([LIGATURE * 200]))
    assert [set(result) for result in results] == [{"error"}]


def test_a_batch_without_errors_is_classified_as_ever(client: TestClient) -> None:
    plain = post(client, b'{"texts": ["a", "b"]}').json()["results"]

    assert report(client, '["a", "b"]') == plain


def test_valid_texts_are_explained(client: TestClient) -> None:
    results = report(
        client, json.dumps([1, "free prize", LIGATURE * 200, "lunch"]), ', "explain": 2'
    )

    assert [set(result) & {"error", "explanation"} for result in results] == [
        {"error"},
        {"explanation"},
        {"error"},
        {"explanation"},
    ]
    assert results[1]["explanation"]["spans"][0]["end"] <= len("free prize")


def test_errors_are_counted_and_their_texts_are_not(own_client: TestClient) -> None:
    report(own_client, json.dumps(["a", 7, LIGATURE * 200, "b"]))

    metrics = own_client.get("/metrics").text
    assert 'dandelion_text_errors_total{model="spam"} 2.0' in metrics
    assert 'dandelion_batch_size_sum{model="spam"} 2.0' in metrics
    assert 'dandelion_text_errors_total{model="abuse"} 0.0' in metrics


def test_by_default_the_batch_is_refused_and_the_text_is_named(client: TestClient) -> None:
    for fields in (b"", b', "on_error": null'):
        problem = assert_problem(post(client, b'{"texts": ["a", 7]%s}' % fields), 422)
        assert problem["errors"] == [
            {"pointer": "#/texts/1", "detail": "Expected a string, got a number"}
        ]


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b'{"texts": 7, "on_error": "report"}', 422, "#/texts"),
        (b'{"texts": [], "on_error": "report"}', 422, "#/texts"),
        (b'{"texts": [1, 2, 3, 4, 5, 6, 7, 8, 9], "on_error": "report"}', 422, "#/texts"),
        (b'{"texts": [1], "on_error": "report", "canary-7f3a9": 1}', 422, "#"),
        (b'{"texts": [1], "on_error": "report", "threshold": 2}', 422, "#/threshold"),
        (b'{"texts": ["a"], "on_error": "canary-7f3a9"}', 422, "#/on_error"),
        (b'{"texts": ["a"], "on_error": "x - at `$.texts[0]`"}', 422, "#/on_error"),
        (b'{"texts": ["a"], "on_error": 1}', 422, "#/on_error"),
        (b'{"texts": [1], "on_error": "refuse"}', 422, "#/texts/0"),
        (b'{"texts": [%s], "on_error": "report"}' % NESTED, 422, "#/texts/0"),
        (b'{"texts": [1, "\xff"], "on_error": "report"}', 400, ""),
        # Reading ends at the first error of a body that is not JSON.
        (b'{"texts": [1, "\\ud800"], "on_error": "report"}', 422, "#/texts/0"),
        (b'{"texts": [1, {"a" 1}], "on_error": "report"}', 422, "#/texts/0"),
        (b'{"texts": [1], "on_error": "report"', 422, "#/texts/0"),
        (b'{"texts": ["a", tru], "on_error": "report"}', 400, ""),
    ],
)
def test_errors_of_the_request_remain(
    client: TestClient, body: bytes, status: int, pointer: str
) -> None:
    problem = assert_problem(post(client, body), status)
    if pointer:
        assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_far_more_values_than_texts_are_not_decoded_twice(client: TestClient) -> None:
    numbers = b"1," * 5000 + b"1"
    problem = assert_problem(post(client, b'{"texts": [%s], "on_error": "report"}' % numbers), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["#/texts/0"]


def test_commas_within_strings_are_no_values(client: TestClient) -> None:
    commas = r"\"," * 150 + r"\\" + "," * 150
    results = report(client, f'["a", 7, "{commas}"]')

    assert ["error" in result for result in results] == [False, True, False]

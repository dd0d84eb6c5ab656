"""``POST /classify/{model}`` with ``explain``."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.serving.extras import MAX_EXPLAINED_CHARS, MAX_EXPLAINED_TEXTS
from app.settings import Settings
from dandelion import Classifier

from ..conftest import connect
from ..contract import CANARY, assert_problem, post

TEXT = "W I N a ﬁne prize!!!!! Call 08001234567"
LONG = "Are we still meeting for lunch tomorrow? " * 12


def body_of(texts: list[str], **fields: object) -> bytes:
    return json.dumps({"texts": texts, **fields}).encode()


def test_a_result_has_the_contributions_of_its_text(client: TestClient, settings: Settings) -> None:
    response = post(client, body_of([TEXT, ""], explain=3)).json()
    variant = settings.artifacts / "spam" / response["variant"]
    classifier = Classifier.load(variant)
    # One by one, as the service does: next to others, the last digit may differ.
    expected = [classifier.explain([text], top=3)[0] for text in (TEXT, "")]

    for result, one in zip(response["results"], expected, strict=True):
        explanation = result["explanation"]
        assert set(explanation) == {"base", "surface", "spans", "rest", "logit"}
        assert explanation == one.to_json()
        parts = [explanation[name] for name in ("base", "surface", "rest")]
        parts += [span["contribution"] for span in explanation["spans"]]
        assert sum(parts) == pytest.approx(explanation["logit"], abs=1e-4)
    assert len(response["results"][0]["explanation"]["spans"]) == 3
    assert post(client, body_of([TEXT, ""], explain=3.0)).json() == response


def test_a_long_text_has_windows_and_a_penalty(client: TestClient) -> None:
    (result,) = post(client, body_of([LONG], explain=True)).json()["results"]
    explanation = result["explanation"]

    assert len(explanation["spans"]) == 10
    assert len(explanation["windows"]) > 1
    assert all(set(window) == {"start", "end", "logit"} for window in explanation["windows"])
    largest = max(window["logit"] for window in explanation["windows"])
    assert explanation["penalty"] <= 0
    assert set(explanation) == {
        *["base", "surface", "spans", "rest", "logit", "penalty", "windows"]
    }
    assert explanation["logit"] == pytest.approx(largest + explanation["penalty"])


def test_the_rest_of_a_response_does_not_depend_on_it(client: TestClient) -> None:
    plain = post(client, body_of([TEXT, LONG], threshold=0.3)).json()
    explained = post(client, body_of([TEXT, LONG], threshold=0.3, explain=True)).json()

    for result in explained["results"]:
        del result["explanation"]
    assert explained == plain
    for nothing in (False, None):
        assert post(client, body_of([TEXT, LONG], threshold=0.3, explain=nothing)).json() == plain


def test_more_than_two_labels_are_explained_too(made_up_client: TestClient) -> None:
    response = post(made_up_client, body_of(["free lunch"], explain=True), "mood").json()

    (result,) = response["results"]
    assert len(result["explanation"]["spans"]) == 2
    assert set(result) >= {"label", "score", "scores", "explanation"}


@pytest.mark.parametrize("explain", [0, 51, -1, 2.5, "yes", []])
def test_refuses_another_number_of_spans(client: TestClient, explain: object) -> None:
    problem = assert_problem(post(client, body_of([CANARY], explain=explain)), 422)
    assert problem["errors"] == [
        {
            "pointer": "#/explain",
            "detail": "Expected true, false or a whole number from 1 to 50",
        }
    ]


def test_refuses_too_much_to_explain(made_up: Path) -> None:
    with connect(Settings(artifacts=made_up, max_text_chars=200_000)) as client:
        assert post(client, body_of(["a"] * MAX_EXPLAINED_TEXTS, explain=1)).status_code == 200
        for texts in (["a"] * (MAX_EXPLAINED_TEXTS + 1), ["a" * (MAX_EXPLAINED_CHARS + 1)]):
            problem = assert_problem(post(client, body_of(texts, explain=1)), 422, "32 texts")
            assert problem["errors"][0]["pointer"] == "#/explain"
            assert post(client, body_of(texts)).status_code == 200


def test_refuses_texts_that_normalization_makes_too_long_to_explain(made_up: Path) -> None:
    almost = "\ufdfa" * (MAX_EXPLAINED_CHARS // 18)  # each becomes 18 characters
    with connect(Settings(artifacts=made_up)) as client:
        (result,) = post(client, body_of([almost], explain=1)).json()["results"]
        assert result["explanation"]["spans"]
        assert post(client, body_of([almost, almost])).status_code == 200
        refused = post(client, body_of([almost, almost], explain=1))
        problem = assert_problem(refused, 422, "after Unicode normalization")
        assert problem["errors"][0]["pointer"] == "#/explain"


def test_a_text_that_is_left_out_is_not_too_much_to_explain(made_up: Path) -> None:
    almost, longer = "\ufdfa" * (MAX_EXPLAINED_CHARS // 18), "\ufdfa" * MAX_EXPLAINED_CHARS
    with connect(Settings(artifacts=made_up)) as client:
        texts = [longer[: MAX_EXPLAINED_CHARS - len(almost)], almost]
        response = post(client, body_of(texts, explain=1, on_error="report"))
        error, result = response.json()["results"]
        assert "after Unicode normalization" in error["error"]["detail"]
        assert result["explanation"]["spans"]


def test_explanations_end_at_the_deadline(made_up: Path) -> None:
    with connect(Settings(artifacts=made_up, request_timeout_ms=1)) as client:
        texts = ["wörd " * 600] * MAX_EXPLAINED_TEXTS
        assert_problem(post(client, body_of(texts, explain=50)), 504)

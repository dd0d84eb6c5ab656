"""Perspective API's ``comments:analyze``: requests, scores, and the errors of each status."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import Problem
from app.main import assemble, create_app
from app.protocols import perspective_discovery
from app.serving.registry import Registry
from app.settings import Settings, SettingsError
from app.telemetry.metrics import Metrics
from dandelion import Classifier, ServingError, serving
from dandelion.installation import SERVING_FILE

from ...conftest import ROOT
from ..contract import CANARY, JSON, JSON_TYPE

ARTIFACTS = ROOT / "artifacts"
ANALYZE = "/v1alpha1/comments:analyze"
TYPE = "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"
HELLO = "What kind of name is foo? Sorry, I like your name."


@contextmanager
def connect(artifacts: Path = ARTIFACTS, **settings: Any) -> Iterator[TestClient]:
    """Start a service in this process that speaks the protocol."""
    app = create_app(Settings(artifacts=artifacts, protocols="perspective", **settings))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with connect(max_text_chars=2000, max_body_bytes=20_000) as client:
        yield client


@pytest.fixture(scope="module")
def roomy() -> Iterator[TestClient]:
    """A client of a service with the default limits, and with time for a busy machine."""
    with connect(request_timeout_ms=60_000) as client:
        yield client


def request(text: object = HELLO, *attributes: str, **fields: Any) -> dict[str, Any]:
    asked = {name: {} for name in attributes or ("TOXICITY",)}
    return {"comment": {"text": text}, "requestedAttributes": asked} | fields


def analyze(client: TestClient, body: object) -> dict[str, Any]:
    response = client.post(ANALYZE, json=body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    found: dict[str, Any] = response.json()
    return found


def assert_error(
    response: httpx2.Response, code: int, status: str, error_type: str = "", part: str = ""
) -> dict[str, Any]:
    """Check the shape of an error of Google's, its kind, and a part of its message."""
    assert response.status_code == code, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) - {"details"} == {"code", "message", "status"}
    assert (error["code"], error["status"]) == (code, status)
    assert error["message"].endswith(".")
    assert part in error["message"]
    details = error.get("details", [])
    assert [(one["@type"], one["errorType"]) for one in details] == (
        [(TYPE, error_type)] if error_type else []
    )
    assert CANARY not in response.text
    assert "Traceback" not in response.text
    return error


def score(client: TestClient, model: str, text: str, **fields: Any) -> float:
    response = client.post(f"/classify/{model}", json={"texts": [text]} | fields)
    found: float = response.json()["results"][0]["score"]
    return found


def test_the_response(client: TestClient) -> None:
    fields = {"doNotStore": True, "clientToken": "a 7", "sessionId": "s", "communityId": "c"}
    found = analyze(client, request(HELLO, "SPAM", "TOXICITY", languages=["en-US"], **fields))
    assert found == {
        "attributeScores": {
            name: {
                "spanScores": [
                    {"begin": 0, "end": 50, "score": {"value": value, "type": "PROBABILITY"}}
                ],
                "summaryScore": {"value": value, "type": "PROBABILITY"},
            }
            for name, value in (
                ("SPAM", score(client, "spam", HELLO)),
                ("TOXICITY", score(client, "abuse", HELLO)),
            )
        },
        "languages": ["en-US"],
        "clientToken": "a 7",
    }
    assert list(found["attributeScores"]) == ["SPAM", "TOXICITY"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        dict.fromkeys(
            ("context", "spanAnnotations", "languages", "doNotStore", "clientToken", "sessionId")
        ),
        {"languages": []},
        {"languages": ["de", "EN"]},
        {"context": {"entries": [{"text": "Before.", "type": "PLAIN_TEXT"}]}},
        {"context": {"articleAndParentComment": {"article": {"text": "a"}, "parentComment": None}}},
    ],
)
def test_what_else_a_request_may_have(client: TestClient, fields: dict[str, Any]) -> None:
    found = analyze(client, request(**fields))
    assert found["languages"] == (fields.get("languages") or ["en"])
    assert set(found) == {"attributeScores", "languages"}


@pytest.mark.parametrize("query", ["?key=k&alt=json&prettyPrint=false&$.xgafv=2", "?alt=json"])
def test_parameters_of_googles_clients_are_accepted(client: TestClient, query: str) -> None:
    assert client.post(ANALYZE + query, json=request()).status_code == 200


@given(st.text(max_size=200))
@example("a. " * 300)
def test_scores_are_those_of_the_plain_route(client: TestClient, text: str) -> None:
    expected = score(client, "abuse", text)
    response = client.post(ANALYZE, json=request(text))
    if expected is None:
        assert_error(response, 400, "INVALID_ARGUMENT", "COMMENT_EMPTY")
    else:
        found = response.json()["attributeScores"]["TOXICITY"]
        assert found["summaryScore"] == {"value": expected, "type": "PROBABILITY"}
        assert [one["score"]["value"] for one in found["spanScores"]] == [expected]


@given(st.text(max_size=60) | st.text("ab.!?\n 🌼”", max_size=60))
@example(HELLO)
def test_spans_are_sentences_that_are_scored_on_their_own(client: TestClient, text: str) -> None:
    response = client.post(ANALYZE, json=request(text, "TOXICITY", spanAnnotations=True))
    if response.status_code == 400:
        return
    units = text.encode("utf-16-le")
    found = response.json()["attributeScores"]["TOXICITY"]["spanScores"]
    for span in found:
        part = units[2 * span["begin"] : 2 * span["end"]].decode("utf-16-le")
        # Within what scores of one text may differ by between batches.
        assert span["score"]["value"] == pytest.approx(score(client, "abuse", part), abs=1e-6)


def test_a_sentence_without_a_word_has_no_score(client: TestClient) -> None:
    found = analyze(client, request("You there. 🌼🌼🌼! www.example.com", spanAnnotations=True))
    spans = found["attributeScores"]["TOXICITY"]["spanScores"]
    assert [(one["begin"], one["end"]) for one in spans] == [(0, 10)]


def test_scores_below_the_threshold_of_an_attribute_are_left_out(client: TestClient) -> None:
    text = "WINNER!! Claim your FREE prize now, call 09061701461. See you."
    asked = {"SPAM": {"scoreThreshold": 0.6}, "TOXICITY": {"scoreThreshold": 1.1}}
    found = analyze(client, request(text, spanAnnotations=True, requestedAttributes=asked))
    assert list(found["attributeScores"]) == ["SPAM"]
    everything = analyze(client, request(text, "SPAM", spanAnnotations=True))
    spans = everything["attributeScores"]["SPAM"]["spanScores"]
    kept = [one for one in spans if one["score"]["value"] >= 0.6]
    assert found["attributeScores"]["SPAM"]["spanScores"] == kept
    assert 0 < len(kept) < len(spans)


def test_a_threshold_that_is_met_exactly_keeps_the_score(client: TestClient) -> None:
    least = score(client, "spam", HELLO)
    found = analyze(client, request(requestedAttributes={"SPAM": {"scoreThreshold": least}}))
    scores = found["attributeScores"]["SPAM"]
    assert scores["summaryScore"]["value"] == least
    assert [one["score"]["value"] for one in scores["spanScores"]] == [least]


ERRORS: list[tuple[str, Any, str]] = [
    ("COMMENT_EMPTY", request(""), "Comment must be non-empty."),
    ("COMMENT_EMPTY", request(None), "Comment must be non-empty."),
    ("COMMENT_EMPTY", {"requestedAttributes": {"TOXICITY": {}}}, "Comment must be non-empty."),
    ("COMMENT_EMPTY", request("🌼 https://example.com @you"), "no word"),
    ("COMMENT_TOO_LONG", request("a " * 1001), "at most 2000 characters"),
    ("COMMENT_TOO_LONG", request("\ufdfa" * 120), "after Unicode normalization"),
    ("NO_REQUESTED_ATTRIBUTES", {"comment": {"text": "a"}}, "Missing requested_attributes"),
    ("NO_REQUESTED_ATTRIBUTES", request(requestedAttributes={}), "Missing requested_attributes"),
    ("INVALID_REQUEST", request("a", "TOXICITY", CANARY), "Served here: TOXICITY, SPAM."),
    ("INVALID_REQUEST", request("a", "toxicity"), "Unknown requested attribute"),
    ("INVALID_REQUEST", request(comment={"text": "a", "type": "HTML"}), "only 'PLAIN_TEXT'"),
    ("INVALID_REQUEST", request(comment={"text": "a", "type": CANARY}), "invalid"),
    ("INVALID_REQUEST", request(requestedAttributes={"SPAM": {"scoreType": "RAW"}}), "type RAW"),
    (
        "INVALID_REQUEST",
        request(requestedAttributes={"SPAM": {"scoreThreshold": CANARY}}),
        "#/requestedAttributes/*/scoreThreshold: Expected a number or null, got a string.",
    ),
    ("INVALID_REQUEST", request(requestedAttributes={"SPAM": {CANARY: 1}}), "Unknown field"),
    ("INVALID_REQUEST", request(**{CANARY: 1}), "Allowed fields: comment, context, requestedA"),
    ("INVALID_REQUEST", request(doNotStore="yes"), "#/doNotStore: Expected a boolean"),
    (
        "INVALID_REQUEST",
        request(context={"entries": [], "articleAndParentComment": {}}),
        "both fields were populated",
    ),
    ("INVALID_REQUEST", [], "Expected an object"),
    (
        "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
        request("a", "SPAM", languages=["de", "enm", CANARY]),
        "Attribute SPAM does not support request languages",
    ),
]


@pytest.mark.parametrize(("error_type", "body", "part"), ERRORS)
def test_400(client: TestClient, error_type: str, body: object, part: str) -> None:
    response = client.post(ANALYZE, json=body)
    error = assert_error(response, 400, "INVALID_ARGUMENT", error_type, part)
    if error_type == "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE":
        (details,) = error["details"]
        assert details["languageNotSupportedByAttributeError"] == {"attribute": "SPAM"}


@pytest.mark.parametrize("query", ["?alt=proto", "?a=b&alt=media", "?alt=", "?alt=jsonp&alt=json"])
def test_400_for_other_formats(client: TestClient, query: str) -> None:
    response = client.post(ANALYZE + query, json=request())
    assert_error(response, 400, "INVALID_ARGUMENT", "INVALID_REQUEST", "json")


def test_400_for_what_is_not_json(client: TestClient) -> None:
    response = client.post(ANALYZE, content=b'{"comment": ', headers=JSON_TYPE)
    assert_error(response, 400, "INVALID_ARGUMENT", "INVALID_REQUEST", "not valid JSON")


@pytest.mark.parametrize("path", ["/v1alpha1/comments", f"/v1alpha1/{CANARY}", "/$discovery/apis"])
def test_404(client: TestClient, path: str) -> None:
    assert_error(client.post(path, json=request()), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", ANALYZE, "POST"),
        ("PUT", "/v1alpha1/comments:suggestscore", "POST"),
        ("POST", "/$discovery/rest", "GET, HEAD"),
    ],
)
def test_405(client: TestClient, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    assert_error(response, 405, "UNIMPLEMENTED")
    assert response.headers["allow"] == allowed


def test_413(client: TestClient) -> None:
    response = client.post(ANALYZE, json=request(context={"entries": [{"text": "a" * 20_000}]}))
    assert_error(response, 413, "INVALID_ARGUMENT", "COMMENT_TOO_LONG", "20000 bytes")


def test_415(client: TestClient) -> None:
    assert_error(client.post(ANALYZE, content=b"{}"), 415, "INVALID_ARGUMENT")


def test_501(client: TestClient) -> None:
    body = {"comment": {"text": CANARY}, "attributeScores": {}}
    response = client.post("/v1alpha1/comments:suggestscore", json=body)
    assert_error(response, 501, "UNIMPLEMENTED", "", "dandelion evaluate")


class Caller:
    """An API key with a limit, in front of the service."""

    name = "forum"

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self.left = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope | {"caller": self}, receive, send)

    def take(self, texts: int) -> None:
        self.left -= texts
        if self.left < 0:
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "Slower.", headers={"Retry-After": "3"})


def test_429_and_what_a_key_is_charged(client: TestClient) -> None:
    caller = Caller(client.app, limit=4)
    limited = TestClient(caller)
    # One text, by two models.
    assert limited.post(ANALYZE, json=request(HELLO, "TOXICITY", "SPAM")).status_code == 200
    assert caller.left == 2
    assert limited.post(ANALYZE, json=request()).status_code == 200
    response = limited.post(ANALYZE, json=request(HELLO, "TOXICITY", "SPAM"))
    assert_error(response, 429, "RESOURCE_EXHAUSTED")
    assert response.headers["retry-after"] == "3"


def test_401_without_a_key_and_200_with_one_in_the_query(made_up: Path) -> None:
    digest = hashlib.sha256(CANARY.encode()).hexdigest()
    keys = f'forum = {{ sha256 = "{digest}", scopes = ["classify"] }}'
    with connect(made_up, keys=keys, root_path="/dandelion") as client:
        for prefix in ("", "/dandelion"):
            for query in ("", "?key=other"):
                response = client.post(f"{prefix}{ANALYZE}{query}", json=request(HELLO, "SPAM"))
                assert_error(response, 401, "UNAUTHENTICATED")
            keyed = f"{prefix}{ANALYZE}?key={CANARY}&alt=json"
            assert client.post(keyed, json=request(HELLO, "SPAM")).status_code == 200
            # Google's clients send their key for the description, too.
            described = f"{prefix}/$discovery/rest?version=v1alpha1"
            assert_error(client.get(described), 401, "UNAUTHENTICATED")
            assert client.get(f"{described}&key={CANARY}").status_code == 200


@pytest.mark.parametrize("path", [ANALYZE, "/$discovery/rest", "/v1alpha1/other"])
def test_a_key_is_cut_from_the_query_where_none_are_configured(
    client: TestClient, path: str
) -> None:
    scopes = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await client.app(scope, receive, send)

    TestClient(app).post(f"{path}?key={CANARY}&alt=json", json=request())
    assert [scope["query_string"] for scope in scopes] == [b"alt=json"]


def test_500(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(Classifier, "infer", fail)
    assert_error(client.post(ANALYZE, json=request()), 500, "INTERNAL")


def test_503_while_the_models_are_loading() -> None:
    settings = Settings(artifacts=ARTIFACTS, protocols="perspective")
    metrics = Metrics()
    registry = Registry(serving.choices(ARTIFACTS, {}), metrics)
    with TestClient(assemble(settings, registry, metrics)) as client:
        response = client.post(ANALYZE, json=request())
        assert_error(response, 503, "UNAVAILABLE")
        assert response.headers["retry-after"] == "1"


def test_504_and_that_nothing_stays_in_flight() -> None:
    text = "\N{LATIN SMALL LETTER E WITH ACUTE} words. " * 10_000
    with connect(request_timeout_ms=1) as client:
        response = client.post(ANALYZE, json=request(text, "TOXICITY", "SPAM"))
        assert_error(response, 504, "DEADLINE_EXCEEDED")
        assert in_flight(client) == {0.0}


def in_flight(client: TestClient) -> set[float]:
    lines = client.get("/metrics").text.splitlines()
    return {float(one.split()[1]) for one in lines if one.startswith("dandelion_in_flight_")}


@pytest.mark.parametrize(
    "text",
    [
        "Some words in a sentence. " * 1500,  # long: in a thread
        "Short.",
    ],
)
@pytest.mark.parametrize("context", [0, 100_000])  # a large body is decoded when it is its turn
def test_large_requests_are_classified_by_every_model(
    roomy: TestClient, text: str, context: int
) -> None:
    entries = [{"text": "a" * context}]
    wanted = {"spanAnnotations": True, "context": {"entries": entries}}
    found = analyze(roomy, request(text, "TOXICITY", "SPAM", **wanted))["attributeScores"]
    for name, model in serving.ATTRIBUTES.items():
        assert found[name]["summaryScore"]["value"] == score(roomy, model, text)
    assert in_flight(roomy) == {0.0}


NAMES = st.sampled_from(["TOXICITY", "SPAM"]) | st.text(max_size=5)
TEXT_ENTRIES = st.fixed_dictionaries(
    {}, optional={"text": st.text(max_size=80) | JSON, "type": st.just("PLAIN_TEXT") | JSON}
)
ALMOST_REQUESTS = st.fixed_dictionaries(
    {
        "comment": TEXT_ENTRIES | JSON,
        "requestedAttributes": st.dictionaries(
            NAMES,
            st.fixed_dictionaries(
                {}, optional={"scoreThreshold": st.floats(0, 1) | JSON, "scoreType": JSON}
            ),
        )
        | JSON,
    },
    optional={
        "languages": JSON | st.lists(st.sampled_from(["en", "de"]) | JSON, max_size=3),
        "spanAnnotations": st.booleans() | JSON,
        "clientToken": JSON,
        "context": st.fixed_dictionaries({"entries": JSON | st.lists(TEXT_ENTRIES)}) | JSON,
        "more": JSON,
    },
)


@given(st.binary(max_size=200) | (JSON | ALMOST_REQUESTS).map(json.dumps).map(str.encode))
def test_any_body_is_analyzed_or_refused_in_the_documented_form(
    client: TestClient, body: bytes
) -> None:
    response = client.post(ANALYZE, content=body, headers=JSON_TYPE)
    if response.status_code != 200:
        (details,) = response.json()["error"]["details"]
        assert_error(response, 400, "INVALID_ARGUMENT", details["errorType"])
        return
    found = response.json()
    assert set(found) - {"clientToken"} == {"attributeScores", "languages"}
    for scores in found["attributeScores"].values():
        assert scores
        assert set(scores) <= {"summaryScore", "spanScores"}


@contextmanager
def configured(directory: Path, table: str, **settings: Any) -> Iterator[TestClient]:
    """Start a service with the real models and with a table of attributes."""
    for model in ("abuse", "cyberbullying_type", "spam"):
        (directory / model).symlink_to(ARTIFACTS / model)
    (directory / SERVING_FILE).write_text(
        "[models]\ncyberbullying_type = 'cross_entropy-wide'\nspam = 'mse'\n"
        "[models.abuse]\nvariant = 'bce-wide'\n"
        "[models.abuse.policies.teens]\nprior = 0.01\n"
        f"[protocols.perspective.attributes]\n{table}\n"
    )
    with connect(directory, **settings) as client:
        yield client


TABLE = 'INSULT = "abuse"\nSEVERE_TOXICITY = "abuse@teens"\nTHREAT = "abuse"\nSPAM = "spam"'


def test_attributes_are_those_of_the_configuration(tmp_path: Path) -> None:
    with configured(tmp_path, TABLE) as client:
        found = analyze(client, request(HELLO, "SPAM", "INSULT", "SEVERE_TOXICITY", "THREAT"))
        values = {
            name: one["summaryScore"]["value"] for name, one in found["attributeScores"].items()
        }
        assert values == {
            "SPAM": score(client, "spam", HELLO),
            "INSULT": score(client, "abuse", HELLO),
            "SEVERE_TOXICITY": score(client, "abuse", HELLO, policy="teens"),
            "THREAT": score(client, "abuse", HELLO),
        }
        assert values["SEVERE_TOXICITY"] < values["INSULT"]
        refused = client.post(ANALYZE, json=request())
        served = "INSULT, SEVERE_TOXICITY, THREAT, SPAM"
        assert_error(refused, 400, "INVALID_ARGUMENT", "INVALID_REQUEST", served)


def test_a_model_classifies_once_for_several_attributes(tmp_path: Path) -> None:
    with configured(tmp_path, TABLE) as client:
        analyze(client, request(HELLO, "INSULT", "THREAT", "SPAM", spanAnnotations=True))
        metrics = client.get("/metrics").text
        # Sentences are no messages.
        for model in ("abuse", "spam"):
            assert f'dandelion_batch_size_sum{{model="{model}"}} 1.0' in metrics
        assert 'dandelion_requests_total{model="abuse",status="200"} 1.0' in metrics


def test_a_request_without_a_model_is_counted_as_unknown(made_up: Path) -> None:
    with connect(made_up) as client:
        client.post(ANALYZE, json=[])
        metrics = client.get("/metrics").text
        assert 'dandelion_requests_total{model="unknown",status="400"} 1.0' in metrics


def test_a_model_with_more_labels_has_no_attribute(tmp_path: Path) -> None:
    message = "THREAT = 'cyberbullying_type', a model with 6 labels; expected one with two"
    with (
        pytest.raises(ServingError, match=message),
        configured(tmp_path, "THREAT = 'cyberbullying_type'"),
    ):
        pass


def test_a_service_without_an_attribute_does_not_start(made_up: Path, tmp_path: Path) -> None:
    (tmp_path / "mood").symlink_to(made_up / "mood")
    (tmp_path / SERVING_FILE).write_text("[models]\nmood = 'tiny'\n")
    with (
        pytest.raises(SettingsError, match="no attribute of perspective has a model"),
        connect(tmp_path),
    ):
        pass


def test_the_protocol_is_off_unless_it_is_chosen(made_up: Path) -> None:
    with TestClient(create_app(Settings(artifacts=made_up))) as client:
        response = client.post(ANALYZE, json=request())
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"


def test_there_is_no_such_protocol(made_up: Path) -> None:
    chosen = Settings(artifacts=made_up, protocols="perspective, soap")
    with pytest.raises(SettingsError, match=r"no such protocol; available: .*perspective"):
        create_app(chosen)


def test_the_first_request_warns_once(made_up: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="dandelion")
    with connect(made_up) as client:
        assert not caplog.records
        for _ in range(2):
            analyze(client, request(CANARY, "SPAM"))
    (message,) = [record.getMessage() for record in caplog.records]
    assert "not comparable" in message
    assert CANARY not in message


def test_errors_below_a_prefix_have_the_form_too(made_up: Path) -> None:
    with connect(made_up, root_path="/dandelion") as client:
        for prefix in ("", "/dandelion"):
            analyzed = client.post(f"{prefix}{ANALYZE}", json=request(HELLO, "SPAM"))
            assert analyzed.status_code == 200
            assert_error(client.get(f"{prefix}/v1alpha1/other"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"host": "example.com"}, "http://example.com/dandelion/"),
        ({"host": "[::1]:9420"}, "http://[::1]:9420/dandelion/"),
    ],
)
def test_the_description_for_googles_clients_has_the_address(
    made_up: Path, headers: Mapping[str, str], address: str
) -> None:
    with connect(made_up, root_path="/dandelion") as client:
        found = client.get("/$discovery/rest?version=v1alpha1", headers=dict(headers)).json()
    assert found["rootUrl"] == found["baseUrl"] == address
    method = found["resources"]["comments"]["methods"]["analyze"]
    assert "/" + method["path"] == ANALYZE
    assert method["request"]["$ref"] in found["schemas"]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [("http", "http"), ("https", "https"), ("ws", "http"), ("wss", "https")],
)
def test_the_description_has_the_scheme_of_the_client(scheme: str, expected: str) -> None:
    scope = {"scheme": scheme, "first_headers": {b"host": b"example.com:9443"}}
    assert perspective_discovery.address(scope, "") == f"{expected}://example.com:9443/"


def test_the_description_repeats_no_other_host(client: TestClient) -> None:
    for host in ("", f"{CANARY}/path", "a b", '"'):
        response = client.get("/$discovery/rest", headers={"host": host})
        assert_error(response, 400, "INVALID_ARGUMENT", "INVALID_REQUEST", "Host")

"""The lines of the decision record, compared with the responses."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from app.main import assemble, create_app, load
from app.serving.callers import Caller
from app.serving.generations import Control
from app.settings import Settings, SettingsError
from app.telemetry.metrics import Metrics
from dandelion.artifact import save
from dandelion.decision.calibration import Calibration

from ...conftest import ROOT
from ...dandelion.examples import FEATURES, THREE, make_artifact, make_evidence
from ..contract import CANARY, assert_problem, check_every_error, post

KEY = "k" * 32
FIELDS = [
    *("id", "time", "key", "request_id", "model", "variant", "checksum", "generation"),
    *("policy", "operating_point", "threshold", "review_threshold", "prior"),
    *("score", "label", "decision", "reason", "low_evidence", "hmac"),
]
SERVING = """
[models]
mood = "tiny"

[models.spam]
variant = "tiny"

[models.spam.policies.teens]
operating_point = "fpr<=0.05"
review = "fpr<=0.2"
prior = 0.01
"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("artifacts")
    platt = Calibration("platt", 2.0, 2.0, -0.5)
    spam = make_artifact(features=FEATURES, calibration=platt, evidence=make_evidence())
    save(spam, directory / "spam" / "tiny")
    save(make_artifact(labels=THREE, features=FEATURES), directory / "mood" / "tiny")
    (directory / "serving.toml").write_text(SERVING)
    return directory


class Recorded:
    """A client of a service that records, and its file."""

    def __init__(self, client: TestClient, path: Path) -> None:
        self.client = client
        self.path = path

    def post(self, model: str = "spam", **request: Any) -> tuple[Any, list[dict[str, Any]]]:
        """Send a request; return the response and the lines that it has added."""
        before = self.path.stat().st_size
        response = self.client.post(f"/classify/{model}", json=request)
        assert response.is_success, response.text
        with self.path.open(encoding="utf-8") as file:
            file.seek(before)
            content = file.read()
        assert not content or content.endswith("\n")
        # By line feeds alone: JSON may hold other ends of lines.
        lines = [json.loads(line) for line in content.split("\n")[:-1]]
        body = response.json()
        assert response.headers.get("x-decision-id") == body.get("decision_id")
        return body, lines


@contextmanager
def recording(path: Path, artifacts: Path, **more: Any) -> Iterator[Recorded]:
    chosen = {"record_file": path, "record_hmac_key": KEY, **more}
    with TestClient(create_app(Settings(artifacts=artifacts, **chosen))) as client:
        check_every_error(client)
        yield Recorded(client, path)


@pytest.fixture(scope="module")
def recorded(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    path = tmp_path_factory.mktemp("record") / "record.jsonl"
    with recording(path, artifacts, max_text_chars=200) as found:
        yield found


def check(body: dict[str, Any], lines: list[dict[str, Any]], texts: list[Any]) -> None:
    """Compare the lines with the response, and the hashes with the client's own texts."""
    found = {}
    for line in lines:
        assert list(line) == FIELDS
        decision_id, _, position = line["id"].partition(".")
        assert decision_id == body["decision_id"]
        assert position not in found
        found[int(position)] = line
    assert list(found) == [at for at, result in enumerate(body["results"]) if "error" not in result]
    for at, line in found.items():
        result, text = body["results"][at], texts[at]
        for field in ("label", "score"):
            assert line[field] == result[field]
        for field, default in (("decision", None), ("reason", None), ("low_evidence", False)):
            assert line[field] == result.get(field, default)
        for field in ("policy", "operating_point", "prior"):
            assert line[field] == body.get(field)
        for field in ("model", "variant", "threshold"):
            assert line[field] == body[field]
        assert line["checksum"].startswith(body["version"])
        digest = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
        assert line["hmac"] == digest


TEXT = st.text(max_size=30) | st.sampled_from(
    ["Free prize!", "lunch", "xyzzy", "", "😂", "ﬁve ﷺ", "ﷺ" * 12, "a\u2028b\nc", "Zoe\u0301"]
)


@settings(max_examples=60)
@example(["ﷺ" * 12, "lunch", 7, "ﬁve"], {})
@example([7], {})
@given(
    st.lists(TEXT | st.integers(), min_size=1, max_size=6),
    st.sampled_from(
        [
            *({}, {"threshold": 0.25}, {"policy": "teens"}, {"prior": 0.1}),
            *({"operating_point": "recall>=0.5"}, {"explain": 2}),
        ]
    ),
)
def test_each_result_has_a_line_that_says_the_same(
    recorded: Recorded, texts: list[Any], request: dict[str, Any]
) -> None:
    body, lines = recorded.post(texts=texts, on_error="report", **request)
    if lines:
        check(body, lines, texts)
    else:  # all of them have errors
        assert "decision_id" not in body
        assert all("error" in result for result in body["results"])


@pytest.mark.parametrize("model", ["spam", "mood"])
@pytest.mark.parametrize("size", [1, 256, 257, 4096])
def test_batches_of_every_size(recorded: Recorded, model: str, size: int) -> None:
    texts = [f"ﬁve free prizes {number}" if number % 3 else "12" for number in range(size)]
    body, lines = recorded.post(model, texts=texts)
    assert len(lines) == size
    check(body, lines, texts)


def test_a_line_has_what_the_response_leaves_out(recorded: Recorded) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    response = recorded.client.post(
        "/classify/spam",
        json={"texts": ["lunch"], "policy": "teens"},
        headers={"X-Request-ID": "order-66"},
    )
    line = json.loads(recorded.path.read_text().splitlines()[-1])
    assert line["request_id"] == "order-66"
    assert re.fullmatch(r"[0-9a-f]{32}\.0", line["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert before <= datetime.fromisoformat(line["time"]) <= datetime.now(UTC)
    assert line["key"] is None
    assert 0 < line["review_threshold"] <= line["threshold"] == response.json()["threshold"]
    assert line["checksum"] == recorded.client.get("/models/spam").json()["content_hash"]


def test_ids_differ(recorded: Recorded) -> None:
    ids = {recorded.post(texts=["a"])[0]["decision_id"] for _ in range(20)}
    assert len(ids) == 20


def test_nothing_is_recorded_of_a_request_that_fails(recorded: Recorded) -> None:
    before = recorded.path.read_bytes()
    response = post(recorded.client, b'{"texts": ["canary-7f3a9", 7]}')
    assert_problem(response, 422)
    assert "x-decision-id" not in response.headers
    assert recorded.path.read_bytes() == before


def test_no_text_is_in_the_record(recorded: Recorded) -> None:
    for request in ({}, {"explain": True}, {"on_error": "report"}):
        recorded.post(texts=[CANARY, f"{CANARY} free prize"], **request)
    assert CANARY not in recorded.path.read_text()


def test_without_a_key_there_is_no_hash(tmp_path: Path, artifacts: Path) -> None:
    with recording(tmp_path / "r.jsonl", artifacts, record_hmac_key=None) as found:
        body, (line,) = found.post(texts=["a"])
        assert line["hmac"] is None
        assert line["id"] == f"{body['decision_id']}.0"


def test_a_line_has_the_name_of_the_key(tmp_path: Path, artifacts: Path) -> None:
    class Mobile(Caller):
        name = "mobile-app"

        def take(self, texts: int) -> None:
            pass

    path = tmp_path / "record.jsonl"
    app = create_app(Settings(artifacts=artifacts, record_file=path))

    async def with_key(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope | {"caller": Mobile()}, receive, send)

    with TestClient(with_key) as client:
        assert client.post("/classify/spam", json={"texts": ["a"]}).is_success
    assert json.loads(path.read_text())["key"] == "mobile-app"


def test_a_line_has_the_generation_of_the_models(tmp_path: Path, artifacts: Path) -> None:
    path = tmp_path / "record.jsonl"
    chosen, metrics = Settings(artifacts=artifacts, record_file=path), Metrics()
    app = assemble(chosen, load(chosen, metrics), metrics, control=Control(generation=7))
    with TestClient(app) as client:
        assert client.post("/classify/spam", json={"texts": ["a"]}).is_success
    assert json.loads(path.read_text())["generation"] == 7


@pytest.mark.parametrize("size", [1, 300])
def test_without_a_line_there_is_no_id(tmp_path: Path, artifacts: Path, size: int) -> None:
    directory = tmp_path / "records"
    directory.mkdir()
    with recording(directory / "record.jsonl", artifacts) as found:
        found.path.unlink()
        directory.rmdir()
        response = found.client.post("/classify/spam", json={"texts": ["a"] * size})
        assert response.is_success
        assert "decision_id" not in response.json()
        assert "x-decision-id" not in response.headers
        metrics = found.client.get("/metrics").text
        assert f'dandelion_record_dropped_total{{reason="missing"}} {size}.0\n' in metrics
        assert "dandelion_recorded_decisions_total 0.0\n" in metrics
        directory.mkdir()
        found.path.touch()
        body, lines = found.post(texts=["a"] * size)
        check(body, lines, ["a"] * size)
        metrics = found.client.get("/metrics").text
        assert f"dandelion_recorded_decisions_total {size}.0\n" in metrics


def test_without_a_record_there_is_no_id(made_up_client: TestClient) -> None:
    response = post(made_up_client, b'{"texts": ["a"]}')
    assert "decision_id" not in response.text
    assert "x-decision-id" not in response.headers


def test_the_access_log_has_the_id(
    tmp_path: Path, artifacts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logged = recording(tmp_path / "r.jsonl", artifacts, access_log=True)
    with logged as found, caplog.at_level("INFO", "dandelion.requests"):
        body, _ = found.post(texts=["a"])
    (line,) = [vars(record) for record in caplog.records if record.getMessage() == "request"]
    assert line["decision_id"] == body["decision_id"]


def test_pages_of_other_origins_may_read_the_id(tmp_path: Path, artifacts: Path) -> None:
    path = tmp_path / "r.jsonl"
    with recording(path, artifacts, cors_origins="https://a.example") as found:
        response = found.client.post(
            "/classify/spam", json={"texts": ["a"]}, headers={"Origin": "https://a.example"}
        )
    assert "X-Decision-ID" in response.headers["access-control-expose-headers"]


def test_a_file_that_cannot_be_opened_is_an_error_of_the_settings(
    tmp_path: Path, artifacts: Path
) -> None:
    missing = tmp_path / "missing" / "record.jsonl"
    with pytest.raises(SettingsError, match=r"DANDELION_RECORD_FILE: .*missing.*: No such file"):
        create_app(Settings(artifacts=artifacts, record_file=missing))


def test_one_text_for_several_models_has_a_line_for_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = {
        "comment": {"text": f"ﬁve {CANARY}"},
        "requestedAttributes": {"TOXICITY": {}, "SPAM": {}},
    }
    more = {"protocols": "perspective", "access_log": True}
    path = tmp_path / "record.jsonl"
    with recording(path, ROOT / "artifacts", **more) as found, caplog.at_level("INFO"):
        response = found.client.post("/v1alpha1/comments:analyze", json=body)
    assert response.is_success
    lines = list(map(json.loads, path.read_text().splitlines()))
    decision_id = response.headers["x-decision-id"]
    assert [line["id"] for line in lines] == [f"{decision_id}.0", f"{decision_id}.1"]
    assert [line["model"] for line in lines] == ["abuse", "spam"]
    scores = response.json()["attributeScores"]
    for line, attribute in zip(lines, ("TOXICITY", "SPAM"), strict=True):
        assert scores[attribute]["summaryScore"]["value"] == pytest.approx(line["score"])
        digest = hmac.new(KEY.encode(), f"ﬁve {CANARY}".encode(), hashlib.sha256).hexdigest()
        assert line["hmac"] == digest
    assert CANARY not in path.read_text()
    (logged,) = [vars(line) for line in caplog.records if line.getMessage() == "request"]
    assert (logged["texts"], logged["positives"]) == (2, 0)
    assert logged["decision_id"] == decision_id

"""The Open Inference Protocol: every status, form of a tensor and size of the JSON in a body."""

import asyncio
import json
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.main import assemble, create_app
from app.protocols import choice, tensors
from app.serving.classification import INLINE_TEXTS
from app.serving.registry import Registry
from app.settings import Settings, SettingsError
from app.telemetry.metrics import Metrics
from dandelion import serving
from dandelion.artifact import save
from dandelion.decision.calibration import Calibration

from ...dandelion.examples import FEATURES, THREE, make_artifact, make_evidence
from ..contract import BODIES, CANARY

MAX_TEXTS, MAX_CHARS = 8, 2000
TEXTS = ["Free prize!", "Lunch tomorrow?", "привет 😂", "£ 12"]
SERVING = """
[models]
mood = "tiny"
[models.spam]
variant = "tiny"
variants = ["other"]
policies.teens = {operating_point = "fpr<=0.05", review = "fpr<=0.2", prior = 0.01}
"""
HEADER = b"inference-header-content-length"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    directory = tmp_path_factory.mktemp("open-inference")
    calibration = Calibration("platt", 2.0, 2.0, -0.5)
    spam = make_artifact(features=FEATURES, calibration=calibration, evidence=make_evidence())
    save(spam, directory / "spam" / "tiny")
    other = make_artifact(seed=7)
    save(
        replace(other, manifest=replace(other.manifest, variant="other")),
        directory / "spam" / "other",
    )
    save(make_artifact(labels=THREE, features=FEATURES), directory / "mood" / "tiny")
    (directory / "serving.toml").write_text(SERVING)
    return Settings(
        artifacts=directory,
        protocols="open-inference",
        max_texts=MAX_TEXTS,
        max_text_chars=MAX_CHARS,
        max_body_bytes=20_000,
    )


@pytest.fixture(scope="module")
def app(settings: Settings) -> ASGIApp:
    return create_app(settings)


@pytest.fixture(scope="module")
def client(app: ASGIApp) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def packed(texts: Sequence[str | bytes]) -> bytes:
    """Return a BYTES tensor as binary data."""
    elements = [text.encode() if isinstance(text, str) else text for text in texts]
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def unpacked(data: bytes) -> list[str]:
    found = []
    while data:
        (size,) = struct.unpack_from("<I", data)
        found.append(data[4 : 4 + size].decode())
        data = data[4 + size :]
    return found


def tensor(texts: Sequence[Any], **changes: Any) -> dict[str, Any]:
    return {
        "name": "text",
        "shape": [len(texts)],
        "datatype": "BYTES",
        "data": list(texts),
    } | changes


def request(texts: Sequence[Any] = TEXTS, **members: Any) -> dict[str, Any]:
    return {"inputs": [tensor(texts)]} | members


def binary(texts: Sequence[str | bytes], **members: Any) -> tuple[bytes, bytes]:
    """Return the JSON of a request, and the tensor that follows it."""
    data = packed(texts)
    described = tensor(texts, parameters={"binary_data_size": len(data)})
    del described["data"]
    return json.dumps({"inputs": [described], **members}).encode(), data


class Reply(NamedTuple):
    """A response, and its output tensors by name."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def error(self) -> str:
        """The error, whose form is checked."""
        assert self.status >= 400
        assert self.headers[b"content-type"] == b"application/json"
        content = json.loads(self.body)
        assert set(content) == {"error"}
        assert isinstance(content["error"], str)
        assert CANARY.encode() not in self.body
        return content["error"]

    @property
    def content(self) -> dict[str, Any]:
        assert self.status == 200, self.body
        length = int(self.headers.get(HEADER, len(self.body)))
        found: dict[str, Any] = json.loads(self.body[:length])
        return found

    @property
    def outputs(self) -> dict[str, Any]:
        """The values of each tensor: lists, or float32 arrays where they are binary."""
        length = int(self.headers.get(HEADER, len(self.body)))
        rest = self.body[length:]
        found: dict[str, Any] = {}
        for output in self.content["outputs"]:
            size = output.get("parameters", {}).get("binary_data_size")
            if size is None:
                found[output["name"]] = output["data"]
            else:
                data, rest = rest[:size], rest[size:]
                is_float = output["datatype"] == "FP32"
                found[output["name"]] = np.frombuffer(data, "<f4") if is_float else unpacked(data)
        assert not rest
        is_binary = b"octet-stream" in self.headers[b"content-type"]
        assert is_binary == (HEADER in self.headers)
        return found


def infer(
    app: ASGIApp,
    content: bytes,
    *headers: tuple[bytes, bytes],
    path: str = "/v2/models/spam/infer",
    method: str = "POST",
    caller: object = None,
) -> Reply:
    """Send a body with any header, which `TestClient` does not."""
    scope: Scope = {"type": "http", "method": method, "path": path, "query_string": b""}
    scope["headers"] = list(headers)
    scope |= {} if caller is None else {"caller": caller}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, body = sent
    return Reply(start["status"], dict(start["headers"]), body["body"])


def send_json(app: ASGIApp, content: object, **options: Any) -> Reply:
    body = json.dumps(content).encode()
    return infer(app, body, (b"content-type", b"application/json"), **options)


def send_binary(app: ASGIApp, head: bytes, data: bytes, **options: Any) -> Reply:
    return infer(app, head + data, (HEADER, b"%d" % len(head)), **options)


def results(client: TestClient, texts: Sequence[str], model: str = "spam", **fields: Any) -> Any:
    """Return the results of ``/classify``."""
    response = client.post(f"/classify/{model}", json={"texts": texts, **fields})
    assert response.status_code == 200, response.text
    return response.json()["results"]


def float32(values: Sequence[float | None]) -> list[float]:
    return np.array([math.nan if one is None else one for one in values], np.float32).tolist()


def same(one: Sequence[float | None], other: Sequence[float | None]) -> bool:
    """Whether scores are the same bit for bit in float32."""
    return np.array_equal(np.array(float32(one)), np.array(float32(other)), equal_nan=True)


def test_health(client: TestClient) -> None:
    for path, expected in (
        ("health/live", {"live": True}),
        ("health/ready", {"ready": True}),
        ("models/spam/ready", {"name": "spam", "ready": True}),
    ):
        response = client.get(f"/v2/{path}")
        assert response.status_code == 200
        assert response.json() == expected
        head = client.head(f"/v2/{path}")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == response.headers["content-length"]


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_metadata(client: TestClient, path: str) -> None:
    found = client.get(path).json()
    assert found["name"] == "dandelion"
    assert found["version"] == client.get("/").json()["version"]
    assert found["extensions"] == ["binary_tensor_data"]


def test_model_metadata_describes_what_infer_takes_and_returns(
    app: ASGIApp, client: TestClient
) -> None:
    for model in ("spam", "mood"):
        found = client.get(f"/v2/models/{model}").json()
        own = client.get(f"/models/{model}").json()
        assert found["name"] == model
        assert found["versions"][0] == own["version"]
        assert found["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        assert found["parameters"] == {"variant": "tiny", "labels": own["labels"]}
        assert client.get(f"/v2/models/{model}/versions/{own['version']}").json() == found
        assert client.get(f"/v2/models/{model}/versions/{own['version']}/ready").is_success
        reply = send_json(app, request(), path=f"/v2/models/{model}/infer").content
        returned = [
            {
                "name": output["name"],
                "datatype": output["datatype"],
                "shape": [-1, *output["shape"][1:]],
            }
            for output in reply["outputs"]
        ]
        assert found["outputs"] == returned


@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("output", [False, True])
@pytest.mark.parametrize("model", ["spam", "mood"])
def test_every_form_gives_the_results_of_classify(
    app: ASGIApp, client: TestClient, model: str, is_binary: bool, output: bool
) -> None:
    parameters = {"binary_data_output": output}
    path = f"/v2/models/{model}/infer"
    if is_binary:
        reply = send_binary(app, *binary(TEXTS, parameters=parameters), path=path)
    else:
        reply = send_json(app, request(parameters=parameters), path=path)
    expected = results(client, TEXTS, model)
    found = reply.outputs
    assert isinstance(found["score"], np.ndarray) == output
    assert found["label"] == [one["label"] for one in expected]
    assert same(found["score"], [one["score"] for one in expected])
    if model == "mood":
        every = [score for one in expected for score in one["scores"].values()]
        assert same(found["scores"], every)
        assert reply.content["outputs"][2]["shape"] == [len(TEXTS), 3]
    else:
        assert found["decision"][-1] == "none"  # it has no content
        assert math.isnan(found["score"][-1]) if output else found["score"][-1] is None


def test_a_column_gives_columns(app: ASGIApp, client: TestClient) -> None:
    nested = tensor([[text] for text in TEXTS], shape=[len(TEXTS), 1])
    flat = tensor(TEXTS, shape=[len(TEXTS), 1])
    expected = send_json(app, request()).outputs
    for one in (nested, flat):
        reply = send_json(app, {"inputs": [one]})
        assert reply.outputs == expected
        assert [output["shape"] for output in reply.content["outputs"]] == [[len(TEXTS), 1]] * 3
    reply = send_json(app, {"inputs": [nested]}, path="/v2/models/mood/infer")
    assert [output["shape"] for output in reply.content["outputs"]] == [[4, 1], [4, 1], [4, 3]]


def test_only_what_is_asked_for_is_returned_in_its_order(app: ASGIApp) -> None:
    every = send_json(app, request()).outputs
    asked = [
        {"name": "decision", "parameters": {"binary_data": False}},
        {"name": "score"},
    ]
    reply = send_json(
        app, request(outputs=asked, parameters={"binary_data_output": True}, id="a 7 ☃")
    )
    assert list(reply.outputs) == ["decision", "score"]
    assert reply.outputs["decision"] == every["decision"]
    assert ["data" in output for output in reply.content["outputs"]] == [True, False]
    assert reply.content["id"] == "a 7 ☃"
    assert "id" not in send_json(app, request()).content
    assert list(send_json(app, request(outputs=[])).outputs) == ["label", "score", "decision"]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"threshold": 0.25},
        {"policy": "teens"},
        {"operating_point": "recall>=0.5"},
        {"operating_point": "recall>=0.5", "prior": 0.02},
        {"prior": 0.02},
    ],
)
def test_parameters_decide_as_in_classify(
    app: ASGIApp, client: TestClient, parameters: dict[str, Any]
) -> None:
    reply = send_json(app, request(parameters=parameters))
    response = client.post("/classify/spam", json={"texts": TEXTS, **parameters}).json()
    names = ("threshold", "policy", "operating_point", "prior")
    expected = {name: response[name] for name in names if name in response}
    assert reply.content["parameters"] == {"variant": "tiny", **expected}
    assert reply.content["model_version"] == response["version"]
    assert same(reply.outputs["score"], [one["score"] for one in response["results"]])
    for found, one in zip(reply.outputs["decision"], response["results"], strict=True):
        plain = "positive" if one["label"] == "spam" else "negative"
        assert found == one.get("decision", plain)


def test_members_of_other_servers_are_ignored(app: ASGIApp) -> None:
    content = request(
        model_name="spam",
        parameters={"content_type": "str", "priority": 1, "timeout": 5_000_000},
        outputs=None,
        id=None,
    )
    content["inputs"][0]["parameters"] = {"content_type": "str"}
    assert send_json(app, content).outputs == send_json(app, request()).outputs


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({}, "inputs: This field is required."),
        ([], "Expected an object, got an array"),
        ({"inputs": []}, "Expected an array of length >= 1"),
        ({"inputs": [tensor(["a"]), tensor(["b"])]}, "inputs: Expected an array of length <= 1"),
        ({"inputs": [tensor(["a"], name=CANARY)]}, "inputs/0: Expected the tensor 'text'"),
        ({"inputs": [tensor(["a"], datatype="FP32")]}, "datatype BYTES"),
        ({"inputs": [tensor([1], datatype="INT32")]}, "inputs/0/data/0: Expected a"),
        ({"inputs": [tensor([])]}, "inputs/0/shape: Expected [n] or [n, 1]"),
        ({"inputs": [tensor(["a"], shape=[2])]}, "The shape has 2 elements, the data 1"),
        ({"inputs": [tensor(["a"], shape=[])]}, "Expected [n] or [n, 1]"),
        ({"inputs": [tensor(["a"], shape=[-1])]}, "Expected [n] or [n, 1]"),
        ({"inputs": [tensor(["a"], shape=[1, 2])]}, "Expected [n] or [n, 1]"),
        ({"inputs": [tensor(["a"], shape=[1, 1, 1])]}, "Expected [n] or [n, 1]"),
        ({"inputs": [tensor(["a"], shape=[1.0])]}, "Expected [n] or [n, 1]"),
        ({"inputs": [tensor(["a"], shape=None)]}, "Expected [n] or [n, 1]"),
        ({"inputs": [tensor(["a"], shape=[10**30])]}, "Expected [n] or [n, 1]"),
        ({"inputs": [tensor([["a"]])]}, "nested in another form than its shape"),
        ({"inputs": [tensor(["a", ["b"]], shape=[2, 1])]}, "nested in another form"),
        ({"inputs": [tensor([["a", "b"]], shape=[1, 1])]}, "inputs/0/data/0: Expected an array"),
        ({"inputs": [tensor(["a"], data=None)]}, "either data or the parameter binary_data_size"),
        (
            {"inputs": [tensor(["a"], parameters={"binary_data_size": 5})]},
            "either data or the parameter binary_data_size",
        ),
        (
            {"inputs": [tensor(["a"], data=None, parameters={"binary_data_size": 5})]},
            "0 bytes follow the JSON",
        ),
        (
            {"inputs": [tensor(["a"], data=None, parameters={"shared_memory_region": "a"})]},
            "either data or the parameter binary_data_size",
        ),
        ({"inputs": [tensor(["a" * (MAX_CHARS + 1)])]}, f"length <= {MAX_CHARS}"),
        ({"inputs": [tensor(["\ufdfa" * 200])]}, "texts/0: Expected a string of length <= 2000"),
        ({"inputs": [tensor(["a"] * 9)]}, "length <= 8"),
        (request(outputs=[{"name": CANARY}]), "outputs/0/name: Expected one of the outputs label"),
        (request(outputs=[{"name": "scores"}]), "outputs/0/name"),
        (request(outputs=[{"name": "score"}] * 2), "outputs/1/name"),
        (
            request(outputs=[{"name": "label", "parameters": {"classification": 2}}]),
            "no classification",
        ),
        (
            request(outputs=[{"name": "label", "parameters": {"shared_memory_region": "a"}}]),
            "no shared memory",
        ),
        (request(parameters={CANARY: 1}), "Unknown field. Allowed fields: threshold, policy,"),
        (request(parameters={"sequence_id": 7}), "Unknown field"),
        (request(parameters={"threshold": 2}), "threshold: Expected a number <= 1"),
        (request(parameters={"threshold": 0.5, "policy": "teens"}), "exclude one another"),
        (request(parameters={"policy": CANARY}), "policy: This model has no policy"),
        (request(parameters={"operating_point": CANARY}), "operating_point: "),
        (request(parameters={"operating_point": "fpr<=0.0001"}), "operating_point: "),
        (request(parameters={"binary_data_output": "yes"}), "binary_data_output: Expected"),
        (request(id=7), "id: Expected a string"),
    ],
)
def test_400_names_what_is_wrong(app: ASGIApp, content: object, part: str) -> None:
    reply = send_json(app, content)
    assert reply.status == 400
    assert part in reply.error


def test_400_more_strings_than_texts_are_allowed(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"max_body_bytes": 1_000_000}))
    reply = send_json(app, {"inputs": [tensor(["a"] * 100_000)]})
    assert (reply.status, reply.error) == (
        400,
        "The request body is invalid. inputs/0: Expected 8 texts at most.",
    )


@pytest.mark.parametrize(
    ("texts", "part"),
    [
        ([b"\xff"], "inputs/0/data/0: Expected UTF-8"),
        (["a", b"\xed\xa0\x80"], "inputs/0/data/1: Expected UTF-8"),
        (["a" * (MAX_CHARS + 1)], f"inputs/0/data/0: Expected a string of length <= {MAX_CHARS}"),
        (["a"] * 9, "Expected 8 texts at most"),
    ],
)
def test_400_of_a_binary_tensor(app: ASGIApp, texts: list[str | bytes], part: str) -> None:
    reply = send_binary(app, *binary(texts))
    assert reply.status == 400
    assert part in reply.error


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"\x02\x00\x00\x00a", "inputs/0/data/0: It exceeds the size of the tensor"),
        (b"\xff\xff\xff\xffa", "inputs/0/data/0: It exceeds the size of the tensor"),
        (b"\x00\x00\x00\x00\x00\x00\x00", "inputs/0/data/1: It exceeds the size of the tensor"),
        (b"\x00" * 8, "The shape has 1 elements, the data 2"),
        (b"\x00" * 4 * 3000, "Expected 8 texts at most"),
        (b"", "The shape has 1 elements, the data 0"),
    ],
)
def test_400_of_the_sizes_in_a_binary_tensor(app: ASGIApp, data: bytes, part: str) -> None:
    parameters = {"binary_data_size": len(data)}
    described = tensor(["a"], data=None, parameters=parameters)
    reply = send_binary(app, json.dumps({"inputs": [described]}).encode(), data)
    assert reply.status == 400
    assert part in reply.error


@pytest.mark.parametrize(
    "value",
    [b"", b"-1", b"+7", b"1e3", b"0x10", b"9" * 18, b"9" * 5000, b"\xb2", b"1, 1", b"NaN"],
)
def test_400_of_the_header(app: ASGIApp, value: bytes) -> None:
    head, data = binary(TEXTS)
    reply = infer(app, head + data, (HEADER, value))
    assert reply.status == 400
    assert "Inference-Header-Content-Length is invalid" in reply.error


def test_the_header_must_be_the_size_of_the_json(app: ASGIApp) -> None:
    head, data = binary(TEXTS)
    for shift in (-len(head), -1, 1, len(data)):
        reply = infer(app, head + data, (HEADER, b"%d" % (len(head) + shift)))
        assert reply.status == 400
        assert reply.error
    assert infer(app, head + data).status == 400  # none: all of it is JSON
    assert infer(app, head + data, (HEADER, b"%d" % (len(head + data) + 1))).status == 400


def test_of_two_headers_the_first_one_counts(app: ASGIApp) -> None:
    head, data = binary(TEXTS)
    right, wrong = (HEADER, b"%d" % len(head)), (HEADER, b"7")
    assert infer(app, head + data, right, wrong).status == 200
    assert infer(app, head + data, wrong, right).status == 400


@given(
    texts=st.lists(st.text(max_size=20) | st.binary(max_size=6), max_size=10),
    # Of the header, the size of the tensor and its shape.
    wrong=st.sampled_from(
        [(0, 0, 0)] * 4 + [(-1, 0, 0), (1, 0, 0), (100, 0, 0), (0, -1, 0), (0, 3, 0), (0, 0, 1)]
    ),
)
def test_a_binary_tensor_gives_the_scores_of_classify_or_an_error(
    app: ASGIApp, client: TestClient, texts: list[str | bytes], wrong: tuple[int, int, int]
) -> None:
    shift, size, count = wrong
    data = packed(texts)
    parameters = {"binary_data_size": len(data) + size}
    described = tensor(texts, shape=[len(texts) + count], parameters=parameters)
    del described["data"]
    head = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode()
    reply = infer(app, head + data, (HEADER, b"%d" % max(len(head) + shift, 0)))
    try:
        decoded = [text if isinstance(text, str) else text.decode() for text in texts]
    except UnicodeDecodeError:
        decoded = []
    is_valid = not any(wrong) and 1 <= len(decoded) <= MAX_TEXTS
    assert reply.status == (200 if is_valid else 400)
    if is_valid:
        expected = [one["score"] for one in results(client, decoded)]
        assert same(reply.outputs["score"], expected)
    else:
        assert reply.error


VALUES = st.none() | st.binary(max_size=8) | st.integers(-5, 400).map(lambda size: b"%d" % size)


@given(body=BODIES, values=st.lists(VALUES, max_size=2))
def test_any_header_and_any_body_get_an_error(
    app: ASGIApp, body: bytes, values: list[bytes | None]
) -> None:
    reply = infer(app, body, *((HEADER, value) for value in values if value is not None))
    assert reply.status == 400
    assert reply.error


@example(texts=["a"] * INLINE_TEXTS, cut=0, rest=b"")
@example(texts=["a"] * (INLINE_TEXTS + 1), cut=0, rest=b"")
@given(texts=st.lists(st.text(max_size=40), max_size=300), cut=st.integers(0, 40), rest=st.binary())
def test_the_number_of_texts_is_bounded_before_they_are_decoded(
    texts: list[str], cut: int, rest: bytes
) -> None:
    head, data = binary(texts)
    found = tensors.texts_after(len(head), 4096)
    content = head + data
    assert len(texts) <= found.most(content) <= len(texts) + 1 + content.count(b'"')
    assert found.are_few(content) == (len(texts) <= INLINE_TEXTS)
    for other in (content[: len(content) - cut], content + rest, rest):
        assert 1 <= found.most(other) <= 4096 + 1 + other.count(b'"')


@pytest.mark.parametrize(
    ("method", "path", "status", "part"),
    [
        ("GET", "/v2/models/canary-7f3a9", 404, "Available models: mood, spam."),
        ("GET", "/v2/models/canary-7f3a9/ready", 404, "Available models: mood, spam."),
        ("POST", "/v2/models/canary-7f3a9/infer", 404, "Available models: mood, spam."),
        ("POST", "/v2/models//infer", 404, "Available models"),
        ("GET", "/v2/models/spam/versions/1", 404, "Available versions: "),
        ("GET", "/v2/models/spam/versions/1/ready", 404, "Available versions: "),
        ("POST", "/v2/models/spam/versions/1/infer", 404, "Available versions: "),
        ("GET", "/v2/models/spam/config", 404, "Not found"),
        ("GET", "/v2/models/spam/versions/1/stats", 404, "Not found"),
        ("POST", "/v2/repository/index", 404, "Not found"),
        ("GET", "/v2/models", 404, "Not found"),
        ("GET", "/v2/health", 404, "Not found"),
        ("GET", "/v2/health/livez", 404, "Not found"),
        ("POST", "/v2", 405, "Method not allowed"),
        ("POST", "/v2/health/live", 405, "Method not allowed"),
        ("DELETE", "/v2/models/spam", 405, "Method not allowed"),
        ("PUT", "/v2/models/spam/ready", 405, "Method not allowed"),
        ("GET", "/v2/models/spam/infer", 405, "Method not allowed"),
    ],
)
def test_404_and_405(app: ASGIApp, method: str, path: str, status: int, part: str) -> None:
    reply = infer(app, b"", path=path, method=method)
    assert reply.status == status
    assert part in reply.error
    assert (b"allow" in reply.headers) == (status == 405)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"content-type", b"text/plain")], 415),
        ([(b"content-type", b"")], 415),
        ([(b"content-encoding", b"gzip")], 415),
        ([(b"content-type", b"application/octet-stream")], 200),
        ([(b"content-type", b"Application/JSON; charset=utf-8")], 200),
        ([], 200),
        ([(b"content-length", b"20001")], 413),
    ],
)
def test_413_and_415(app: ASGIApp, headers: list[tuple[bytes, bytes]], status: int) -> None:
    reply = infer(app, json.dumps(request()).encode(), *headers)
    assert reply.status == status
    assert status == 200 or reply.error


class Exhausted:
    """A caller whose key is over its limit."""

    name = "exhausted"

    def take(self, texts: int) -> None:
        assert texts == len(TEXTS)
        raise errors.overloaded()


def test_429_with_retry_after(app: ASGIApp) -> None:
    for reply in (
        send_json(app, request(), caller=Exhausted()),
        send_binary(app, *binary(TEXTS), caller=Exhausted()),
    ):
        assert (reply.status, reply.headers[b"retry-after"]) == (429, b"1")
        assert reply.error


def test_503_until_every_model_is_loaded(settings: Settings) -> None:
    metrics = Metrics()
    registry = Registry(serving.choices(settings.artifacts, {}), metrics)
    app = assemble(settings, registry, metrics)
    for method, path in (
        ("GET", "/v2/health/ready"),
        ("GET", "/v2/models/spam"),
        ("GET", "/v2/models/spam/ready"),
        ("POST", "/v2/models/spam/infer"),
    ):
        reply = infer(app, b"{}", path=path, method=method)
        assert (reply.status, reply.headers[b"retry-after"]) == (503, b"1")
        assert "still loading" in reply.error
    assert infer(app, b"", path="/v2/health/live", method="GET").status == 200
    registry.load()
    assert infer(app, b"", path="/v2/health/ready", method="GET").status == 200


def test_504(settings: Settings) -> None:
    limits = {"max_texts": 4096, "max_body_bytes": 8_000_000, "request_timeout_ms": 1}
    app = create_app(settings.model_copy(update=limits))
    reply = send_binary(app, *binary(["Free prize and lunch tomorrow! " * 40] * 4096))
    assert reply.status == 504
    assert "time limit of 1 ms" in reply.error


def test_500_has_the_form_of_the_protocol(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(tensors.Reader, "read", fail)
    reply = send_json(app, request())
    assert reply.status == 500
    assert reply.error.startswith("Internal error.")


def test_other_paths_are_as_before(client: TestClient) -> None:
    assert client.get("/models/none").headers["content-type"] == "application/problem+json"
    assert client.get("/v3").headers["content-type"] == "application/problem+json"


def test_a_version_is_that_of_a_loaded_variant(app: ASGIApp, client: TestClient) -> None:
    served, other = client.get("/v2/models/spam").json()["versions"]
    for version, variant in ((served, "tiny"), (other, "other")):
        reply = send_json(app, request(), path=f"/v2/models/spam/versions/{version}/infer")
        assert reply.content["model_version"] == version
        assert reply.content["parameters"]["variant"] == variant
        body = {"texts": TEXTS}
        expected = client.post(f"/classify/spam?variant={variant}", json=body).json()
        assert same(reply.outputs["score"], [one["score"] for one in expected["results"]])
    assert client.get(f"/v2/models/spam/versions/{other}").json()["versions"] == [served, other]
    assert client.get("/v2/models/mood").json()["versions"] != [served]


def test_a_recorded_decision_has_an_id(settings: Settings, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    app = create_app(settings.model_copy(update={"record_file": record}))
    parameters = send_json(app, request()).content["parameters"]
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    expected = [f"{parameters['decision_id']}.{at}" for at in range(len(TEXTS))]
    assert [line["id"] for line in lines] == expected


def test_requests_are_counted_by_model(settings: Settings) -> None:
    metrics = Metrics()
    app = create_app(settings, metrics)
    send_json(app, request())
    send_json(app, {})
    with TestClient(app) as client:
        _, other = client.get("/v2/models/spam").json()["versions"]
    send_json(app, request(), path=f"/v2/models/spam/versions/{other}/infer")
    for model, status in (("spam", "200"), ("spam", "400"), ("spam/other", "200")):
        labels = {"model": model, "status": status}
        assert metrics.registry.get_sample_value("dandelion_requests_total", labels) == 1


def test_a_root_path_may_be_removed_or_not(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"root_path": "/dandelion"}))
    for prefix in ("", "/dandelion"):
        assert send_json(app, request(), path=f"{prefix}/v2/models/spam/infer").status == 200
        assert infer(app, b"", path=f"{prefix}/v2/nothing", method="GET").error


def test_it_is_off_unless_it_is_chosen(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"protocols": ""}))
    reply = infer(app, b"", path="/v2", method="GET")
    assert reply.status == 404
    assert reply.headers[b"content-type"] == b"application/problem+json"
    with pytest.raises(SettingsError, match=r"no such protocol; available: .*open-inference"):
        create_app(settings.model_copy(update={"protocols": "open-inference, none"}))


def test_a_prefix_of_another_path_is_not_the_protocol_s() -> None:
    passed = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope)

    protocol = choice.PROTOCOLS["open-inference"]
    inference: Any = type("Inference", (), {"max_texts": 1})()
    registry: Any = None
    app = protocol.wrap(inner, Settings(), registry, inference)
    scopes = [{"type": "http", "path": "/v2x"}, {"type": "lifespan"}]
    for scope in scopes:
        asyncio.run(app(scope, None, None))  # type: ignore[arg-type]
    assert passed == scopes


def test_a_problem_without_fields_is_its_detail() -> None:
    problem = errors.too_large(7)
    response = choice.PROTOCOLS["open-inference"].render(problem)
    assert response.status_code == 413
    assert json.loads(bytes(response.body)) == {"error": problem.detail}

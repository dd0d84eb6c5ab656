"""The Open Inference Protocol, as Triton's own clients speak it with a real service."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from ...conftest import Service, StartService

TEXTS = ["WINNER!! Claim your free £1000 prize now, call 09012345678", "Lunch at 12?", "123 😂"]


@pytest.fixture(scope="module")
def service(start_shared: StartService) -> Service:
    service = start_shared(protocols="open-inference", max_texts=8)
    service.wait_until_ready()
    return service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{service.port}") as client:
        yield client


@pytest.fixture(scope="module")
def expected(service: Service) -> dict[str, Any]:
    """The response of ``/classify``, by model."""
    return {
        model: service.post(f"/classify/{model}", json={"texts": TEXTS}).json()
        for model in ("spam", "cyberbullying_type")
    }


def tensor(texts: list[str], *, is_binary: bool = True, is_column: bool = False) -> Any:
    values: NDArray[np.object_] = np.array(texts, dtype=np.object_)
    if is_column:
        values = values.reshape(-1, 1)
    found = triton.InferInput("text", list(values.shape), "BYTES")
    return found.set_data_from_numpy(values, binary_data=is_binary)


def scores(response: dict[str, Any]) -> NDArray[np.float32]:
    return np.array([one["score"] for one in response["results"]], np.float32)  # NaN for None


def labels(response: dict[str, Any]) -> list[bytes]:
    return [one["label"].encode() for one in response["results"]]


def test_health_and_metadata(
    client: triton.InferenceServerClient, expected: dict[str, Any]
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    version = expected["spam"]["version"]
    assert client.is_model_ready("spam")
    assert client.is_model_ready("spam", version)
    assert not client.is_model_ready("spam", "1")
    assert not client.is_model_ready("none")
    assert client.get_server_metadata()["name"] == "dandelion"
    assert client.get_model_metadata("spam", version)["versions"] == [version]


@pytest.mark.parametrize("is_binary", [True, False])
@pytest.mark.parametrize("is_column", [True, False])
def test_infer(
    client: triton.InferenceServerClient,
    expected: dict[str, Any],
    is_binary: bool,
    is_column: bool,
) -> None:
    data = tensor(TEXTS, is_binary=is_binary, is_column=is_column)
    asked = [
        None,
        [triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "score")],
        [triton.InferRequestedOutput(name) for name in ("score", "label")],
    ]
    for outputs in asked:
        result = client.infer("spam", [data], outputs=outputs, request_id="7")
        score, label = result.as_numpy("score"), result.as_numpy("label")
        assert result.get_response()["id"] == "7"
        assert score.dtype == np.float32
        assert score.shape == label.shape == ((3, 1) if is_column else (3,))
        # Bit for bit, NaN for the text without content.
        assert np.array_equal(score.ravel(), scores(expected["spam"]), equal_nan=True)
        assert [str(one, "utf-8") if isinstance(one, bytes) else one for one in label.ravel()] == [
            one["label"] for one in expected["spam"]["results"]
        ]
        assert (result.as_numpy("decision") is None) == (outputs is not None)


def test_more_labels(client: triton.InferenceServerClient, expected: dict[str, Any]) -> None:
    found = expected["cyberbullying_type"]
    for is_binary in (True, False):
        outputs = [triton.InferRequestedOutput("scores", binary_data=is_binary)]
        result = client.infer("cyberbullying_type", [tensor(TEXTS)], outputs=outputs)
        rows = [list(one["scores"].values()) for one in found["results"]]
        assert np.array_equal(result.as_numpy("scores"), np.array(rows, np.float32))
    assert (
        list(found["results"][0]["scores"])
        == (client.get_model_metadata("cyberbullying_type")["parameters"]["labels"])
    )


def test_parameters(client: triton.InferenceServerClient) -> None:
    result = client.infer(
        "spam",
        [tensor(TEXTS)],
        parameters={"operating_point": "fpr<=0.05", "prior": 0.01},
        priority=1,
        timeout=1_000_000,
    )
    assert result.as_numpy("decision").tolist() == [b"positive", b"negative", b"none"]
    parameters = result.get_response()["parameters"]
    assert (parameters["operating_point"], parameters["prior"]) == ("fpr<=0.05", 0.01)


def test_concurrent_requests(service: Service, expected: dict[str, Any]) -> None:
    with triton.InferenceServerClient(f"127.0.0.1:{service.port}", concurrency=4) as client:
        pending = [client.async_infer("spam", [tensor(TEXTS)]) for _ in range(20)]
        for one in pending:
            found = one.get_result().as_numpy("score")
            assert np.array_equal(found, scores(expected["spam"]), equal_nan=True)


def test_the_asynchronous_client(service: Service, expected: dict[str, Any]) -> None:
    async def run() -> None:
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{service.port}") as client:
            assert await client.is_server_ready()
            result = await client.infer("spam", [tensor(TEXTS)])
            assert result.as_numpy("label").tolist() == labels(expected["spam"])
            with pytest.raises(InferenceServerException, match="Unknown model"):
                await client.infer("none", [tensor(TEXTS)])

    asyncio.run(run())


def test_errors_reach_the_client(client: triton.InferenceServerClient) -> None:
    def compressed(algorithm: str) -> None:
        client.infer("spam", [tensor(TEXTS)], request_compression_algorithm=algorithm)

    unknown = triton.InferInput("input0", [1], "BYTES")
    unknown.set_data_from_numpy(np.array(["a"], dtype=np.object_))
    shared = triton.InferInput("text", [1], "BYTES")
    shared.set_shared_memory("region", 8)
    number = triton.InferInput("text", [1], "FP32").set_data_from_numpy(np.ones(1, np.float32))
    calls: list[tuple[str, str, Any]] = [
        ("400", "Expected the tensor 'text'", lambda: client.infer("spam", [unknown])),
        ("400", "datatype BYTES", lambda: client.infer("spam", [number])),
        ("400", "length <= 1", lambda: client.infer("spam", [tensor(TEXTS), unknown])),
        ("400", "binary_data_size", lambda: client.infer("spam", [shared])),
        ("400", "8 texts at most", lambda: client.infer("spam", [tensor(["a"] * 9)])),
        ("404", "Available versions", lambda: client.infer("spam", [tensor(TEXTS)], "2")),
        ("404", "Not found", lambda: client.get_model_config("spam")),
        ("404", "Not found", lambda: client.get_inference_statistics("spam")),
        ("404", "Unknown model", client.get_inference_statistics),
        ("404", "Not found", client.get_model_repository_index),
        ("404", "Not found", lambda: client.load_model("spam")),
        ("404", "Not found", client.get_log_settings),
        ("404", "Not found", client.get_system_shared_memory_status),
    ]
    calls += [
        ("415", "compressed bodies are not supported", partial(compressed, algorithm))
        for algorithm in ("gzip", "deflate")
    ]
    for status, message, call in calls:
        with pytest.raises(InferenceServerException, match=message) as caught:
            call()
        assert caught.value.status() == status


def test_a_compressed_response_need_not_be_sent(client: triton.InferenceServerClient) -> None:
    result = client.infer("spam", [tensor(TEXTS)], response_compression_algorithm="gzip")
    assert result.as_numpy("label").shape == (3,)

"""Both clients with a real service: behind a prefix, on a Unix domain socket, with small limits."""

import asyncio
import secrets
import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Thread

import pytest

from dandelion import Classifier
from dandelion.client import (
    AsyncClient,
    Client,
    DeadlineError,
    ResponseError,
    Result,
    Retries,
    UnreachableError,
)

from ...conftest import ROOT, Service, StartService

TEXTS = ["WINNER!! Claim your free £1000 prize now", "Lunch at 12?", "ﷺ" * 300, "123 😂", ""] * 20
KEY = secrets.token_urlsafe(32)


@pytest.fixture(scope="module")
def path(start_shared: StartService, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The socket of a service."""
    directory = tmp_path_factory.mktemp("client")
    keys = directory / "keys.toml"
    digest = sha256(KEY.encode()).hexdigest()
    keys.write_text(f'client = {{ sha256 = "{digest}", scopes = ["classify"] }}\n')
    keys.chmod(0o600)
    service: Service = start_shared(
        uds=directory / "http.sock",
        root_path="/dandelion",
        keys_file=keys,
        max_texts=8,
        max_request_chars=12_000,
        max_body_bytes=4000,
    )
    service.wait(lambda: any(line["message"] == "ready" for line in service.lines()))
    service.wait((directory / "http.sock").exists)
    return directory / "http.sock"


@pytest.fixture
def client(path: Path) -> Iterator[Client]:
    with Client("http://localhost/dandelion", uds=path, api_key=KEY) as client:
        yield client


def check(results: list[Result], **choice: str) -> None:
    """Check that results are those of the model, for `TEXTS`."""
    spam = Classifier.load(ROOT / "artifacts" / "spam" / results[0].response.variant)
    expected = spam.classify(TEXTS, **choice)  # type: ignore[arg-type]
    assert [(one.label, one.score, one.decision) for one in results] == [
        (one.label, one.score, one.decision) for one in expected
    ]


def test_results_are_those_of_the_model(client: Client) -> None:
    check(client.classify("spam", TEXTS))
    results = client.classify("spam", TEXTS, operating_point="fpr<=0.005")
    check(results, operating_point="fpr<=0.005")
    assert results[0].response.operating_point == "fpr<=0.005"


def test_results_of_the_asynchronous_client_are_those_of_the_model(path: Path) -> None:
    async def run() -> list[Result]:
        async with AsyncClient("http://localhost/dandelion", uds=path, api_key=KEY) as client:
            return await client.classify("spam", TEXTS)

    check(asyncio.run(run()))


def test_a_text_that_is_too_long_is_named(client: Client) -> None:
    texts = ["a", "ﷺ" * 700, "b"]  # 12,600 characters after normalization
    with pytest.raises(ResponseError, match="this is text 1 of the call"):
        client.classify("spam", texts)


def test_explanations(client: Client) -> None:
    assert client.classify("spam", ["free prize"], explain=1)[0].explanation is not None


def test_models(client: Client) -> None:
    models = client.models()
    assert [model.model for model in models] == [
        "abuse",
        "cyberbullying",
        "cyberbullying_type",
        "spam",
    ]
    assert client.model("spam").version == models[-1].version
    assert client.operating_points("spam", prior=0.01)["prior"] == 0.01
    (result,) = client.classify("cyberbullying_type", ["Hello"])
    assert result.scores is not None
    assert set(result.scores) == set(models[2].labels)
    assert result.response.threshold is None


def test_refusals(client: Client, path: Path) -> None:
    with pytest.raises(ResponseError, match="Unknown model") as caught:
        client.classify("none", ["a"])
    assert caught.value.status == 404
    with (
        Client("http://localhost/dandelion", uds=path, api_key="not-the-key") as stranger,
        pytest.raises(ResponseError) as denied,
    ):
        stranger.classify("spam", ["a"])
    assert denied.value.status == 401
    assert "not-the-key" not in str(denied.value)


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    retries = Retries(attempts=2, first_wait_s=0)
    with (
        Client(f"http://127.0.0.1:{port}", retries=retries) as client,
        pytest.raises(UnreachableError, match="no response after 2 attempts: ConnectError"),
    ):
        client.classify("spam", ["a"])


@pytest.mark.parametrize("drip", [False, True])
def test_a_service_that_is_too_slow(drip: bool) -> None:
    """It is silent, or sends a response that never ends."""

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" * drip)
            try:
                while not drip or connection.send(b"a"):
                    if not drip and not connection.recv(65536):
                        return
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        retries = Retries(attempts=1)
        with (
            Client(url, retries=retries) as client,
            pytest.raises((DeadlineError, UnreachableError), match=r"deadline|took too long"),
        ):
            client.classify("spam", ["a"], deadline_s=0.2)
        thread.join()

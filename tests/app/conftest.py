"""The application in this process, ready."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def settings() -> Settings:
    # Limits small enough to pass them in a test.
    return Settings(
        artifacts=ROOT / "artifacts", max_texts=8, max_text_chars=2000, max_body_bytes=20_000
    )


def fail(error: Exception) -> None:
    raise error


def wait_until_ready(client: TestClient) -> None:
    deadline = time.monotonic() + 20
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="session")
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings, fail), raise_server_exceptions=True) as client:
        wait_until_ready(client)
        yield client


@pytest.fixture
def own_client(settings: Settings) -> Iterator[TestClient]:
    """A client whose service has counted nothing yet."""
    with TestClient(create_app(settings, fail)) as client:
        wait_until_ready(client)
        yield client

"""The application in this process, ready."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from dandelion.artifact import save

from ..conftest import ROOT
from ..dandelion.examples import FEATURES, THREE, make_artifact
from .contract import check_every_error


@pytest.fixture(scope="session")
def settings() -> Settings:
    # Limits small enough to pass them in a test.
    return Settings(
        artifacts=ROOT / "artifacts",
        max_texts=8,
        max_text_chars=2000,
        max_body_bytes=20_000,
        access_log=True,
    )


@contextmanager
def connect(settings: Settings) -> Iterator[TestClient]:
    """Start a service in this process; yield a client that checks each error's shape."""
    with TestClient(create_app(settings)) as client:
        check_every_error(client)
        yield client


@pytest.fixture(scope="session")
def client(settings: Settings) -> Iterator[TestClient]:
    with connect(settings) as client:
        yield client


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two small artifacts: `mood` with three labels, and `spam`; both wide."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    save(make_artifact(labels=THREE, features=FEATURES), artifacts / "mood" / "tiny")
    save(make_artifact("int8", features=FEATURES), artifacts / "spam" / "tiny")
    (artifacts / "serving.toml").write_text("[models]\nmood = 'tiny'\nspam = 'tiny'\n")
    return artifacts


@pytest.fixture
def made_up_client(made_up: Path) -> Iterator[TestClient]:
    """A client of a service with the made-up models, which has counted nothing yet."""
    with connect(Settings(artifacts=made_up)) as client:
        yield client


@pytest.fixture
def own_client(settings: Settings) -> Iterator[TestClient]:
    """A client of a service that has counted nothing yet."""
    with connect(settings) as client:
        yield client

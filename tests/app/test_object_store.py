"""A service whose artifacts are in an object store: a real one of moto, by S3's protocol."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from dandelion import ArtifactError, Classifier
from dandelion.artifact import save

from ..conftest import PATIENCE_S, ROOT, Service, StartService
from ..dandelion.examples import FEATURES, make_artifact
from ..object_store import SECRET, ObjectStore, object_store

pytestmark = pytest.mark.slow

TEXTS = ["Free prize!", "Lunch tomorrow?"]
TINY, OTHER = (f"[models]\nspam = '{variant}'\n".encode() for variant in ("tiny", "other"))


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    artifacts = tmp_path_factory.mktemp("stored") / "artifacts"
    save(make_artifact(features=FEATURES), artifacts / "spam" / "tiny")
    save(make_artifact(seed=7, features=FEATURES), artifacts / "spam" / "other")
    (artifacts / "serving.toml").write_bytes(TINY)
    return artifacts


@pytest.fixture(scope="module")
def store(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("store")) as store:
        store.put_directory("artifacts", artifacts)
        yield store


def scores(service: Service) -> list[float]:
    response = service.post("/classify/spam", json={"texts": TEXTS})
    return [one["score"] for one in response.json()["results"]]


def assert_serves(service: Service, artifacts: Path, variant: str) -> None:
    """Wait until the workers that served before have retired."""
    classifier = Classifier.load(artifacts / "spam" / variant)
    expected = pytest.approx([float(one) for one in classifier.scores(TEXTS)], abs=1e-6)
    service.wait(lambda: scores(service) == expected)


def ask(service: Service, action: str) -> tuple[str, str]:
    """Reload or roll back; returns the state of the outcome and the reason."""
    number = service.post(f"/admin/{action}").json()["generation"]
    found: dict[str, str] = {}

    def is_done() -> bool:
        found.update(service.get(f"/admin/reloads/{number}").json())
        return found["state"] != "loading"

    service.wait(is_done)
    return found["state"], found["reason"]


def test_commands_use_what_is_in_a_bucket(
    store: ObjectStore, artifacts: Path, tmp_path: Path
) -> None:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dandelion.command", *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={
                **{name: one for name, one in os.environ.items() if "DANDELION" not in name},
                **store.environment,
                "DANDELION_CACHE_DIR": str(tmp_path / "cache"),
                "DANDELION_ARTIFACTS": "s3://bucket/artifacts",
                **variables,
            },
            timeout=PATIENCE_S,
            check=False,
        )

    for options in ((), ("--variant", "other")):
        there = run("classify", "spam", *options, *TEXTS)
        here = run("classify", "spam", *options, *TEXTS, DANDELION_ARTIFACTS=str(artifacts))
        assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr
    listed = run("models", "--json")
    assert [json.loads(line)["variant"] for line in listed.stdout.splitlines()] == ["tiny"]

    refused = run("classify", "spam", "text", "--artifacts", "s3://bucket/nothing")
    assert (refused.returncode, refused.stderr) == (
        1,
        "error: s3://bucket/nothing/serving.toml: does not exist\n",
    )
    denied = run("models", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", HOME=str(tmp_path))
    assert denied.returncode == 1
    assert "NoCredentialsError" in denied.stderr
    assert SECRET not in denied.stderr
    assert "Traceback" not in denied.stderr


def test_a_damaged_artifact_is_skipped_where_that_is_asked_for(
    artifacts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there = tmp_path / "there"
    shutil.copytree(artifacts, there)
    (there / "serving.toml").write_text("[models]\nspam = 'tiny'\nmood = 'tiny'\n")
    shutil.copytree(there / "spam" / "tiny", there / "mood" / "tiny")
    (there / "mood" / "tiny" / "vocabulary.txt").unlink()
    damaged = f"file://{there}/mood/tiny/vocabulary.txt: does not exist"
    settings = Settings(artifacts=f"file://{there}", cache_dir=tmp_path / "cache")
    with pytest.raises(ArtifactError, match=f"^{re.escape(damaged)}$"):
        create_app(settings)
    skipping = settings.model_copy(update={"skip_damaged": True})
    with TestClient(create_app(skipping)) as client:
        assert client.post("/classify/spam", json={"texts": TEXTS}).status_code == 200
        assert client.post("/classify/mood", json={"texts": TEXTS}).status_code == 503
    (reason,) = [one.reason for one in caplog.records if one.message == "artifact damaged"]
    assert reason == damaged


def test_a_fetch_that_takes_too_long_ends(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never responds
        port = silent.getsockname()[1]
        settings = Settings(
            artifacts=f"http://me:{SECRET}@127.0.0.1:{port}/artifacts?{SECRET}",
            cache_dir=tmp_path / "cache",
            reload_timeout_s=3,
        )
        expected = f"^http://127.0.0.1:{port}/artifacts: not fetched within 3 s$"
        with pytest.raises(ArtifactError, match=expected):
            create_app(settings)
    assert not [*(tmp_path / "cache").glob("copies/*/*")]


def test_a_service_serves_what_is_in_a_bucket_and_goes_on_without_it(
    store: ObjectStore,
    artifacts: Path,
    start_service: StartService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FSSPEC_S3", json.dumps({"config_kwargs": {"retries": {"max_attempts": 0}}}))
    cache = tmp_path / "cache"
    service = start_service(artifacts="s3://bucket/artifacts", cache_dir=cache, workers=1)
    service.wait_until_ready()
    assert_serves(service, artifacts, "tiny")

    # A reload reads the address anew, and a rollback what was served.
    store.put("artifacts/serving.toml", OTHER)
    assert ask(service, "reload")[0] == "serving"
    assert_serves(service, artifacts, "other")
    assert ask(service, "rollback")[0] == "serving"
    assert_serves(service, artifacts, "tiny")

    # Another content than its checksum: what is served stays.
    name = "artifacts/spam/other/model.safetensors"
    new = artifacts.parent / "new"
    save(make_artifact(seed=9, features=FEATURES), new)
    store.put(name, (new / "model.safetensors").read_bytes())
    for path in (cache / "files").iterdir():
        if path.read_bytes() == (artifacts / "spam" / "other" / "model.safetensors").read_bytes():
            path.unlink()  # else it need not be fetched
    state, reason = ask(service, "reload")
    assert state == "failed"
    assert f"s3://bucket/{name}: damaged: its checksum differs from model.json's" in reason
    store.delete("artifacts/spam/other/vocabulary.txt")
    store.put("artifacts/spam/other/model.json", (new / "model.json").read_bytes())
    state, reason = ask(service, "reload")
    assert state == "failed"
    assert_serves(service, artifacts, "tiny")

    # Without the bucket a reload fails, but what was served is loaded again from the cache.
    store.stop()
    state, reason = ask(service, "reload")
    assert state == "failed"
    assert "s3://bucket/artifacts/serving.toml: cannot be read" in reason
    assert f"give {cache}" in reason
    before = len(fetched(service))
    (generation,) = children(service.process.pid)
    os.kill(generation, signal.SIGKILL)
    service.wait(lambda: len(fetched(service)) > before)
    service.wait_until_ready()
    service.wait(lambda: children(service.process.pid) not in ([], [generation]))
    assert_serves(service, artifacts, "tiny")

    assert service.stop() in {0, -signal.SIGTERM}
    assert SECRET not in service.log.read_text()


def fetched(service: Service) -> list[dict[str, object]]:
    return [line for line in service.lines() if line["message"] == "artifacts fetched"]


def children(process: int) -> list[int]:
    """Return the child processes of a process that are generations, not what they have run."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(one) for one in listed.split()]

"""Whatever stands in a ``model.json`` is refused, or can be served and listed."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.routes import models
from app.serving.registry import Registry
from app.telemetry.metrics import Metrics
from dandelion import ArtifactError, command, serving
from dandelion.manifest import content_hash

from ..conftest import ROOT

pytestmark = pytest.mark.slow

ARTIFACT = ROOT / "artifacts" / "spam" / "dice"
MANIFEST: dict[str, Any] = json.loads((ARTIFACT / "model.json").read_text())

Place = tuple[str | int, ...]


def places_of(value: object, place: Place = ()) -> list[Place]:
    """List the places of a value and of all that it contains."""
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    inner = [one for key, child in pairs for one in places_of(child, (*place, key))]
    return [*([place] if place else []), *inner]


def replaced(value: Any, place: Place, new: object) -> Any:
    """Copy a value, with another one at a place in it."""
    copy = json.loads(json.dumps(value))
    *path, last = place
    inner = copy
    for key in path:
        inner = inner[key]
    inner[last] = new
    return copy


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["spam", "binary", "multiclass", "\ud800", "../x", "a" * 300, "float16"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["test", "fitted", "mcc", "name", "x"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    artifacts = tmp_path_factory.mktemp("artifacts")
    shutil.copytree(ARTIFACT, artifacts / "spam" / "dice")
    (artifacts / "serving.toml").write_text("[models]\nspam = 'dice'\n")
    return artifacts


@example(("metrics",), 7)
@example(("metrics",), None)
@example(("metrics", "test", "fitted", "mcc"), "high")
@example(("model",), 5)
@example(("variant",), None)
@example(("labels", 0), "a\tb\n")
@given(st.sampled_from(places_of(MANIFEST)), VALUES)
def test_any_value_is_refused_or_served(artifacts: Path, place: Place, value: object) -> None:
    changed = replaced(MANIFEST, place, value)
    if place != ("content_hash",):
        with suppress(UnicodeEncodeError):
            changed["content_hash"] = content_hash(changed)
    (artifacts / "spam" / "dice" / "model.json").write_text(json.dumps(changed))

    listed = CliRunner().invoke(command.app, ["models", "--artifacts", str(artifacts)])
    lines = CliRunner().invoke(command.app, ["models", "--json", "--artifacts", str(artifacts)])
    refused = ""
    try:
        metrics = Metrics()
        registry = Registry(serving.choices(artifacts, {}), metrics)
        registry.load()
    except ArtifactError as error:
        refused = str(error)
    if refused:
        assert "spam/dice" in refused
        assert "\n" not in refused
        assert listed.exit_code == lines.exit_code in (0, 1)
        return
    assert listed.exit_code == lines.exit_code == 0
    assert json.loads(lines.stdout)["model"] == "spam"
    app = FastAPI()
    app.include_router(models.router(registry, metrics, 1))
    client = TestClient(app)  # an exception in a route is raised here
    assert client.get("/models").json()["models"][0]["version"] == changed["content_hash"][:12]
    details = client.get("/models/spam").json()
    assert details["metrics"] == changed["metrics"]

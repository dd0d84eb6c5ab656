"""``?variant=``: every loaded variant of a model takes requests."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from dandelion import ArtifactError, Classifier, ServingError
from dandelion.artifact import Artifact, save
from dandelion.decision.calibration import Calibration
from dandelion.policy_file import PolicyFile

from ...dandelion.examples import FEATURES, THREE, make_artifact, make_evidence
from ..conftest import connect
from ..contract import CANARY, JSON_TYPE, assert_problem, post

TEXTS = ["Free prize!", "Lunch tomorrow?", "xyzzy", "free £ 12345678901", "😂"]
PLATT = Calibration("platt", 2.0, 2.0, -0.5)

SERVING = """
[models.mood]
variant = "tiny"
variants = ["other"]

[models.spam]
variant = "tiny"
variants = ["other"]
shadow = "bare"

[models.spam.policies.teens]
operating_point = "fpr<=0.05"

[models.spam.policies.ours]
calibration = "ours.json"
"""


def put(artifact: Artifact, directory: Path, variant: str) -> str:
    """Save an artifact as a variant; returns its content hash."""
    manifest = replace(artifact.manifest, variant=variant)
    place = directory / manifest.model / variant
    return save(replace(artifact, manifest=manifest), place).content_hash


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("variants")
    for variant, seed in (("tiny", 0), ("other", 1)):
        facts: dict[str, Any] = {"calibration": PLATT, "evidence": make_evidence(seed)}
        content_hash = put(make_artifact(seed=seed, features=FEATURES, **facts), directory, variant)
        put(make_artifact(seed=seed, labels=THREE[:: 1 - 2 * seed]), directory, variant)
        if variant == "tiny":
            now = datetime.now(UTC).isoformat()
            ours = PolicyFile("spam", variant, content_hash, now, 2000, None, make_evidence(1))
            ours.write(directory / "ours.json")
    put(make_artifact(seed=2), directory, "bare")  # neither calibration nor evidence
    (directory / "serving.toml").write_text(SERVING)
    return directory


@pytest.fixture(scope="module")
def client(artifacts: Path) -> Iterator[TestClient]:
    with connect(Settings(artifacts=artifacts)) as client:
        yield client


@pytest.mark.parametrize("variant", ["tiny", "other", "bare"])
def test_each_loaded_variant_classifies(client: TestClient, artifacts: Path, variant: str) -> None:
    response = client.post(f"/classify/spam?variant={variant}", json={"texts": TEXTS}).json()
    classifier = Classifier.load(artifacts / "spam" / variant)
    expected = classifier.classify(TEXTS)
    assert (response["variant"], response["version"]) == (variant, classifier.manifest.version)
    assert [one["label"] for one in response["results"]] == [one.label for one in expected]
    scores = [one["score"] for one in response["results"]]
    assert scores == pytest.approx([one.score for one in expected])
    if variant == "tiny":
        assert response == client.post("/classify/spam", json={"texts": TEXTS}).json()


def test_the_labels_of_another_variant_may_be_in_another_order(client: TestClient) -> None:
    served = client.post("/classify/mood", json={"texts": TEXTS}).json()
    other = client.post("/classify/mood?variant=other", json={"texts": TEXTS}).json()
    assert (served["variant"], other["variant"]) == ("tiny", "other")
    assert set(served["results"][0]["scores"]) == set(other["results"][0]["scores"]) == set(THREE)


@pytest.mark.parametrize("variant", ["none", CANARY, "", "Tiny", "tiny%2F..", "%F0%28%8C%28"])
def test_an_unknown_variant_is_not_found(client: TestClient, variant: str) -> None:
    pages = ("", "/operating-points", "/threshold-curve", "/plan")
    for response in (
        client.post(f"/classify/spam?variant={variant}", json={"texts": TEXTS}),
        *(client.get(f"/models/spam{page}?variant={variant}") for page in pages),
    ):
        assert_problem(response, 404, "Loaded variants: tiny, other, bare.")
    unknown = client.post("/classify/none?variant=tiny", json={"texts": TEXTS})
    assert_problem(unknown, 404, "Unknown model")


@pytest.mark.parametrize(
    "query", ["variant=tiny&variant=tiny", "varaint=tiny", "variant=tiny&a=", f"{CANARY}=1", "%FF"]
)
def test_another_or_a_repeated_parameter_is_refused(client: TestClient, query: str) -> None:
    for response in (
        client.post(f"/classify/spam?{query}", json={"texts": TEXTS}),
        client.get(f"/models/spam?{query}"),
    ):
        problem = assert_problem(
            response, 422, "Expected no parameters but 'variant', at most once"
        )
        assert problem["errors"][0]["pointer"] == "#"


@pytest.mark.parametrize("query", ["", "&", "variant=tiny", "&variant=tiny&", "v%61riant=t%69ny"])
def test_a_query_may_be_written_otherwise(client: TestClient, query: str) -> None:
    response = client.post(f"/classify/spam?{query}", json={"texts": TEXTS})
    assert (response.status_code, response.json()["variant"]) == (200, "tiny")


def test_models_list_their_variants_and_shadow(client: TestClient) -> None:
    mood, spam = client.get("/models").json()["models"]
    assert (mood["variants"], mood["shadow"]) == (["tiny", "other"], None)
    assert (spam["variants"], spam["shadow"]) == (["tiny", "other", "bare"], "bare")
    assert client.get("/models/spam").json().items() >= spam.items()


def test_the_details_are_of_the_variant(client: TestClient, artifacts: Path) -> None:
    other = client.get("/models/spam?variant=other").json()
    manifest = Classifier.load(artifacts / "spam" / "other").manifest
    assert (other["variant"], other["content_hash"]) == ("other", manifest.content_hash)
    assert (other["variants"], other["shadow"]) == (["tiny", "other", "bare"], "bare")
    # The file of `ours` is for another artifact.
    assert [policy["name"] for policy in other["policies"]] == ["teens"]
    bare = client.get("/models/spam?variant=bare").json()
    assert (bare["variant"], bare["calibrated"], bare["policies"]) == ("bare", False, [])


def test_points_and_curves_are_of_the_variant(client: TestClient) -> None:
    for path in ("operating-points", "threshold-curve", "plan"):
        served = client.get(f"/models/spam/{path}").json()
        other = client.get(f"/models/spam/{path}?variant=other").json()
        assert (served["variant"], other["variant"]) == ("tiny", "other")
        assert served != other
        assert client.get(f"/models/spam/{path}?variant=tiny").json() == served
        problem = client.get(f"/models/spam/{path}?variant=other&policy=ours")
        assert_problem(problem, 422, "cannot be fitted for this variant")
        assert_problem(client.get(f"/models/spam/{path}?variant=bare"), 404, "no evidence")


def test_policies_are_fitted_for_each_variant(client: TestClient) -> None:
    body = {"texts": TEXTS, "policy": "teens"}
    served = client.post("/classify/spam", json=body).json()
    other = client.post("/classify/spam?variant=other", json=body).json()
    assert served["policy"] == other["policy"] == "teens"
    assert served["threshold"] != other["threshold"]
    (policy,) = client.get("/models/spam?variant=other").json()["policies"]
    assert policy["threshold"] == other["threshold"]


@pytest.mark.parametrize(("variant", "policy"), [("other", "ours"), ("bare", "teens")])
def test_a_policy_that_cannot_be_fitted_is_refused_for_its_variant_alone(
    client: TestClient, variant: str, policy: str
) -> None:
    body = {"texts": TEXTS, "policy": policy}
    assert client.post("/classify/spam", json=body).status_code == 200
    refused = client.post(f"/classify/spam?variant={variant}", json=body)
    problem = assert_problem(refused, 422, f"The policy '{policy}' cannot be fitted for this varia")
    assert problem["errors"][0]["pointer"] == "#/policy"
    assert ".json" not in refused.text
    unknown = client.post(f"/classify/spam?variant={variant}", json=body | {"policy": CANARY})
    assert_problem(unknown, 422, "no policy of this name")


def test_the_reason_is_in_the_log(artifacts: Path, caplog: pytest.LogCaptureFixture) -> None:
    create_app(Settings(artifacts=artifacts))
    found = {
        (record.__dict__["model"], record.__dict__["policy"]): record.__dict__["reason"]
        for record in caplog.records
        if record.message == "policy unavailable"
    }
    assert set(found) == {("spam/other", "ours"), ("spam/bare", "teens"), ("spam/bare", "ours")}
    assert "[models.spam.policies.ours] calibration: " in found["spam/other", "ours"]
    assert "no evidence" in found["spam/bare", "teens"]


def test_a_default_policy_that_cannot_be_fitted_does_not_turn_into_another_threshold(
    artifacts: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(artifacts, tmp_path / "artifacts"))
    text = SERVING.replace("shadow =", "default_policy = 'ours'\nshadow =")
    (copy / "serving.toml").write_text(text)
    with connect(Settings(artifacts=copy)) as client:
        assert client.post("/classify/spam", json={"texts": TEXTS}).json()["policy"] == "ours"
        path = "/classify/spam?variant=other"
        assert_problem(client.post(path, json={"texts": TEXTS}), 422, "The policy 'ours' cannot")
        for wish in ({"threshold": 0.5}, {"policy": "teens"}, {"operating_point": "macro_f1"}):
            assert client.post(path, json={"texts": TEXTS} | wish).status_code == 200


def test_requests_to_another_variant_have_their_own_series(artifacts: Path) -> None:
    with connect(Settings(artifacts=artifacts)) as client:
        client.post("/classify/spam?variant=other", json={"texts": TEXTS, "policy": "teens"})
        client.post("/classify/spam?variant=none", json={"texts": TEXTS})
        client.post("/classify/spam?variant=tiny", json={"texts": TEXTS[:2]})
        lines = client.get("/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    for model, texts in (("spam", 2), ("spam/other", 5), ("spam/bare", 0)):
        assert float(values[f'dandelion_batch_size_sum{{model="{model}"}}']) == texts
        labelled = (f'dandelion_texts_total{{label="{at}",model="{model}"}}' for at in TWO_LABELS)
        assert sum(float(values[one]) for one in labelled) == texts
        requests = f'dandelion_requests_total{{model="{model}",status="200"}}'
        assert float(values[requests]) == (texts > 0)
        assert float(values[f'dandelion_model_available{{model="{model}"}}']) == 1
    assert float(values['dandelion_requests_total{model="spam",status="404"}']) == 1
    assert 'dandelion_requests_total{model="unknown",status="200"}' in values
    decided = [line for line in values if "dandelion_decisions_total" in line and "teens" in line]
    assert sum(float(values[one]) for one in decided if 'model="spam"' in one) == 0
    assert sum(float(values[one]) for one in decided if 'model="spam/other"' in one) == 5
    information = [line for line in values if line.startswith("dandelion_model_info")]
    assert any('model="spam/other",variant="other"' in one for one in information)


TWO_LABELS = ("ham", "spam")


@pytest.mark.parametrize("key", ["variants = ['other']", "shadow = 'other'"])
@pytest.mark.parametrize("file", ["model.json", "golden.json"])
def test_a_damaged_variant_leaves_the_served_one(
    artifacts: Path, tmp_path: Path, key: str, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Path(shutil.copytree(artifacts, tmp_path / "artifacts"))
    (copy / "serving.toml").write_text(f"[models.spam]\nvariant = 'tiny'\n{key}")
    path = copy / "spam" / "other" / file
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ArtifactError, match=f"spam/other/{file}: damaged"):
        create_app(Settings(artifacts=copy))
    with connect(Settings(artifacts=copy, skip_damaged=True)) as client:
        assert client.get("/readyz").status_code == 200
        assert post(client, b'{"texts": ["a"]}').status_code == 200
        refused = client.post("/classify/spam?variant=other", json={"texts": ["a"]})
        assert_problem(refused, 404, "Loaded variants: tiny.")
        (spam,) = client.get("/models").json()["models"]
        assert (spam["variants"], spam["shadow"]) == (["tiny"], None)
        metrics = client.get("/metrics").text
    assert 'dandelion_model_available{model="spam/other"} 0.0\n' in metrics
    assert 'dandelion_model_available{model="spam"} 1.0\n' in metrics
    (record,) = [one for one in caplog.records if one.message == "variant unavailable"]
    facts = record.__dict__
    assert (record.levelname, facts["model"], facts["variant"]) == ("ERROR", "spam", "other")
    assert f"spam/other/{file}: damaged" in facts["reason"]


def test_without_the_served_variant_the_others_do_not_take_its_place(
    artifacts: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(artifacts, tmp_path / "artifacts"))
    path = copy / "spam" / "tiny" / "golden.json"
    path.write_bytes(path.read_bytes()[:-2])
    with connect(Settings(artifacts=copy, skip_damaged=True)) as client:
        for query in ("", "?variant=other"):
            response = client.post(f"/classify/spam{query}", json={"texts": ["a"]})
            assert_problem(response, 503, "The model is unavailable")


@pytest.mark.parametrize(
    ("labels", "others"),
    [
        (("ham", "spam"), ("spam", "ham")),
        (("ham", "spam"), ("ham", "scam")),
        (THREE, ("a", "b", "c")),
    ],
)
def test_variants_with_other_labels_are_refused(
    tmp_path: Path, labels: tuple[str, ...], others: tuple[str, ...]
) -> None:
    for variant, names in (("tiny", labels), ("other", others)):
        artifact = make_artifact(labels=names)
        manifest = replace(artifact.manifest, model="m")
        put(replace(artifact, manifest=manifest), tmp_path, variant)
    (tmp_path / "serving.toml").write_text("[models.m]\nvariant = 'tiny'\nshadow = 'other'")
    expected = (
        rf"serving\.toml: \[models\.m\] the variant 'other' has the labels {', '.join(others)}; "
        rf"expected those of 'tiny', which is served: {', '.join(labels)}"
    )
    with pytest.raises(ServingError, match=expected):
        create_app(Settings(artifacts=tmp_path))
    with connect(Settings(artifacts=tmp_path, skip_damaged=True)) as client:
        assert client.get("/models/m").json()["variants"] == ["tiny"]


def test_the_body_is_checked_as_without_a_query(client: TestClient) -> None:
    path = "/classify/spam?variant=other"
    broken = client.post(path, content=b'{"texts": [', headers=JSON_TYPE)
    assert_problem(broken, 400, "not valid JSON")
    invalid = client.post(path, content=json.dumps({"texts": [1]}), headers=JSON_TYPE)
    assert_problem(invalid, 422, "#/texts/0")
    assert client.get(path).status_code == 405

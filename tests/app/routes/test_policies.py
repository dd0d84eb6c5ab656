"""Policies, operating points and priors in requests to ``/classify/{model}``."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from dandelion import ArtifactError, Classifier, Prediction, ServingError
from dandelion.artifact import save
from dandelion.decision import operating_points
from dandelion.decision.calibration import Calibration
from dandelion.policy_file import PolicyFile

from ...dandelion.examples import FEATURES, THREE, make_artifact, make_evidence
from ..conftest import connect
from ..contract import assert_problem

TEXTS = ["Free prize!", "Lunch tomorrow?", "xyzzy", "free £ 12345678901", "😂"]
PLATT = Calibration("platt", 2.0, 2.0, -0.5)

SERVING = """
[models]
bare = "tiny"    # neither calibration nor evidence
mood = "tiny"

[models.spam]
variant = "tiny"

[models.spam.policies.teens]
operating_point = "fpr<=0.05"
review = "fpr<=0.2"
prior = 0.01

[models.spam.policies.adults]
operating_point = "recall>=0.5"

[models.spam.policies.ours]
calibration = "ours.json"

[models.spam.policies.fixed]
threshold = 0.6
review_threshold = 0.25
"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("policies")
    spam = make_artifact(features=FEATURES, calibration=PLATT, evidence=make_evidence())
    point = replace(spam.manifest, operating_point="macro_f1")
    manifest = save(replace(spam, manifest=point), directory / "spam" / "tiny")
    bare = make_artifact()
    save(replace(bare, manifest=replace(bare.manifest, model="bare")), directory / "bare" / "tiny")
    save(make_artifact(labels=THREE), directory / "mood" / "tiny")
    now = datetime.now(UTC).isoformat()
    names = ("spam", "tiny", manifest.content_hash)
    steeper = Calibration("platt", 3.0, 3.0, 0.5)
    PolicyFile(*names, now, 2000, steeper, make_evidence(1)).write(directory / "ours.json")
    PolicyFile(*names[:2], "0" * 64, now, 2000, None, make_evidence(1)).write(
        directory / "other.json"
    )
    (directory / "serving.toml").write_text(SERVING)
    return directory


@pytest.fixture(scope="module")
def client(artifacts: Path) -> Iterator[TestClient]:
    with connect(Settings(artifacts=artifacts)) as client:
        yield client


@pytest.fixture
def spam(artifacts: Path) -> Classifier:
    return Classifier.load(artifacts / "spam" / "tiny")


def send(client: TestClient, model: str = "spam", **fields: Any) -> Any:
    return client.post(f"/classify/{model}", json={"texts": TEXTS} | fields)


def as_json(predictions: list[Prediction]) -> list[dict[str, Any]]:
    """Return what a response has of predictions: nothing that is absent."""
    return [
        {
            name: value
            for name, value in one._asdict().items()
            if name == "score" or (value is not None and value is not False)
        }
        for one in predictions
    ]


def assert_decided(response: Any, predictions: list[Prediction], **facts: object) -> None:
    assert response.status_code == 200, response.text
    content = response.json()
    results = content.pop("results")
    assert {name: content[name] for name in set(content) - {"version"}} == {
        "model": "spam",
        "variant": "tiny",
        **facts,
    }
    expected = as_json(predictions)
    for result, one in zip(results, expected, strict=True):
        score, expected_score = result.pop("score"), one.pop("score")
        assert score == (pytest.approx(expected_score, abs=1e-6) if expected_score else None)
        assert result == one


def test_a_policy_decides(client: TestClient, spam: Classifier) -> None:
    teens = spam.policy("fpr<=0.05", review="fpr<=0.2", prior=0.01)
    predictions = spam.classify(TEXTS, policy=replace(teens, name="teens"))
    assert {one.decision for one in predictions} >= {"positive", "none"}
    assert_decided(
        send(client, policy="teens"),
        predictions,
        threshold=teens.threshold,
        policy="teens",
        operating_point="fpr<=0.05",
        prior=0.01,
    )


def test_a_policy_may_have_thresholds_of_its_own(client: TestClient, spam: Classifier) -> None:
    response = send(client, policy="fixed").json()
    assert (response["threshold"], response["policy"]) == (0.6, "fixed")
    assert "operating_point" not in response
    for result, score in zip(response["results"], spam.scores(TEXTS), strict=True):
        if result["decision"] != "none":
            expected = "positive" if score >= 0.6 else "review" if score >= 0.25 else "negative"
            assert result["decision"] == expected
    found = {one["name"]: one for one in client.get("/models/spam").json()["policies"]}["fixed"]
    assert (found["threshold"], found["review_threshold"]) == (0.6, 0.25)
    assert found["operating_point"] is found["review"] is None
    problem = assert_problem(send(client, policy="fixed", prior=0.1), 422, "")
    assert "or a threshold" in problem["errors"][0]["detail"]
    plan = client.get("/models/spam/plan", params={"policy": "fixed"}).json()
    assert (plan["threshold"], plan["review_threshold"]) == (0.6, 0.25)


def test_a_policy_has_its_own_evidence_and_calibration(
    client: TestClient, spam: Classifier, artifacts: Path
) -> None:
    ours = spam.policy(calibration=artifacts / "ours.json", name="ours")
    assert ours.threshold != spam.manifest.threshold
    predictions = spam.classify(TEXTS, policy=ours)
    assert [one.label for one in predictions] == [one.label for one in spam.classify(TEXTS)]
    response = send(client, policy="ours")
    assert_decided(response, predictions, threshold=ours.threshold, policy="ours")


@pytest.mark.parametrize("point", ["fpr<=0.1[sms]", "macro_f1", "cost(fp=1,fn=20)"])
def test_an_operating_point_decides(client: TestClient, spam: Classifier, point: str) -> None:
    policy = spam.policy(point)
    predictions = spam.classify(TEXTS, operating_point=point)
    for _ in range(2):  # fitted, then kept
        response = send(client, operating_point=point)
        assert_decided(
            response,
            predictions,
            threshold=policy.threshold,
            operating_point=policy.operating_point,
        )


@pytest.mark.parametrize("threshold", [None, 0.25])
def test_a_prior_corrects_scores(
    client: TestClient, spam: Classifier, threshold: float | None
) -> None:
    policy = spam.policy(threshold=threshold, prior=0.1)
    predictions = spam.classify(TEXTS, threshold, prior=0.1)
    assert_decided(
        send(client, threshold=threshold, prior=0.1),
        predictions,
        threshold=policy.threshold,
        prior=0.1,
    )
    if threshold is None:
        assert [one.label for one in predictions] == [one.label for one in spam.classify(TEXTS)]


def test_a_prior_joins_a_policy_and_a_point(client: TestClient, spam: Classifier) -> None:
    policy = spam.policy("recall>=0.5", prior=0.1, name="adults")
    predictions = spam.classify(TEXTS, policy=policy)
    facts = {"threshold": policy.threshold, "operating_point": "recall>=0.5", "prior": 0.1}
    for _ in range(2):
        response = send(client, policy="adults", prior=0.1)
        assert_decided(response, predictions, policy="adults", **facts)
        response = send(client, operating_point="recall>=0.5", prior=0.1)
        assert_decided(response, predictions, **facts)


def test_large_batches_are_decided_alike(client: TestClient) -> None:
    small, large = (
        send(client, texts=TEXTS * times, policy="teens").json()["results"] for times in (1, 300)
    )
    assert large == small * 300
    # Not fitted before.
    response = send(client, texts=TEXTS * 300, operating_point="fpr<=0.123")
    assert (
        response.json()["results"]
        == send(client, operating_point="fpr<=0.123").json()["results"] * 300
    )


def test_what_asks_for_nothing_is_as_before(client: TestClient, spam: Classifier) -> None:
    response = send(client, policy=None, operating_point=None, prior=None)
    content = response.json()
    assert list(content) == ["model", "variant", "version", "threshold", "results"]
    assert content["threshold"] == 0.5
    assert [set(one) - {"reason", "low_evidence"} for one in content["results"]] == [
        *[{"label", "score"}] * 4,
        {"label", "score", "decision"},
    ]
    assert [one["label"] for one in content["results"]] == [
        one.label for one in spam.classify(TEXTS)
    ]


def test_a_default_policy_decides_unless_something_else_is_asked_for(
    artifacts: Path, tmp_path: Path
) -> None:
    for model in ("bare", "mood", "spam"):
        (tmp_path / model).symlink_to(artifacts / model)
    default = SERVING.replace("[models.spam]\n", '[models.spam]\ndefault_policy = "adults"\n')
    (tmp_path / "ours.json").write_bytes((artifacts / "ours.json").read_bytes())
    (tmp_path / "serving.toml").write_text(default)
    with connect(Settings(artifacts=tmp_path)) as client:
        assert send(client).json() == send(client, policy="adults").json()
        assert send(client, prior=0.2).json() == send(client, policy="adults", prior=0.2).json()
        assert list(send(client, threshold=0.5).json()["results"][0]) == ["label", "score"]
        assert "policy" not in send(client, operating_point="f1").json()
        assert client.get("/models/spam").json()["default_policy"] == "adults"


POINT, PRIOR, POLICY = "#/operating_point", "#/prior", "#/policy"


@pytest.mark.parametrize(
    ("model", "fields", "pointer", "detail"),
    [
        ("spam", {"policy": "x"}, POLICY, "Policies of this model: teens, adults, ours, fixed"),
        ("spam", {"policy": "teens", "prior": 0.1}, PRIOR, "'teens' has a prior of its own"),
        ("spam", {"policy": "teens", "threshold": 0.5}, POLICY, "'threshold' and 'policy' excl"),
        ("spam", {"operating_point": "fpr=0.1"}, POINT, "character"),
        ("spam", {"operating_point": ""}, POINT, "expected"),
        ("spam", {"operating_point": "fpr<=0.1[mail]"}, POINT, "unknown source or group"),
        ("spam", {"operating_point": "precision>=0.999"}, POINT, "cannot be promised"),
        ("bare", {"policy": "teens"}, POLICY, "It has none"),
        ("bare", {"operating_point": "f1"}, POINT, "has no evidence"),
        ("bare", {"prior": 0.1}, PRIOR, "not calibrated"),
        ("spam", {"prior": 1e-300}, PRIOR, "Expected a number >= 1e-06"),
        ("spam", {"operating_point": "precision>=0.5@prior=1e-320"}, POINT, "from 0.000001 to"),
        ("mood", {"operating_point": "f1"}, POINT, "3 labels .* an operating point is not allowed"),
        ("mood", {"policy": "teens"}, POLICY, "3 labels .* a policy is not allowed"),
        ("mood", {"prior": 0.1}, PRIOR, "3 labels .* a prior is not allowed"),
        ("mood", {"threshold": 0.1}, "#/threshold", "3 labels .* a threshold is not allowed"),
    ],
)
def test_what_cannot_be_done_is_refused(
    client: TestClient, model: str, fields: dict[str, Any], pointer: str, detail: str
) -> None:
    for _ in range(2):
        problem = assert_problem(send(client, model, **fields), 422)
        (error,) = problem["errors"]
        assert error["pointer"] == pointer
        assert re.search(detail, error["detail"]), error["detail"]


def test_an_infeasible_point_reports_what_is_possible(client: TestClient) -> None:
    response = send(client, operating_point="precision>=0.9999")
    problem = assert_problem(response, 422, "precision>=0.9999")
    assert 0.5 < problem["best"] < 0.9999
    assert problem["texts_needed"] > 2000
    # In the contract of other errors there is nothing of the kind.
    assert not {"best", "texts_needed"} & set(send(client, policy="x").json())


def test_a_point_is_fitted_once_and_not_in_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    fit = operating_points.fit

    def spy(*arguments: Any, **options: Any) -> Any:
        threads.append(threading.current_thread().name)
        return fit(*arguments, **options)

    monkeypatch.setattr(operating_points, "fit", spy)
    for _ in range(3):
        assert send(client, operating_point="fpr<=0.111").status_code == 200
        assert send(client, operating_point="precision>=0.99999").status_code == 422
        assert send(client, operating_point="cost(fp=1,fn=x)").status_code == 422
    assert len(threads) == 2
    assert all(name.startswith("classify") for name in threads)


def test_decisions_are_counted(artifacts: Path) -> None:
    with connect(Settings(artifacts=artifacts)) as client:
        teens = send(client, policy="teens").json()["results"]
        send(client, operating_point="fpr<=0.000001")  # refused
        send(client, operating_point="fpr<=0.1")
        send(client, prior=0.1)
        send(client)
        lines = [
            line.rpartition(" ")
            for line in client.get("/metrics").text.splitlines()
            if line.startswith("dandelion_decisions_total")
        ]
    counts = {json.dumps(series): float(value) for series, _, value in lines}
    assert len(counts) == 6 * 4  # four policies and `request`; bare has none but `request`
    total = dict.fromkeys(("teens", "adults", "ours", "request"), 0.0)
    for series, value in counts.items():
        for policy in total:
            total[policy] += value * (f'policy=\\"{policy}\\"' in series)
    assert total == {"teens": 5, "adults": 0, "ours": 0, "request": 5}
    for verdict in ("positive", "review", "negative", "none"):
        (found,) = (
            value
            for series, value in counts.items()
            if "teens" in series and f'decision=\\"{verdict}\\"' in series
        )
        assert found == sum(one["decision"] == verdict for one in teens)


def test_models_have_policies(client: TestClient, spam: Classifier) -> None:
    bare, mood, listed = client.get("/models").json()["models"]
    for other in (bare, mood):
        assert (other["calibrated"], other["policies"], other["operating_point"]) == (
            *(False, [], None),
        )
    assert (listed["calibrated"], listed["operating_point"]) == (True, "macro_f1")
    assert listed["default_policy"] is None
    teens = spam.policy("fpr<=0.05", review="fpr<=0.2", prior=0.01)
    assert listed["policies"][0] == {
        "name": "teens",
        "operating_point": "fpr<=0.05",
        "threshold": teens.threshold,
        "review": "fpr<=0.2",
        "review_threshold": teens.review,
        "prior": 0.01,
    }
    assert [one["name"] for one in listed["policies"]] == ["teens", "adults", "ours", "fixed"]


@pytest.mark.parametrize(
    ("model", "lines", "message"),
    [
        ("spam", 'operating_point = "fpr<0.1"', r"operating_point: .*expected"),
        ("spam", 'operating_point = "fpr<=0.00001"', "operating_point: .*cannot be promised"),
        ("spam", 'review = "fpr<=0.00001"', "review: .*cannot be promised"),
        (
            "spam",
            'operating_point = "fpr<=0.2"\nreview = "fpr<=0.05"',
            "review: the review point 'fpr<=0.05' begins at a score of .* above the threshold",
        ),
        (
            "spam",
            "threshold = 0.5\nreview_threshold = 0.6",
            "review_threshold: the review threshold 0.6 is above the threshold 0.5",
        ),
        ("spam", 'calibration = "none.json"', "calibration: .*none.json: cannot be read"),
        ("spam", 'calibration = "other.json"', "calibration: .*was made with version 000000000000"),
        ("bare", "prior = 0.1", "prior: a prior corrects probabilities"),
        ("bare", 'operating_point = "f1"', "operating_point: this artifact has no evidence"),
        ("mood", 'operating_point = "f1"', "a model with 3 labels has no policy"),
    ],
)
def test_a_bad_policy_aborts_the_start_or_makes_its_model_unavailable(
    artifacts: Path, tmp_path: Path, model: str, lines: str, message: str
) -> None:
    for name in (model, "other.json"):
        (tmp_path / name).symlink_to(artifacts / name)
    (tmp_path / "serving.toml").write_text(
        f'[models.{model}]\nvariant = "tiny"\n[models.{model}.policies.teens]\n{lines}\n'
    )
    place = rf"serving\.toml: \[models\.{model}\.policies\.teens\] "
    with pytest.raises(ServingError, match=place + message) as refused:
        create_app(Settings(artifacts=tmp_path))
    assert "\n" not in str(refused.value)
    with pytest.raises(ArtifactError, match=place + message):  # there is no other model
        create_app(Settings(artifacts=tmp_path, skip_damaged=True))
    other = "spam" if model != "spam" else "bare"
    (tmp_path / other).symlink_to(artifacts / other)
    with (tmp_path / "serving.toml").open("a") as file:
        file.write(f'[models.{other}]\nvariant = "tiny"\n')
    with connect(Settings(artifacts=tmp_path, skip_damaged=True)) as client:
        assert_problem(send(client, model), 503, "unavailable")
        assert send(client, other).status_code == 200


def test_the_least_recently_used_point_is_fitted_again(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = []
    always = operating_points.fit("fpr<=0.3", make_evidence())

    def spy(point: str, *_: Any, **__: Any) -> Any:
        fitted.append(point)
        return always

    with connect(Settings(artifacts=artifacts)) as client:
        monkeypatch.setattr(operating_points, "fit", spy)
        for number in range(300, 300 + 256 + 1):
            send(client, texts=["a"], operating_point=f"fpr<=0.{number}")
        assert len(fitted) == 257
        send(client, texts=["a"], operating_point="fpr<=0.556")
        assert len(fitted) == 257
        send(client, texts=["a"], operating_point="fpr<=0.3")
        assert len(fitted) == 258


MODES: list[dict[str, Any]] = [
    {},
    {"threshold": 0.3},
    {"prior": 0.02},
    {"threshold": 0.3, "prior": 0.02},
    {"operating_point": "fpr<=0.1"},
    {"operating_point": "recall>=0.5", "prior": 0.02},
    {"policy": "teens"},
    {"policy": "adults"},
    {"policy": "adults", "prior": 0.02},
    {"policy": "ours"},
]


@pytest.mark.parametrize("fields", MODES, ids=str)
def test_labels_follow_from_scores_and_threshold_of_a_response(
    client: TestClient, fields: dict[str, Any]
) -> None:
    words = ("free", "prize", "lunch", "tomorrow", "!", "£", "12345678901", "привет", "😂", "x")
    texts = [
        " ".join(words[at] for at in range(10) if number >> at & 1) for number in range(1, 512)
    ]
    content = client.post("/classify/spam", json={"texts": texts} | fields).json()
    threshold = content["threshold"]
    found = set()
    for result in content["results"]:
        is_positive = result["score"] is not None and result["score"] >= threshold
        assert (result["label"] == "spam") == is_positive, result
        if "decision" in result and result["decision"] != "none":
            assert (result["decision"] == "positive") == is_positive, result
        found.add(result["label"])
    assert found == {"ham", "spam"}  # so both sides were compared


@pytest.mark.parametrize("prior", [{}, {"prior": 0.02}], ids=str)
def test_a_score_equal_to_the_threshold_is_positive(
    client: TestClient, prior: dict[str, float]
) -> None:
    request = {"texts": ["Free lunch"]} | prior
    score = client.post("/classify/spam", json=request).json()["results"][0]["score"]
    content = client.post("/classify/spam", json=request | {"threshold": score}).json()
    assert content["threshold"] == content["results"][0]["score"] == score
    assert content["results"][0]["label"] == "spam"

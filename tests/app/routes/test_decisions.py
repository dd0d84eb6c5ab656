"""``GET /models/{model}/operating-points``, ``…/threshold-curve`` and ``…/plan``."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from dandelion.artifact import save
from dandelion.decision import operating_points
from dandelion.decision.calibration import Calibration
from dandelion.decision.evidence import GRID, Evidence, flagged
from dandelion.decision.plan import plan
from dandelion.decision.policy import score_at, scores

from ...dandelion.examples import THREE, make_artifact
from ..conftest import connect
from ..contract import CANARY, assert_problem

PLATT = Calibration("platt", 2.0, 2.0, -0.5)
ROUTES = ("operating-points", "threshold-curve", "plan")
KNOWN = "'prior', 'policy' and 'variant', each at most once"

SERVING = """
[models]
bare = "tiny"
mood = "tiny"
old = "tiny"

[models.spam]
variant = "tiny"

[models.spam.policies.teens]
operating_point = "fpr<=0.05"
prior = 0.01

[models.spam.policies.adults]
operating_point = "recall>=0.5"

[models.spam.policies.strict]
operating_point = "precision>=0.9"
"""


def make_evidence() -> Evidence:
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 4 // 3
    logits = rng.normal(3 * labels - 2.5, 0.8)
    return Evidence.of(logits, labels, np.arange(4000) // 4 % 2, ["sms", "tweets"])


EVIDENCE = make_evidence()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    directory = tmp_path_factory.mktemp("decisions")

    def keep(model: str, artifact: Any, **facts: Any) -> None:
        manifest = replace(artifact.manifest, model=model, **facts)
        save(replace(artifact, manifest=manifest), directory / model / "tiny")

    keep("spam", make_artifact(calibration=PLATT, evidence=EVIDENCE), operating_point="fpr<=0.02")
    keep("old", make_artifact(evidence=EVIDENCE))
    keep("bare", make_artifact())
    keep("mood", make_artifact(labels=THREE))
    (directory / "serving.toml").write_text(SERVING)
    with connect(Settings(artifacts=directory)) as client:
        yield client


def get(client: TestClient, path: str, **query: Any) -> dict[str, Any]:
    response = client.get(f"/models/{path}", params=query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def at(threshold: float, prior: float = 0.5) -> int:
    """Return the position on the grid of a threshold of scores."""
    on_grid = scores(GRID, PLATT, prior).astype(np.float64)
    return int(np.flatnonzero(on_grid == threshold)[0])


def test_points_are_fitted_or_infeasible(client: TestClient) -> None:
    found = get(client, "spam/operating-points")
    assert (found["model"], found["policy"], found["prior"]) == ("spam", None, None)
    assert found["share"] == 0.25
    assert found["sources"][0] == {"source": "sms", "harmless": 1500, "positive": 500}
    points = {point["operating_point"]: point for point in found["operating_points"]}
    assert [name for name, point in points.items() if point["is_default"]] == ["fpr<=0.02"]
    assert next(iter(points)) == "fpr<=0.02"
    assert {"fpr<=0.01", "recall>=0.9", "precision>=0.9", "macro_f1"} < set(points)
    for point in points.values():
        assert (point["fitted"] is None) == (point["infeasible"] is not None)
    fitted = points["fpr<=0.02"]["fitted"]
    assert fitted["promised"]
    assert fitted["constraints"][0]["bound"] <= 0.02
    alarms, hits = flagged(EVIDENCE.total())[:, at(fitted["threshold"])]
    assert fitted["fpr"]["estimate"] == pytest.approx(alarms / 3000)
    assert fitted["recall"]["estimate"] == pytest.approx(hits / 1000)
    assert fitted["precision"]["estimate"] == pytest.approx(hits / (hits + alarms))
    assert fitted["alerts_per_10000"]["estimate"] == pytest.approx(1e4 * (hits + alarms) / 4000)
    assert points["macro_f1"]["fitted"]["plateau"][0] <= points["macro_f1"]["fitted"]["threshold"]
    refused = points["fpr<=0.001"]["infeasible"]
    assert "cannot be promised at 95%" in refused["detail"]
    assert refused["best"] > 0.001
    assert refused["texts_needed"] > 2900


def test_a_point_flags_what_it_says(client: TestClient) -> None:
    """The threshold of a point, and the point itself, decide alike."""
    for point in get(client, "spam/operating-points", prior=0.05)["operating_points"]:
        if point["fitted"] is None:
            continue
        body = {"texts": ["Free prize!"], "prior": 0.05}
        asked = client.post(
            "/classify/spam", json=body | {"operating_point": point["operating_point"]}
        )
        assert asked.json()["threshold"] == point["fitted"]["threshold"]


def test_a_point_that_is_asked_for_comes_first_after_the_default(client: TestClient) -> None:
    usual = get(client, "spam/operating-points")
    assert usual["operating_point"] is None
    default, *others = usual["operating_points"]
    for written, point in (("precision>=0.80", "precision>=0.8"), ("fpr<=0.0001", "fpr<=0.0001")):
        found = get(client, "spam/operating-points", operating_point=written)
        assert found["operating_point"] == point
        assert found["operating_points"][0] == default
        assert found["operating_points"][1]["operating_point"] == point
        assert found["operating_points"][2:] == others
    assert found["operating_points"][1]["fitted"] is None
    assert "cannot be promised at 95%" in found["operating_points"][1]["infeasible"]["detail"]
    # It decides as it says, at a prior too.
    found = get(client, "spam/operating-points", operating_point="precision>=0.8", prior=0.2)
    body = {"texts": ["Free"], "prior": 0.2, "operating_point": "precision>=0.8"}
    threshold = client.post("/classify/spam", json=body).json()["threshold"]
    assert found["operating_points"][1]["fitted"]["threshold"] == threshold
    # One that is in the list anyway moves up, and the default stays where it is.
    found = get(client, "spam/operating-points", operating_point="macro_f1")
    names = [one["operating_point"] for one in found["operating_points"]]
    assert names[:2] == ["fpr<=0.02", "macro_f1"]
    assert len(names) == len(set(names)) == 1 + len(others)
    found = get(client, "spam/operating-points", operating_point="fpr<=0.020")
    assert found == usual | {"operating_point": "fpr<=0.02"}


def test_a_point_about_an_unknown_source_is_infeasible(client: TestClient) -> None:
    point = f"fpr<=0.01[{CANARY}]"
    found = get(client, "spam/operating-points", operating_point=point)["operating_points"][1]
    assert found["fitted"] is None
    assert "sms" in found["infeasible"]["detail"]
    assert CANARY not in found["infeasible"]["detail"]


@pytest.mark.parametrize(
    ("point", "detail"),
    [
        ("", "expected 'macro_f1'"),
        (CANARY, "at character 1"),
        ("precision>=80", "a number between 0 and 1 at character 12"),
        ("fpr <= 0.01", "at character 1"),
        ("f" * 201, "at most 200 characters"),
    ],
)
def test_a_point_that_is_not_in_the_grammar_is_refused(
    client: TestClient, point: str, detail: str
) -> None:
    response = client.get("/models/spam/operating-points", params={"operating_point": point})
    problem = assert_problem(response, 422, "The query of the URL is invalid")
    assert problem["errors"][0]["pointer"] == "#/operating_point"
    assert detail in problem["errors"][0]["detail"]
    twice = {"operating_point": ["f1", "macro_f1"]}
    problem = assert_problem(client.get("/models/spam/operating-points", params=twice), 422)
    assert "each at most once" in problem["errors"][0]["detail"]


def test_points_that_are_asked_for_are_fitted_alone_and_displace_only_one_another(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    get(client, "spam/operating-points", prior=0.3)
    curve = get(client, "spam/threshold-curve", prior=0.3)
    one, fitted = operating_points.fit("fpr<=0.05", EVIDENCE), list[str]()

    def note(point: str, *_: Any, **__: Any) -> Any:
        fitted.append(point)
        return one

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr("dandelion.decision.operating_points.fit", note)
    monkeypatch.setattr("dandelion.decision.operating_points.curve", fail)
    points = [f"recall>=0.{number}" for number in range(100, 166) if number % 10]
    points += [f"recall>=0.{number}" for number in range(200, 210) if number % 10]
    assert len(points) > 64
    for point in points:
        get(client, "spam/operating-points", prior=0.3, operating_point=point)
    assert fitted == points
    get(client, "spam/operating-points", prior=0.3, operating_point=points[-1])
    get(client, "spam/operating-points", prior=0.3, operating_point=f"{points[-1]}0")
    get(client, "spam/operating-points", prior=0.3)
    assert get(client, "spam/threshold-curve", prior=0.3) == curve
    assert fitted == points
    get(client, "spam/operating-points", prior=0.3, operating_point=points[0])
    assert fitted == [*points, points[0]]  # the least recently used one has gone


def test_a_prior_moves_thresholds_and_figures(client: TestClient) -> None:
    plain, moved = (
        get(client, "spam/operating-points", **query) for query in ({}, {"prior": 0.01})
    )
    assert (moved["prior"], moved["share"]) == (0.01, 0.01)
    first, second = (found["operating_points"][0]["fitted"] for found in (plain, moved))
    assert first["recall"] == second["recall"]
    assert second["threshold"] < first["threshold"]
    assert second["precision"]["estimate"] < first["precision"]["estimate"]


def test_a_policy_brings_its_point_and_prior(client: TestClient) -> None:
    teens = get(client, "spam/operating-points", policy="teens")
    assert (teens["policy"], teens["prior"]) == ("teens", 0.01)
    assert teens["operating_points"][0]["operating_point"] == "fpr<=0.05"
    adults = get(client, "spam/threshold-curve", policy="adults", prior=0.2)
    assert (adults["policy"], adults["prior"]) == ("adults", 0.2)


def test_the_curve_is_what_thresholds_do(client: TestClient) -> None:
    found = get(client, "spam/threshold-curve", prior=0.1)
    points = found["points"]
    assert 20 < len(points) <= 200
    thresholds = [point["threshold"] for point in points]
    assert thresholds == sorted(set(thresholds))
    counts = flagged(EVIDENCE.total())
    for point in points:
        alarms, hits = counts[:, at(point["threshold"], 0.1)] / [3000, 1000]
        assert point["fpr"]["estimate"] == pytest.approx(alarms)
        assert point["recall"]["estimate"] == pytest.approx(hits)
        alerts = 0.1 * hits + 0.9 * alarms
        assert point["alerts_per_10000"]["estimate"] == pytest.approx(1e4 * alerts)
        assert point["precision"]["estimate"] == pytest.approx(0.1 * hits / alerts)
        for rate in (point["fpr"], point["recall"]):
            assert rate["simultaneous_lower"] <= rate["lower"] <= rate["estimate"]
            assert rate["estimate"] <= rate["upper"] <= rate["simultaneous_upper"]


def test_a_logit_is_of_the_same_texts_at_every_prior(client: TestClient) -> None:
    first, second = (get(client, "spam/threshold-curve", prior=prior) for prior in (0.4, 0.01))
    recalls = [
        {point["logit"]: point["recall"]["estimate"] for point in found["points"]}
        for found in (first, second)
    ]
    assert len(recalls[0].keys() & recalls[1].keys()) > 20
    assert all(recalls[1].get(logit, recall) == recall for logit, recall in recalls[0].items())
    assert first["points"][0]["threshold"] > second["points"][0]["threshold"]


def test_a_plan_counts_the_next_messages(client: TestClient) -> None:
    point = get(client, "spam/threshold-curve", prior=0.1)["points"][-30]
    low = get(client, "spam/threshold-curve", prior=0.1)["points"][-60]
    asked = {"threshold": point["threshold"], "review_threshold": low["threshold"], "prior": 0.1}
    found = get(client, "spam/plan", volume=5000, minutes=3, **asked)
    expected = plan(
        EVIDENCE,
        point["logit"],
        prior=0.1,
        volume=5000,
        minutes=3,
        review=low["logit"],
    )
    assert (found["messages"], found["minutes"], found["share"]) == (5000, 3, 0.1)
    assert (found["threshold"], found["logit"]) == (point["threshold"], point["logit"])
    assert found["review_threshold"] == low["threshold"]
    names = ("flagged", "true_alerts", "false_alerts", "missed", "in_review", "found_in_review")
    for name in (*names, "hours"):
        mean, predicted = getattr(expected, name), getattr(expected.prediction, name)
        assert found[name] == {
            "estimate": mean.estimate,
            "lower": mean.lower,
            "upper": mean.upper,
            "predicted_lower": predicted.lower,
            "predicted_upper": predicted.upper,
        }
    for name in ("precision", "alerts_per_10000"):
        assert found[name] == point[name]
    assert found["recall"]["estimate"] == point["recall"]["estimate"]


def test_a_plan_is_for_any_threshold(client: TestClient) -> None:
    """Between two points of the grid the upper one counts; beyond it, nothing is flagged."""
    points = get(client, "spam/threshold-curve")["points"]
    for low, high in zip(points[40:80:10], points[41:81:10], strict=True):
        between = get(client, "spam/plan", threshold=(low["threshold"] + high["threshold"]) / 2)
        assert low["logit"] < between["logit"] <= high["logit"]
    for threshold, rate in ((0, 1), (1, 0)):
        found = get(client, "spam/plan", threshold=threshold)
        assert found["recall"]["estimate"] == found["fpr"]["estimate"] == rate
        assert (found["messages"], found["in_review"]) == (10_000, None)


def test_without_a_threshold_a_plan_is_of_what_decides(client: TestClient) -> None:
    for query in ({}, {"prior": 0.1}):
        found = get(client, "spam/plan", **query)
        asked = client.post("/classify/spam", json={"texts": ["Free"], **query})
        assert found["threshold"] == asked.json()["threshold"]
    for policy, query in (("teens", {}), ("adults", {}), ("adults", {"prior": 0.02})):
        found = get(client, "spam/plan", policy=policy, **query)
        body = {"texts": ["Free"], "policy": policy, **query}
        assert found["threshold"] == client.post("/classify/spam", json=body).json()["threshold"]
        assert found["review_threshold"] is None


@pytest.mark.parametrize(
    ("query", "pointer", "detail"),
    [
        ({"threshold": 1.5}, "threshold", "Expected a number in [0, 1]"),
        ({"threshold": "nan"}, "threshold", "Expected a number"),
        ({"threshold": CANARY}, "threshold", "Expected a number"),
        ({"threshold": 0.5, "review_threshold": -1}, "review_threshold", "Expected a number"),
        ({"review_threshold": 0.5}, "review_threshold", "a 'threshold' next to it"),
        ({"threshold": 0.5, "review_threshold": 0.6}, "review_threshold", "not below it"),
        ({"volume": 0}, "volume", "Expected a"),
        ({"volume": 1.5}, "volume", "Expected a"),
        ({"volume": 10**9 + 1}, "volume", "Expected a"),
        ({"volume": "9" * 400}, "volume", "Expected a"),
        ({"minutes": 0}, "minutes", "Expected a"),
        ({"minutes": "inf"}, "minutes", "Expected a"),
        ({"policy": "strict", "prior": 0.0001}, "prior", "cannot be promised"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    client: TestClient, query: dict[str, Any], pointer: str, detail: str
) -> None:
    response = client.get("/models/spam/plan", params=query)
    problem = assert_problem(response, 422, "The query of the URL is invalid")
    assert problem["errors"][0]["pointer"] == f"#/{pointer}"
    assert detail in problem["errors"][0]["detail"]


def test_too_many_plans_at_a_time_are_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    at = operating_points.at

    def wait(*arguments: Any, **options: Any) -> Any:
        assert may_go_on.wait(30)
        return at(*arguments, **options)

    monkeypatch.setattr("dandelion.decision.operating_points.at", wait)

    def ask(number: int) -> Any:
        return client.get("/models/spam/plan", params={"volume": 1000 + number})

    with ThreadPoolExecutor(18) as threads:
        asked = [threads.submit(ask, number) for number in range(18)]
        try:
            assert_problem(next(as_completed(asked, timeout=30)).result(), 429)
        finally:
            may_go_on.set()
    assert sorted(one.result().status_code for one in asked) == [200] * 16 + [429] * 2


def test_a_point_that_does_not_decide_is_no_default(client: TestClient) -> None:
    """With a prior alone the artifact's threshold decides, which is another one here."""
    points = get(client, "spam/operating-points", prior=0.1)["operating_points"]
    assert points[0]["operating_point"] == "fpr<=0.02"
    assert not any(point["is_default"] for point in points)


def test_an_uncalibrated_model_has_points_without_a_prior(client: TestClient) -> None:
    point = get(client, "old/operating-points")["operating_points"][1]
    assert not point["is_default"]
    identity = Calibration("temperature", 1.0, 1.0, 0.0)
    on_grid = {score_at(float(logit), identity) for logit in GRID}
    assert point["fitted"]["threshold"] in on_grid
    response = client.get("/models/old/threshold-curve", params={"prior": 0.1})
    problem = assert_problem(response, 422, "not calibrated")
    assert problem["errors"][0]["pointer"] == "#/prior"


@pytest.mark.parametrize("route", ROUTES)
def test_errors(client: TestClient, route: str) -> None:
    def refused(model: str, status: int, *parts: str, **query: Any) -> dict[str, Any]:
        response = client.get(f"/models/{model}/{route}", params=query)
        return assert_problem(response, status, *parts)

    refused(CANARY, 404, "Unknown model")
    refused("bare", 404, "no evidence")
    refused("mood", 404, "3 labels")
    for prior in ("0", "1", "-1", "nan", "inf", CANARY, ""):
        problem = refused("spam", 422, "The query of the URL is invalid", prior=prior)
        assert problem["errors"] == [
            {"pointer": "#/prior", "detail": "Expected a number from 0.000001 to 0.9999"}
        ]
    problem = refused("spam", 422, "Policies of this model: teens, adults, strict", policy=CANARY)
    assert problem["errors"][0]["pointer"] == "#/policy"
    refused("spam", 422, "has a prior of its own", policy="teens", prior=0.1)
    refused("spam", 422, "no parameters but", KNOWN, piror=0.1)
    refused("spam", 422, "each at most once", prior=[0.1, 0.2])
    response = client.post(f"/models/spam/{route}")
    assert_problem(response, 405)
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("route", ROUTES)
def test_a_response_is_kept(
    client: TestClient, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.get(f"/models/spam/{route}", params={"prior": 0.123})

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("dandelion.decision.operating_points.fit", fail)
    monkeypatch.setattr("dandelion.decision.operating_points.at", fail)
    monkeypatch.setattr("dandelion.decision.operating_points.curve", fail)
    assert client.get(f"/models/spam/{route}", params={"prior": 0.123}).content == first.content
    assert first.headers["content-type"] == "application/json"


def test_too_many_responses_at_a_time_are_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()

    def wait(*_: Any, **__: Any) -> list[Any]:
        assert may_go_on.wait(30)
        return []

    monkeypatch.setattr("dandelion.decision.operating_points.curve", wait)

    def ask(number: int) -> Any:
        return client.get("/models/spam/threshold-curve", params={"prior": 0.5 + number / 100})

    with ThreadPoolExecutor(18) as threads:
        asked = [threads.submit(ask, number) for number in range(18)]
        try:
            first = next(as_completed(asked, timeout=30)).result()
            assert_problem(first, 429)
            assert first.headers["retry-after"] == "1"
            # Only who asks for more waits: what is kept is returned, and texts are classified.
            assert client.post("/classify/spam", json={"texts": ["Free"]}).status_code == 200
        finally:
            may_go_on.set()
    assert sorted(one.result().status_code for one in asked) == [200] * 16 + [429] * 2

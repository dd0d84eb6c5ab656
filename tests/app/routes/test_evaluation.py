"""``POST /models/{model}/evaluation`` and ``…/evaluation/texts``: labelled texts, a policy file."""

import asyncio
import csv
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import dandelion
from app.api.evaluation_schemas import KEY_CHARS, MAX_ROWS, MAX_STRATA, EvaluationReport
from app.main import create_app
from app.settings import Settings
from dandelion import Classifier, Evaluation, evaluate
from dandelion.api_keys import Access
from dandelion.artifact import save
from dandelion.command import app
from dandelion.decision.evidence import from_json
from dandelion.decision.operating_points import at, curve
from dandelion.policy_file import read_policy_file
from dandelion.sampling import draw, stratum_name

from ...dandelion.examples import THREE, make_artifact
from ...dandelion.simulated import deciding_artifact, labels, texts
from ..api_keys import KEYS, bearer, key, line
from ..conftest import connect
from ..contract import CANARY, JSON, JSON_TYPE, assert_problem

PATH = "/models/spam/evaluation"
PARTS = f"{PATH}/texts"
POINTS = ["fpr<=0.05", "precision>=0.999", "macro_f1"]
MAX_TEXTS = 500
LIMITED = key("limited")
SERVED = "the version that is served"

SERVING = """
[models]
mood = "tiny"

[models.spam]
variant = "tiny"
variants = ["plain"]
"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("artifacts")
    save(deciding_artifact(), directory / "spam" / "tiny")
    plain = make_artifact(seed=0)
    plain = replace(plain, manifest=replace(plain.manifest, variant="plain"))
    save(plain, directory / "spam" / "plain")
    save(make_artifact(labels=THREE), directory / "mood" / "tiny")
    (directory / "serving.toml").write_text(SERVING)
    return directory


@pytest.fixture(scope="module")
def client(artifacts: Path) -> Iterator[TestClient]:
    limits = {"max_texts": MAX_TEXTS, "max_text_chars": 2000, "max_body_bytes": 200_000}
    with connect(Settings(artifacts=artifacts, **limits)) as client:
        yield client


@pytest.fixture(scope="module")
def classifier(artifacts: Path) -> Classifier:
    return Classifier.load(artifacts / "spam" / "tiny")


@pytest.fixture(scope="module")
def traffic(classifier: Classifier) -> tuple[list[str], list[int | None]]:
    """Texts with near copies, contradictions, a text without content, and one without a label."""
    found = texts(700, seed=3)
    truth: list[int | None] = labels(classifier.logits(found), seed=3).tolist()
    copies = [text.upper() for text in found[:40]]
    found += [*copies, "https://example.org 🙂", "nobody labelled this one"]
    truth += [*truth[:30], *(1 - int(label or 0) for label in truth[30:40]), 0, None]
    return found, truth


def score_parts(client: TestClient, found: list[str], path: str = PARTS) -> dict[str, Any]:
    """Score texts in parts, as a page does."""
    scored: dict[str, Any] = {"logits": [], "copies": "", "digests": ""}
    for start in range(0, len(found), MAX_TEXTS):
        response = client.post(path, json={"texts": found[start : start + MAX_TEXTS]})
        assert response.status_code == 200, response.text
        part = response.json()
        scored |= {name: scored[name] + part[name] for name in scored if name != "version"}
        scored["version"] = part["version"]
    return scored


def send(client: TestClient, fields: dict[str, Any], path: str = PATH) -> Any:
    """Send a request; `SERVED` stands for the version that is served."""
    scored = fields.get("scored")
    if isinstance(scored, dict) and scored.get("version") == SERVED:
        scored["version"] = client.get("/models/spam").json()["version"]
    return client.post(path, json=fields)


def ask(client: TestClient, path: str = PATH, **fields: Any) -> dict[str, Any]:
    response = send(client, fields, path)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    EvaluationReport.model_validate(found, strict=True)
    return found


@pytest.fixture(scope="module")
def found(client: TestClient, traffic: tuple[list[str], list[int | None]]) -> dict[str, Any]:
    scored = score_parts(client, traffic[0])
    return ask(client, scored=scored, labels=traffic[1], source="traffic", operating_points=POINTS)


@pytest.fixture(scope="module")
def direct(classifier: Classifier, traffic: tuple[list[str], list[int | None]]) -> Evaluation:
    sources = ["traffic"] * len(traffic[0])
    return evaluate(classifier, *traffic, sources=sources, points=POINTS)


def test_the_policy_file_is_that_of_the_command(
    artifacts: Path,
    traffic: tuple[list[str], list[int | None]],
    found: dict[str, Any],
    tmp_path: Path,
) -> None:
    data, output = tmp_path / "traffic.csv", tmp_path / "policy.json"
    with data.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(zip(*traffic, strict=True))
    points = [part for point in POINTS for part in ("--operating-point", point)]
    command = ["evaluate", "spam", "--data", str(data), "--output", str(output), *points]
    result = CliRunner().invoke(app, command, env={"DANDELION_ARTIFACTS": str(artifacts)})
    assert result.exit_code == 0, result.output
    created = re.compile('"created": "[^"]*"')
    expected, count = created.subn("", output.read_text())
    assert (created.sub("", found["policy_file"]), count) == (expected, 1)
    output.write_text(found["policy_file"])
    assert read_policy_file(output).calibration is not None
    assert found["policy_problem"] == ""


def test_the_report_is_the_library_s(found: dict[str, Any], direct: Evaluation) -> None:
    assert (found["harmless"], found["positive"]) == direct.counted
    assert (found["texts"], found["unlabelled"]) == (741, 1)
    assert (found["copies"], found["contradictions"]) == (40, 10)
    assert (direct.copies, direct.contradictions) == (40, 10)
    assert found["auroc"]["estimate"] == direct.auroc.estimate  # type: ignore[union-attr]
    assert found["calibration"]["is_fitted"]
    assert found["calibration"]["log_loss_after"] == direct.calibration.log_loss_after
    assert [point["operating_point"] for point in found["wanted"]] == POINTS
    for point, expected in zip(found["wanted"], direct.wanted, strict=True):
        assert point["problem"] == expected.problem
        if expected.fitted is None:
            assert point["fitted"] is None
        else:
            assert point["fitted"]["recall"]["lower"] == expected.fitted.recall.lower
            assert point["promised"] == expected.fitted.promised


def test_shipped_points_are_promised_against_kept(
    client: TestClient, found: dict[str, Any], direct: Evaluation
) -> None:
    default, *others = found["shipped"]
    assert (default["operating_point"], default["is_default"]) == ("fpr<=0.05", True)
    (promise,) = default["constraints"]
    assert promise["constraint"] == "fpr<=0.05"
    assert promise["verdict"] == direct.shipped[0].constraints[0].verdict
    assert promise["upper"] == default["found"]["fpr"]["upper"]
    assert [point["operating_point"] for point in others] == [
        point.point for point in direct.shipped[1:]
    ]
    # The threshold is that which the service uses now, rounded up to the grid.
    served = client.get("/models/spam").json()["threshold"]
    assert default["found"]["artifact_threshold"] == pytest.approx(served, abs=0.02)


def test_the_curve_has_the_form_of_the_held_out_one(
    client: TestClient, found: dict[str, Any], direct: Evaluation
) -> None:
    held_out = client.get("/models/spam/threshold-curve").json()["points"][0]
    assert set(found["points"][0]) - {"artifact_threshold"} == set(held_out)
    thresholds = [point["threshold"] for point in found["points"]]
    assert thresholds == sorted(set(thresholds))
    lowest = curve(direct.evidence)[0]
    assert found["points"][0]["recall"]["estimate"] == lowest.recall.estimate
    assert found["points"][0]["recall"]["simultaneous_lower"] <= lowest.recall.lower


def test_the_service_decides_by_the_policy_file(
    artifacts: Path, found: dict[str, Any], direct: Evaluation, tmp_path: Path
) -> None:
    (tmp_path / "spam").mkdir()
    (tmp_path / "spam" / "tiny").symlink_to(artifacts / "spam" / "tiny")
    (tmp_path / "own.json").write_text(found["policy_file"])
    (tmp_path / "serving.toml").write_text(
        '[models.spam]\nvariant = "tiny"\ndefault_policy = "own"\n'
        '[models.spam.policies.own]\noperating_point = "fpr<=0.05"\ncalibration = "own.json"\n'
    )
    wanted = found["wanted"][0]["fitted"]
    with connect(Settings(artifacts=tmp_path)) as client:
        response = client.post("/classify/spam", json={"texts": texts(400, seed=8)}).json()
    assert response["threshold"] == pytest.approx(wanted["threshold"], abs=1e-6)
    is_positive = [result["label"] == direct.labels[1] for result in response["results"]]
    flagged = [result["score"] >= wanted["threshold"] for result in response["results"]]
    assert is_positive == flagged
    assert any(flagged)


def test_texts_can_be_sent_with_their_labels(
    client: TestClient, traffic: tuple[list[str], list[int | None]]
) -> None:
    found, truth = traffic[0][:MAX_TEXTS], traffic[1][:MAX_TEXTS]
    at_once = ask(client, texts=found, labels=truth)
    in_parts = ask(client, scored=score_parts(client, found), labels=truth)
    assert at_once | {"policy_file": ""} == in_parts | {"policy_file": ""}
    assert '"texts": [{' in at_once["policy_file"]  # the name of the source


def test_a_prior_changes_precision_and_alerts(
    client: TestClient, classifier: Classifier, traffic: tuple[list[str], list[int | None]]
) -> None:
    found = ask(client, texts=traffic[0][:MAX_TEXTS], labels=traffic[1][:MAX_TEXTS], prior=0.01)
    assert (found["prior"], found["share"]) == (0.01, 0.01)
    evidence = from_json(json.loads(found["policy_file"])["evidence"])
    expected = at(evidence, classifier.basis().boundary, prior=0.01)
    default = found["shipped"][0]["found"]
    assert default["precision"]["estimate"] == pytest.approx(expected.precision.estimate)
    assert default["alerts_per_10000"]["upper"] == pytest.approx(1e4 * expected.rate.upper)


def test_a_sample_has_strata_and_weights(client: TestClient, classifier: Classifier) -> None:
    whole = texts(1000, seed=5)
    logits = classifier.logits(whole)
    drawn = draw(logits, 200)
    rows = drawn.rows.tolist()
    chosen = [whole[row] for row in rows]
    strata = [stratum_name(classifier.manifest.version, letter) for letter in drawn.strata]
    truth = labels(logits, seed=5)[drawn.rows].tolist()
    weights = drawn.weights.tolist()
    found = ask(client, texts=chosen, labels=truth, strata=strata, weights=weights)
    expected = evaluate(classifier, chosen, truth, strata=strata, weights=weights)
    assert found["is_sample"]
    assert found["share"] == pytest.approx(expected.prior)
    assert found["auroc"]["lower"] == pytest.approx(expected.auroc.lower)  # type: ignore[union-attr]
    assert json.loads(found["policy_file"])["evidence"]["weights"] == dict(
        expected.evidence.weights or {}
    )


def test_texts_that_were_all_flagged_show_precision_alone(
    client: TestClient, classifier: Classifier
) -> None:
    flagged = [text for text in texts(900) if classifier.classify([text])[0].label == "spam"][:60]
    truth = [at % 3 // 2 for at in range(len(flagged))]
    found = ask(client, texts=flagged, labels=truth)
    assert found["is_flagged_only"]
    assert (found["points"], found["shipped"], found["auroc"]) == ([], [], None)
    assert found["flagged"][0]["precision"]["estimate"] == pytest.approx(np.mean(truth))
    assert found["policy_file"] is None
    assert "label a sample" in found["policy_problem"]
    problem = client.post(PATH, json={"texts": flagged, "labels": truth, "prior": 0.1})
    assert_problem(problem, 422, "#/labels", "all flagged")


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_alone_makes_no_policy(client: TestClient, label: int) -> None:
    found = ask(client, texts=texts(19), labels=[label] * 19)
    assert (found["auroc"], found["policy_file"]) == (None, None)
    assert "both labels" in found["policy_problem"]


def test_copies_alone_count_once(client: TestClient) -> None:
    found = ask(client, texts=["Win cash now"] * 30, labels=[1, 0, 1] * 10)
    assert (found["copies"], found["contradictions"]) == (29, 1)
    assert (found["harmless"], found["positive"]) == (0, 1)


def test_without_scipy_the_calibration_is_kept(
    client: TestClient,
    traffic: tuple[list[str], list[int | None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    found = ask(client, texts=traffic[0][:MAX_TEXTS], labels=traffic[1][:MAX_TEXTS])
    assert not found["calibration"]["is_fitted"]
    assert "SciPy" in found["calibration"]["reason"]
    assert "pip install 'dandelion-text[evaluate]'" in found["calibration"]["advice"]
    for path in (sys.executable, sys.prefix, str(Path(dandelion.__file__).parent.parent)):
        assert path not in json.dumps(found)
    assert json.loads(found["policy_file"])["calibration"] is None


def test_another_variant_is_evaluated(client: TestClient) -> None:
    body = {"texts": texts(10), "labels": [0, 1] * 5}
    assert ask(client, f"{PATH}?variant=plain", **body)["variant"] == "plain"
    assert score_parts(client, texts(3), f"{PARTS}?variant=plain")["logits"] != [None] * 3
    assert_problem(client.post(f"{PATH}?variant=none", json=body), 404, "Loaded variants")
    assert_problem(client.post(f"{PATH}?prior=0.1", json=body), 422, "variant")


def test_texts_without_content_have_no_logit_and_keys_are_short(client: TestClient) -> None:
    part = client.post(PARTS, json={"texts": ["🙂", "Win now", "WIN  now"]}).json()
    assert part["logits"][0] is None
    copies, digests = (
        [part[name][at : at + KEY_CHARS] for at in range(0, 3 * KEY_CHARS, KEY_CHARS)]
        for name in ("copies", "digests")
    )
    assert copies[1] == copies[2] != copies[0]
    assert len({*digests}) == 3
    assert len(part["copies"]) == len(part["digests"]) == 3 * KEY_CHARS


def scored(**other: Any) -> dict[str, Any]:
    keys = "0123456789abcdef0123456789abcdee"
    found = {"version": SERVED, "logits": [0.5, None], "copies": keys, "digests": keys}
    return {"scored": found | other, "labels": [1, 0]}


def keys_of(count: int) -> str:
    return "".join(f"{row:016x}" for row in range(count))


def body(**other: Any) -> dict[str, Any]:
    return {"texts": ["Win now", "Lunch?"], "labels": [1, 0]} | other


@pytest.mark.parametrize(
    ("path", "request_", "pointer", "detail"),
    [
        (PATH, {"labels": [1]}, "#", "Expected either 'texts' or 'scored'"),
        (PATH, scored() | {"texts": ["a", "b"]}, "#", "Expected either 'texts' or 'scored'"),
        (PATH, body(labels=[1, 2]), "#/labels/1", "Expected a number <= 1"),
        (PATH, body(labels=[1, True]), "#/labels/1", "Expected a number or null, got a boolean"),
        (PATH, body(labels=[1]), "#/texts", "Expected 1 values, one for each label"),
        (PATH, body(labels=[None, None]), "#/labels", "no text has a label"),
        (PATH, body(**{CANARY: 1}), "#", "Unknown field"),
        (PATH, body(prior=1), "#/prior", "Expected a number <= 0.9999"),
        (PATH, body(operating_points=[CANARY]), "#/operating_points/0", "not an operating point"),
        (PATH, body(operating_points=["fpr<=0.1[x]"]), "#/operating_points/0", "without a source"),
        (PATH, body(operating_points=["f1"] * 11), "#/operating_points", "length <= 10"),
        (PATH, body(weights=[1, 1]), "#/weights", "Expected 'strata' and 'weights'"),
        (PATH, body(strata=["a", CANARY], weights=[1, 0]), "#/weights/1", "Expected a number >= 1"),
        (PATH, body(strata=["a"], weights=[1]), "#/strata", "Expected 2 values"),
        (
            PATH,
            body(labels=[1, None], strata=["a", CANARY], weights=[1, 1]),
            "#/strata",
            "label some of each stratum",
        ),
        (
            PATH,
            body(strata=[CANARY, CANARY], weights=[1e12, 1e12]),
            "#/weights",
            "Expected at most 1e+12 messages",
        ),
        (PATH, scored(logits=[1e7, 0]), "#/scored/logits/0", "Expected a number <= 1000000"),
        (PATH, scored(logits=[0.5]), "#/scored/logits", "Expected 2 values"),
        (PATH, scored(copies="short"), "#/scored/copies", "length >= 16"),
        (PATH, scored(digests="0" * 48), "#/scored/digests", "16 characters for each label"),
        (PARTS, {"texts": []}, "#/texts", "length >= 1"),
        (PARTS, {"texts": ["a"] * (MAX_TEXTS + 1)}, "#/texts", f"length <= {MAX_TEXTS}"),
        (PARTS, {"texts": ["a", "b" * 2001]}, "#/texts/1", "length <= 2000"),
        (PARTS, {"texts": ["a", "\ufdfa" * 2000]}, "#/texts/1", "after Unicode normalization"),
        (PARTS, {"texts": ["a", 7]}, "#/texts/1", "Expected a string, got a number"),
    ],
)
def test_422(
    client: TestClient, path: str, request_: dict[str, Any], pointer: str, detail: str
) -> None:
    problem = assert_problem(send(client, request_, path), 422)
    (error,) = problem["errors"]
    assert error["pointer"] == pointer
    assert detail in error["detail"]


def test_422_with_too_many_rows_or_strata(artifacts: Path) -> None:
    with connect(Settings(artifacts=artifacts)) as client:
        rows = MAX_ROWS + 1
        asked = scored(logits=[0.5] * rows, copies=keys_of(rows), digests=keys_of(rows))
        asked["labels"] = [0, 1] * (rows // 2) + [0]
        assert_problem(send(client, asked), 422, f"length <= {MAX_ROWS}")
        strings = {"texts": [""] * (4 * MAX_ROWS), "labels": [1]}
        assert_problem(client.post(PATH, json=strings), 422, "dandelion evaluate")
        strata = [f"s{row}" for row in range(MAX_STRATA + 1)]
        asked = {"texts": strata, "labels": [1] * len(strata), "strata": strata}
        asked["weights"] = [1] * len(strata)
        assert_problem(client.post(PATH, json=asked), 422, f"at most {MAX_STRATA}")


def test_the_most_rows_are_within_the_limits(artifacts: Path) -> None:
    rng = np.random.default_rng(0)
    keys = keys_of(MAX_ROWS)
    logits = rng.normal(size=MAX_ROWS)
    asked = scored(logits=logits.tolist(), copies=keys, digests=keys)
    asked["labels"] = labels(logits - 3).tolist()
    with connect(Settings(artifacts=artifacts)) as client:
        assert ask(client, **asked)["texts"] == MAX_ROWS


@pytest.mark.parametrize("path", [PATH, PARTS])
def test_errors_of_every_route(client: TestClient, path: str) -> None:
    fine = {"texts": ["Lunch?"]} | ({"labels": [0]} if path == PATH else {})
    assert client.post(path, json=fine).status_code == 200
    for model, detail in (("mood", "3 labels"), ("other", "Available models")):
        assert_problem(client.post(path.replace("spam", model), json=fine), 404, detail)
    assert_problem(client.post(path, content=b'{"texts": [', headers=JSON_TYPE), 400, "JSON")
    assert_problem(client.post(path, content=b"{}", headers={"content-type": "text/csv"}), 415)
    zipped = JSON_TYPE | {"content-encoding": "gzip"}
    assert_problem(client.post(path, content=b"{}", headers=zipped), 415, "identity")
    large = {"texts": ["x" * 1900] * 120} | fine
    large["texts"] = ["x" * 1900] * 120
    assert_problem(client.post(path, json=large), 413, "200000 bytes")
    assert client.get(path).headers["allow"] == "POST"
    assert_problem(client.get(path), 405)


def test_409_if_the_model_was_replaced_meanwhile(client: TestClient) -> None:
    assert_problem(client.post(PATH, json=scored(version="0" * 12)), 409, "Score them again")


def test_a_key_needs_the_scope_classify_and_pays_for_texts(artifacts: Path) -> None:
    keys = line("classify", KEYS[Access.CLASSIFY], Access.CLASSIFY)
    keys += line("metrics", KEYS[Access.METRICS], Access.METRICS)
    keys += line("limited", LIMITED, Access.CLASSIFY, limit=1)
    fine = {"texts": texts(10)}
    with connect(Settings(artifacts=artifacts, max_texts=20, keys=keys)) as client:
        for path, request in ((PARTS, fine), (PATH, fine | {"labels": [0, 1] * 5})):

            def ask_with(key: str, path: str = path, request: dict[str, Any] = request) -> Any:
                return client.post(path, json=request, headers=bearer(key))

            assert_problem(client.post(path, json=request), 401)
            assert_problem(ask_with(KEYS[Access.METRICS]), 403, "scope classify")
            assert ask_with(KEYS[Access.CLASSIFY]).status_code == 200
            assert ask_with(LIMITED).status_code == 200
        assert_problem(client.post(PARTS, json=fine, headers=bearer(LIMITED)), 429, "per second")


def test_429_and_504_where_evaluations_take_long(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()

    def wait(*_: Any, **__: Any) -> None:
        assert may_go_on.wait(30)
        time.sleep(0.4)  # until it is surely late

    monkeypatch.setattr("app.api.evaluations.evaluate_scored", wait)
    limits = {"max_wait_ms": 100, "request_timeout_ms": 300}
    with connect(Settings(artifacts=artifacts, **limits)) as client, ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(client.post, PATH, json=body()) for _ in range(3)]
        try:
            first = next(as_completed(asked, timeout=30)).result()
            assert_problem(first, 429)
            # Others are served meanwhile.
            assert client.post("/classify/spam", json={"texts": ["Free"]}).status_code == 200
            assert client.post(PARTS, json={"texts": ["Free"]}).status_code == 200
            assert next(one.result() for one in asked if one.done()).headers["retry-after"] == "1"
        finally:
            may_go_on.set()
        statuses = sorted(one.result().status_code for one in asked)
    assert statuses == [429, 429, 504]


def test_a_client_that_is_gone_leaves_nothing_behind(artifacts: Path) -> None:
    app_ = create_app(Settings(artifacts=artifacts))
    content = json.dumps(body()).encode()
    messages = iter([{"type": "http.request", "body": content[:20], "more_body": True}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers}
    scope |= {"query_string": b"", "root_path": ""}
    asyncio.run(app_(scope, receive, send))
    assert sent[0]["status"] == 499


def test_no_text_is_counted_or_logged(artifacts: Path, caplog: pytest.LogCaptureFixture) -> None:
    with connect(Settings(artifacts=artifacts, access_log=True)) as client:
        found = [f"{CANARY} {text}" for text in texts(30)]
        response = client.post(PATH, json={"texts": found, "labels": [0, 1] * 15})
        assert CANARY not in response.text
        metrics = client.get("/metrics").text
    assert CANARY not in metrics + caplog.text
    # What the monitoring compares with the held-out texts is the traffic, not a labelled sample.
    assert 'dandelion_batch_size_count{model="spam"} 0.0' in metrics


rows = st.lists(
    st.tuples(
        st.none() | st.floats(-1e6, 1e6) | st.floats(-8, 8),
        st.none() | st.integers(0, 1),
        st.integers(0, 5),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=130,
)


@given(
    rows,
    st.booleans(),
    st.none() | st.floats(1e-6, 0.9999),
    st.lists(st.sampled_from(["fpr<=0.01", "recall>=0.9", "rate<=0.5", "f1"]), max_size=2),
    st.lists(st.floats(1, 1e12), min_size=3, max_size=3),
    st.integers(1, 60),
)
@settings(max_examples=15, deadline=None)
def test_whatever_is_scored_gets_a_report_or_a_reason(  # noqa: PLR0917
    client: TestClient,
    drawn: list[Any],
    is_sample: bool,
    prior: float | None,
    points: list[str],
    weights: list[float],
    distinct: int,
) -> None:
    count = len(drawn)
    groups = [row % distinct if key else row for row, (*_, key, _) in enumerate(drawn)]
    asked = scored(
        logits=[row[0] for row in drawn],
        copies="".join(f"{group:016x}" for group in groups),
        digests=keys_of(count),
    )
    asked |= {"labels": [row[1] for row in drawn], "operating_points": points, "prior": prior}
    if is_sample:
        asked["strata"] = [f"stratum {row[3]}" for row in drawn]
        asked["weights"] = [weights[row[3]] for row in drawn]
    response = send(client, asked)
    if response.status_code == 200:
        found = EvaluationReport.model_validate_json(response.content)
        assert found.texts + found.unlabelled == count
        assert found.harmless + found.positive + found.copies == found.texts
        assert (found.policy_file is None) == bool(found.policy_problem)
    else:
        assert_problem(response, 422)


@given(st.dictionaries(st.sampled_from([*body(), "scored", "strata", "weights"]), JSON))
@settings(max_examples=30, deadline=None)
def test_anything_else_is_refused_readably(client: TestClient, asked: dict[str, Any]) -> None:
    response = client.post(PATH, json=asked) if _is_json(asked) else None
    if response is not None and response.status_code != 200:
        assert_problem(response, response.status_code)
        assert response.status_code in {400, 409, 422}


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True

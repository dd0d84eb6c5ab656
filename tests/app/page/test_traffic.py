"""The view of a user's own labelled texts, up to a policy that decides by them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ...conftest import Service, StartService
from ...dandelion.simulated import texts as simulated
from .conftest import OpenPage, Violations
from .small_service import (
    cells,
    check_that_it_fits,
    labelled_texts,
    show,
    write_artifacts,
    write_csv,
)

pytestmark = pytest.mark.slow

COUNT = 340
PROMISED, WANTED = "Promised against kept", "Fitted on your texts"
POINTS = ["fpr<=0.05", "recall>=0.9", "precision>=0.999"]
CREATED = re.compile('"created": "[^"]*"')


@pytest.fixture(scope="module")
def small(start_shared: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    # So small that the texts take many requests, and some are too long.
    artifacts = write_artifacts(tmp_path_factory.mktemp("artifacts"))
    limits = {"max_texts": 100, "max_text_chars": 2000, "max_body_bytes": 60_000}
    service = start_shared(artifacts=artifacts, **limits)
    service.wait_until_ready()
    return service


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts, labels = labelled_texts(COUNT)
    path = tmp_path_factory.mktemp("traffic") / "My traffic.2026.csv"
    texts, labels = [*texts, texts[0].upper(), "unlabelled", " "], [*labels, labels[0], "", "spam"]
    return write_csv(path, row=range(len(texts)), verdict=labels, message=texts)


@pytest.fixture(scope="module")
def report(small: Service) -> dict[str, Any]:
    """What the service says of the same texts, asked for by a program."""
    texts, labels = labelled_texts(COUNT)
    texts, labels = [*texts, texts[0].upper(), "unlabelled"], [*labels, labels[0], ""]
    scored: dict[str, Any] = {"logits": [], "copies": "", "digests": ""}
    for start in range(0, len(texts), 100):
        part = {"texts": texts[start : start + 100]}
        found = small.post("/models/spam/evaluation/texts", json=part).json()
        scored = {name: values + found[name] for name, values in scored.items()}
    scored["version"] = found["version"]
    body = {
        "scored": scored,
        "labels": [{"spam": 1, "ham": 0, "": None}[label] for label in labels],
        "operating_points": POINTS,
        "source": "My traffic",
    }
    response = small.post("/models/spam/evaluation", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def drop(page: Page, file: Path, points: list[str] | None = None) -> None:
    show(page, "traffic")
    page.locator("#view-traffic input[type=file]").set_input_files(file)
    page.locator("textarea[name=points]").fill("\n".join(POINTS if points is None else points))


def run(page: Page, file: Path) -> None:
    drop(page, file)
    page.get_by_role("button", name="Evaluate").click()
    expect(page.get_by_role("heading", name="Decide by your texts")).to_be_visible()


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def interval(rate: dict[str, float]) -> str:
    return " ".join(
        (percent(rate["estimate"]), percent(rate["lower"]), "to", percent(rate["upper"]))
    )


def words(text: str) -> str:
    return " ".join(text.split())


def test_from_a_file_to_a_policy_in_force(  # noqa: PLR0917
    small: Service,
    open_page: OpenPage,
    file: Path,
    report: dict[str, Any],
    start_service: StartService,
    tmp_path: Path,
) -> None:
    page = open_page(small.url)
    drop(page, file)
    for name, value in (("text-column", "2"), ("label-column", "1"), ("positive", "spam")):
        expect(page.locator(f"select[name={name}]")).to_have_value(value)
    page.get_by_role("button", name="Evaluate").click()
    view = page.locator("#view-traffic")
    expect(view.get_by_role("heading", name="Decide by your texts")).to_be_visible()
    expect(view.locator(".summary h2")).to_have_text(
        f"{COUNT} texts count: {report['positive']} spam, {report['harmless']} ham"
    )
    expect(view.locator(".summary")).to_contain_text("1 row without a label does not count.")
    expect(view.locator(".summary")).to_contain_text("1 row without a text was left out.")
    check_promises(page, small, report)
    for row, wanted in zip(cells(page, WANTED), report["wanted"], strict=True):
        assert row[0].startswith(wanted["operating_point"])
        if wanted["fitted"] is None:
            assert words(wanted["problem"]) in words(row[1])
        else:
            rates = [interval(wanted["fitted"][name]) for name in ("recall", "fpr", "precision")]
            assert [words(cell) for cell in row[2:]] == rates
    with page.expect_download() as download:
        view.get_by_role("button", name="Download my-traffic.json").click()
    assert download.value.suggested_filename == "my-traffic.json"
    content = Path(download.value.path()).read_text()
    assert CREATED.sub("", content) == CREATED.sub("", report["policy_file"])
    # As the page says: the file next to serving.toml, and the lines in place of those of the model.
    assert view.locator("pre").inner_text().startswith("# in place of the line of spam in [models]")
    expect(view).to_contain_text(f"dandelion reload --url {small.url}")
    directory = write_artifacts(tmp_path / "artifacts", view.locator("pre").inner_text())
    (directory / "my-traffic.json").write_text(content)
    service = start_service(artifacts=directory)
    service.wait_until_ready()
    response = service.post("/classify/spam", json={"texts": simulated(200, 9)}).json()
    threshold = report["wanted"][0]["fitted"]["threshold"]
    assert response["policy"] == "my-traffic"
    assert response["threshold"] == pytest.approx(threshold, abs=1e-6)
    decisions = [result["decision"] for result in response["results"]]
    flagged = [result["score"] >= threshold for result in response["results"]]
    assert decisions == ["positive" if one else "negative" for one in flagged]
    assert {*decisions} == {"positive", "negative"}


def check_promises(page: Page, service: Service, report: dict[str, Any]) -> None:
    prior = {"prior": report["share"]}
    promised = service.get("/models/spam/operating-points", params=prior).json()
    held_out = {one["operating_point"]: one["fitted"] for one in promised["operating_points"]}
    for row, point in zip(cells(page, PROMISED), report["shipped"], strict=True):
        assert row[0].startswith(point["operating_point"])
        if point["found"] is None:
            assert words(point["problem"]) == words(row[1])
            continue
        assert [word.lower() for word in row[1].split()[:1]] == [
            one["verdict"] for one in point["constraints"]
        ]
        for cell, name in zip(row[2:], ("recall", "fpr", "precision"), strict=True):
            found = words(cell)
            assert found.startswith(interval(point["found"][name]))
            if not point["is_default"]:
                expected = held_out[point["operating_point"]][name]["estimate"]
                assert found.endswith(f"held out {percent(expected)}")


def test_labels_the_wrong_way_round_are_noticed(
    small: Service, open_page: OpenPage, tmp_path: Path
) -> None:
    """The label is guessed in any case of its letters, and an empty column is no guess."""
    rows = sorted(zip(*labelled_texts(200), strict=True), key=lambda row: row[1])[-80:]
    texts = [text for text, _ in rows]
    verdicts = [{"spam": "SPAM", "ham": "no spam"}[label] for _, label in rows]
    assert verdicts.count("SPAM") > verdicts.count("no spam") > 0  # not the rarer one
    columns = {"text": [""] * len(texts), "Kommentar": texts, "Status": verdicts}
    page = open_page(small.url)
    drop(page, write_csv(tmp_path / "own.csv", **columns), [])
    for name, value in (("text-column", "1"), ("label-column", "2"), ("positive", "SPAM")):
        expect(page.locator(f"select[name={name}]")).to_have_value(value)
    button = page.get_by_role("button", name="Evaluate")
    button.click()
    summary = page.locator("#view-traffic .summary")
    expect(summary).to_contain_text("AUROC")
    expect(summary).not_to_contain_text("the wrong way round")
    page.locator("select[name=positive]").select_option("no spam")
    button.click()
    expect(summary).to_contain_text("are the labels the wrong way round")


def test_a_share_of_the_traffic_is_used(small: Service, open_page: OpenPage, file: Path) -> None:
    page = open_page(small.url)
    drop(page, file)
    page.locator("input[name=share]").fill("140")
    expect(page.get_by_role("button", name="Evaluate")).to_be_disabled()
    page.locator("input[name=share]").fill("0.5")
    page.get_by_role("button", name="Evaluate").click()
    expect(page.locator("#view-traffic .summary")).to_contain_text("Figures are for 0.50 % spam")
    expect(page.locator("#view-traffic pre")).to_contain_text("prior = 0.005")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"label": ["spam", "ham"], "text": ["Win", "x" * 2001]},
            ["Text 2: Expected a string of length <= 2000"],
        ),
        ({"label": ["spam"] * 30, "text": [f"Win {at}" for at in range(30)]}, ["No policy file."]),
        ({"label": ["nan", ""], "text": ["Win", "Lunch"]}, ["This column has no labels."]),
        ({"id": [1, 2, 3], "text": ["Win", "Lunch", "Free"]}, ["3 different values"]),
        (
            {
                "label": ["spam", "ham", ""],
                "text": ["Win", "Lunch", "Free"],
                "stratum": ["a", "a", "b"],
                "inclusion_weight": [1, 1, 3],
            },
            ["No text of a stratum has a label"],
        ),
        (
            {"label": ["spam", "ham"], "text": ["Win", "Lunch"], "stratum": ["a", "b"]},
            ["A sample has the columns stratum and inclusion_weight"],
        ),
    ],
    ids=["too long", "one label", "no label", "numbers", "stratum without a label", "no weights"],
)
def test_what_cannot_be_evaluated_is_explained(
    small: Service,
    open_page: OpenPage,
    tmp_path: Path,
    columns: dict[str, list[Any]],
    message: list[str],
) -> None:
    page = open_page(small.url)
    drop(page, write_csv(tmp_path / "own.csv", **columns), [])
    button = page.get_by_role("button", name="Evaluate")
    if button.is_enabled():
        button.click()
    for part in message:
        expect(page.locator("#view-traffic")).to_contain_text(part)


def test_a_point_that_is_none_and_too_many_rows(
    small: Service, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(small.url)
    table = {"label": ["spam", "ham"], "text": ["Win", "Lunch"]}
    drop(page, write_csv(tmp_path / "own.csv", **table), ["fpr<0.01"])
    page.get_by_role("button", name="Evaluate").click()
    alert = page.locator("#view-traffic").get_by_role("alert")
    expect(alert).to_contain_text("operating_points/0: not an operating point")
    rows = 50_001
    many = write_csv(tmp_path / "many.csv", label=["spam", *["ham"] * (rows - 1)], text=range(rows))
    drop(page, many, [])
    page.get_by_role("button", name="Evaluate").click()
    expect(alert).to_contain_text("50,001 rows have a text; the service evaluates at most 50,000")
    expect(alert).to_contain_text("dandelion evaluate")


def test_the_model_may_be_replaced_meanwhile(
    small: Service, open_page: OpenPage, file: Path
) -> None:
    page = open_page(small.url)

    def replace(route: Any) -> None:
        body = json.loads(route.request.post_data)
        body["scored"]["version"] = "0" * 12
        route.continue_(post_data=json.dumps(body))

    page.route("**/models/spam/evaluation", replace)
    drop(page, file)
    page.get_by_role("button", name="Evaluate").click()
    alert = page.locator("#view-traffic").get_by_role("alert")
    expect(alert).to_contain_text("Score them again")
    page.unroute("**/models/spam/evaluation")
    alert.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Decide by your texts")).to_be_visible()


def test_where_it_takes_too_long_it_says_what_to_do(
    small: Service, open_page: OpenPage, file: Path
) -> None:
    page = open_page(small.url)
    problem = {"title": "Gateway Timeout", "detail": "The request exceeded the time limit."}
    page.route("**/models/spam/evaluation", lambda route: route.fulfill(status=504, json=problem))
    drop(page, file)
    page.get_by_role("button", name="Evaluate").click()
    view = page.locator("#view-traffic")
    expect(view.get_by_role("alert")).to_contain_text("The service took too long")
    expect(view.locator(".notice")).to_contain_text("dandelion evaluate")


def test_a_model_with_more_labels_has_no_promise(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    show(page, "traffic", "mood")
    expect(page.locator("#view-traffic")).to_contain_text("This model has 3 labels")


def test_the_keyboard_is_enough(small: Service, open_page: OpenPage, file: Path) -> None:
    page = open_page(small.url)
    drop(page, file)
    page.locator("select[name=text-column]").focus()
    seen: list[str] = []
    while "Evaluate" not in seen and len(seen) < 12:
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.name || document.activeElement.innerText")
        )
    assert {"label-column", "positive", "points", "share", "Evaluate"} <= {*seen}
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Decide by your texts")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_it_is_accessible_and_fits(  # noqa: PLR0917
    small: Service,
    open_page: OpenPage,
    violations: Violations,
    file: Path,
    report: dict[str, Any],
    scheme: str,
    width: int,
) -> None:
    page = open_page(small.url, scheme=scheme, width=width)
    run(page, file)
    expect(page.locator(".owncurve canvas")).to_be_visible()
    page.get_by_text("The curve of your texts as a table").click()
    rows = cells(page, f"12 of {len(report['points'])} thresholds")
    for row, point in ((rows[0], report["points"][0]), (rows[-1], report["points"][-1])):
        assert words(row[2]) == interval(point["recall"])
        assert row[5] == f"{point['alerts_per_10000']['estimate']:.0f}"
    assert violations(page) == []
    check_that_it_fits(page)


def test_a_sample_that_is_dropped_stands_for_all_messages(
    small: Service, open_page: OpenPage
) -> None:
    texts, labels = labelled_texts(60)
    strata = ["first", "second"] * 30
    weights = [1, 9] * 30
    lines = ["text,label,stratum,inclusion_weight"]
    rows = zip(texts, labels, strata, weights, strict=True)
    lines += [",".join(map(str, (f'"{text}"', *row))) for text, *row in rows]
    page = open_page(small.url)
    show(page, "traffic")
    create = """(text) => {
        const dropped = new DataTransfer();
        dropped.items.add(new File([text], "sample.csv", { type: "text/csv" }));
        return dropped;
    }"""
    dropped = page.evaluate_handle(create, "\n".join(lines))
    page.dispatch_event("#view-traffic .dropzone", "drop", {"dataTransfer": dropped})
    page.get_by_role("button", name="Evaluate").click()
    summary = page.locator("#view-traffic .summary")
    expect(summary).to_contain_text("A sample with weights")
    spam = sum(weight for label, weight in zip(labels, weights, strict=True) if label == "spam")
    expect(summary).to_contain_text(f"Figures are for {100 * spam / sum(weights):.2f} % spam")

"""The view of two variants on the same messages."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ...conftest import Service, StartService
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

COUNT = 60
COMPARED = "Messages: different decisions first, then by the difference of the scores"


@pytest.fixture(scope="module")
def small(start_shared: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    # So small that the messages take several requests.
    artifacts = write_artifacts(tmp_path_factory.mktemp("artifacts"))
    service = start_shared(artifacts=artifacts, max_texts=25)
    service.wait_until_ready()
    return service


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts, _ = labelled_texts(COUNT - 2)
    texts = [*texts, "🙂", "=1+1"]
    path = tmp_path_factory.mktemp("compare") / "messages.csv"
    return write_csv(path, id=range(COUNT), text=texts)


def texts_of(file: Path) -> list[str]:
    with file.open(newline="", encoding="utf-8") as lines:
        return [row["text"] for row in csv.DictReader(lines)]


def classified(service: Service, texts: list[str], variant: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for start in range(0, len(texts), 25):
        body = {"texts": texts[start : start + 25]}
        response = service.post("/classify/spam", params={"variant": variant}, json=body)
        found += response.json()["results"]
    return found


def run(page: Page, file: Path) -> None:
    show(page, "compare")
    page.locator("#view-compare input[type=file]").set_input_files(file)
    page.get_by_role("button", name=f"Compare on {COUNT} messages").click()
    expect(page.get_by_role("table", name=COMPARED)).to_be_visible()


def shown(score: float | None) -> str:
    if score is None:
        return ""
    if 0 < score < 0.0005:
        return "<0.001"
    return ">0.999" if 0.9995 <= score < 1 else f"{score:.3f}"


def test_those_that_differ_come_first(small: Service, open_page: OpenPage, file: Path) -> None:
    texts = texts_of(file)
    left, right = (classified(small, texts, variant) for variant in ("tiny", "plain"))
    names = {"spam": "flagged", "ham": "not flagged", None: "nothing to judge"}
    expected = sorted(
        range(COUNT),
        key=lambda at: (
            left[at]["label"] == right[at]["label"],
            -abs((right[at]["score"] or 0) - (left[at]["score"] or 0)),
            at,
        ),
    )
    differing = sum(left[at]["label"] != right[at]["label"] for at in range(COUNT))
    assert 0 < differing < COUNT
    page = open_page(small.url)
    run(page, file)
    expect(page.locator("#view-compare h2")).to_contain_text(
        f"tiny and plain disagree on {differing} of {COUNT} messages"
    )
    rows = cells(page, COMPARED)
    assert [row[0] for row in rows] == [texts[at].strip() for at in expected[:25]]
    for (_, *sides, _), at in zip(rows, expected, strict=False):
        for side, result in zip(sides, (left[at], right[at]), strict=True):
            assert side.split() == f"{names[result['label']]} {shown(result['score'])}".split()
    pairs = cells(page, "Decisions")
    assert sum(int(number) for *_, number in pairs) == COUNT
    assert sum(int(number) for one, other, number in pairs if one != other) == differing
    with page.expect_download() as download:
        page.locator("#view-compare").get_by_role("button", name="Download as CSV").click()
    assert download.value.suggested_filename == "messages-compared.csv"
    content = Path(download.value.path()).read_text(encoding="utf-8-sig")
    saved = list(csv.DictReader(io.StringIO(content)))
    assert [int(row["id"]) for row in saved] == expected
    assert [row["differs"] for row in saved].count("yes") == differing
    for row in saved:
        at = int(row["id"])
        assert row["text"] == ("'=1+1" if texts[at] == "=1+1" else texts[at])
        for name, result in (("tiny", left[at]), ("plain", right[at])):
            score = row[f"{name}_score"]
            assert (float(score) if score else None) == pytest.approx(result["score"])


def test_more_than_two_labels_and_one_variant(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    show(page, "compare", "mood")
    view = page.locator("#view-compare")
    expect(view).to_contain_text("One variant of mood is loaded: tiny")
    expect(view.locator("pre")).to_contain_text("variants = [")
    expect(view.locator("input[type=file]")).to_have_count(0)


def test_where_a_policy_decides_the_thresholds_of_the_variants_can(
    small: Service, open_page: OpenPage
) -> None:
    page = open_page(small.url)
    show(page, "compare")
    expect(page.locator("select[name=rule]")).to_have_count(0)
    page.locator("select[name=policy]").select_option("careful")
    page.locator("#view-compare textarea").fill("Lunch at 12?\nFree prize")
    page.locator("select[name=rule]").select_option("own")
    asked: list[dict[str, Any]] = []
    page.on("request", lambda one: asked.append(one.post_data_json) if one.post_data else None)
    page.get_by_role("button", name="Compare on 2 messages").click()
    expect(page.get_by_role("table", name=COMPARED)).to_be_visible()
    models = [
        small.get("/models/spam", params={"variant": name}).json() for name in ("tiny", "plain")
    ]
    assert [body["threshold"] for body in asked] == [one["threshold"] for one in models]
    page.locator("select[name=rule]").select_option("policy")
    expect(page.locator("#view-compare")).to_contain_text("comparison of another choice")


def test_without_a_score_there_is_no_difference(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url, width=360)
    show(page, "compare")
    page.locator("#view-compare textarea").fill("Lunch at 12?\n!!\n??")
    page.get_by_role("button", name="Compare on 3 messages").click()
    expect(page.get_by_role("table", name=COMPARED)).to_be_visible()
    (lunch, *others) = [row[-1] for row in cells(page, COMPARED)]
    difference = lunch.split()[0].lstrip("+−")
    assert float(difference) > 0
    assert others == ["", ""]
    expect(page.locator(".summary")).to_contain_text(f"differ by {difference} on average")
    # Words are not broken on a phone.
    badges = page.locator(".compared .badge")
    assert {badges.nth(at).evaluate("(one) => one.getClientRects().length") for at in (0, 1)} == {1}


def test_another_variant_on_the_left(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    show(page, "compare")
    page.locator("select[name=variant]").select_option("plain")
    expect(page.locator("select[name=other]")).to_have_value("tiny")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_it_is_accessible_and_fits(  # noqa: PLR0917
    small: Service,
    open_page: OpenPage,
    violations: Violations,
    file: Path,
    scheme: str,
    width: int,
) -> None:
    page = open_page(small.url, scheme=scheme, width=width)
    run(page, file)
    assert violations(page) == []
    check_that_it_fits(page)

"""The view of what the service does now, and its reader of metrics."""

import json
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from prometheus_client.parser import text_string_to_metric_families

from dandelion.api_keys import Access

from ...conftest import PATIENCE_S, Service, StartService
from ..api_keys import EVERY_SCOPE, KEYS, line
from .conftest import OpenPage, Violations
from .small_service import cells, check_that_it_fits, show, write_artifacts

pytestmark = pytest.mark.slow

PARSE = """async (text) => {
    const { parse } = await import("./static/page/metrics.js");
    return [...parse(text)].flatMap(([name, series]) =>
        series.map(({ labels, value }) => [name, labels, String(value)]));
}"""

CALL = """async ([name, ...values]) => {
    const metrics = await import("./static/page/metrics.js");
    const isText = (value) => typeof value === "string" && value.includes(" ");
    return metrics[name](...values.map((value) => isText(value) ? metrics.parse(value) : value));
}"""

DIFFICULT = """# HELP a_total Anything.
# TYPE a_total counter
a_total{path="C:\\\\dir\\\\n",quote="\\"}{",line="x\\ny",} 1e3 1700000000000
a_total { path = "comma, }" } +Inf
no_labels NaN
empty{} -Inf
"""


@pytest.fixture(scope="module")
def small(start_shared: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    service = start_shared(artifacts=write_artifacts(tmp_path_factory.mktemp("artifacts")))
    service.wait_until_ready()
    for _ in range(3):
        service.post("/classify/spam", json={"texts": ["Win now", "free prize", "Привет", "🙂"]})
        service.post("/classify/spam", json={"texts": ["Lunch?"], "policy": "careful"})
    service.post("/classify/spam", json={"texts": [1]})
    return service


def numbers(text: str) -> set[tuple[str, str, str]]:
    """Return the samples of an exposition, as prometheus_client reads them."""
    return {
        (sample.name, json.dumps(sample.labels, sort_keys=True), repr(float(sample.value)))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(page: Page, text: str) -> set[tuple[str, str, str]]:
    names = {"Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}
    return {
        (name, json.dumps(labels, sort_keys=True), repr(float(names.get(value, value))))
        for name, labels, value in page.evaluate(PARSE, text)
    }


def test_metrics_are_read_as_prometheus_reads_them(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    exposition = small.get("/metrics").text
    assert read(page, exposition) == numbers(exposition)
    assert read(page, DIFFICULT) == numbers(DIFFICULT)
    for wrong in ("{a} 1", "a{b=c} 1", 'a{b="c} 1', "a x", "a"):
        assert page.evaluate(f"async (text) => ({PARSE})(text).catch(() => 'refused')", wrong) == (
            "refused"
        )


def call(page: Page, name: str, *values: Any) -> Any:
    return page.evaluate(CALL, [name, *values])


def test_a_counter_that_begins_again_is_counted_from_zero(
    small: Service, open_page: OpenPage
) -> None:
    page = open_page(small.url)
    before, after = 'c{a="1"} 10\nc{a="2"} 7', 'c{a="1"} 4\nc{a="2"} 9\nc{a="3"} 5'
    assert call(page, "growth", before, after, "c") == 4 + 2 + 5
    assert call(page, "growth", None, after, "c", {"a": "2"}) == 9
    assert call(page, "total", after, "c") == 18
    assert call(page, "total", after, "none") == 0


def test_quantiles_are_those_of_histogram_quantile(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    # 20 up to 10 ms, 60 up to 20 ms, 16 up to 100 ms, 4 beyond the last bound.
    cumulative = [[0.01, 20], [0.02, 80], [0.1, 96], [None, 100]]
    for share, expected in ((0.5, 0.015), (0.95, 0.095), (0.99, 0.1), (0.1, 0.005)):
        found = page.evaluate(
            "async ([share, buckets]) => (await import('./static/page/metrics.js'))"
            ".quantile(share, buckets.map(([bound, count]) => [bound ?? Infinity, count]))",
            [share, cumulative],
        )
        assert found == pytest.approx(expected)


def test_the_figures_are_those_of_the_metrics(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    show(page, "live")
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    figures = {name: ever for name, _, ever in cells(page, "Figures")}
    metrics = small.get("/metrics").text
    families = {family.name: family.samples for family in text_string_to_metric_families(metrics)}

    def total(name: str, **labels: str) -> float:
        return sum(
            sample.value
            for sample in families[name.removesuffix("_bucket")]
            if {"model": "spam", **labels}.items() <= sample.labels.items()
            and sample.name.removesuffix("_total") == name
        )

    texts = total("dandelion_texts")
    assert texts == 15
    assert figures["Requests"] == "7"
    assert figures["… with an error"] == "1"
    assert figures["Texts"] == "15"
    share = total("dandelion_texts", label="spam") / texts
    assert figures["… labelled spam"] == f"{100 * share:.1f} %"
    known = total("dandelion_unknown_word_ratio_bucket", le="0.3")
    words = total("dandelion_unknown_word_ratio_bucket", le="+Inf")
    assert figures["… with low evidence"] == f"{100 * (1 - known / words):.1f} %"
    assert figures["Duration, median"].endswith(" ms")
    decided = cells(page, "Decisions under policies")
    assert sum(int(ever) for policy, _, _, ever in decided if policy == "careful") == 3
    facts = page.locator("#view-live dl").inner_text()
    assert "Generation\n1" in facts
    assert "Workers that serve it\n1" in facts


def test_it_reads_while_it_is_shown_and_not_otherwise(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    readings: list[str] = []
    page.on("request", lambda request: readings.append(request.url.rpartition("/")[2]))
    page.clock.install()

    def rounds(count: int) -> int:
        """Let the time of some readings pass; return how many there were."""
        page.wait_for_timeout(200)  # for what was switched before
        before = readings.count("metrics")
        for _ in range(count):
            page.clock.run_for(2000)
            page.wait_for_timeout(100)
        return readings.count("metrics") - before

    def wait_for_readings(count: int) -> None:
        wanted = readings.count("metrics") + count
        deadline = time.monotonic() + PATIENCE_S
        while readings.count("metrics") < wanted:
            assert time.monotonic() < deadline
            rounds(1)

    show(page, "live")
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    assert rounds(3) <= 3
    small.post("/classify/spam", json={"texts": ["Win now"] * 20})
    wait_for_readings(3)
    lately = {name: recent for name, recent, _ in cells(page, "Figures")}
    assert lately["Texts"] not in ("…", "0.00 per second")
    page.get_by_role("button", name="Pause").click()
    assert rounds(3) == 0
    page.get_by_role("button", name="Go on").click()
    wait_for_readings(2)
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert rounds(3) == 0
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    wait_for_readings(2)
    page.locator("nav a[href^='#messages']").click()
    assert rounds(3) == 0


def test_it_says_that_the_service_is_away(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    show(page, "live")
    status = page.locator("#view-live .actions [role=status]")
    expect(status).to_contain_text("Read every 2 seconds")
    page.route("**/metrics", lambda route: route.abort())
    expect(status).to_have_text("The service cannot be reached. Trying again …")
    page.unroute("**/metrics")
    expect(status).to_contain_text("Read every 2 seconds")


RECORD_LABELS = """() => {
    window.drawnTexts = [];
    const draw = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
        if (text) window.drawnTexts.push(text);
        return draw.call(this, text, ...rest);
    };
}"""


def test_the_axes_have_no_labels_before_there_are_data(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    page.clock.install()
    page.evaluate(RECORD_LABELS)
    show(page, "live")
    expect(page.locator(".timechart canvas")).to_have_count(3)
    page.wait_for_timeout(300)
    assert page.evaluate("window.drawnTexts") == []
    has_times = "window.drawnTexts.some((text) => /^\\d\\d:\\d\\d:\\d\\d$/.test(text))"
    deadline = time.monotonic() + PATIENCE_S
    while not page.evaluate(has_times):
        assert time.monotonic() < deadline
        page.clock.run_for(2000)
        page.wait_for_timeout(100)


@pytest.fixture(scope="module")
def guarded(start_shared: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    keys = line("classify", KEYS[Access.CLASSIFY], Access.CLASSIFY)
    keys += line("all", EVERY_SCOPE, *Access).replace("\n", "")
    artifacts = write_artifacts(tmp_path_factory.mktemp("artifacts"))
    service = start_shared(artifacts=artifacts, keys=keys)
    service.wait_until_ready()
    return service


def enter(page: Page, key: str) -> None:
    page.locator("input[name=key]").fill(key)
    page.get_by_role("button", name="Use this key").click()


def test_without_the_scope_it_says_what_is_missing(guarded: Service, open_page: OpenPage) -> None:
    page = open_page(guarded.url)
    enter(page, KEYS[Access.CLASSIFY])
    show(page, "live")
    view = page.locator("#view-live")
    expect(view.get_by_role("alert")).to_contain_text("This API key is not sufficient")
    expect(view.get_by_role("alert")).to_contain_text("scope metrics")
    expect(view).to_contain_text("Stopped.")
    page.get_by_role("button", name="Forget the API key").click()
    view.get_by_role("button", name="Try again").click()
    enter(page, EVERY_SCOPE)
    expect(page.get_by_role("table", name="Figures")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_it_is_accessible_and_fits(
    small: Service, open_page: OpenPage, violations: Violations, scheme: str, width: int
) -> None:
    page = open_page(small.url, scheme=scheme, width=width)
    show(page, "live")
    expect(page.get_by_role("table", name="Figures")).to_be_visible()
    assert violations(page) == []
    check_that_it_fits(page)

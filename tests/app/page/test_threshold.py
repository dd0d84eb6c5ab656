"""The threshold view: what it shows is what the API returns, and what it offers to copy works."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Locator, Page, Request, Route, expect

from app.main import create_app
from app.settings import Settings

from ...conftest import PATIENCE_S, ROOT, Service, StartService
from .conftest import OpenPage, Violations

pytestmark = pytest.mark.slow

SERVING = """
[models]
cyberbullying_type = "cross_entropy-wide"

[models.spam]
variant = "squared_hinge-wide"
variants = ["dice"]

[models.spam.policies.team]
operating_point = "fpr<=0.005"
review = "fpr<=0.02"
prior = 0.02
"""


def link_models(directory: Path) -> None:
    for model in ("cyberbullying_type", "spam"):
        (directory / model).symlink_to(ROOT / "artifacts" / model)


@pytest.fixture(scope="module")
def service(start_shared: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    artifacts = tmp_path_factory.mktemp("artifacts")
    link_models(artifacts)
    (artifacts / "serving.toml").write_text(SERVING)
    service = start_shared(artifacts=artifacts)
    service.wait_until_ready()
    return service


@pytest.fixture
def page(service: Service, open_page: OpenPage) -> Page:
    """The view of the spam filter, at a share of 1 %, with nothing left to load."""
    page = open_page(f"{service.url}#threshold")
    open_spam(page)
    page.locator("[name=base-rate-percent]").fill("1")
    wait_until_current(page)
    return page


def open_spam(page: Page, **choice: str) -> None:
    page.locator("select[name=model]").select_option("spam")
    for name, value in choice.items():
        page.locator(f"select[name={name}]").select_option(value)
    wait_until_current(page)


def wait_until_current(page: Page) -> None:
    expect(page.locator("#view-threshold .planner[aria-busy=false]")).to_be_visible()


def api(service: Service, part: str, **query: Any) -> dict[str, Any]:
    response = httpx2.get(f"{service.url}/models/spam/{part}", params=query, timeout=PATIENCE_S)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def shown_threshold(page: Page) -> float:
    """Return the threshold that the settings to copy have."""
    return float(re.findall(r"^threshold = (.+)$", snippet(page, "settings"), re.MULTILINE)[0])


def snippet(page: Page, name: str) -> str:
    return page.locator(f"[data-snippet={name}] pre").inner_text()


def handle(page: Page, name: str) -> Locator:
    return page.locator(f"[data-handle={name}]")


def amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{float(f'{value:.2g}'):g}"


def percent(share: float) -> str:
    if 0.99995 <= share < 1:
        return ">99.99 %"
    digits = 4 if share > 0.99 else 3
    return f"{float(f'{100 * share:.{digits}g}'):g} %"


def assert_shows(page: Page, plan: dict[str, Any]) -> None:
    for name in ("true_alerts", "missed", "false_alerts", "in_review", "found_in_review", "hours"):
        figure, value = page.locator(f"[data-figure={name}] dd"), plan[name]
        if value is None:
            expect(figure).to_have_text(re.compile("–.*no review band"))
            continue
        ends = f"{amount(value['predicted_lower'])} to {amount(value['predicted_upper'])}"
        expect(figure.locator("strong")).to_have_text(amount(value["estimate"]))
        expect(figure.locator(".interval")).to_have_text(f"[{ends}]")
    for name in ("precision", "recall", "fpr", "alerts_per_10000"):
        rate, value = page.locator(f"[data-rate={name}] dd"), plan[name]
        write = amount if name == "alerts_per_10000" else percent
        expect(rate.locator("strong")).to_have_text(write(value["estimate"]))
        ends = f"[{write(value['lower'])} to {write(value['upper'])}]"
        expect(rate.locator(".interval")).to_have_text(ends)


def test_it_shows_what_the_api_returns(page: Page, service: Service) -> None:
    assert_shows(page, api(service, "plan", prior=0.01))
    page.locator("[name=has-review]").check()
    page.locator("[name=volume]").fill("250,000")
    page.locator("[name=minutes]").fill("2,5")
    page.locator("input[name=threshold]").fill("0,7")
    page.locator("input[name=review-threshold]").fill("0.05")
    wait_until_current(page)
    asked = {"threshold": 0.7, "review_threshold": 0.05, "volume": 250_000, "minutes": 2.5}
    plan = api(service, "plan", prior=0.01, **asked)
    assert_shows(page, plan)
    expect(page.locator(".predicted h2")).to_have_text("Of your next 250,000 messages")
    sentence = page.locator(".predicted [role=status]").inner_text()
    caught = plan["true_alerts"]
    lowest, highest = amount(caught["predicted_lower"]), amount(caught["predicted_upper"])
    assert sentence.startswith(
        "Of your next 250,000 messages: "
        f"{amount(caught['estimate'])} spam caught ({lowest} to {highest}),"
    )
    # What is not a number is pointed out, and nothing else changes.
    page.locator("[name=volume]").fill("many")
    expect(page.locator("[name=volume]")).to_have_attribute("aria-invalid", "true")
    assert_shows(page, plan)
    page.locator("[name=volume]").fill("1")
    wait_until_current(page)
    expect(page.locator(".predicted h2")).to_have_text("Of your next 1 message")


def test_it_states_what_the_curve_is_measured_on(page: Page, service: Service) -> None:
    sources = api(service, "threshold-curve", prior=0.01)["sources"]
    text = page.locator("section.evidence").inner_text()
    for source in sources:
        row = page.locator(".evidence tr", has_text=source["source"]).first.inner_text()
        assert row.split() == [source["source"], f"{source['harmless']:,}", f"{source['positive']}"]
    assert f"{sum(one['harmless'] for one in sources):,} harmless and" in text
    assert "out_of_fold" in text
    assert "Only the share of spam may differ" in text


def test_keys_move_the_handles(page: Page, service: Service) -> None:
    points = api(service, "threshold-curve", prior=0.01)["points"]
    thresholds = [point["threshold"] for point in points]
    threshold = handle(page, "threshold")
    threshold.press("ArrowRight")
    first = shown_threshold(page)
    at = thresholds.index(first)
    for key, steps in {"ArrowUp": 1, "ArrowLeft": -1, "PageUp": 10, "PageDown": -10}.items():
        threshold.press(key)
        at += steps
        assert shown_threshold(page) == thresholds[at]
    wait_until_current(page)
    assert_shows(page, api(service, "plan", prior=0.01, threshold=thresholds[at]))
    recall = percent(points[at]["recall"]["estimate"])
    expect(threshold).to_have_attribute("aria-valuetext", re.compile(f"score .*, recall {recall}"))
    threshold.press("End")
    assert shown_threshold(page) == thresholds[-1]
    page.locator("[name=has-review]").check()
    review = handle(page, "review")
    review.press("Home")
    expect(review).to_have_attribute("aria-valuenow", "0")
    review.press("End")  # a band ends at the threshold
    assert review.get_attribute("aria-valuenow") == threshold.get_attribute("aria-valuenow")
    threshold.press("PageDown")
    assert review.get_attribute("aria-valuenow") == threshold.get_attribute("aria-valuenow")


def test_the_base_rate_moves_everything_but_the_texts(page: Page, service: Service) -> None:
    handle(page, "threshold").press("ArrowRight")
    wait_until_current(page)
    before = api(service, "plan", prior=0.01, threshold=shown_threshold(page))
    slider = page.locator("[name=base-rate]")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "1.3 % of the messages")
    wait_until_current(page)
    after = api(service, "plan", prior=0.013, threshold=shown_threshold(page))
    assert_shows(page, after)
    assert after["logit"] == before["logit"]
    assert after["threshold"] > before["threshold"]
    page.locator("[name=base-rate-percent]").fill("100")
    expect(page.locator("#base-rate-wrong")).to_be_visible()
    page.locator("[name=base-rate-percent]").fill("0,5")  # with a decimal comma
    expect(page.locator("#base-rate-wrong")).to_have_count(0)
    wait_until_current(page)
    assert_shows(page, api(service, "plan", prior=0.005, threshold=shown_threshold(page)))
    page.get_by_role("button", name="As measured").click()
    wait_until_current(page)
    assert_shows(page, api(service, "plan", threshold=shown_threshold(page)))


def test_operating_points_are_marks_and_what_cannot_be_promised_is_greyed_out(
    page: Page, service: Service
) -> None:
    points = api(service, "operating-points", prior=0.01)["operating_points"]
    fitted = {one["operating_point"]: one["fitted"] for one in points if one["fitted"]}
    refused = {one["operating_point"]: one["infeasible"] for one in points if one["infeasible"]}
    assert page.locator(".mark").count() == len({one["logit"] for one in fitted.values()})
    mark = page.locator(".mark[data-points~='recall>=0.9']")
    mark.click()
    expect(mark).to_have_attribute("aria-pressed", "true")
    expect(page.locator("button.point[aria-pressed=true] code")).to_have_text("recall>=0.9")
    wait_until_current(page)
    chosen = fitted["recall>=0.9"]["threshold"]
    assert_shows(page, api(service, "plan", prior=0.01, threshold=chosen))
    page.locator("button.point[data-point='fpr<=0.01']").press("Enter")
    other = page.locator(".mark[data-points~='fpr<=0.01']")
    expect(other).to_have_attribute("aria-pressed", "true")
    assert refused, "nothing is infeasible here any more"
    assert page.locator(".refused li").count() == len(refused)
    for point, reason in refused.items():
        item = page.locator(f".refused li[data-point='{point}']")
        text = item.inner_text()
        assert reason["detail"] in text
        assert f"best: {reason['best']:g}" in text
        if reason["texts_needed"] is not None:
            assert f"takes about {reason['texts_needed']:,} texts" in text
        assert item.locator("button").count() == 0
    # A mark follows its point where the base rate moves it.
    page.locator("[name=base-rate-percent]").fill("5")
    wait_until_current(page)
    (now,) = (
        one["fitted"]["threshold"]
        for one in api(service, "operating-points", prior=0.05)["operating_points"]
        if one["operating_point"] == "fpr<=0.01"
    )
    assert_shows(page, api(service, "plan", prior=0.05, threshold=now))


def own_point(service: Service, point: str, prior: float) -> dict[str, Any]:
    """Return an operating point as the API has it, which is the first after the default one."""
    found = api(service, "operating-points", prior=prior, operating_point=point)
    summary: dict[str, Any] = found["operating_points"][1]
    assert summary["operating_point"] == point
    return summary


def test_another_operating_point_can_be_chosen(
    service: Service, open_page: OpenPage, violations: Violations
) -> None:
    page = open_page(f"{service.url}#threshold", width=360)
    open_spam(page)
    page.locator("[name=base-rate-percent]").fill("1")
    wait_until_current(page)
    form = page.locator("form.another")
    field = form.get_by_label("Another operating point")
    field.fill("precision>=80")
    field.press("Enter")
    asked = {"operating_point": "precision>=80", "prior": 0.01}
    refused = httpx2.get(f"{service.url}/models/spam/operating-points", params=asked).json()
    expect(form.get_by_role("alert")).to_have_text(refused["errors"][0]["detail"])
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    assert violations(page) == []

    field.fill("precision>=0.80")
    expect(form.get_by_role("alert")).to_have_count(0)
    field.press("Enter")
    chosen = page.locator("button.point[aria-pressed=true] code")
    expect(chosen).to_have_text("precision>=0.8")
    expect(form.get_by_role("status")).to_have_text("precision>=0.8 is selected.")
    wait_until_current(page)
    threshold = own_point(service, "precision>=0.8", 0.01)["fitted"]["threshold"]
    assert_shows(page, api(service, "plan", prior=0.01, threshold=threshold))
    assert '"operating_point":"precision>=0.8"' in snippet(page, "curl")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert violations(page) == []

    # At another base rate it is still chosen; one that is in the list is only selected.
    page.locator("[name=base-rate-percent]").fill("5")
    wait_until_current(page)
    threshold = own_point(service, "precision>=0.8", 0.05)["fitted"]["threshold"]
    assert_shows(page, api(service, "plan", prior=0.05, threshold=threshold))
    before = page.locator("[data-point]").count()
    field.fill("recall>=0.90")
    form.get_by_role("button", name="Add").click()
    expect(chosen).to_have_text("recall>=0.9")
    wait_until_current(page)
    assert page.locator("[data-point]").count() == before


def test_another_operating_point_that_cannot_be_promised_shows_why(
    page: Page, service: Service
) -> None:
    page.locator("input[name=threshold]").fill("0.7")
    wait_until_current(page)
    form = page.locator("form.another")
    for point in ("precision>=0.999", "precision>=0.9999"):
        form.get_by_role("combobox").fill(point)
        form.get_by_role("combobox").press("Enter")
        reason = own_point(service, point, 0.01)["infeasible"]
        expect(form.get_by_role("status")).to_have_text(reason["detail"])
        item = page.locator(f".refused li[data-point='{point}']")
        expect(item).to_contain_text(reason["detail"])
        expect(item).to_contain_text(f"best: {reason['best']:g}")
        assert item.locator("button").count() == 0
    expect(page.locator(".refused li[data-point='precision>=0.999']")).to_be_visible()
    assert shown_threshold(page) == 0.7


def run(*command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_copied_does_what_is_shown(page: Page, service: Service, tmp_path: Path) -> None:
    page.locator("input[name=threshold]").fill("0.0001")
    page.locator("[name=has-review]").check()
    page.locator("input[name=review-threshold]").fill("0.00001")
    wait_until_current(page)
    found = json.loads(run("bash", "-c", snippet(page, "curl").replace("curl ", "curl -sS ", 1)))
    assert (found["threshold"], found["prior"]) == (0.0001, 0.01)
    (result,) = found["results"]
    printed = run(sys.executable, "-c", snippet(page, "python")).split()
    assert float(printed[-1]) == result["score"]
    is_between = 0.00001 <= result["score"] < 0.0001
    assert printed[0] == ("review" if is_between else result["label"])

    link_models(tmp_path)
    (tmp_path / "serving.toml").write_text(snippet(page, "settings"))
    body = {"texts": ["See you at six"], "policy": "chosen"}
    with TestClient(create_app(Settings(artifacts=tmp_path))) as client:
        decided = client.post("/classify/spam", json=body).json()
        (policy,) = client.get("/models/spam").json()["policies"]
    assert (policy["threshold"], policy["review_threshold"], policy["prior"]) == (1e-4, 1e-5, 0.01)
    assert decided["results"][0]["score"] == result["score"]
    score = result["score"]
    verdict = "positive" if score >= 1e-4 else "review" if score >= 1e-5 else "negative"
    assert decided["results"][0]["decision"] == verdict

    # An operating point is asked for by its name, and decides by its threshold.
    page.locator("button.point[data-point='fpr<=0.01']").click()
    page.locator("[name=has-review]").uncheck()
    wait_until_current(page)
    found = json.loads(run("bash", "-c", snippet(page, "curl").replace("curl ", "curl -sS ", 1)))
    assert found["operating_point"] == "fpr<=0.01"
    plan = api(service, "plan", prior=0.01, threshold=found["threshold"])
    assert_shows(page, plan)
    (tmp_path / "serving.toml").write_text(snippet(page, "settings"))
    with TestClient(create_app(Settings(artifacts=tmp_path))) as client:
        (policy,) = client.get("/models/spam").json()["policies"]
    assert (policy["operating_point"], policy["threshold"]) == ("fpr<=0.01", found["threshold"])


def test_copying_says_so(service: Service, open_page: OpenPage) -> None:
    page = open_page(f"{service.url}#threshold", permissions=["clipboard-read", "clipboard-write"])
    open_spam(page)
    page.get_by_role("button", name="Copy serving.toml").click()
    expect(page.locator("[data-snippet=settings] [role=status]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == snippet(page, "settings")


def test_a_policy_brings_its_band_and_its_base_rate(service: Service, open_page: OpenPage) -> None:
    page = open_page(f"{service.url}#threshold")
    open_spam(page, policy="team")
    assert_shows(page, api(service, "plan", policy="team"))
    expect(page.locator("[name=base-rate]")).to_be_disabled()
    expect(page.locator("#base-rate-note")).to_have_text("The policy team fixes it at 2 %.")
    expect(handle(page, "review")).to_be_visible()
    assert '"policy":"team"' in snippet(page, "curl")
    settings = snippet(page, "settings")
    assert "[models.spam.policies.team]" in settings
    for line in ('operating_point = "fpr<=0.005"', 'review = "fpr<=0.02"', "prior = 0.02"):
        assert line in settings.splitlines()
    handle(page, "threshold").press("ArrowRight")
    wait_until_current(page)
    plan = json.loads(run("bash", "-c", snippet(page, "curl").replace("curl ", "curl -sS ", 1)))
    assert (plan["threshold"], plan["prior"]) == (shown_threshold(page), 0.02)


def test_why_there_is_no_curve(service: Service, open_page: OpenPage) -> None:
    page = open_page(f"{service.url}#threshold")
    open_spam(page)
    page.locator("select[name=variant]").select_option("dice")
    title = page.locator("#view-threshold h2").first
    expect(title).to_have_text("There is no curve for this model")
    expect(page.locator("#view-threshold .card")).to_contain_text("no evidence (held-out scores)")
    page.locator("select[name=model]").select_option("cyberbullying_type")
    expect(title).to_have_text("This model has no threshold")
    expect(page.locator("#view-threshold .card")).to_contain_text("the one of 6 labels")


def test_few_requests_are_sent_and_late_responses_dropped(page: Page, service: Service) -> None:
    asked: list[Request] = []
    page.on("request", lambda request: "/plan?" in request.url and asked.append(request))
    threshold = handle(page, "threshold")
    threshold.focus()
    # Between two keys the page renders; after each, it waits for 120 ms before it asks.
    ms = page.evaluate("""async () => {
        const handle = document.querySelector("[data-handle=threshold]");
        const started = performance.now();
        for (let at = 0; at < 30; at += 1) {
            const event = new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true });
            handle.dispatchEvent(event);
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        }
        return performance.now() - started;
    }""")
    wait_until_current(page)
    assert 1 <= len(asked) <= 2 + ms / 120

    held: list[Route] = []
    page.route("**/plan?*", lambda route: route.continue_() if held else held.append(route))
    threshold.press("ArrowLeft")
    deadline = time.monotonic() + PATIENCE_S
    while not held and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    threshold.press("ArrowLeft")
    wait_until_current(page)
    plan = api(service, "plan", prior=0.01, threshold=shown_threshold(page))
    assert_shows(page, plan)
    held[0].fulfill(json={**plan, "missed": None})  # to whom nobody listens any more
    page.wait_for_timeout(100)
    assert_shows(page, plan)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_it_fits_every_screen_and_stays_where_it_is(
    service: Service, open_page: OpenPage, violations: Violations, width: int, scheme: str
) -> None:
    page = open_page(f"{service.url}#threshold", width=width, scheme=scheme)
    open_spam(page)
    page.locator("[name=base-rate-percent]").fill("1")
    page.locator("[name=has-review]").check()
    wait_until_current(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    places = "[...document.querySelectorAll('.planner .card')].slice(0, 3).map(e => e.offsetTop)"
    before = page.evaluate(places)
    handle(page, "threshold").press("PageDown")
    assert page.evaluate(places) == before
    wait_until_current(page)
    assert page.evaluate(places) == before
    page.locator(".mark").first.focus()
    assert violations(page) == []


def test_numbers_are_never_rounded_to_what_they_are_not(page: Page) -> None:
    shown = page.evaluate(
        """async () => {
            const { percentOf, thresholdOf } = await import(
                "./static/page/components/threshold/numbers.js"
            );
            return [
                ...[1e-6, 9e-7, 0.9999, 0.99995, 1].map(percentOf),
                ...[0.99991, 0.999996, 1].map(thresholdOf),
            ];
        }"""
    )
    assert shown[:5] == ["0.0001 %", "<0.0001 %", "99.99 %", ">99.99 %", "100 %"]
    assert shown[5:] == ["0.99991", ">0.99999", "1.000"]


def test_the_ends_of_the_base_rate(page: Page, service: Service) -> None:
    handle(page, "threshold").press("ArrowLeft")  # to one that is given as a number
    slider, settings = page.locator("[name=base-rate]"), []
    for key, share in (("Home", 1e-6), ("End", 0.9999)):
        slider.press(key)
        wait_until_current(page)
        expect(slider).to_have_attribute("aria-valuetext", f"{percent(share)} of the messages")
        settings.append(snippet(page, "settings").splitlines()[-1])
        assert_shows(page, api(service, "plan", prior=share, threshold=shown_threshold(page)))
    assert settings == ["prior = 0.000001", "prior = 0.9999"]
    page.locator("[name=base-rate-percent]").fill("99.99")
    wait_until_current(page)
    assert snippet(page, "settings").splitlines()[-1] == "prior = 0.9999"
    page.locator("input[name=threshold]").fill("0.99999999")
    page.locator("input[name=threshold]").blur()
    expect(page.locator("input[name=threshold]")).to_have_value("0.99999999")


def test_it_is_printed_light_and_marks_stay_in_place(service: Service, open_page: OpenPage) -> None:
    page = open_page(f"{service.url}#threshold?model=spam", scheme="dark", width=1920)
    wait_until_current(page)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    widths = page.locator(".chart").first.evaluate(
        "(chart) => [chart, ...chart.querySelectorAll('.plot, .uplot')].map((e) => e.clientWidth)"
    )
    assert len({*widths}) == 1
    assert widths[0] <= 600
    expect(page.locator("nav.tabs")).to_be_hidden()
    expect(page.locator(".overlay .line").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light dark"


def test_handles_are_dragged(page: Page) -> None:
    handle(page, "threshold").scroll_into_view_if_needed()
    box = handle(page, "threshold").bounding_box()
    assert box is not None
    before = shown_position(page)
    page.mouse.move(box["x"] + 12, box["y"] + 18)
    page.mouse.down()
    page.mouse.move(box["x"] - 60, box["y"] + 18, steps=4)
    page.mouse.up()
    assert shown_position(page) < before
    wait_until_current(page)


def shown_position(page: Page) -> int:
    return int(handle(page, "threshold").get_attribute("aria-valuenow") or -1)

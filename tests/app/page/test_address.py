"""What is chosen is in the address; and what happens where a reload has changed what is served."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ...conftest import Service, StartService
from .conftest import OpenPage, Violations
from .small_service import SERVING, show, write_artifacts

pytestmark = pytest.mark.slow

TEXT = "Free entry: claim your prize"


@pytest.fixture(scope="module")
def small(start_shared: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    service = start_shared(artifacts=write_artifacts(tmp_path_factory.mktemp("artifacts")))
    service.wait_until_ready()
    return service


def chosen(page: Page) -> list[str]:
    """Return the view, and the model, variant and policy that are chosen."""
    names = ("model", "variant", "policy")
    values = [page.locator(f"select[name={name}]").input_value() for name in names]
    return [page.locator("nav [aria-current]").inner_text(), *values]


def test_a_reload_keeps_what_was_chosen(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    expect(page.locator(".about em")).to_have_text("mood")
    assert page.url == f"{small.url}/"
    show(page, "messages")
    page.locator("textarea").fill(TEXT)
    page.get_by_role("button", name="Score 1 message").click()
    expect(page.locator(".result")).to_have_count(1)
    show(page, "threshold")
    page.locator("select[name=policy]").select_option("careful")
    expected = f"{small.url}/#threshold?model=spam&policy=careful"
    page.wait_for_function("(url) => location.href === url", arg=expected)
    page.reload()
    expect(page.locator("#view-threshold .planner")).to_be_visible()
    assert chosen(page) == ["Threshold", "spam", "tiny", "careful"]
    # A second tab, with the link to another view.
    link = page.locator("nav a[href^='#live']").get_attribute("href")
    other = open_page(f"{small.url}/{link}")
    expect(other.locator("#view-live h1")).to_be_visible()
    expect(other.locator("select[name=policy]")).to_have_value("careful")


def test_back_leads_to_what_was_shown(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    expect(page.locator(".about em")).to_have_text("mood")
    page.locator("nav a[href^='#compare']").click()
    expect(page.locator("#view-compare h1")).to_be_visible()
    page.go_back()
    expect(page.locator("#view-messages h1")).to_be_visible()
    page.locator("select[name=model]").select_option("spam")
    page.locator("nav a[href^='#live']").click()
    page.locator("select[name=variant]").select_option("plain")
    expect(page).to_have_url(re.compile("#live.model=spam&variant=plain$"))
    page.go_back()
    expect(page.locator("#view-messages h1")).to_be_visible()
    expect(page.locator("select[name=variant]")).to_have_value("tiny")
    page.go_forward()
    expect(page.locator("select[name=variant]")).to_have_value("plain")
    page.evaluate("location.hash = '#threshold'")  # as by a link in a text: the choice stays
    expect(page).to_have_url(re.compile("#threshold.model=spam&variant=plain$"))


@pytest.mark.parametrize(
    ("named", "missing", "model"),
    [
        ("model=fraud", "There is no model “fraud” here. This is mood instead.", "mood"),
        ("model=spam&variant=old", "spam has no variant “old” here", "spam"),
        ("model=spam&policy=strict", "spam has no policy “strict” here", "spam"),
    ],
)
def test_what_is_not_served_is_said(  # noqa: PLR0917
    small: Service,
    open_page: OpenPage,
    violations: Violations,
    named: str,
    missing: str,
    model: str,
) -> None:
    page = open_page(f"{small.url}/#messages?{named}")
    expect(page.locator(".missing")).to_contain_text(missing)
    expect(page.locator("select[name=model]")).to_have_value(model)
    assert violations(page) == []
    expect(page).to_have_url(f"{small.url}/#messages?model={model}")
    page.locator("select[name=model]").select_option("mood" if model == "spam" else "spam")
    expect(page.locator(".missing")).to_have_count(0)


def test_every_choice_is_written_and_read(small: Service, open_page: OpenPage) -> None:
    page = open_page(small.url)
    choices = [
        {"model": "a/b?c#d&é", "variant": "x y+z", "policy": "=%", "isOwn": False},
        {"model": "spam", "variant": None, "policy": None, "isOwn": True},
        {"model": "spam", "variant": None, "policy": None, "isOwn": False},
    ]
    script = """async (choices) => {
        const { hashOf, readHash } = await import("./static/page/address.js");
        return choices.map((choice) => readHash(hashOf("live", choice)));
    }"""
    found = page.evaluate(script, choices)
    assert found == [{"view": "live", "choice": choice} for choice in choices]


def reload(service: Service, artifacts: Path, serving: str, variant: str) -> None:
    """Let the service serve another configuration, and wait until nothing else is served."""
    (artifacts / "serving.toml").write_text(serving)
    service.process.send_signal(signal.SIGHUP)
    service.wait(
        lambda: (
            service.get("/models/spam").json()["variant"] == variant
            and 'dandelion_workers{state="draining"} 0' in service.get("/metrics").text
        )
    )


def test_a_reload_of_the_service_is_noticed(
    start_service: StartService, open_page: OpenPage, tmp_path: Path
) -> None:
    artifacts = write_artifacts(tmp_path / "artifacts")
    service = start_service(artifacts=artifacts, reload_drain_s=0.1)
    service.wait_until_ready()
    page = open_page(f"{service.url}/#threshold?model=spam&policy=careful")
    expect(page.locator(".planner")).to_have_attribute("aria-busy", "false")
    without = SERVING.partition("[models.spam.policies")[0]
    reload(service, artifacts, without.replace('variant = "tiny"', 'variant = "plain"'), "plain")
    figures = page.locator(".figures").inner_text()
    page.locator("[name=volume]").fill("20000")
    problem = page.locator("#view-threshold").get_by_role("alert")
    expect(problem).to_contain_text("This model has no policy of this name")
    assert page.locator(".figures").inner_text() == figures
    problem.get_by_role("button", name="Try again").click()
    # What is served now has no evidence.
    title = page.locator("#view-threshold h2").first
    expect(title).to_have_text("There is no curve for this model")
    expect(page.locator("select[name=variant] option").first).to_have_text("plain (served)")
    reload(service, artifacts, SERVING.replace('mood = "tiny"\n', ""), "tiny")
    show(page, "messages")
    page.locator("textarea").fill(TEXT)
    page.get_by_role("button", name="Score 1 message").click()
    expect(page.locator(".rule")).to_contain_text("spam · tiny")
    expect(page.locator("select[name=variant]")).to_have_value("tiny")
    expect(page.locator("select[name=model] option")).to_have_text(["spam"])
    expect(page.locator(".notice")).to_have_count(0)


def test_figures_of_two_versions_are_not_mixed(small: Service, open_page: OpenPage) -> None:
    page = open_page(f"{small.url}/#threshold?model=spam")
    expect(page.locator(".planner")).to_have_attribute("aria-busy", "false")

    def replace(route: Any) -> None:
        response = route.fetch()
        body = json.dumps(response.json() | {"version": "0" * 12, "missed": None})
        route.fulfill(response=response, body=body)

    page.route("**/plan?*", replace)
    missed = page.locator("[data-figure=missed]").inner_text()
    page.locator("[name=volume]").fill("20000")
    problem = page.locator("#view-threshold").get_by_role("alert")
    expect(problem).to_contain_text("The service was reloaded, and has another version")
    assert page.locator("[data-figure=missed]").inner_text() == missed
    page.unroute("**/plan?*")
    problem.get_by_role("button", name="Try again").click()
    expect(problem).to_have_count(0)
    expect(page.locator(".planner")).to_have_attribute("aria-busy", "false")

"""The page as a whole: its tabs and colours; without a mouse, without scripts, on any width."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ...conftest import Service
from .conftest import VIEWS, OpenPage, Violations
from .test_messages import open_messages, score, upload

pytestmark = pytest.mark.slow

FOCUSED = """() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    const within = getComputedStyle(document.activeElement.closest('.button') ?? document.body);
    return [outlineStyle, within.outlineStyle].includes('solid') && outlineWidth !== '0px';
}"""


def name(page: Page) -> str:
    named = "document.activeElement.labels?.[0] ?? document.activeElement"
    return str(page.evaluate(f"({named}).textContent.trim()"))


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until something is focused; each stop on the path has to be visible."""
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUSED), name(page)
        if name(page).startswith(wanted):
            return
    pytest.fail(f"{wanted} cannot be reached")


def test_everything_can_be_done_by_the_keyboard(service: Service, open_page: OpenPage) -> None:
    page = open_page(service.url)
    expect(page.locator(".about em")).to_be_visible()
    page.keyboard.press("Tab")
    assert name(page) == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.url == f"{service.url}/"
    tab_to(page, "Model")
    page.keyboard.press("s")  # a second letter may come too late to be part of the name
    expect(page.locator(".about em")).to_have_text("spam")
    tab_to(page, "Messages")
    page.keyboard.insert_text("Free entry: claim your prize now\nSee you at six")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".result")).to_have_count(2)
    expect(page.locator(".outcome > [role=status]")).to_have_text("Done: 2 messages")
    expect(page.locator(".sum")).to_have_count(2)
    tab_to(page, "How the score adds up")
    page.keyboard.press("Enter")
    expect(page.locator(".sum[open]")).to_have_count(1)
    tab_to(page, "Read the whole card")
    page.keyboard.press("Enter")
    tab_to(page, "Close")
    page.keyboard.press("Enter")
    assert name(page) == "Read the whole card"
    page.locator(".brand").focus()
    tab_to(page, "Threshold")
    page.keyboard.press("Enter")
    expect(page.locator("#view-threshold h1")).to_be_visible()


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_nothing_is_wider_than_the_window(
    service: Service, open_page: OpenPage, width: int
) -> None:
    page = open_page(service.url, width=width)
    page.get_by_role("button", name="Try examples").click()
    page.get_by_role("button", name="Score 8 messages").click()
    expect(page.locator(".result")).to_have_count(8)
    for view in VIEWS:
        page.evaluate(f"location.hash = '#{view}'")
        expect(page.locator(f"#view-{view} h1")).to_be_visible()
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width, view


def test_motion_is_reduced_where_that_is_asked_for(service: Service, open_page: OpenPage) -> None:
    moving = """[...document.querySelectorAll('*')].filter((element) => {
        const { transitionDuration, animationName } = getComputedStyle(element);
        return transitionDuration !== '0s' || animationName !== 'none';
    }).length"""
    page = open_page(service.url)
    expect(page.locator(".about em")).to_be_visible()
    assert page.evaluate(moving) > 0
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == 0


def test_every_tab_opens_its_view(service: Service, open_page: OpenPage) -> None:
    page = open_page(service.url)
    for view in VIEWS:
        page.locator(f"nav a[href^='#{view}']").click()
        expect(page.locator(f"#view-{view} h1")).to_be_visible()
        expect(page.locator("nav [aria-current=page]")).to_have_attribute(
            "href", re.compile(f"^#{view}\\b")
        )
        expect(page.locator("main > section:visible")).to_have_count(1)
    page.go_back()
    expect(page.locator("#view-compare h1")).to_be_visible()


def test_the_theme_can_be_chosen(service: Service, open_page: OpenPage) -> None:
    page = open_page(service.url, scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.locator("select[name=theme]").select_option("light")
    light = page.evaluate(background)
    assert light != dark
    page.reload()
    assert page.evaluate(background) == light
    page.locator("select[name=theme]").select_option("system")
    assert page.evaluate(background) == dark


def test_what_is_pressed_does_not_lose_the_focus(service: Service, open_page: OpenPage) -> None:
    page = open_messages(open_page, service)
    focused = page.locator(":focus")
    page.get_by_role("button", name="Try examples").press("Enter")
    expect(focused).to_have_attribute("name", "messages")
    page.route("**/classify/**", lambda route: None)  # it never ends
    page.get_by_role("button", name="Score 8 messages").press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(focused).to_have_text("Score 8 messages")
    expect(focused).to_be_disabled()
    page.keyboard.press("Enter")  # once is enough
    expect(page.locator("progress")).to_have_count(1)
    page.get_by_role("button", name="Cancel").click()
    upload(page, b"text\nHello\n")
    page.get_by_role("button", name="Remove").press("Enter")
    expect(focused).to_have_attribute("type", "file")
    page.evaluate("location.hash = '#threshold'")
    page.locator("[name=base-rate-percent]").fill("1")
    page.get_by_role("button", name="As measured").press("Enter")
    expect(focused).to_have_text("As measured")
    expect(focused).to_be_disabled()


def test_nothing_is_lost_where_the_system_sets_the_colours(
    service: Service, open_page: OpenPage
) -> None:
    """High contrast: backgrounds are gone, and all text is of one colour."""
    page = open_messages(open_page, service, forced_colors="active")
    ink = "getComputedStyle(document.body).color"

    def colour(selector: str, name: str, pseudo: str = "") -> Any:
        return page.locator(selector).first.evaluate(
            "(one, [name, pseudo]) => getComputedStyle(one, pseudo || null)[name]", [name, pseudo]
        )

    score(page, "Claim your free prize now", "See you at six")
    expect(page.locator(".result mark").first).to_be_visible()
    assert colour(".result mark", "color") == page.evaluate(ink)
    assert colour(".result mark", "backgroundColor") == "rgba(0, 0, 0, 0)"
    assert colour(".meter-threshold", "backgroundColor") == page.evaluate(ink)
    page.evaluate("location.hash = '#threshold'")
    expect(page.locator(".planner")).to_have_attribute("aria-busy", "false")
    for selector, pseudo in ((".overlay .line", ""), (".handle.threshold", "::before")):
        assert colour(selector, "backgroundColor", pseudo) == page.evaluate(ink)
    assert colour(".point[aria-pressed=true]", "outlineStyle") == "solid"
    assert colour(".tabs a:not([aria-current])", "borderBottomColor") != page.evaluate(ink)


def test_without_scripts_a_line_says_so(service: Service, open_page: OpenPage) -> None:
    page = open_page(service.url, java_script_enabled=False)
    assert "needs JavaScript" in page.inner_text("body")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    service: Service, open_page: OpenPage, violations: Violations, scheme: str
) -> None:
    page = open_messages(open_page, service, scheme=scheme)
    score(page, "Claim your free prize now", "See you at six", "😂", "Kommst du noch vorbei?", "=1")
    expect(page.locator(".sum")).to_have_count(3)
    page.locator(".sum summary").first.click()
    assert violations(page) == []
    page.get_by_role("button", name="Read the whole card").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    upload(page, b'text\n"')
    expect(page.locator(".source [role=alert]")).to_be_visible()
    assert violations(page) == []
    for view in VIEWS[1:]:
        page.locator(f"nav a[href^='#{view}']").click()
        expect(page.locator(f"#view-{view} h1")).to_be_visible()
        expect(page.locator(f"#view-{view} [role=status]").get_by_text("…")).to_have_count(0)
        assert violations(page) == []

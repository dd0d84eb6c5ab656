"""Keys, limits and policies of a service behind a prefix, and what the page does at each."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from dandelion.api_keys import Access

from ...conftest import ROOT, Service, StartService
from ..api_keys import key, line
from .conftest import OpenPage, Violations
from .small_service import SERVING as SMALL
from .small_service import show, write_artifacts

pytestmark = pytest.mark.slow

KEY, SLOW_KEY = key("page"), key("slow page")
KEYS = line("page", KEY, Access.CLASSIFY)
KEYS += line("slow", SLOW_KEY, Access.CLASSIFY, limit=4)

SERVING = """
[models.spam]
variant = "squared_hinge-wide"
variants = ["dice"]

[models.spam.policies.strict]
operating_point = "fpr<=0.005"
review = "fpr<=0.05"
prior = 0.01
"""

HARMLESS = "See you at six, mum"
MAX_TEXTS, MAX_CHARS, MAX_BODY = 4, 300, 2200


@pytest.fixture(scope="module")
def service(start_shared: StartService, tmp_path_factory: pytest.TempPathFactory) -> Service:
    artifacts = tmp_path_factory.mktemp("artifacts")
    (artifacts / "spam").symlink_to(ROOT / "artifacts" / "spam")
    (artifacts / "serving.toml").write_text(SERVING)
    service = start_shared(
        artifacts=artifacts,
        keys=KEYS,
        root_path="/dandelion",
        max_texts=MAX_TEXTS,
        max_text_chars=MAX_CHARS,
        max_body_bytes=MAX_BODY,
    )
    service.wait_until_ready()
    return service


@pytest.fixture
def page(service: Service, open_page: OpenPage) -> Page:
    """The page, with a key; its address has no slash at its end."""
    page = open_page(f"{service.url}/dandelion")
    enter_key(page, KEY)
    expect(page.locator(".about em")).to_have_text("spam")
    return page


def enter_key(page: Page, value: str) -> None:
    page.get_by_label("API key", exact=True).fill(value)
    page.get_by_role("button", name="Use this key").click()


def submit(page: Page, *texts: str) -> None:
    page.locator("textarea").fill("\n".join(texts))
    page.get_by_role("button", name=re.compile("^Score ")).click()


def changed(change: Callable[[Any], None]) -> Callable[[Route], None]:
    """Let the page receive a JSON response of the service with a change."""

    def handle(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        change(body)
        route.fulfill(response=response, body=json.dumps(body))

    return handle


def test_a_key_is_asked_for_and_kept_in_memory(
    service: Service, open_page: OpenPage, violations: Violations
) -> None:
    page = open_page(f"{service.url}/dandelion")
    assert page.url == f"{service.url}/dandelion/"
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("An API key is required")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_contain_text("An API key is needed")
    page.get_by_role("button", name="Try again").click()
    page.get_by_label("API key", exact=True).fill(f"“{KEY}”")  # from a word processor
    expect(dialog.get_by_role("alert")).to_contain_text("typographic quotation marks")
    expect(page.get_by_role("button", name="Use this key")).to_be_disabled()
    page.keyboard.press("Enter")
    assert violations(page) == []
    enter_key(page, key("unknown"))
    expect(dialog).to_contain_text("The API key is not valid")
    enter_key(page, KEY)
    expect(dialog).to_have_count(0)
    submit(page, HARMLESS)
    expect(page.locator(".badge")).to_have_text("not flagged")
    page.get_by_role("button", name="Forget the API key").click()
    submit(page, HARMLESS, HARMLESS)
    expect(dialog).to_contain_text("An API key is required")
    assert KEY not in page.content()
    page.reload()
    expect(dialog).to_contain_text("An API key is required")


def test_batches_keep_to_the_limits(page: Page) -> None:
    """Four of the long texts together are too many bytes; the last three are too long, each."""
    bodies: list[dict[str, Any]] = []
    page.on("request", lambda request: note(request.post_data_json))

    def note(body: dict[str, Any] | None) -> None:
        if body and "explain" not in body:
            bodies.append(body)

    texts = ["é" * 290 + f" {number}" for number in range(5)] + [HARMLESS] * 5
    texts += ["a" * (MAX_CHARS + 1)] * 3
    submit(page, *texts)
    expect(page.locator(".result")).to_have_count(len(texts))
    expect(page.get_by_text("not scored")).to_have_count(4)  # and in the count of them
    expect(page.locator(".remark").last).to_contain_text(f"longer than the {MAX_CHARS} characters")
    assert [text for body in bodies for text in body["texts"]] == texts
    assert max(len(body["texts"]) for body in bodies) == MAX_TEXTS
    assert max(len(json.dumps(body, ensure_ascii=False).encode()) for body in bodies) <= MAX_BODY


def test_a_body_that_is_too_large_is_sent_in_halves(service: Service, open_page: OpenPage) -> None:
    """A proxy may have a smaller limit than the service reports; here the page believes in 1 MB."""

    def more(index: dict[str, Any]) -> None:
        index["limits"] |= {"body_bytes": 1_000_000}

    page = open_page("about:blank")
    page.route("**/dandelion/", lambda route: changed_index(route, more))
    page.goto(f"{service.url}/dandelion/")
    enter_key(page, KEY)
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status))
    submit(page, *["a b" * 99] * 3, "x" * MAX_BODY, "x" * MAX_BODY)
    expect(page.locator(".result")).to_have_count(5)
    expect(page.get_by_text("not scored")).to_have_count(3)
    expect(page.locator(".remark").last).to_contain_text(f"the limit of {MAX_BODY} bytes")
    assert 413 in statuses


def changed_index(route: Route, change: Callable[[Any], None]) -> None:
    if "text/html" in route.request.headers["accept"]:
        route.continue_()
    else:
        changed(change)(route)


def test_a_refusal_is_shown(page: Page) -> None:
    """A policy that was removed by a reload since the page was opened."""

    def add(details: dict[str, Any]) -> None:
        details["policies"].append({"name": "gone"})

    page.route("**/models/spam?variant=dice", changed(add))
    page.locator("select[name=variant]").select_option("dice")
    page.locator("select[name=policy]").select_option("gone")
    submit(page, HARMLESS)
    problem = page.locator(".outcome [role=alert]")
    expect(problem).to_contain_text("The service refused the request")
    expect(problem).to_contain_text("policy: This model has no policy of this name")
    expect(problem).to_contain_text("Request")


def test_without_the_default_policy(
    start_shared: StartService, tmp_path_factory: pytest.TempPathFactory, open_page: OpenPage
) -> None:
    """It cannot be fitted for a variant without evidence, which has a threshold all the same."""
    serving = SMALL.replace('variant = "tiny"', 'variant = "tiny"\ndefault_policy = "careful"')
    artifacts = write_artifacts(tmp_path_factory.mktemp("artifacts"), serving)
    service = start_shared(artifacts=artifacts)
    service.wait_until_ready()
    page = open_page(service.url)
    page.locator("select[name=model]").select_option("spam")
    policy = page.locator("select[name=policy]")
    expect(policy.locator("option")).to_have_text(
        ["Default (careful)", "Model's own threshold", "careful"]
    )
    score = page.get_by_role("button", name="Score 1 message")
    submit(page, HARMLESS)
    expect(page.locator(".rule")).to_contain_text("by the policy careful")
    page.locator("select[name=variant]").select_option("plain")
    score.click()
    expect(page.locator(".outcome [role=alert]")).to_contain_text("or “Model's own threshold”")
    policy.select_option("Model's own threshold")
    asked: list[dict[str, Any]] = []
    page.on("request", lambda one: asked.append(one.post_data_json) if one.post_data else None)
    score.click()
    expect(page.locator(".rule")).to_contain_text("(the model's own threshold)")
    own = service.get("/models/spam", params={"variant": "plain"}).json()["threshold"]
    expect(page.locator(".result mark, .result .text").first).to_be_visible()
    assert {body["threshold"] for body in asked} == {own}
    page.locator("select[name=variant]").select_option("tiny")
    expect(policy).to_have_value("\n")
    show(page, "threshold")
    expect(page.locator("#view-threshold .predicted")).not_to_have_class(re.compile("stale"))
    expect(page.locator("#view-threshold [role=alert]")).to_have_count(0)


def test_a_policy_decides(page: Page) -> None:
    page.locator("select[name=policy]").select_option("strict")
    submit(page, "free entry win", HARMLESS)
    expect(page.locator(".rule")).to_contain_text("by the policy strict, for review from")
    expect(page.locator(".rule")).to_contain_text("Scores are for 1.00 % spam")
    expect(page.locator(".badge").last).to_have_text("not flagged")
    # The policy cannot be fitted for this variant.
    page.locator("select[name=variant]").select_option("dice")
    expect(page.locator("select[name=policy]")).to_have_value("")
    expect(page.locator(".notice")).to_contain_text("results of another choice")
    page.get_by_role("button", name="Score again").click()
    expect(page.locator(".rule")).to_contain_text("spam · dice")


def test_the_limit_of_a_key_is_waited_for(service: Service, open_page: OpenPage) -> None:
    page = open_page(f"{service.url}/dandelion/")
    enter_key(page, SLOW_KEY)
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status))
    submit(page, *[f"{HARMLESS} {number}" for number in range(3 * MAX_TEXTS)])
    expect(page.locator(".waiting")).to_contain_text("The limit of this API key")
    expect(page.locator(".result")).to_have_count(3 * MAX_TEXTS)
    assert 429 in statuses
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_restart_is_waited_for(
    start_service: StartService, open_page: OpenPage, made_up: Path
) -> None:
    """No connection first, then 503 while the models load."""
    first = start_service(artifacts=made_up)
    first.wait_until_ready()
    page = open_page(first.url)
    expect(page.locator(".about em")).to_be_visible()
    port = first.port
    first.stop()
    submit(page, HARMLESS)
    expect(page.locator(".waiting")).to_contain_text("The service cannot be reached")
    start_service(artifacts=made_up, port=port)
    expect(page.locator(".result")).to_have_count(1)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_what_is_not_ready_is_waited_for(page: Page) -> None:
    """503 twice, as while the models are loading, then the response."""
    waits: list[str] = []

    def refuse(route: Route) -> None:
        waits.append(route.request.url)
        if len(waits) > 2:
            route.continue_()
            return
        problem = {"status": 503, "detail": "The models are still loading. Retry in a moment."}
        route.fulfill(
            status=503,
            headers={"Retry-After": "1", "Content-Type": "application/problem+json"},
            body=json.dumps(problem),
        )

    page.route("**/classify/**", refuse)
    submit(page, HARMLESS)
    expect(page.locator(".waiting")).to_contain_text("still loading")
    expect(page.locator(".result")).to_have_count(1)


@pytest.fixture(autouse=True)
def no_leaks(service: Service) -> Iterator[None]:
    """Neither keys nor texts are in the log."""
    yield
    log = service.log.read_text()
    assert KEY not in log
    assert HARMLESS not in log

"""The page in a real Chromium, served by a real process.

Every page that `open_page` opens is checked when its test ends: no script failed, nothing violated
the Content-Security-Policy, nothing was requested from elsewhere, and nothing is stored but the
theme.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from ...conftest import PATIENCE_S, Service, StartService

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
# Nothing but this machine exists for the browser.
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

expect.set_options(timeout=1000 * PATIENCE_S)

VIEWS = ("messages", "threshold", "traffic", "compare", "live")
# What a request asks for in its address.
ASKED = {
    *("variant", "policy", "prior", "operating_point"),
    *("threshold", "review_threshold", "volume", "minutes"),
}

STORED = """async () => ({
    local: Object.keys(localStorage),
    session: Object.keys(sessionStorage),
    databases: (await indexedDB.databases()).map(({ name }) => name),
    caches: await caches.keys(),
    cookies: document.cookie,
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser, not for longer than a module: while Playwright runs, `asyncio.run` cannot."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def start_shared(start_shared: StartService) -> StartService:
    """Start services that have more time than by default: on a busy machine, all takes longer."""
    return partial(start_shared, request_timeout_ms=1000 * PATIENCE_S)


@pytest.fixture(scope="module")
def service(start_shared: StartService) -> Service:
    """A service with the models of the repository, without keys."""
    service = start_shared()
    service.wait_until_ready()
    return service


@dataclass
class Seen:
    """What a page has done so far."""

    requested: list[str] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("pageerror", lambda error: self.reported.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        # Error responses, which some tests provoke, are reported like this.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.reported.append(message.text)


class OpenPage(Protocol):
    def __call__(
        self, url: str, *, width: int = ..., height: int = ..., scheme: str = ..., **options: Any
    ) -> Page:
        """Open an address in a new profile; ``options`` are those of `Browser.new_context`."""


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    opened: list[tuple[Page, Seen]] = []

    def open_(
        url: str, *, width: int = 1280, height: int = 900, scheme: str = "light", **options: Any
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **options
        )
        context.set_default_timeout(1000 * PATIENCE_S)
        page, seen = context.new_page(), Seen()
        seen.watch(page)
        opened.append((page, seen))
        page.goto(url)
        return page

    yield open_
    try:
        for page, seen in opened:
            check(page, seen)
    finally:
        for page, _ in opened:
            page.context.close()


def check(page: Page, seen: Seen) -> None:
    """Check what holds for the page whatever was done with it."""
    assert seen.reported == []
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
    elsewhere = [url for url in seen.requested if not url.startswith((origin, "data:", "blob:"))]
    assert elsewhere == []
    assert urlsplit(page.url).query == ""
    # What is pasted is never in an address: neither in the page's own nor in that of a request.
    view, _, chosen = urlsplit(page.url).fragment.partition("?")
    assert view in {"", *VIEWS}
    assert parse_qs(chosen, keep_blank_values=True).keys() <= {"model", "variant", "policy"}
    for url in seen.requested:
        asked = parse_qs(urlsplit(url).query, keep_blank_values=True)
        assert asked.keys() <= ASKED, url
    if page.evaluate("isSecureContext"):
        stored = page.evaluate(STORED)
        assert set(stored.pop("local")) <= {"dandelion-theme"}
        assert not any(stored.values()), stored


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm."""
    directory = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "axe" / name, directory)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=directory, check=True, timeout=PATIENCE_S, env=dict(os.environ))
    return (directory / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


Violations = Callable[[Page], list[str]]


@pytest.fixture
def violations(axe: str) -> Violations:
    """Return what axe finds wrong with a page as it is now, by its default rules."""

    def find(page: Page) -> list[str]:
        page.evaluate(axe)
        found = page.evaluate("async () => (await axe.run()).violations")
        return [
            f"{rule['id']}: {node['target']} {json.dumps(node['failureSummary'])}"
            for rule in found
            for node in rule["nodes"]
        ]

    return find
